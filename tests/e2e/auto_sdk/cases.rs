//! What each span has to look like.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::{Span, span::SpanKind, status::StatusCode};
use strobe_tests::spans::{Received, Value};

/// The tracer's.
pub const SCOPE: &str = "strobe.test/autosdk";
const VERSION: &str = "v1.2.3 https://opentelemetry.io/schemas/1.26.0";
/// How many there are, with those of the two requests on both sides.
pub const SPANS: usize = PARENTS.len() + 3;
/// The same where no Auto SDK writes them down.
pub const SPANS_OF_OLDER: usize = SPANS + OF_OLDER.len();

/// OTLP's `SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK`.
const FLAG_REMOTE: u32 = 0x200;
/// Names of the spans that are made by hand, and of their parents: "" is none, "GET /go" the request that all is done for.
const PARENTS: [(&str, &str); 14] = [
    ("everything else", "GET /go"),
    ("outer", "GET /go"),
    ("inner", "outer"),
    ("innermost, elsewhere", "inner"),
    ("second", "outer"),
    ("wrapped", "outer"),
    ("in a handler", "GET /inner"),
    ("ended", "GET /go"),
    ("below what has ended", ""),
    ("ended elsewhere", "GET /go"),
    ("no context", "GET /go"),
    ("ok", "GET /go"),
    ("large", "GET /go"),
    ("for a message", REMOTE),
];

/// The span of somebody else that a message has come with.
const REMOTE: &str = "remote";

/// What is counted as lost, of whichever copy of the Auto SDK: a span that never ends, one of more than 64 KiB, and one that JSON cannot say.
const LOST: [(&str, u64); 3] = [("lost.open_at_exit", 1), ("lost.too_large", 1), ("lost.unwritten", 1)];

/// What the Auto SDK cannot write down, or is longer than 64 KiB as it does, and is there all the same where it is not asked.
const OF_OLDER: [(&str, &str); 2] = [("too large", "GET /go"), ("unwritten", "GET /go")];
/// What is counted as lost there: a span that never ends, and an attribute that is too long.
const LOST_OF_OLDER: [(&str, u64); 2] = [("lost.open_at_exit", 1), ("lost.too_large", 1)];

/// What else there is to know of a run.
#[derive(Debug, Clone, Copy)]
pub struct Run<'a> {
    /// What the program has printed.
    pub output: &'a str,
    /// Whether it is told the ids of its spans.
    pub told: bool,
    /// Whether it passes them on.
    pub passes_on: bool,
    /// Whether its API has no Auto SDK.
    pub is_older: bool,
}

/// What is wrong with what was counted as lost of so many runs, of which so many had an API without an Auto SDK.
pub fn miscounted(lost: &BTreeMap<String, u64>, runs: u64, of_older: u64) -> Option<String> {
    let newer = LOST.map(|(name, count)| (name, count * (runs - of_older)));
    let older = LOST_OF_OLDER.map(|(name, count)| (name, count * of_older));
    let mut due = BTreeMap::new();
    for (name, count) in newer.into_iter().chain(older).filter(|(_, count)| *count > 0) {
        *due.entry(name).or_insert(0) += count;
    }
    let mut counted = BTreeMap::new();
    for (name, count) in lost {
        *counted.entry(name.split_once('.').map_or("", |(_, rest)| rest)).or_insert(0) += count;
    }
    (counted != due).then(|| format!("lost {lost:?}, and due were {due:?}"))
}

