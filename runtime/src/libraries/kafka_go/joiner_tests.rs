use runtime_ebpf::{
    kafka_go::records::{
        Joined, OUTCOME_CODE, OUTCOME_FAILED, Outcome, PRODUCING_SLOTS, Produced, Producing, SENT_SLOTS, Sent,
    },
    libraries::KAFKA_GO,
    record::ABSENT,
};

use super::*;
use crate::libraries::errors::tests::written;
use crate::records::tests::{bytes_of, fill, some_head};
use crate::spans::clock::Clock;
use crate::spans::trace_state::TraceStates;
use crate::spans::{Counts, Event, Settings, Value};

/// Codes of a broker: two that are final, and none.
const TOO_LARGE: u64 = 10;
const UNAUTHORIZED: u64 = 29;
const NONE: u64 = 0;

/// Names, attributes and how many were dropped of the events of one span; whether it failed.
type Seen = (Vec<String>, u32, bool);

#[derive(Default)]
struct Stage {
    joiner: KafkaJoiner,
    settings: Settings,
    trace_states: TraceStates,
    seen: Vec<Seen>,
    at_ns: u64,
}

impl Stage {
    fn take(&mut self, mut bytes: Vec<u8>) {
        let len = u32::try_from(bytes.len()).expect("short");
        bytes[4..8].copy_from_slice(&len.to_ne_bytes());
        let clock = Clock::measure().expect("a clock");
        let seen = &mut self.seen;
        let mut cx = SpanContext {
            clock: &clock,
            settings: &self.settings,
            counts: &mut Counts::default(),
            trace_states: &mut self.trace_states,
            wish: &mut || {},
            emit: &mut |span| {
                let events = span.events.iter().map(shown).collect();
                seen.push((events, span.dropped_events, span.error));
            },
            tell: &mut |_| {},
            network: Some(1),
        };
        let (head, meant) = crate::records::head(&bytes).expect("a head");
        self.joiner.record(&head, meant, &mut cx).expect("a record");
    }

    fn head(&mut self, kind: u16, span: u8) -> Head {
        self.at_ns += 1;
        Head { span_id: [span; 8], start_ns: self.at_ns, ..some_head(KAFKA_GO.code, kind) }
    }

    /// The span's call adds so many messages to the batch at this address, which had none.
    fn join(&mut self, span: u8, at: u64, count: u64) {
        let head = self.head(KIND_JOINED, span);
        let joined = Joined { head, batch: batch(at), size: 0, count, goid: u64::from(span), nth: 1 };
        self.take(bytes_of(&joined));
    }

    /// The batch is sent to a partition, by the goroutine of that number, and answered so.
    fn produce(&mut self, at: u64, count: u64, partition: u64, code: u64) {
        let (slots, lens) = fill(&PRODUCING_SLOTS, &[Some(b"orders"), Some(b"broker:9092")]);
        let head = self.head(KIND_PRODUCING, 0);
        let goid = 1000 + partition;
        let producing = Producing { head, batch: batch(at), count, partition, goid, lens };
        self.take([bytes_of(&producing), slots].concat());
        let head = Head { end_ns: self.at_ns, kind: KIND_PRODUCED, ..head };
        let what = if code == NONE { OUTCOME_DONE } else { OUTCOME_CODE };
        let outcome = Outcome { what, lens: [ABSENT; 3], code };
        let produced = Produced { head, outcome, offset: 0, partition, goid };
        self.take([bytes_of(&produced), written("", None).0].concat());
    }

    /// The span's call ends, of this topic (or of several), with an error of this type and text.
    fn end(&mut self, span: u8, topic: Option<&[u8]>, error: Option<(&str, Option<&[u8]>)>) -> Seen {
        let (slots, lens) = fill(&SENT_SLOTS, &[topic, None, None, None]);
        let (errors, error_lens) =
            written(error.map_or("", |(name, _)| name), error.and_then(|(_, text)| text));
        let what = if error.is_some() { OUTCOME_FAILED } else { OUTCOME_DONE };
        let outcome = Outcome { what, lens: error_lens, code: 0 };
        let head = self.head(KIND_SENT, span);
        self.take([bytes_of(&Sent { head, outcome, count: 1, lens }), slots, errors].concat());
        self.seen.pop().expect("a span")
    }
}

fn batch(address: u64) -> Batch {
    Batch { address, time: [address, 7] }
}

