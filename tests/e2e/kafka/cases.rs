//! What each operation of `tests/apps/kafkago` has to look like.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::trace::v1::{
    span::{Link, SpanKind},
    status::StatusCode,
};
use strobe_tests::spans::{Received, Value};

/// The scope of the library's spans.
pub const SCOPE: &str = "strobe/github.com/segmentio/kafka-go";
/// Messages that the group reads, unless the program is told otherwise.
pub const OF_GROUP: usize = 500;
/// Messages that are committed together, and the calls that have an answer.
const OF_SYNCED: usize = 3;
const COMMITS_OF_SYNCED: usize = 1;
/// Of more messages than are looked at for their topics.
const COMMITS_OF_MANY: usize = 1;
/// Spans of the request inside which one message is sent: the call, and its service.
const REQUEST: usize = 2;

/// Writes by their names, in the order of their starts: the number of messages and `error.type`.
const SENT: &[(&str, &[(i64, &str)])] = &[
    ("send ok", &[(3, ""), (1, "")]),
    ("send group", &[(OF_GROUP as i64, "")]),
    ("send synced", &[(3, "")]),
    // Of two topics; then among three of which one takes nothing, among five, and on a stack that moves.
    ("send left", &[(1, ""), (2, ""), (1, ""), (2, ""), (1, UNKNOWN), (1, UNKNOWN)]),
    ("send right", &[(1, ""), (2, "")]),
    ("send third", &[(150, "")]),
    ("send fourth", &[(100, ""), (4, ""), (513, "")]),
    ("send tiny", &[(2, TOO_LARGE), (1, TOO_LARGE)]),
    ("send fifth", &[(5, ""), (513, "")]),
    // No more than four are told apart: that would be "third". And no more than 1,026 messages are looked at.
    ("send", &[(3, ""), (374, "")]),
    ("send unreachable", &[(1, "net.OpError")]),
    ("send parted", &[(2, TOO_LARGE)]),
    ("send missing", &[(1, "UNKNOWN_TOPIC_OR_PARTITION")]),
    // That is no failure.
    ("send cancelled", &[(1, "")]),
    ("send in", &[(1, "")]),
];

const UNKNOWN: &str = "_OTHER";
const TOO_LARGE: &str = "MESSAGE_TOO_LARGE";

/// Reads from `ok`: the key. One that is no text is not shown.
const KEYS: [Option<&str>; 3] = [Some("first"), None, None];

/// Trace and span that the first of those messages names.
const LINK: (&str, &str) = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");

/// How many spans are due, if the group reads so many messages.
pub fn due_count(of_group: usize) -> usize {
    let read = KEYS.len() + of_group + OF_SYNCED;
    SENT.iter().map(|(_, all)| all.len()).sum::<usize>()
        + read
        + of_group
        + COMMITS_OF_SYNCED
        + COMMITS_OF_MANY
        + REQUEST
}

/// What differs; `broker` is the address that the program was given, and `of_group` how many messages the group reads. `links_by_offset`:
/// messages without a header are linked to what wrote them.
pub fn compare(spans: &[Received], broker: &str, of_group: usize, links_by_offset: bool) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut by_name: BTreeMap<&str, Vec<&Received>> = BTreeMap::new();
    for span in spans.iter().filter(|span| span.scope == SCOPE) {
        by_name.entry(&span.span.name).or_default().push(span);
    }
    by_name.values_mut().for_each(|all| all.sort_by_key(|span| span.span.start_time_unix_nano));
    for (name, due) in SENT {
        let got = by_name.remove(name).unwrap_or_default();
        if got.len() != due.len() {
            wrong.push(format!("{name}: {} are due, got {}", due.len(), got.len()));
        }
        for (span, (count, error)) in got.iter().zip(*due) {
            let mut attributes = common("send", "send", name.strip_prefix("send "));
            let count = if *name == "send group" { of_group as i64 } else { *count };
            attributes.insert("messaging.batch.message_count", Value::Int(count));
            let at = if *name == "send unreachable" { "127.0.0.1:1" } else { broker };
            wrong.extend(differs(span, at, attributes, error));
        }
    }
    wrong.extend(links(spans, links_by_offset));
    for (nth, span) in by_name.remove("poll ok").unwrap_or_default().iter().enumerate() {
        let mut attributes = polled("ok", nth);
        if let Some(key) = KEYS.get(nth).copied().flatten() {
            attributes.insert("kafka.message.key", Value::Str(key.to_owned()));
        }
        wrong.extend(differs(span, broker, attributes, ""));
    }
    for (topic, messages, commits) in
        [("group", of_group, of_group), ("synced", OF_SYNCED, COMMITS_OF_SYNCED)]
    {
        let [polls, settled] = ["poll", "commit"]
            .map(|name| by_name.remove(format!("{name} {topic}").as_str()).unwrap_or_default());
        if (polls.len(), settled.len()) != (messages, commits) {
            wrong.push(format!("{topic}: {} polls, {} commits", polls.len(), settled.len()));
        }
        let group = if topic == "group" { "testers" } else { "synced" };
        let of_group = ("messaging.consumer.group.name", Value::Str(group.to_owned()));
        for (nth, span) in polls.iter().enumerate() {
            let mut attributes = polled(topic, nth);
            attributes.insert("kafka.message.key", Value::Str("many".to_owned()));
            attributes.extend([of_group.clone()]);
            wrong.extend(differs(span, broker, attributes, ""));
        }
        for span in &settled {
            let mut attributes = common("commit", "settle", Some(topic));
            attributes.insert("messaging.batch.message_count", Value::Int((messages / commits) as i64));
            attributes.extend([of_group.clone()]);
            wrong.extend(differs(span, broker, attributes, ""));
        }
    }
    let many = by_name.remove("commit").unwrap_or_default();
    if many.len() != COMMITS_OF_MANY {
        wrong.push(format!("{} commits of many", many.len()));
    }
    for span in &many {
        let mut attributes = common("commit", "settle", None);
        attributes.insert("messaging.batch.message_count", Value::Int(1100));
        attributes.insert("messaging.consumer.group.name", Value::Str("synced".to_owned()));
        wrong.extend(differs(span, broker, attributes, ""));
    }
    wrong.extend(by_name.into_iter().map(|(name, all)| format!("{} of {name:?} are not due", all.len())));
    if format!("{spans:?}").contains("secret") {
        wrong.push("a message's value is shown".to_owned());
    }
    wrong.extend(parents(spans));
    wrong
}