/// What is wrong with the spans of a run.
pub fn wrong(received: &[Received], run: Run<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    let (spans, more) = match run.is_older {
        true => (SPANS_OF_OLDER, &OF_OLDER[..]),
        false => (SPANS, &[][..]),
    };
    let mut by_name: BTreeMap<&str, &Received> = BTreeMap::new();
    for span in received {
        if by_name.insert(&span.span.name, span).is_some() {
            wrong.push(format!("two of {}", span.span.name));
        }
    }
    if received.len() != spans {
        wrong.push(format!("{} spans: {:?}", received.len(), by_name.keys()));
    }
    // The program's own request is below the span that it is made in.
    for (name, parent) in PARENTS.iter().chain(more).copied().chain([("GET", "outer")]) {
        let Some(span) = by_name.get(name) else {
            wrong.push(format!("{name} is missing"));
            continue;
        };
        let is_right = match by_name.get(parent) {
            Some(parent) => {
                parent.span.span_id == span.span.parent_span_id && parent.span.trace_id == span.span.trace_id
            }
            None if parent == REMOTE => {
                let is_its = span.span.trace_id.ends_with(&[0, 9])
                    && span.span.parent_span_id == [0, 0, 0, 0, 0, 0, 0, 9];
                is_its && span.span.flags & FLAG_REMOTE != 0
            }
            None => parent.is_empty() && span.span.parent_span_id.is_empty(),
        };
        if !is_right {
            wrong.push(format!("{name} is not below {parent:?}: {:?}", span.span));
        }
        if name != "GET" && (span.scope != SCOPE || span.scope_version != VERSION) {
            wrong.push(format!("{name} is of {} {}", span.scope, span.scope_version));
        }
    }
    if let Some(span) = by_name.get("inner") {
        let (trace_id, span_id) = match run.told {
            true => (hex(&span.span.trace_id), hex(&span.span.span_id)),
            false => ("0".repeat(32), "0".repeat(16)),
        };
        let due = format!("ids {trace_id} {span_id} {}", run.told);
        if !run.output.lines().any(|line| line == due) {
            wrong.push(format!("the program has not said {due:?}: {}", run.output));
        }
    }
    if run.told
        && run.passes_on
        && let (Some(outer), Some(served)) = (by_name.get("outer"), by_name.get("GET /inner"))
        && (served.span.parent_span_id != outer.span.span_id || served.span.trace_id != outer.span.trace_id)
    {
        wrong.push(format!("what the program has passed on is not the parent: {:?}", served.span));
    }
    if let Some(span) = by_name.get("everything else") {
        wrong.extend(everything(span));
    }
    if let Some(span) = by_name.get("ok") {
        let code = span.span.status.as_ref().map(|status| status.code);
        if code != Some(StatusCode::Ok as i32) {
            wrong.push(format!("ok: {:?}", span.span.status));
        }
    }
    if let Some(span) = by_name.get("large")
        && !matches!(span.attributes.get("text"), Some(Value::Str(text)) if text.len() == 60 << 10)
    {
        wrong.push("large is not whole".to_owned());
    }
    if let Some(span) = by_name.get("too large")
        && (span.span.dropped_attributes_count, span.attributes.len()) != (1, 0)
    {
        wrong.push(format!(
            "too large: {} attributes, {} dropped",
            span.attributes.len(),
            span.span.dropped_attributes_count
        ));
    }
    wrong
}

fn hex(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Attributes that are strings and numbers.
fn texts(attributes: &[KeyValue]) -> Vec<(&str, String)> {
    let text = |attribute: &KeyValue| match attribute.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(any_value::Value::StringValue(text)) => text.clone(),
        Some(any_value::Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    };
    attributes.iter().map(|attribute| (attribute.key.as_str(), text(attribute))).collect()
}

/// What is wrong with the span that has all that one may have.
fn everything(received: &Received) -> Vec<String> {
    let span: &Span = &received.span;
    let mut wrong = Vec::new();
    let mut due = |what: &str, is_right: bool| {
        if !is_right {
            wrong.push(format!("everything's {what}: {span:?}"));
        }
    };
    due("kind", span.kind == SpanKind::Producer as i32);
    let times = [span.start_time_unix_nano, span.end_time_unix_nano];
    due("times", times == [1_700_000_000_000_000_001, 1_700_000_002_000_000_001]);
    let status = span.status.clone().unwrap_or_default();
    due("status", status.code == StatusCode::Error as i32 && status.message == "it failed");
    let attributes = [
        ("at", "\"the start\""),
        ("bool", "(true)"),
        ("int", "-4611686018427387904"),
        ("float", "(0.25)"),
        ("string", "\"a\\nb\""),
        ("bools", "([(true) (false)])"),
        ("ints", "([1 -2])"),
        ("floats", "([(1.5)])"),
        ("strings", "([\"x\" \"\" \"z\"])"),
    ];
    let got: BTreeMap<&str, String> =
        received.attributes.iter().map(|(key, value)| (key.as_str(), value.to_string())).collect();
    due("attributes", got == attributes.map(|(key, value)| (key, value.to_owned())).into());
    let [event, error] = span.events.as_slice() else {
        due("events", false);
        return wrong;
    };
    due("event", event.name == "event" && event.time_unix_nano == 1_700_000_001_000_000_001);
    due("event's attributes", texts(&event.attributes) == [("nth", "1".to_owned())]);
    let of_error = [("exception.type", "*errors.errorString"), ("exception.message", "recorded")];
    let of_error = of_error.map(|(key, value)| (key, value.to_owned()));
    due("recorded error", error.name == "exception" && texts(&error.attributes) == of_error);
    let [link] = span.links.as_slice() else {
        due("links", false);
        return wrong;
    };
    due("link", link.trace_id.ends_with(&[0, 1]) && link.span_id == [0, 0, 0, 0, 0, 0, 0, 2]);
    due("link's attributes", texts(&link.attributes) == [("of", "a link".to_owned())]);
    wrong
}
