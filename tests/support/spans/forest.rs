//! Received spans as trees, held against the expected ones.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use opentelemetry_proto::tonic::trace::v1::{Span, status::StatusCode};

use super::expected::{Expected, Parent, Want};
use super::received::{Attributes, Received, hex};

/// The received spans by their place in the trees.
pub(super) struct Forest<'a> {
    spans: &'a [Received],
    /// Those without a parent among them.
    pub(super) roots: Vec<usize>,
    children: HashMap<&'a [u8], Vec<usize>>,
}

impl<'a> Forest<'a> {
    pub(super) fn new(spans: &'a [Received]) -> Self {
        let ids: BTreeSet<&[u8]> = spans.iter().map(|r| r.span.span_id.as_slice()).collect();
        let mut forest = Forest { spans, roots: Vec::new(), children: HashMap::new() };
        for (i, r) in spans.iter().enumerate() {
            match r.span.parent_span_id.as_slice() {
                parent if ids.contains(parent) => forest.children.entry(parent).or_default().push(i),
                _ => forest.roots.push(i),
            }
        }
        forest
    }

    pub(super) fn doubled_spans(&self) -> Vec<String> {
        let mut ids = BTreeSet::new();
        let doubled = self.spans.iter().filter(|r| !ids.insert(&r.span.span_id));
        doubled.map(|r| format!("  span id {} occurs twice", hex(&r.span.span_id))).collect()
    }

    pub(super) fn doubled_roots(&self) -> Vec<String> {
        let mut traces = BTreeSet::new();
        let roots = self.spans.iter().filter(|r| r.span.parent_span_id.is_empty());
        let doubled = roots.filter(|r| !traces.insert(&r.span.trace_id));
        doubled.map(|r| format!("  two roots in trace {}", hex(&r.span.trace_id))).collect()
    }

    /// Pairs expected with received spans of one key: first those that agree, then what is left, with what differs.
    pub(super) fn pair(
        &self,
        key: &str,
        mut wanted: Vec<&Expected>,
        mut found: Vec<usize>,
        out: &mut Vec<String>,
    ) {
        wanted.retain(|e| match found.iter().position(|i| self.mismatches(e, *i).is_empty()) {
            Some(at) => {
                found.swap_remove(at);
                false
            }
            None => true,
        });
        let mut found = found.into_iter();
        for e in wanted {
            match found.next() {
                Some(i) => out.push(format!("  {key}:\n    {}", self.mismatches(e, i).join("\n    "))),
                None => out.push(format!("  {key}: missing {:?}", e.name)),
            }
        }
        for r in found.filter_map(|i| self.spans.get(i)) {
            out.push(format!("  {key}: unexpected {:?}, status {:?}", r.span.name, r.attributes.get(STATUS)));
        }
    }

    fn mismatches(&self, e: &Expected, i: usize) -> Vec<String> {
        let Some(r) = self.spans.get(i) else { return vec!["no such span".to_owned()] };
        let mut out = Vec::new();
        let mut differs = |what: &str, want: String, got: String| {
            if want != got {
                out.push(format!("{what}: expected {want}, got {got}"));
            }
        };
        differs("name", format!("{:?}", e.name), format!("{:?}", r.span.name));
        differs("kind", format!("{:?}", e.kind), format!("{:?}", r.span.kind()));
        let code = r.span.status.as_ref().map_or(StatusCode::Unset, |s| s.code());
        let want = if e.error { StatusCode::Error } else { StatusCode::Unset };
        differs("status", format!("{want:?}"), format!("{code:?}"));
        differs("flags", format!("{:#x}", e.flags), format!("{:#x}", r.span.flags));
        if e.parent != Parent::Above {
            differs("parent", place(&e.parent), place(&parent(&r.span)));
        }
        compare_attributes(&e.attributes, &r.attributes, &mut out);
        self.compare_children(e, r, &mut out);
        out
    }

    fn compare_children(&self, e: &Expected, r: &Received, out: &mut Vec<String>) {
        let below = self.children.get(r.span.span_id.as_slice()).cloned().unwrap_or_default();
        if below.len() != e.children.len() {
            out.push(format!("children: expected {}, got {}", e.children.len(), below.len()));
            return;
        }
        self.pair("child", e.children.iter().collect(), below, out);
    }
}

const STATUS: &str = "http.response.status_code";

fn parent(span: &Span) -> Parent {
    match span.parent_span_id.as_slice() {
        [] => Parent::None,
        id => Parent::Remote(hex(&span.trace_id), hex(id)),
    }
}

fn place(parent: &Parent) -> String {
    match parent {
        Parent::None => "none (a root)".to_owned(),
        Parent::Remote(trace, span) => format!("{trace}/{span}"),
        Parent::Above => "the span above".to_owned(),
    }
}

fn compare_attributes(want: &BTreeMap<String, Want>, got: &Attributes, out: &mut Vec<String>) {
    for (name, w) in want {
        match got.get(name) {
            Some(g) if w.matches(g) => {}
            Some(g) => out.push(format!("{name}: expected {w}, got {g}")),
            None => out.push(format!("{name}: expected {w}, not there")),
        }
    }
    for (name, g) in got.iter().filter(|(name, _)| !want.contains_key(*name)) {
        out.push(format!("{name}: not expected, got {g}"));
    }
}
