//! Calls that some partitions fail: their spans have an event for each of those, by its last attempt, and none for what was sent again and then
//! written. And the keys of messages that are sent alone. `tests/apps/kafkago/partitions.go` has the calls.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value as Any};
use opentelemetry_proto::tonic::trace::v1::{Span, span::Event};
use strobe_tests::agent::losses;
use strobe_tests::broker::{self, BEFORE_4, NEWEST};
use strobe_tests::golang::go;
use strobe_tests::spans::Value;
use strobe_tests::stage::Stage;

use super::cases::SCOPE;
use super::program::Program;

const LIMIT: Duration = Duration::from_secs(60);

/// What the call of a topic comes to.
struct Due {
    topic: &'static str,
    count: i64,
    key: Option<String>,
    /// `error.type`; empty: it has not failed.
    error: &'static str,
    events: Vec<String>,
    dropped_events: u32,
}

const TOO_LARGE: &str = "MESSAGE_TOO_LARGE";
const NOT_LEADER: &str = "NOT_LEADER_OR_FOLLOWER";
const UNAUTHORIZED: &str = "TOPIC_AUTHORIZATION_FAILED";

/// An event, as [`shown`] has it; `more` is what stands before all else in it.
fn event(more: &str, partition: u32, count: i64, error: &str) -> String {
    format!(
        "strobe.kafka.partition_failed error.type={error} messaging.batch.message_count={count} {more}\
         messaging.destination.partition.id=\"{partition}\""
    )
}

fn due() -> Vec<Due> {
    let written = |topic, count, key: &str| Due {
        topic,
        count,
        key: Some(key.to_owned()).filter(|key| !key.is_empty()),
        error: "",
        events: Vec::new(),
        dropped_events: 0,
    };
    let failed = |topic, count, error, events| Due { error, events, ..written(topic, count, "") };
    let in_topic = |topic, error| event(&format!("messaging.destination.name={topic} "), 0, 1, error);
    let wide = (0..128).map(|partition| event("", partition, 1, TOO_LARGE)).collect();
    vec![
        failed("refused", 4, TOO_LARGE, vec![event("", 1, 1, TOO_LARGE), event("", 2, 2, TOO_LARGE)]),
        written("again", 2, ""),
        failed(
            "never",
            4,
            NOT_LEADER,
            [(0, NOT_LEADER), (2, UNAUTHORIZED), (3, TOO_LARGE)]
                .map(|(at, error)| event("", at, 1, error))
                .into(),
        ),
        Due { dropped_events: 2, ..failed("wide", 130, TOO_LARGE, wide) },
        // Nobody waits for what becomes of it.
        written("async", 1, "0"),
        written("m1", 1, "0"),
        written("m2", 1, "0"),
        written("m3", 1, "0"),
        written("m4", 1, "0"),
        // The span of all further topics names none: its events do.
        failed("", 2, TOO_LARGE, vec![in_topic("m5", TOO_LARGE), in_topic("m6", UNAUTHORIZED)]),
        written("k1", 1, "first"),
        written("k2", 1, &"b".repeat(100)),
        written("k3", 1, &"c".repeat(256)),
        written("k4", 1, ""),
    ]
}

fn attribute(KeyValue { key, value, .. }: &KeyValue) -> String {
    match value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Any::StringValue(text)) if key.ends_with(".id") => format!("{key}={text:?}"),
        Some(Any::StringValue(text)) => format!("{key}={text}"),
        Some(Any::IntValue(number)) => format!("{key}={number}"),
        other => format!("{key}={other:?}"),
    }
}

fn shown(event: &Event) -> String {
    let mut attributes: Vec<String> = event.attributes.iter().map(attribute).collect();
    attributes.sort();
    [std::slice::from_ref(&event.name), attributes.as_slice()].concat().join(" ")
}

fn are_within(span: &Span) -> bool {
    let within = span.start_time_unix_nano..=span.end_time_unix_nano;
    span.events.iter().all(|event| within.contains(&event.time_unix_nano))
}

fn fails_by_partition(program: &Program, broker: &str) -> Result<()> {
    let built = program.build()?;
    let broker = broker::start(broker)?;
    let own = [("KAFKA_BROKER", broker.address.as_str()), ("KAFKA_PARTITIONS", "1")];
    let mut stage = Stage::new(&built, &own, &[])?;
    let due = due();
    let spans = stage.run_for(due.len() + 1, LIMIT)?;
    let of_library = spans.iter().filter(|span| span.scope == SCOPE);
    let mut by_name: BTreeMap<&str, _> = of_library.map(|span| (span.span.name.as_str(), span)).collect();
    ensure!(by_name.len() == due.len(), "{:?}", by_name.keys());
    for due in due {
        let name = format!("send {}", due.topic);
        let name = name.trim_end();
        let span = by_name.remove(name).with_context(|| format!("no span {name:?}"))?;
        let events: Vec<String> = span.span.events.iter().map(shown).collect();
        ensure!(events == due.events, "{name}: {:#?} are due, got {events:#?}", due.events);
        let dropped = span.span.dropped_events_count;
        ensure!(dropped == due.dropped_events && are_within(&span.span), "{name}: {:?}", span.span);
        let text = |text: &str| Some(Value::Str(text.to_owned())).filter(|_| !text.is_empty());
        for (key, due) in [
            ("messaging.batch.message_count", Some(Value::Int(due.count))),
            ("error.type", text(due.error)),
            ("kafka.message.key", due.key.as_deref().and_then(text)),
        ] {
            let got = span.attributes.get(key);
            ensure!(got == due.as_ref(), "{name}: {key}: {due:?} is due, got {got:?}");
        }
    }
    let lost = losses(&stage.agent);
    ensure!(lost.is_empty(), "lost: {lost:?}\n{}", stage.agent.output());
    stage.stop()
}

#[test]
fn each_partition_that_fails_has_an_event() -> Result<()> {
    fails_by_partition(&Program { go: go(26), kafka: "v0.4.51" }, NEWEST)?;
    fails_by_partition(&Program { go: go(22), kafka: "v0.4.38" }, BEFORE_4)
}