/// The spans that a span is linked to, by their trace and span ids, and with which flags.
pub fn links_of(span: &Received) -> Vec<(String, String, u32)> {
    let of = |link: &Link| (hex(&link.trace_id), hex(&link.span_id), link.flags);
    span.span.links.iter().map(of).collect()
}

/// An id as people write it.
pub fn hex(id: &[u8]) -> String {
    id.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// A message is linked to what its header names, else to the first call that wrote to its topic; nothing else is linked.
fn links(spans: &[Received], by_offset: bool) -> Vec<String> {
    let mut wrong = Vec::new();
    for span in spans.iter().filter(|span| span.scope == SCOPE) {
        let has_header = span.attributes.get("kafka.message.key") == Some(&Value::Str("first".to_owned()));
        let is_poll = span.span.name.starts_with("poll ");
        let sent = span.span.name.replace("poll ", "send ");
        let sent = spans.iter().filter(|span| by_offset && is_poll && span.span.name == sent);
        let sent = sent.min_by_key(|span| span.span.start_time_unix_nano);
        let due = if has_header && is_poll {
            Some((LINK.0.to_owned(), LINK.1.to_owned(), 0x301))
        } else {
            sent.map(|sent| (hex(&sent.span.trace_id), hex(&sent.span.span_id), 0x301))
        };
        if links_of(span) != Vec::from_iter(due) {
            wrong.push(format!("{}: links {:?}", span.span.name, links_of(span)));
        }
    }
    wrong
}

type Attributes<'a> = BTreeMap<&'a str, Value>;

fn common<'a>(name: &str, kind: &str, topic: Option<&str>) -> Attributes<'a> {
    let text = |text: &str| Value::Str(text.to_owned());
    let mut all = BTreeMap::from([
        ("messaging.system.name", text("kafka")),
        ("messaging.operation.name", text(name)),
        ("messaging.operation.type", text(kind)),
    ]);
    all.extend(topic.map(|topic| ("messaging.destination.name", text(topic))));
    all
}

fn polled<'a>(topic: &str, nth: usize) -> Attributes<'a> {
    let mut all = common("poll", "receive", Some(topic));
    all.insert("messaging.destination.partition.id", Value::Str("0".to_owned()));
    all.insert("kafka.offset", Value::Int(nth as i64));
    all
}

fn differs(span: &Received, broker: &str, mut due: Attributes<'_>, error: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let name = &span.span.name;
    if !error.is_empty() {
        due.insert("error.type", Value::Str(error.to_owned()));
    }
    let (address, port) = broker.rsplit_once(':').unwrap_or_default();
    due.insert("server.address", Value::Str(address.to_owned()));
    due.insert("server.port", Value::Int(port.parse().unwrap_or(0)));
    let got: BTreeMap<&str, Value> =
        span.attributes.iter().map(|(key, value)| (key.as_str(), value.clone())).collect();
    if got != due {
        wrong.push(format!("{name}: {due:?} is due, got {got:?}"));
    }
    let code = span.span.status.as_ref().map_or(StatusCode::Unset, |status| status.code());
    if (code == StatusCode::Error) == error.is_empty() || code == StatusCode::Ok {
        wrong.push(format!("{name}: status {code:?}"));
    }
    if span.span.kind() != SpanKind::Client {
        wrong.push(format!("{name}: kind {:?}", span.span.kind()));
    }
    wrong
}

/// What was sent on behalf of the request is below it, and all else is a root.
fn parents(spans: &[Received]) -> Vec<String> {
    let mut wrong = Vec::new();
    let is_request = |span: &&Received| {
        span.span.kind() == SpanKind::Server
            && span.attributes.get("url.path") == Some(&Value::Str("/in".to_owned()))
    };
    let Some(request) = spans.iter().find(is_request) else {
        return vec!["no span of the request".to_owned()];
    };
    for span in spans.iter().filter(|span| span.scope == SCOPE) {
        let is_inside = span.span.name == "send in";
        let due = if is_inside { request.span.span_id.as_slice() } else { &[] };
        if span.span.parent_span_id != due || is_inside && span.span.trace_id != request.span.trace_id {
            wrong.push(format!("{}: another parent than is due", span.span.name));
        }
    }
    wrong
}
