//! The span of an operation: names, attributes, status.
//!
//! Decisions that the messaging conventions leave open:
//! - A span of what is sent is CLIENT: PRODUCER is for those whose context is in the messages, and nothing is written into those.
//! - A call that writes messages of several topics is a span for each of them, since each is sent by itself, with the errors of its own messages.
//!   Those of a fifth topic and of all further ones share one without `messaging.destination.name`; so does a commit of several topics.
//! - A caller that has cancelled its call is no failure.
//! - `error.type` is the broker's code by its name, else the name of the error's type as Go prints it, without the star of a pointer.
//! - A key is shown if it is text without control characters, and whole; of what is sent, only where the span is of one message.
//! - A span of a call that has failed has an event for each partition that took none of its messages, or not all. The conventions have events of
//!   exceptions alone, with a type and a text of those; a broker's code is none, so that the name is strobe's own, and the attributes theirs.

use std::borrow::Cow;

use runtime_ebpf::{
    kafka_go::records::{
        OUTCOME_CODE, OUTCOME_DONE, Outcome, POLLED_ADDRESS, POLLED_GROUP, POLLED_KEY, POLLED_TOPIC, Polled,
        SENT_ADDRESS, SENT_GROUP, SENT_KEY, SENT_TOPIC, Sent,
    },
    record::{Head, PARENT_REMOTE},
};

use super::codes;
use super::failures::{Failure, Partition};
use super::records::{Record, What};
use crate::libraries::errors::ErrorTexts;
use crate::records::Text;
use crate::spans::clock::Clock;
use crate::spans::semconv::{self as key, scope};
use crate::spans::{Counts, Event, FLAG_HAS_REMOTE, FLAG_REMOTE, Kind, Link, Span, Value};

/// `messaging.system.name`.
const KAFKA: &str = "kafka";
/// What a cancelled call ends with (`context.Canceled`).
const CANCELLED: &[u8] = b"context canceled";

/// The event of a partition that has failed.
const PARTITION_FAILED: &str = "strobe.kafka.partition_failed";

/// `error.type`, if it has failed.
pub fn error_type(outcome: &Outcome, error: &ErrorTexts<'_>) -> Option<String> {
    match outcome.what {
        OUTCOME_DONE => None,
        OUTCOME_CODE => Some(codes::name(outcome.code)),
        _ if error.text() == Some(CANCELLED) => None,
        _ => Some(error.error_type().map_or_else(|| key::ERROR_OTHER.to_owned(), Cow::into_owned)),
    }
}

/// What is held whole, is not empty and is text.
pub fn text<'a>(held: Option<Text<'a>>) -> Option<&'a str> {
    let whole = held.filter(|text| !text.is_cut() && text.full_len > 0)?;
    std::str::from_utf8(whole.bytes).ok().filter(|text| !text.chars().any(char::is_control))
}

type Attributes<'a> = Vec<(&'static str, Value<'a>)>;

/// The port that goes without saying.
const PORT: u16 = 9092;

/// Where the broker is that the program was given: `host`, `host:port`, `[::1]:port`.
fn place<'a>(address: Option<&'a str>, attributes: &mut Attributes<'a>) {
    let Some(address) = address else { return };
    let (host, port) = match address.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, port.parse::<u16>().ok()),
        _ => (address, None),
    };
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    if host.is_empty() {
        return;
    }
    attributes.push((key::SERVER_ADDRESS, Value::Str(host.into())));
    attributes
        .extend(port.filter(|port| *port != PORT).map(|port| (key::SERVER_PORT, Value::Int(port.into()))));
}

fn of_sent<'a>(sent: &Sent, texts: &[Option<Text<'a>>], attributes: &mut Attributes<'a>) -> Option<&'a str> {
    let held = |slot: usize| text(texts.get(slot).copied().flatten());
    place(held(SENT_ADDRESS), attributes);
    let count = i64::try_from(sent.count).unwrap_or(i64::MAX);
    attributes.push((key::MESSAGING_BATCH_MESSAGE_COUNT, Value::Int(count)));
    for (name, slot) in [(key::KAFKA_MESSAGE_KEY, SENT_KEY), (key::MESSAGING_CONSUMER_GROUP_NAME, SENT_GROUP)]
    {
        attributes.extend(held(slot).map(|text| (name, Value::Str(text.into()))));
    }
    held(SENT_TOPIC)
}

fn of_polled<'a>(
    polled: &Polled,
    texts: &[Option<Text<'a>>],
    attributes: &mut Attributes<'a>,
) -> Option<&'a str> {
    let held = |slot: usize| text(texts.get(slot).copied().flatten());
    if polled.brokers == 1 {
        place(held(POLLED_ADDRESS), attributes);
    }
    if polled.has_message != 0 {
        let partition = polled.partition.to_string();
        attributes.push((key::MESSAGING_DESTINATION_PARTITION_ID, Value::Str(partition.into())));
        attributes.push((key::KAFKA_OFFSET, Value::Int(polled.offset.cast_signed())));
    }
    for (name, slot) in
        [(key::KAFKA_MESSAGE_KEY, POLLED_KEY), (key::MESSAGING_CONSUMER_GROUP_NAME, POLLED_GROUP)]
    {
        attributes.extend(held(slot).map(|text| (name, Value::Str(text.into()))));
    }
    held(POLLED_TOPIC)
}

