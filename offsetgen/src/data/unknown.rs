//! What a document has beyond the layout that this program knows.
//!
//! Keys are added within a schema version, so a reader passes over those that it does not know. A program that reads a document
//! to write it again would lose them, and asks here first.

use offsets::DatabaseError;
use offsets::database::format::Document;
use serde_json::Value;

use super::text;

/// The keys of a document's text that this program does not write (`structs.net/http.Request.align`): those of a newer offsetgen.
pub fn keys(file: &str, text: &str) -> Result<Vec<String>, DatabaseError> {
    let own = text::json(&Document::parse(file, text)?);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_offsetgens_keys_are_found() {
        let (name, text) = offsets::Database::embedded_files().first().expect("data");
        let mut newer: Value = serde_json::from_str(text).expect("JSON");
        newer["added"] = serde_json::json!(7);
        newer["versions"][0]["added"] = serde_json::json!(7);
        assert_eq!(keys(name, &newer.to_string()).expect("reads"), ["added", "versions[0].added"]);
        assert_eq!(keys(name, text).expect("reads"), [""; 0]);
    }
}
