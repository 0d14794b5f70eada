//! Why a document cannot be used.

/// A database that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseError {
    /// Not the JSON that [`format`](super::format) describes.
    #[error("{file}: line {line}, column {column}: {reason}")]
    Json {
        /// The file's name as the caller gave it.
        file: String,
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
        /// What the reader said.
        reason: String,
    },
    /// Written by another version of strobe.
    #[error("{file}: schema_version is {found}, this program reads {known}")]
    Schema {
        /// The file's name as the caller gave it.
        file: String,
        /// Its `schema_version`.
        found: u64,
        /// This program's.
        known: u64,
    },
    /// Well-formed, but it contradicts itself.
    #[error("{file}: {path}: {reason}")]
    Content {
        /// The file's name as the caller gave it.
        file: String,
        /// Where in it (`structs.net/http.Request.fields.Method`).
        path: String,
        /// What is wrong.
        reason: String,
    },
}
