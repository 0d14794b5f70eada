//! The one text of a document: keys in a fixed order, one run in a line, so that a change is a readable diff.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use offsets::database::format::{DATA_ID, Document, LICENSE, SCHEMA_ID, Span, file_name};
use serde::Serialize;

/// The one text of this document.
pub fn json(document: &Document) -> String {
    let mut out = String::new();
    let id = line(&format!("{DATA_ID}{}", file_name(&document.module)));
    let _ = write!(out, "{{\n  \"$schema\": {},\n  \"$id\": {id},\n", line(SCHEMA_ID));
    let _ = writeln!(out, "  \"license\": {},", line(LICENSE));
    let _ = writeln!(out, "  \"schema_version\": {},", document.schema_version);
    let _ = write!(out, "  \"module\": {},\n  \"settings\": ", line(&document.module));
    map(&mut out, 2, &document.settings, |out, text| out.push_str(&line(text)));
    out.push_str(",\n  \"toolchains\": ");
    list(&mut out, 2, &document.toolchains);
    out.push_str(",\n  \"versions\": ");
    list(&mut out, 2, &document.versions);
    out.push_str(",\n  \"holes\": ");
    list(&mut out, 2, &document.holes);
    out.push_str(",\n  \"structs\": ");
    map(&mut out, 2, &document.structs, |out, record| {
        searched(out, &record.tested, &record.unreached);
        out.push_str(",\n      \"sizes\": ");
        list(out, 6, &record.sizes);
        out.push_str(",\n      \"fields\": ");
        map(out, 6, &record.fields, |out, runs| list(out, 8, runs));
        out.push_str("\n    }");
    });
    out.push_str(",\n  \"functions\": ");
    map(&mut out, 2, &document.functions, |out, record| {
        searched(out, &record.tested, &record.unreached);
        out.push_str(",\n      \"runs\": ");
        list(out, 6, &record.runs);
        out.push_str("\n    }");
    });
    out.push_str("\n}\n");
    out
}

/// How the record of a struct or function begins.
fn searched(out: &mut String, tested: &[Span], unreached: &[Span]) {
    out.push_str("{\n      \"tested\": ");
    list(out, 6, tested);
    if !unreached.is_empty() {
        out.push_str(",\n      \"unreached\": ");
        list(out, 6, unreached);
    }
}

fn comma(index: usize) -> &'static str {
    if index == 0 { "" } else { "," }
}

/// A JSON object with one key per line.
fn map<T>(
    out: &mut String,
    indent: usize,
    items: &BTreeMap<String, T>,
    mut value: impl FnMut(&mut String, &T),
) {
    out.push('{');
    for (index, (key, item)) in items.iter().enumerate() {
        let _ = write!(out, "{}\n{:indent$}  {}: ", comma(index), "", line(key));
        value(out, item);
    }
    if !items.is_empty() {
        let _ = write!(out, "\n{:indent$}", "");
    }
    out.push('}');
}

/// A JSON array with one element per line.
fn list<T: Serialize>(out: &mut String, indent: usize, items: &[T]) {
    out.push('[');
    for (index, item) in items.iter().enumerate() {
        let _ = write!(out, "{}\n{:indent$}  {}", comma(index), "", line(item));
    }
    if !items.is_empty() {
        let _ = write!(out, "\n{:indent$}", "");
    }
    out.push(']');
}

/// Compact JSON. The types of a document hold strings, numbers and lists of them, which always serialize.
fn line<T: Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use offsets::Database;

    use super::*;

    #[test]
    fn the_committed_data_is_canonical() {
        for (name, text) in Database::embedded_files() {
            assert_eq!(json(&Document::parse(name, text).expect("reads")), *text, "{name}");
        }
    }
}
