//! What a line of the waterfall shows, copied out of a span: the span's record is gone when the line is drawn.

use crate::spans::semconv as key;
use crate::spans::{FLAG_REMOTE, Span};

/// The most characters of a string that are kept for a line.
const MAX_CHARS: usize = 400;

/// One span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Trace id.
    pub trace_id: [u8; 16],
    /// Span id.
    pub span_id: [u8; 8],
    /// Its parent.
    pub parent: Option<[u8; 8]>,
    /// Whether that is another service's span.
    pub is_parent_remote: bool,
    /// Start, nanoseconds since 1970.
    pub start_ns: u64,
    /// End, nanoseconds since 1970.
    pub end_ns: u64,
    /// `service.name`.
    pub service: String,
    /// The span's name.
    pub name: String,
    /// The response's status.
    pub status: Option<i64>,
    /// `error.type`.
    pub error: Option<String>,
    /// Path and query; of a call its URL, else the server.
    pub target: String,
    /// The client.
    pub client: Option<String>,
}

impl Row {
    /// Takes what is shown of a span.
    pub fn new(span: &Span<'_>, service: &str) -> Self {
        Self {
            trace_id: span.trace_id,
            span_id: span.span_id,
            parent: span.parent_span_id,
            is_parent_remote: span.flags & FLAG_REMOTE != 0,
            start_ns: span.start_unix_ns,
            end_ns: span.end_unix_ns,
            service: printable(service),
            name: printable(&span.name),
            status: span.int(key::HTTP_RESPONSE_STATUS_CODE),
            error: span.error.then(|| span.str(key::ERROR_TYPE).map(printable).unwrap_or_default()),
            target: target(span),
            client: span.str(key::CLIENT_ADDRESS).map(printable),
        }
    }
}

/// What a span was asked for, or asks for.
fn target(span: &Span<'_>) -> String {
    let text = |name| span.str(name).map(printable);
    if let Some(path) = text(key::URL_PATH) {
        let query = text(key::URL_QUERY).map(|query| format!("?{query}"));
        return path + &query.unwrap_or_default();
    }
    let of_a_call = text(key::URL_FULL).or_else(|| {
        let address = text(key::SERVER_ADDRESS)?;
        Some(span.int(key::SERVER_PORT).map_or(address.clone(), |port| format!("{address}:{port}")))
    });
    of_a_call.unwrap_or_default()
}

/// What fits a line of the text, without power over the terminal.
fn printable(text: &str) -> String {
    let end = text.char_indices().nth(MAX_CHARS).map_or(text.len(), |(end, _)| end);
    crate::log::printable(text.get(..end).unwrap_or(text))
}