/// What sent the message that was received, if its headers say so.
fn link(what: &What<'_>) -> Option<Link> {
    let What::Polled(polled, _) = what else { return None };
    let [first, second] = polled.link_trace_id.map(u64::to_le_bytes);
    let mut trace_id = [0; 16];
    let (head, tail) = trace_id.split_at_mut(8);
    head.copy_from_slice(&first);
    tail.copy_from_slice(&second);
    let flags = u32::try_from(polled.link_flags & 0xff).unwrap_or(0) | FLAG_HAS_REMOTE | FLAG_REMOTE;
    (polled.link_span_id != 0).then(|| Link { trace_id, span_id: polled.link_span_id.to_le_bytes(), flags })
}

/// The events of what could not be written. A span that is of several topics does not name them: its events do.
pub fn events<'a>(span: &Span<'_>, failed: Vec<(Partition, Failure)>, clock: &Clock) -> Vec<Event<'a>> {
    let names_topic = span.str(key::MESSAGING_DESTINATION_NAME).is_some();
    let event = |((topic, partition), failure): (Partition, Failure)| {
        let count = i64::try_from(failure.count).unwrap_or(i64::MAX);
        let mut attributes = vec![
            (key::MESSAGING_DESTINATION_PARTITION_ID, Value::Str(partition.to_string().into())),
            (key::MESSAGING_BATCH_MESSAGE_COUNT, Value::Int(count)),
            (key::ERROR_TYPE, Value::Str(failure.error.into())),
        ];
        let topic = topic.filter(|_| !names_topic);
        attributes
            .extend(topic.map(|topic| {
                (key::MESSAGING_DESTINATION_NAME, Value::Str(topic.as_ref().to_owned().into()))
            }));
        Event { name: PARTITION_FAILED, unix_ns: clock.unix_ns(failure.at_ns), attributes }
    };
    failed.into_iter().map(event).collect()
}

/// Builds the span, but for its `tracestate` and its events.
pub fn span<'a>(head: &Head, record: &Record<'a>, clock: &Clock, counts: &mut Counts) -> Span<'a> {
    let mut attributes = Vec::with_capacity(11);
    let (operation, kind_of, topic) = match &record.what {
        What::Sent(sent, texts) => ("send", "send", of_sent(sent, texts, &mut attributes)),
        What::Committed(sent, texts) => ("commit", "settle", of_sent(sent, texts, &mut attributes)),
        What::Polled(polled, texts) => ("poll", "receive", of_polled(polled, texts, &mut attributes)),
    };
    let mut add = |name, value: Cow<'a, str>| attributes.push((name, Value::Str(value)));
    add(key::MESSAGING_SYSTEM_NAME, KAFKA.into());
    add(key::MESSAGING_OPERATION_NAME, operation.into());
    add(key::MESSAGING_OPERATION_TYPE, kind_of.into());
    if let Some(topic) = topic {
        add(key::MESSAGING_DESTINATION_NAME, topic.into());
    }
    let error = error_type(&record.outcome, &record.error);
    let is_error = error.is_some();
    if let Some(error) = error {
        add(key::ERROR_TYPE, error.into());
    }
    let parent = (head.parent_span_id != [0; 8]).then_some(head.parent_span_id);
    let is_remote = parent.is_some() && head.parent == PARENT_REMOTE;
    let start_unix_ns = clock.unix_ns(head.start_ns);
    counts.built += 1;
    Span {
        scope: scope::KAFKA_GO,
        trace_id: head.trace_id,
        span_id: head.span_id,
        parent_span_id: parent,
        trace_state: None,
        flags: u32::from(head.trace_flags) | FLAG_HAS_REMOTE | if is_remote { FLAG_REMOTE } else { 0 },
        name: topic.map_or(operation.into(), |topic| format!("{operation} {topic}").into()),
        kind: Kind::Client,
        start_unix_ns,
        end_unix_ns: clock.unix_ns(head.end_ns).max(start_unix_ns),
        attributes,
        dropped_attributes: 0,
        events: Vec::new(),
        dropped_events: 0,
        made: None,
        links: link(&record.what).into_iter().collect(),
        error: is_error,
        message: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart() {
        for (address, host, port) in [
            ("broker:9093", Some("broker"), Some(9093)),
            ("broker:9092", Some("broker"), None),
            ("broker", Some("broker"), None),
            ("[::1]:19092", Some("::1"), Some(19092)),
            ("::1", Some("::1"), None),
            (":9092", None, None),
            ("broker:port", Some("broker"), None),
        ] {
            let mut due: Attributes<'_> = Vec::new();
            due.extend(host.map(|host| (key::SERVER_ADDRESS, Value::Str(host.into()))));
            due.extend(port.map(|port| (key::SERVER_PORT, Value::Int(port))));
            let mut got = Vec::new();
            place(Some(address), &mut got);
            assert_eq!(got, due, "{address}");
        }
    }

    #[test]
    fn a_key_is_shown_if_it_is_text() {
        let cut = Text { bytes: b"abc", full_len: 900 };
        for (held, due) in [
            (Text::whole(b"order-1"), Some("order-1")),
            (Text::whole("\u{e4}".as_bytes()), Some("\u{e4}")),
            (Text::whole(b"\x00\x00\x00\x07"), None),
            (Text::whole(b"\xff\xfe"), None),
            (Text::whole(b""), None),
            (cut, None),
        ] {
            assert_eq!(text(Some(held)), due);
        }
        assert_eq!(text(None), None);
    }
}
