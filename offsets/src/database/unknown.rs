//! What a document has beyond the layout that this program knows.
//!
//! Keys are added within a schema version, so a reader passes over those that it does not know. A program that reads a document
//! to write it again would lose them, and asks here first.

use serde_json::Value;

use super::DatabaseError;
use super::format::Document;

/// The keys of a document's text that this program does not write (`structs.net/http.Request.align`): those of a newer offsetgen.
pub fn keys(file: &str, text: &str) -> Result<Vec<String>, DatabaseError> {
    let own = Document::parse(file, text)?.to_json();
    let (theirs, own) = (serde_json::from_str(text), serde_json::from_str(&own));
    // Both were read before.
    let (theirs, own): (Value, Value) = (theirs.unwrap_or_default(), own.unwrap_or_default());
    let mut found = Vec::new();
    beyond(&theirs, &own, "", &mut found);
    Ok(found)
}

/// The keys of `theirs` that `own` does not have. What is empty or false is not written, and says nothing.
fn beyond(theirs: &Value, own: &Value, path: &str, found: &mut Vec<String>) {
    let says_nothing = |value: &Value| {
        matches!(value, Value::Null | Value::Bool(false)) || value.as_array().is_some_and(Vec::is_empty)
    };
    match (theirs, own) {
        (Value::Object(theirs), Value::Object(own)) => {
            for (key, value) in theirs {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                match own.get(key) {
                    Some(own) => beyond(value, own, &path, found),
                    None if says_nothing(value) => {}
                    None => found.push(path),
                }
            }
        }
        (Value::Array(theirs), Value::Array(own)) => {
            for (index, (theirs, own)) in theirs.iter().zip(own).enumerate() {
                beyond(theirs, own, &format!("{path}[{index}]"), found);
            }
        }
        _ => {}
    }
}
