//! Spans as they were received, spans as they were expected, and what differs between the two forests. Identifiers and
//! times are compared by meaning (who is whose parent, what lies inside what), not by value; a remote parent, which the
//! test chose itself, by value.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use anyhow::{Context, Result, bail};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::{Span, span::SpanKind, status::StatusCode};

/// Attributes by name.
pub type Attributes = BTreeMap<String, Value>;

/// An attribute's value, of the types that the conventions use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A string.
    Str(String),
    /// An integer.
    Int(i64),
    /// Anything else, as protobuf prints it.
    Other(String),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Str(s) => write!(f, "{s:?}"),
            Value::Int(i) => write!(f, "{i}"),
            Value::Other(o) => write!(f, "({o})"),
        }
    }
}

impl From<&str> for Value {
    fn from(s: &str) -> Self {
        Value::Str(s.to_owned())
    }
}

impl From<i64> for Value {
    fn from(i: i64) -> Self {
        Value::Int(i)
    }
}

/// A span with what it was sent under.
#[derive(Debug, Clone)]
pub struct Received {
    /// The resource's attributes.
    pub resource: Attributes,
    /// Name of the instrumentation scope.
    pub scope: String,
    /// The span's attributes.
    pub attributes: Attributes,
    /// The rest of it.
    pub span: Span,
}

impl Received {
    /// What pairs a received span with an expected one: see [`key`].
    pub fn key(&self) -> String {
        key(&self.attributes)
    }
}

/// The identity that the tests give to a request: the user agent where it is theirs (`t/…`), else path and query.
pub fn key(attributes: &Attributes) -> String {
    let text = |name| match attributes.get(name) {
        Some(Value::Str(s)) => s.as_str(),
        _ => "",
    };
    match text("user_agent.original") {
        agent if agent.starts_with("t/") => agent.to_owned(),
        _ => format!("{}?{}", text("url.path"), text("url.query")),
    }
}

/// What an attribute should be.
#[derive(Debug, Clone)]
pub enum Want {
    /// This value.
    Is(Value),
    /// This string, or at least so many bytes of its head.
    HeadOf(String, usize),
    /// Present.
    Any,
}

impl Want {
    fn matches(&self, got: &Value) -> bool {
        match (self, got) {
            (Want::Is(want), got) => want == got,
            (Want::HeadOf(full, least), Value::Str(got)) => full.starts_with(got) && got.len() >= *least,
            (Want::HeadOf(..), _) => false,
            (Want::Any, _) => true,
        }
    }
}

impl fmt::Display for Want {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Want::Is(v) => write!(f, "{v}"),
            Want::HeadOf(s, least) => write!(f, "at least {least} bytes of {s:?}"),
            Want::Any => f.write_str("anything"),
        }
    }
}

/// Where a span hangs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parent {
    /// It begins a trace.
    None,
    /// A span of another process, which the test invented: trace id and span id in hex.
    Remote(String, String),
    /// The span it is a child of in the expected tree.
    Above,
}

/// A span that should have come, with the children it should have.
#[derive(Debug, Clone)]
pub struct Expected {
    /// Pairs it with a received span: see [`key`].
    pub key: String,
    /// Span name.
    pub name: String,
    /// Span kind.
    pub kind: SpanKind,
    /// Whether its status is Error; else it is Unset.
    pub error: bool,
    /// Its parent.
    pub parent: Parent,
    /// OTLP flags.
    pub flags: u32,
    /// Exactly these attributes.
    pub attributes: BTreeMap<String, Want>,
    /// Spans below it.
    pub children: Vec<Expected>,
}

/// Unpacks a request, refusing what OTLP forbids.
pub fn received(request: ExportTraceServiceRequest) -> Result<Vec<Received>> {
    let mut all = Vec::new();
    for rs in request.resource_spans {
        let resource = attributes(rs.resource.context("ResourceSpans without a resource")?.attributes)?;
        for ss in rs.scope_spans {
            let scope = ss.scope.context("ScopeSpans without a scope")?.name;
            for mut span in ss.spans {
                check(&span).with_context(|| format!("span {:?}", span.name))?;
                let attributes = attributes(std::mem::take(&mut span.attributes))?;
                all.push(Received { resource: resource.clone(), scope: scope.clone(), attributes, span });
            }
        }
    }
    Ok(all)
}

fn check(span: &Span) -> Result<()> {
    let id = |id: &[u8], size| id.len() == size && id.iter().any(|b| *b != 0);
    if !id(&span.trace_id, 16) || !id(&span.span_id, 8) {
        bail!("trace id {} or span id {} is invalid", hex(&span.trace_id), hex(&span.span_id));
    }
    if !span.parent_span_id.is_empty() && !id(&span.parent_span_id, 8) {
        bail!("parent span id {}", hex(&span.parent_span_id));
    }
    if span.start_time_unix_nano == 0 || span.end_time_unix_nano < span.start_time_unix_nano {
        bail!("times {} to {}", span.start_time_unix_nano, span.end_time_unix_nano);
    }
    Ok(())
}

fn attributes(list: Vec<KeyValue>) -> Result<Attributes> {
    let mut map = Attributes::new();
    for KeyValue { key, value, .. } in list {
        let value = match value {
            Some(AnyValue { value: Some(any_value::Value::StringValue(s)) }) => Value::Str(s),
            Some(AnyValue { value: Some(any_value::Value::IntValue(i)) }) => Value::Int(i),
            other => Value::Other(format!("{other:?}")),
        };
        if map.insert(key.clone(), value).is_some() {
            bail!("attribute {key:?} occurs twice");
        }
    }
    Ok(map)
}

/// Lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Compares; the text of all differences, or nothing.
pub fn compare(expected: &[Expected], got: &[Received]) -> Result<(), String> {
    let forest = Forest::new(got);
    let mut differences = forest.duplicates();
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

/// The received spans by their place in the trees.
struct Forest<'a> {
    spans: &'a [Received],
    roots: Vec<usize>,
    children: HashMap<&'a [u8], Vec<usize>>,
}

impl<'a> Forest<'a> {
    fn new(spans: &'a [Received]) -> Self {
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

    fn duplicates(&self) -> Vec<String> {
        let mut ids = BTreeSet::new();
        let mut traces = BTreeSet::new();
        let mut found = Vec::new();
        for r in self.spans {
            if !ids.insert(&r.span.span_id) {
                found.push(format!("  span id {} occurs twice", hex(&r.span.span_id)));
            }
            if r.span.parent_span_id.is_empty() && !traces.insert(&r.span.trace_id) {
                found.push(format!("  two roots in trace {}", hex(&r.span.trace_id)));
            }
        }
        found
    }

    /// Pairs expected with received spans of one key: first those that agree, then what is left, with what differs.
    fn pair(&self, key: &str, mut wanted: Vec<&Expected>, mut found: Vec<usize>, out: &mut Vec<String>) {
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

#[cfg(test)]
mod tests {
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
        Received { resource: Attributes::new(), scope: String::new(), attributes, span }
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
