//! What a line of the waterfall shows, copied out of a span: the span's record is gone when the line is drawn.

use crate::spans::Span;
use crate::spans::semconv as key;

/// The most characters of a string that are kept for a line.
const MAX_CHARS: usize = 400;

/// One span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Trace id.
    pub trace_id: [u8; 16],
    /// Span id.
    pub span_id: [u8; 8],
    /// Its parent, another service's span.
    pub parent: Option<[u8; 8]>,
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
    /// Path and query.
    pub target: String,
    /// The client.
    pub client: Option<String>,
}

impl Row {
    /// Takes what is shown of a span.
    pub fn new(span: &Span<'_>, service: &str) -> Self {
        let mut target = span.str(key::URL_PATH).map(printable).unwrap_or_default();
        if let Some(query) = span.str(key::URL_QUERY) {
            target.push('?');
            target.push_str(&printable(query));
        }
        Self {
            trace_id: span.trace_id,
            span_id: span.span_id,
            parent: span.parent_span_id,
            start_ns: span.start_unix_ns,
            end_ns: span.end_unix_ns,
            service: printable(service),
            name: printable(&span.name),
            status: span.int(key::HTTP_RESPONSE_STATUS_CODE),
            error: span.error.then(|| span.str(key::ERROR_TYPE).map(printable).unwrap_or_default()),
            target,
            client: span.str(key::CLIENT_ADDRESS).map(printable),
        }
    }
}

/// What fits a line of the text, without power over the terminal.
fn printable(text: &str) -> String {
    let end = text.char_indices().nth(MAX_CHARS).map_or(text.len(), |(end, _)| end);
    crate::log::printable(text.get(..end).unwrap_or(text))
}
