use runtime_ebpf::database_sql::{COMMIT, PING};

use super::super::records::tests::{an_operation, began, ended, failed, query, resumed};
use super::*;
use crate::libraries::join::Joiner as _;
use crate::spans::clock::Clock;
use crate::spans::trace_state::TraceStates;
use crate::spans::{Counts, Settings, Value};

const BAD: &[u8] = b"driver: bad connection";
const TEXT: &str = "*errors.errorString";

/// The joiner, and what it has made: of each span the name, the attributes, and whether it is an error.
#[derive(Default)]
struct Stage {
    joiner: Joiner,
    spans: Vec<(String, String, bool)>,
    trace_states: TraceStates,
    settings: Settings,
}

impl Stage {
    fn with(&mut self, act: impl FnOnce(&mut Joiner, &mut SpanContext<'_>)) {
        let clock = Clock::measure().expect("a clock");
        let (spans, mut counts) = (&mut self.spans, Counts::default());
        let mut cx = SpanContext {
            clock: &clock,
            settings: &self.settings,
            counts: &mut counts,
            trace_states: &mut self.trace_states,
            wish: &mut || {},
            emit: &mut |span| {
                let show = |(key, value): &(&str, Value<'_>)| match value {
                    Value::Str(text) => format!("{key}={text}"),
                    Value::Int(number) => format!("{key}={number}"),
                };
                let attributes: Vec<String> = span.attributes.iter().map(show).collect();
                spans.push((span.name.to_string(), attributes.join(" "), span.error));
            },
            tell: &mut |_| {},
            network: None,
        };
        act(&mut self.joiner, &mut cx);
    }

    fn take(&mut self, bytes: &[u8]) {
        self.with(|joiner, cx| {
            let (head, meant) = crate::records::head(bytes).expect("a head");
            joiner.record(&head, meant, cx).expect("a record");
        });
    }

    fn settle(&mut self, is_over: bool) {
        self.with(|joiner, cx| joiner.settle(42, 1, is_over, cx));
    }

    /// What is counted and is not 0.
    fn counted(&self) -> Vec<(&'static str, u64)> {
        let counters = self.joiner.counters().into_iter();
        counters.filter(|count| count.value > 0).map(|count| (count.name, count.value)).collect()
    }
}

#[test]
fn an_answer_ends_it() {
    let mut stage = Stage::default();
    stage.take(&query(1, 0, "SELECT a FROM t WHERE b = 'secret'"));
    assert!(stage.joiner.held_bytes() > 0);
    stage.take(&ended(1));
    let want = "db.system.name=other_sql db.query.summary=SELECT t";
    assert_eq!(stage.spans, [("SELECT t".to_owned(), want.to_owned(), false)]);
    assert_eq!((stage.joiner.held_bytes(), stage.counted()), (0, vec![]));
}

#[test]
fn the_text_is_there_where_it_is_asked_for() {
    let mut stage = Stage::default();
    stage.settings.query_text = true;
    stage.take(&query(1, 0, "SELECT a FROM t WHERE b = 'secret'"));
    stage.take(&ended(1));
    let want = "db.system.name=other_sql db.query.summary=SELECT t db.query.text=SELECT a FROM t WHERE b = ?";
    assert_eq!(stage.spans[0].1, want);
}

#[test]
fn errors_are_told_by_their_types_and_cancelled_calls_are_none() {
    let mut stage = Stage::default();
    for (span, text) in [(1, None), (2, Some(&b"context canceled"[..]))] {
        stage.take(&query(span, 0, "SELECT a FROM t"));
        stage.take(&failed(span, true, if span == 1 { "*pq.Error" } else { TEXT }, text));
    }
    let [(_, first, true), (_, second, false)] = stage.spans.as_slice() else { panic!("{:?}", stage.spans) };
    assert!(first.ends_with("error.type=pq.Error") && !second.contains("error.type"), "{first} {second}");
}

#[test]
fn what_is_tried_again_is_one_span_with_its_last_outcome() {
    let mut stage = Stage::default();
    stage.take(&query(1, 0, "SELECT a FROM t"));
    stage.take(&failed(1, false, TEXT, Some(BAD)));
    assert!(stage.joiner.waits());
    stage.take(&resumed(1));
    stage.settle(true);
    assert!(stage.spans.is_empty() && !stage.joiner.waits());
    stage.take(&ended(1));
    assert_eq!(stage.spans.len(), 1);
    assert!(!stage.spans[0].2 && stage.counted().is_empty());
}

#[test]
fn what_is_not_tried_again_has_failed() {
    let mut stage = Stage::default();
    // The goroutine goes on; the process ends.
    stage.take(&query(1, 0, "SELECT a FROM t"));
    stage.take(&failed(1, false, TEXT, Some(BAD)));
    stage.take(&query(2, 1, "SELECT b FROM u"));
    stage.take(&failed(2, false, TEXT, Some(BAD)));
    stage.settle(false);
    stage.settle(true);
    let names: Vec<(&str, bool)> =
        stage.spans.iter().map(|(name, _, error)| (name.as_str(), *error)).collect();
    assert_eq!(names, [("SELECT t", true), ("SELECT u", true)]);
    assert!(stage.counted().is_empty());
}

#[test]
fn what_reached_no_driver_is_no_span() {
    let mut stage = Stage::default();
    stage.take(&query(1, 0, "SELECT a FROM t"));
    stage.take(&query(2, 1, "SELECT b FROM u"));
    stage.take(&ended(2));
    stage.take(&ended(2));
    assert_eq!(stage.spans.len(), 1);
    assert_eq!(stage.counted(), [("database_sql.not_sent", 1), ("database_sql.ends_without_beginning", 1)]);
}

#[test]
fn what_is_open_at_the_end_is_lost_unless_its_driver_leaves_it_out() {
    let mut stage = Stage::default();
    stage.take(&query(1, 0, "SELECT a FROM t"));
    stage.take(&began(an_operation(2, 0, PING), &[None; 4]));
    stage.joiner.forget(42, 1);
    assert_eq!(stage.counted(), [("database_sql.not_sent", 1), ("database_sql.lost.open_at_exit", 1)]);
    assert_eq!(stage.joiner.held_bytes(), 0);
}

#[test]
fn the_oldest_go_when_they_are_too_many() {
    let mut stage = Stage::default();
    (1..=32).for_each(|span| stage.take(&query(span, 0, "SELECT a FROM t")));
    stage.take(&failed(1, false, TEXT, Some(BAD)));
    stage.joiner.shed();
    let counted = stage.counted();
    assert!(matches!(counted[..], [("database_sql.lost.too_many_open", 1..)]), "{counted:?}");
    // Its end is not counted once more.
    stage.take(&failed(1, false, TEXT, Some(BAD)));
    stage.take(&ended(1));
    assert_eq!((stage.counted(), stage.spans.len()), (counted, 0));
    assert!(!stage.joiner.waits());
}

#[test]
fn a_name_says_what_and_where() {
    let mut stage = Stage::default();
    let postgres = |span, operation, port| {
        let mut one = an_operation(span, 0, operation);
        (one.form, one.system, one.port) = (2, 1, port);
        one
    };
    stage.take(&began(postgres(1, COMMIT, 5432), &[None, Some(b"db.local"), Some(b"app"), None]));
    stage.take(&began(postgres(2, PING, 6432), &[None, Some(b"db.local"), None, None]));
    stage.take(&began(postgres(3, 0, 6432), &[Some(b"frobnicate"), Some(b"db.local"), None, None]));
    stage.take(&query(4, 0, "frobnicate"));
    (1..=4).for_each(|span| stage.take(&ended(span)));
    let names: Vec<&str> = stage.spans.iter().map(|(name, ..)| name.as_str()).collect();
    assert_eq!(names, ["COMMIT app", "PING db.local:6432", "db.local:6432", "other_sql"]);
    let first = "db.system.name=postgresql db.namespace=app db.operation.name=COMMIT server.address=db.local";
    assert_eq!(stage.spans[0].1, first);
    let second = "db.system.name=postgresql db.operation.name=PING server.address=db.local server.port=6432";
    assert_eq!(stage.spans[1].1, second);
}
