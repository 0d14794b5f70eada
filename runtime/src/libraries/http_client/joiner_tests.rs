use super::super::records::tests::{began, ended, failed, resumed};
use super::*;
use crate::libraries::join::Joiner as _;
use crate::spans::clock::Clock;
use crate::spans::trace_state::TraceStates;
use crate::spans::{Counts, Settings, Value};

const TEXTS: [Option<&[u8]>; 8] =
    [Some(b""), Some(b"http"), Some(b"a:81"), Some(b"/x"), None, Some(b"token=1"), None, None];
const CLOSED: &[u8] = b"http: server closed idle connection";

/// A span: its name, its attributes, whether it is an error.
type Made = (String, Vec<(&'static str, String)>, bool);

/// The joiner, and what it has made.
struct Stage {
    joiner: Joiner,
    spans: Vec<Made>,
    trace_states: TraceStates,
}

impl Default for Stage {
    fn default() -> Self {
        let joiner = Joiner::new("scope", names!("client"));
        Self { joiner, spans: Vec::new(), trace_states: TraceStates::default() }
    }
}

impl Stage {
    fn with(&mut self, act: impl FnOnce(&mut Joiner, &mut SpanContext<'_>)) {
        let (clock, settings) = (Clock::measure().expect("a clock"), Settings::default());
        let (spans, mut counts, trace_states) = (&mut self.spans, Counts::default(), &mut self.trace_states);
        let mut cx = SpanContext {
            clock: &clock,
            settings: &settings,
            counts: &mut counts,
            trace_states,
            wish: &mut || {},
            emit: &mut |span| {
                let show = |value: &Value<'_>| match value {
                    Value::Str(text) => text.to_string(),
                    Value::Int(number) => number.to_string(),
                };
                let attributes = span.attributes.iter().map(|(key, value)| (*key, show(value))).collect();
                spans.push((span.name.to_string(), attributes, span.error));
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

    /// `error.type` of each span so far.
    fn errors(&self) -> Vec<Option<&str>> {
        self.each("error.type")
    }

    /// `http.request.resend_count` of each span so far.
    fn resends(&self) -> Vec<Option<&str>> {
        self.each("http.request.resend_count")
    }

    fn each(&self, name: &str) -> Vec<Option<&str>> {
        let value = |all: &'_ Vec<(&'static str, String)>| all.iter().position(|(key, _)| *key == name);
        self.spans.iter().map(|(_, all, _)| value(all).map(|at| all[at].1.as_str())).collect()
    }
}

#[test]
fn a_response_ends_it() {
    let mut stage = Stage::default();
    stage.take(&began(1, 0, &TEXTS));
    stage.take(&ended(1, 404));
    let [(name, attributes, is_error)] = stage.spans.as_slice() else { panic!("{:?}", stage.spans) };
    let want = [
        ("http.request.method", "GET"),
        ("url.full", "http://a:81/x?token=REDACTED"),
        ("server.address", "a"),
        ("network.protocol.version", "1.1"),
        ("server.port", "81"),
        ("http.response.status_code", "404"),
        ("error.type", "404"),
    ];
    assert_eq!((name.as_str(), *is_error), ("GET", true));
    assert_eq!(attributes.iter().map(|(key, value)| (*key, value.as_str())).collect::<Vec<_>>(), want);
    assert_eq!((stage.joiner.open.held_bytes(), stage.joiner.waiting), (0, 0));
}

#[test]
fn an_error_that_is_final_ends_it_at_once() {
    let mut stage = Stage::default();
    let timeout = "context.deadlineExceededError";
    let all = [
        (1, true, "*net.OpError", None),
        (2, false, timeout, None),
        (3, true, "*errors.errorString", Some(CLOSED)),
    ];
    for (span, is_final, name, text) in all {
        stage.take(&began(span, 0, &TEXTS));
        stage.take(&failed(span, is_final, name, text));
    }
    assert_eq!(stage.errors(), [Some("net.OpError"), Some(timeout), Some("errors.errorString")]);
}

#[test]
fn a_cancelled_call_is_no_error() {
    let mut stage = Stage::default();
    stage.take(&began(1, 0, &TEXTS));
    stage.take(&failed(1, false, "*errors.errorString", Some(b"context canceled")));
    assert_eq!((stage.errors(), stage.spans[0].2), (vec![None], false));
}

#[test]
fn a_closed_cancel_channel_is_an_error() {
    let mut stage = Stage::default();
    let texts: [&[u8]; 2] =
        [b"net/http: request canceled", b"net/http: request canceled while waiting for connection"];
    for (span, text) in [1, 2].into_iter().zip(texts) {
        stage.take(&began(span, 0, &TEXTS));
        stage.take(&failed(span, span == 2, "*errors.errorString", Some(text)));
    }
    assert_eq!(stage.errors(), [Some("http.errRequestCanceled"); 2]);
}

#[test]
fn a_failure_that_is_tried_again_does_not_count() {
    let mut stage = Stage::default();
    stage.take(&began(1, 0, &TEXTS));
    stage.take(&failed(1, false, "*errors.errorString", Some(CLOSED)));
    stage.settle(false);
    assert!(stage.spans.is_empty() && stage.joiner.waits());
    stage.take(&resumed(1));
    assert!(!stage.joiner.waits());
    stage.take(&ended(1, 200));
    assert_eq!(stage.errors(), [None]);
    assert_eq!(stage.resends(), [Some("1")]);
    assert_eq!(stage.joiner.open.held_bytes(), 0);
}

#[test]
fn each_time_that_a_request_is_sent_again_counts() {
    let mut stage = Stage::default();
    // What HTTP/2 says twice was sent once, and what has had no connection was not sent.
    for (span, again) in [(1, 0), (2, 1), (3, 3)] {
        stage.take(&began(span, 0, &TEXTS));
        for _ in 0..again {
            stage.take(&failed(span, false, "http2.StreamError", None));
            stage.take(&failed(span, false, "http2.StreamError", None));
            stage.take(&resumed(span));
        }
        stage.take(&ended(span, 200));
    }
    stage.take(&began(4, 0, &TEXTS));
    stage.take(&failed(4, false, "http2.StreamError", None));
    stage.take(&ended(4, 200));
    stage.take(&began(5, 0, &TEXTS));
    stage.take(&failed(5, false, "http2.StreamError", None));
    stage.take(&failed(5, true, "net.OpError", None));
    for (span, name, text) in [
        (6, "http.nothingWrittenError", None),
        (7, "*errors.errorString", Some(b"http2: client conn not usable".as_slice())),
    ] {
        stage.take(&began(span, 0, &TEXTS));
        stage.take(&failed(span, false, name, text));
        stage.take(&resumed(span));
        stage.take(&ended(span, 200));
    }
    assert_eq!(stage.resends(), [None, Some("1"), Some("3"), Some("1"), None, None, None]);
}

#[test]
fn a_failure_counts_when_nothing_follows() {
    let mut stage = Stage::default();
    for span in [1, 2, 3] {
        stage.take(&began(span, 0, &TEXTS));
        stage.take(&failed(span, false, "http.nothingWrittenError", None));
    }
    stage.take(&began(4, 2, &TEXTS));
    assert_eq!(stage.errors(), [Some("http.nothingWrittenError")], "its goroutine has begun another");
    stage.settle(true);
    assert_eq!(stage.spans.len(), 3);
    assert!(!stage.joiner.waits());
}

#[test]
fn what_was_not_sent_makes_no_span() {
    let mut stage = Stage::default();
    stage.take(&began(1, 0, &TEXTS));
    stage.take(&began(2, 1, &TEXTS));
    stage.take(&ended(2, 200));
    stage.take(&ended(2, 200));
    assert_eq!(stage.spans.len(), 1);
    let counts = stage.joiner.counts;
    assert_eq!((counts.not_sent, counts.unmatched, stage.joiner.open.held_bytes()), (1, 1, 0));
}

#[test]
fn what_was_passed_on_makes_no_span() {
    let mut stage = Stage::default();
    for (span, is_final) in [(1, true), (2, false)] {
        stage.take(&began(span, 0, &TEXTS));
        stage.take(&failed(span, is_final, "http2.noCachedConnError", None));
    }
    stage.settle(true);
    assert_eq!(stage.errors(), [Some("http2.noCachedConnError")], "the second was the end of an attempt");
    assert_eq!((stage.joiner.counts.not_sent, stage.joiner.open.held_bytes()), (1, 0));
}

#[test]
fn the_oldest_go_when_it_is_too_much() {
    let mut stage = Stage::default();
    for span in 1..=32 {
        let mut bytes = began(span, 0, &TEXTS);
        bytes[16..24].copy_from_slice(&u64::from(span).to_ne_bytes());
        stage.take(&bytes);
    }
    stage.joiner.shed();
    assert_eq!(stage.joiner.counts.too_many_open, 3);
    // Their ends are not counted once more, unless they are said again.
    stage.take(&failed(1, false, "*errors.errorString", Some(CLOSED)));
    stage.take(&resumed(1));
    (1..=3).for_each(|span| stage.take(&ended(span, 200)));
    assert_eq!((stage.joiner.counts.unmatched, stage.spans.len()), (0, 0));
    stage.take(&ended(1, 200));
    assert_eq!(stage.joiner.counts.unmatched, 1);
    stage.joiner.forget(42, 1);
    assert_eq!((stage.joiner.counts.open_at_exit, stage.joiner.open.held_bytes()), (29, 0));
}

#[test]
fn a_round_trip_has_the_tracestate_of_the_span_above_it() {
    let mut stage = Stage::default();
    let list: std::sync::Arc<str> = "a=1".into();
    stage.trace_states.keep([0; 8], &list);
    stage.take(&began(1, 0, &TEXTS));
    // The span above may have ended by then.
    drop(list);
    let (head, _) = crate::records::head(&began(1, 0, &TEXTS)).expect("a record");
    let kept = stage.joiner.open.get_mut(&head, head.span_id).expect("it is open");
    assert_eq!(kept.begun.trace_state.as_deref(), Some("a=1"));
}
