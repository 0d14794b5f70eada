//! Why exporting cannot begin.

use crate::config::OtlpError;

/// Why exporting cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration asks for what the exporter cannot do.
    #[error(transparent)]
    Config(#[from] OtlpError),
    /// A certificate or key that cannot be used.
    #[error("{variable}: {}: {why}", path.display())]
    Pem {
        /// The variable that names the file.
        variable: &'static str,
        /// The file.
        path: std::path::PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The HTTP client could not be set up.
    #[error("cannot set up the OTLP client: {0}")]
    Client(String),
    /// The thread of an exporter could not be started.
    #[error("cannot start the exporter's thread: {0}")]
    Thread(#[source] std::io::Error),
}
