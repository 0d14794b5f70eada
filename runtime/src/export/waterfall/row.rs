//! What a line of the waterfall shows, copied out of a span: the span's record is gone when the line is drawn.

use std::fmt::Write;

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

/// The text without power over a terminal: control characters, and those that reorder or hide text, are escaped.
pub fn printable(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars().take(MAX_CHARS) {
        if is_harmless(character) {
            safe.push(character);
        } else {
            // Writing to a String cannot fail.
            let _ = write!(safe, "{}", character.escape_unicode());
        }
    }
    safe
}

fn is_harmless(character: char) -> bool {
    !character.is_control()
        && !matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_lose_their_power_over_the_terminal() {
        for (text, want) in [
            ("/caf\u{e9} \u{4e16}", "/caf\u{e9} \u{4e16}"),
            ("a\x1b[31mb", "a\\u{1b}[31mb"),
            ("a\nb\r\t\x7f", "a\\u{a}b\\u{d}\\u{9}\\u{7f}"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("a\u{202e}b", "a\\u{202e}b"),
            ("a\u{200b}b", "a\\u{200b}b"),
        ] {
            assert_eq!(printable(text), want);
        }
        assert_eq!(printable(&"x".repeat(1_000)).len(), MAX_CHARS);
    }
}
