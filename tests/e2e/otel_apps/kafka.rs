//! `kafka-go`: two messages of two topics in one call, and the two readers of a group.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use opentelemetry_proto::tonic::trace::v1::{Span, span::SpanKind};
use strobe_tests::broker;
use strobe_tests::samples::{Ran, span};
use strobe_tests::spans::{Expected, Want};

use super::{build, later};

const SOURCE: &str = include_str!("../../apps/otel_kafkago/main.go");
const GROUP: &str = "some group id";
const TOPICS: [(&str, &str); 2] = [("topic1", "key1"), ("topic2", "key2")];

/// A span would be PRODUCER whose context is in its message; strobe writes none into messages.
const KIND: SpanKind = SpanKind::Client;

/// A span of a topic; `port` is the broker's.
fn operation(name: &str, kind: &str, topic: &str, more: &[(&str, &str)], port: u16) -> Expected {
    let text = [
        ("messaging.system.name", "kafka"),
        ("messaging.operation.name", name),
        ("messaging.operation.type", kind),
        ("messaging.destination.name", topic),
        ("server.address", "127.0.0.1"),
    ];
    let text = [&text, more].concat();
    span(KIND, &format!("{name} {topic}"), &text, &[("server.port", port)])
}

/// So many messages.
fn with(mut span: Expected, name: &str, number: i64) -> Expected {
    span.attributes.insert(name.to_owned(), Want::Is(number.into()));
    span
}

/// The spans of one topic.
fn of_topic((topic, key): (&str, &str), port: u16) -> [Expected; 3] {
    const COUNT: &str = "messaging.batch.message_count";
    let group = ("messaging.consumer.group.name", GROUP);
    let polled = [group, ("messaging.destination.partition.id", "0"), ("kafka.message.key", key)];
    let sent: &[_] = if later::KEYS_OF_WHAT_IS_SENT { &[("kafka.message.key", key)] } else { &[] };
    [
        with(operation("send", "send", topic, sent, port), COUNT, 1),
        with(operation("poll", "receive", topic, &polled, port), "kafka.offset", 0),
        // `ReadMessage` commits what it has read.
        with(operation("commit", "settle", topic, &[group], port), COUNT, 1),
    ]
}

#[test]
fn kafka_go() -> Result<()> {
    let built = build(SOURCE, &[("github.com/segmentio/kafka-go", "v0.4.51")])?;
    let broker = broker::start(broker::NEWEST)?;
    let ran = Ran::of(&built, &[("KAFKA_BROKER", &broker.address)], &[])?;
    let (_, port) = broker.address.rsplit_once(':').context("the broker's port")?;
    let port = port.parse().context("the broker's port")?;
    let due: Vec<Expected> = TOPICS.into_iter().flat_map(|topic| of_topic(topic, port)).collect();
    ran.are_sharing(&due, &["strobe/github.com/segmentio/kafka-go"])?;
    let sent = TOPICS.map(|(topic, _)| only(&ran, "send", topic));
    let polled = TOPICS.map(|(topic, _)| only(&ran, "poll", topic));
    // What one call sends is of one trace.
    let traces: BTreeSet<&[u8]> =
        ran.spans.iter().map(|received| received.span.trace_id.as_slice()).collect();
    let [first, second] = sent;
    let (first, second) = (first?, second?);
    ensure!(first.trace_id == second.trace_id && traces.len() == ran.spans.len() - 1, "{:?}", ran.spans);
    for (polled, sent) in polled.into_iter().zip([first, second]) {
        let polled = polled?;
        let links: Vec<_> = polled.links.iter().map(|link| (&link.trace_id, &link.span_id)).collect();
        ensure!(links == [(&sent.trace_id, &sent.span_id)], "{polled:?}, {sent:?}");
    }
    Ok(())
}

/// The only span of this operation and topic.
fn only<'a>(ran: &'a Ran, name: &str, topic: &str) -> Result<&'a Span> {
    Ok(&ran.only(KIND, &format!("{name} {topic}"))?.span)
}
