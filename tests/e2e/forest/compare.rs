//! The spans that came, held against those that are due.

use std::collections::{HashMap, HashSet};
use std::fmt;

use opentelemetry_proto::tonic::trace::v1::{span::SpanKind, status::StatusCode};
use strobe_tests::spans::{Received, Value, hex};

use super::truth::{Node, Parent};

/// Differences that are shown.
const SHOWN: usize = 20;

/// What differs.
#[derive(Debug, Default)]
pub struct Differences {
    pub missing: Vec<String>,
    twice: Vec<String>,
    wrong: Vec<String>,
    wrong_parents: Vec<String>,
    not_due: Vec<String>,
}

impl Differences {
    /// Whether all that came is right.
    pub fn is_right(&self) -> bool {
        [&self.twice, &self.wrong, &self.wrong_parents, &self.not_due].iter().all(|all| all.is_empty())
    }

    /// The first of them, for messages.
    pub fn text(&self) -> String {
        let all = [&self.missing, &self.twice, &self.wrong, &self.wrong_parents, &self.not_due];
        let first = all.iter().flat_map(|all| all.iter().take(SHOWN)).cloned();
        format!("{self}\n{}", first.collect::<Vec<_>>().join("\n"))
    }
}

impl fmt::Display for Differences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} missing, {} twice, {} with something wrong, {} below the wrong parent, {} not due",
            self.missing.len(),
            self.twice.len(),
            self.wrong.len(),
            self.wrong_parents.len(),
            self.not_due.len()
        )
    }
}

/// Those of one key: a request's id, on one side.
type ByKey<'a> = HashMap<(SpanKind, &'a str), Vec<&'a Received>>;

/// Compares. What the test itself asked the services for is left out.
pub fn compare(due: &[Node], spans: &[Received]) -> Differences {
    let mut differences = Differences::default();
    let mut by_key: ByKey<'_> = HashMap::new();
    let mut ids = HashSet::new();
    for span in spans {
        if !ids.insert(&span.span.span_id) {
            differences.twice.push(format!("the span {}", hex(&span.span.span_id)));
        }
        match id(span) {
            Some(id) => by_key.entry((span.span.kind(), id)).or_default().push(span),
            None if ["/go", "/written"].contains(&text(span, "url.path")) => {}
            None => differences.not_due.push(format!("{:?}", span.attributes)),
        }
    }
    let due_keys: HashSet<(SpanKind, &str)> = due.iter().map(|node| (node.kind, node.id.as_str())).collect();
    for (kind, id) in by_key.keys().filter(|key| !due_keys.contains(*key)) {
        differences.not_due.push(format!("{kind:?} {id}"));
    }
    for node in due {
        match by_key.get(&(node.kind, node.id.as_str())).map(Vec::as_slice) {
            None | Some([]) => differences.missing.push(what(node)),
            Some([span]) => {
                differences.wrong.extend(wrong(node, span));
                differences.wrong_parents.extend(wrong_parent(node, span, &by_key));
            }
            Some(all) => differences.twice.push(format!("{}: {} times", what(node), all.len())),
        }
    }
    differences
}

fn what(node: &Node) -> String {
    format!("{:?} {} of {}", node.kind, node.id, node.service)
}

fn text<'a>(span: &'a Received, name: &str) -> &'a str {
    match span.attributes.get(name) {
        Some(Value::Str(text)) => text,
        _ => "",
    }
}

/// The id of the request, which stands in its path.
pub fn id(span: &Received) -> Option<&str> {
    let name = if span.span.kind() == SpanKind::Client { "url.full" } else { "url.path" };
    let (_, id) = text(span, name).split_once("/node/")?;
    id.split('?').next()
}

/// What is wrong with a span, its parent aside.
fn wrong(node: &Node, span: &Received) -> Option<String> {
    let mut out = Vec::new();
    let mut differs = |name: &str, want: &str, got: &str| {
        if want != got {
            out.push(format!("{name}: {want:?} is due, not {got:?}"));
        }
    };
    differs("name", &node.name, &span.span.name);
    let code = span.span.status.as_ref().map_or(StatusCode::Unset, |status| status.code());
    let want = if node.is_error { StatusCode::Error } else { StatusCode::Unset };
    differs("status", want.as_str_name(), code.as_str_name());
    let show = |value: &Value| match value {
        Value::Str(text) => text.clone(),
        other => other.to_string(),
    };
    let service = span.resource.get("service.name").map(show).unwrap_or_default();
    differs("service.name", node.service, &service);
    for (name, want) in &node.attributes {
        differs(name, want, &span.attributes.get(*name).map(show).unwrap_or_default());
    }
    let more = span.attributes.iter().filter(|(name, _)| !node.attributes.contains_key(name.as_str()));
    more.for_each(|(name, got)| differs(name, "", &show(got)));
    (!out.is_empty()).then(|| format!("{}: {}", what(node), out.join(", ")))
}

/// What is wrong with its parent. Where that one is missing nothing can be said.
fn wrong_parent(node: &Node, span: &Received, by_key: &ByKey<'_>) -> Option<String> {
    let (trace, parent) = (&span.span.trace_id, &span.span.parent_span_id);
    let is_right = match &node.parent {
        Parent::Nobody => parent.is_empty(),
        Parent::Remote(due_trace, due_parent) => hex(trace) == *due_trace && hex(parent) == *due_parent,
        Parent::Request(id) => match by_key.get(&(SpanKind::Server, id.as_str())).map(Vec::as_slice) {
            Some([above]) => {
                let (begin, end) = (above.span.start_time_unix_nano, above.span.end_time_unix_nano);
                let is_inside = (begin..=end).contains(&span.span.start_time_unix_nano);
                *parent == above.span.span_id && *trace == above.span.trace_id && is_inside
            }
            _ => !parent.is_empty(),
        },
        Parent::Call(id) => match by_key.get(&(SpanKind::Client, id.as_str())).map(Vec::as_slice) {
            Some([above]) => *parent == above.span.span_id && *trace == above.span.trace_id,
            _ => !parent.is_empty(),
        },
    };
    (!is_right).then(|| {
        let whose = by_key.iter().find(|(_, all)| all.iter().any(|one| one.span.span_id == *parent));
        let whose = whose.map(|((kind, id), _)| format!("{kind:?} {id}"));
        format!("{}: below {whose:?}, not {:?}", what(node), node.parent)
    })
}
