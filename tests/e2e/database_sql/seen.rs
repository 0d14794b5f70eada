//! Spans of operations, as they come.

use strobe_tests::spans::{Received, Value};

/// Their scope.
pub const SCOPE: &str = "strobe/database/sql";

/// A string attribute.
pub fn text<'a>(span: &'a Received, name: &str) -> Option<&'a str> {
    match span.attributes.get(name) {
        Some(Value::Str(text)) => Some(text),
        _ => None,
    }
}
