//! Spans as they were received, spans as they were expected, and what differs between the two forests. Identifiers and
//! times are compared by meaning (who is whose parent, what lies inside what), not by value; a remote parent, which the
//! test chose itself, by value.

mod expected;
mod forest;
mod received;

use std::collections::BTreeMap;

pub use expected::{Expected, Parent, Want};
use forest::Forest;
pub use received::{Attributes, Received, TRACE_STATE, Value, hex, key, received};

/// Compares; the text of all differences, or nothing. Each root is to have a trace of its own.
pub fn compare(expected: &[Expected], got: &[Received]) -> Result<(), String> {
    let forest = Forest::new(got);
    let doubled = [forest.doubled_spans(), forest.doubled_roots()].concat();
    differences(&forest, expected, got, doubled)
}

/// The same where spans of one operation have a trace in common, and no parent.
pub fn compare_sharing(expected: &[Expected], got: &[Received]) -> Result<(), String> {
    let forest = Forest::new(got);
    differences(&forest, expected, got, forest.doubled_spans())
}

fn differences(
    forest: &Forest<'_>,
    expected: &[Expected],
    got: &[Received],
    mut differences: Vec<String>,
) -> Result<(), String> {
    let mut by_key: BTreeMap<&str, (Vec<&Expected>, Vec<usize>)> = BTreeMap::new();
    for e in expected {
        by_key.entry(&e.key).or_default().0.push(e);
    }
    let keys: Vec<String> = got.iter().map(Received::key).collect();
    for &i in &forest.roots {
        if let Some(key) = keys.get(i) {
            by_key.entry(key).or_default().1.push(i);
        }
    }
    for (key, (wanted, found)) in by_key {
        forest.pair(key, wanted, found, &mut differences);
    }
    if differences.is_empty() {
        return Ok(());
    }
    let head = format!(
        "{} spans expected, {} received, {} differences",
        expected.len(),
        got.len(),
        differences.len()
    );
    differences.truncate(40);
    Err(format!("{head}:\n{}", differences.join("\n")))
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::trace::v1::{Span, span::SpanKind};

    use super::*;

    fn span(id: u8, parent: &[u8], path: &str) -> Received {
        let span = Span {
            trace_id: vec![id; 16],
            span_id: vec![id; 8],
            parent_span_id: parent.to_vec(),
            name: "GET".to_owned(),
            kind: SpanKind::Server as i32,
            flags: 0x101,
            ..Span::default()
        };
        let attributes = Attributes::from([("url.path".to_owned(), path.into())]);
        Received {
            resource: Attributes::new(),
            scope: String::new(),
            scope_version: String::new(),
            attributes,
            span,
        }
    }

    fn expected(path: &str) -> Expected {
        Expected {
            key: format!("{path}?"),
            name: "GET".to_owned(),
            kind: SpanKind::Server,
            error: false,
            parent: Parent::None,
            flags: 0x101,
            attributes: BTreeMap::from([("url.path".to_owned(), Want::Is(path.into()))]),
            children: Vec::new(),
        }
    }

    #[test]
    fn order_ids_and_times_do_not_matter() {
        compare(&[expected("/a"), expected("/b")], &[span(1, &[], "/b"), span(2, &[], "/a")]).unwrap();
    }

    #[test]
    fn missing_doubled_and_changed_spans_are_told_apart() {
        let text = compare(&[expected("/a"), expected("/b")], &[span(1, &[], "/b"), span(2, &[], "/b")])
            .unwrap_err();
        assert!(text.contains("/a?: missing"), "{text}");
        assert!(text.contains("/b?: unexpected"), "{text}");
        let mut changed = span(1, &[], "/a");
        changed.span.flags = 0x100;
        let text = compare(&[expected("/a")], &[changed]).unwrap_err();
        assert!(text.contains("flags: expected 0x101, got 0x100"), "{text}");
    }

    #[test]
    fn a_child_is_looked_for_below_its_parent() {
        let mut tree = expected("/a");
        let child = expected("/c");
        tree.children.push(Expected { parent: Parent::Above, ..child });
        let mut below = span(2, &[1; 8], "/c");
        compare(&[tree.clone()], &[span(1, &[], "/a"), below.clone()]).unwrap();
        below.attributes.insert("url.path".to_owned(), "/d".into());
        let text = compare(&[tree], &[span(1, &[], "/a"), below]).unwrap_err();
        assert!(text.contains("expected \"/c\", got \"/d\""), "{text}");
    }
}
