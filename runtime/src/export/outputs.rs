//! Where spans go.

use crate::config::{Config, Exporter};

/// A standard stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error: under `exec`, standard output belongs to the program.
    Stderr,
}

/// Where spans go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outputs {
    /// To an OTLP endpoint.
    pub otlp: bool,
    /// As a waterfall.
    pub waterfall: Option<Stream>,
}

impl Outputs {
    /// What the configuration asks for; where it names no exporter, a waterfall if `stream` is a terminal.
    pub fn choose(config: &Config, stream: Stream, is_terminal: bool) -> Self {
        if !config.exporter_configured && is_terminal {
            return Self { otlp: false, waterfall: Some(stream) };
        }
        Self {
            otlp: config.exporters.contains(&Exporter::Otlp),
            waterfall: config.exporters.contains(&Exporter::Console).then_some(stream),
        }
    }
}