fn shown(event: &Event<'_>) -> String {
    let value = |value: &Value<'_>| match value {
        Value::Str(text) => text.to_string(),
        Value::Int(number) => number.to_string(),
    };
    let attributes = event.attributes.iter().map(|(key, of)| format!(" {key}={}", value(of)));
    event.name.to_owned() + &attributes.collect::<String>()
}

fn failed(partition: u64, count: u64, error: &str) -> String {
    format!(
        "strobe.kafka.partition_failed messaging.destination.partition.id={partition} \
         messaging.batch.message_count={count} error.type={error}"
    )
}

const ERROR: Option<(&str, Option<&[u8]>)> = Some(("kafka.Error", None));
const ORDERS: Option<&[u8]> = Some(b"orders");

#[test]
fn each_partition_that_failed_has_an_event() {
    let mut stage = Stage::default();
    for (at, count) in [(10, 1), (20, 3), (30, 2)] {
        stage.join(1, at, count);
    }
    stage.produce(20, 3, 1, TOO_LARGE);
    stage.produce(10, 1, 0, NONE);
    stage.produce(30, 2, 2, UNAUTHORIZED);
    let due = vec![failed(1, 3, "MESSAGE_TOO_LARGE"), failed(2, 2, "TOPIC_AUTHORIZATION_FAILED")];
    assert_eq!(stage.end(1, ORDERS, ERROR), (due, 0, true));
    // A second call, of one span of several topics: which topic it was is in the event.
    stage.join(2, 40, 1);
    stage.produce(40, 1, 1, TOO_LARGE);
    let due = failed(1, 1, "MESSAGE_TOO_LARGE") + " messaging.destination.name=orders";
    assert_eq!(stage.end(2, None, ERROR), (vec![due], 0, true));
}

#[test]
fn only_the_last_attempt_counts() {
    let mut stage = Stage::default();
    for at in [10, 20, 30] {
        stage.join(1, at, 1);
    }
    // It fails twice and is written then; it fails each time; and it is another batch that is sent next.
    for code in [UNAUTHORIZED, TOO_LARGE, NONE] {
        stage.produce(10, 1, 0, code);
    }
    for code in [UNAUTHORIZED, TOO_LARGE] {
        stage.produce(20, 1, 1, code);
    }
    for (at, code) in [(30, UNAUTHORIZED), (40, NONE)] {
        stage.produce(at, 1, 2, code);
    }
    let due = vec![failed(1, 1, "MESSAGE_TOO_LARGE"), failed(2, 1, "TOPIC_AUTHORIZATION_FAILED")];
    assert_eq!(stage.end(1, ORDERS, ERROR), (due, 0, true));
}

#[test]
fn calls_that_share_a_batch_have_their_own_messages_of_it() {
    let mut stage = Stage::default();
    stage.join(1, 10, 2);
    let head = stage.head(KIND_JOINED, 2);
    stage.take(bytes_of(&Joined { head, batch: batch(10), size: 2, count: 3, goid: 2, nth: 1 }));
    stage.produce(10, 5, 0, TOO_LARGE);
    for (span, count) in [(1, 2), (2, 3)] {
        assert_eq!(stage.end(span, ORDERS, ERROR).0, [failed(0, count, "MESSAGE_TOO_LARGE")]);
    }
}

#[test]
fn a_call_that_has_not_failed_has_no_events() {
    let mut stage = Stage::default();
    // One that does not wait; and one whose caller has cancelled it.
    for (span, error) in [(1, None), (2, Some(("*errors.errorString", Some(b"context canceled".as_slice()))))]
    {
        let at = u64::from(span) * 100;
        stage.join(span, at, 1);
        stage.produce(at, 1, 0, TOO_LARGE);
        assert_eq!(stage.end(span, ORDERS, error), (Vec::new(), 0, false));
    }
    // What comes afterwards is nobody's.
    stage.join(3, 20, 1);
    assert_eq!(stage.end(3, ORDERS, None), (Vec::new(), 0, false));
    stage.produce(20, 1, 1, TOO_LARGE);
    assert!(stage.joiner.processes[&(42, 1)].failures.held_bytes() == 0);
}

#[test]
fn limits_hold_for_events() {
    let mut stage = Stage::default();
    stage.settings.value_length_limit = Some(9);
    for partition in 0..130 {
        stage.join(1, 1000 + partition, 1);
    }
    for partition in 0..130 {
        stage.produce(1000 + partition, 1, partition, TOO_LARGE);
    }
    let (events, dropped, is_error) = stage.end(1, ORDERS, ERROR);
    assert_eq!((events.len(), dropped, is_error), (128, 2, true));
    assert_eq!(events[0], failed(0, 1, "MESSAGE_T"));
}
