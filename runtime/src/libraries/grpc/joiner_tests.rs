use runtime_ebpf::grpc::server::{PEER_IP, PEER_NONE, PEER_UNIX};

use super::super::records::tests::{called, ended, served};
use super::*;
use crate::libraries::join::Joiner as _;
use crate::spans::clock::Clock;
use crate::spans::trace_state::TraceStates;
use crate::spans::{Counts, Settings, Value};

/// A span as one line of its attributes.
#[derive(Debug, PartialEq, Eq)]
struct Made {
    name: String,
    attributes: String,
    error: Option<String>,
}

/// The joiner of one side, and what it has made.
struct Stage {
    joiner: Joiner,
    spans: Vec<Made>,
    trace_states: TraceStates,
}

impl Stage {
    fn new(side: Side) -> Self {
        Self { joiner: Joiner::new(side), spans: Vec::new(), trace_states: TraceStates::default() }
    }

    fn take(&mut self, bytes: &[u8]) {
        let (clock, settings) = (Clock::measure().expect("a clock"), Settings::default());
        let (spans, mut counts) = (&mut self.spans, Counts::default());
        let mut cx = SpanContext {
            clock: &clock,
            settings: &settings,
            counts: &mut counts,
            trace_states: &mut self.trace_states,
            wish: &mut || {},
            emit: &mut |span| {
                let show = |value: &Value<'_>| match value {
                    Value::Str(text) => text.to_string(),
                    Value::Int(number) => number.to_string(),
                };
                let all: Vec<String> =
                    span.attributes.iter().map(|(key, value)| format!("{key}={}", show(value))).collect();
                let error = span.error.then(|| span.message.as_deref().unwrap_or_default().to_owned());
                spans.push(Made { name: span.name.to_string(), attributes: all.join(" "), error });
            },
            tell: &mut |_| {},
            network: None,
        };
        let (head, meant) = crate::records::head(bytes).expect("a head");
        self.joiner.record(&head, meant, &mut cx).expect("a record");
    }

    /// The only span.
    fn made(&self) -> (&str, &str, Option<&str>) {
        let [Made { name, attributes, error }] = self.spans.as_slice() else { panic!("{:?}", self.spans) };
        (name, attributes, error.as_deref())
    }
}

fn client(method: &str, target: &str, code: u32, message: Option<&str>) -> Stage {
    let mut stage = Stage::new(Side::Client);
    stage.take(&called(1, method, target));
    stage.take(&ended(Side::Client, 1, code, message, false));
    stage
}

fn server(method: &str, code: u32, is_unknown: bool) -> Stage {
    let mut stage = Stage::new(Side::Server);
    let texts = [Some(method.as_bytes()), Some(b"svc:81".as_slice()), Some(&[10, 0, 0, 1]), None];
    stage.take(&served(1, texts, (PEER_IP, 5000)));
    stage.take(&ended(Side::Server, 1, code, (code != 0).then_some("said"), is_unknown));
    stage
}

#[test]
fn a_call_has_its_method_and_its_channels_target() {
    assert_eq!(
        client("/a.B/C", "dns:///svc:81", 0, None).made(),
        (
            "a.B/C",
            "rpc.system.name=grpc rpc.method=a.B/C server.address=svc server.port=81 rpc.status_code=OK",
            None
        )
    );
    let failed = client("/a.B/C", "svc", 1, Some("by its caller"));
    assert_eq!(
        failed.made(),
        (
            "a.B/C",
            "rpc.system.name=grpc rpc.method=a.B/C server.address=svc rpc.status_code=CANCELLED error.type=CANCELLED",
            Some("by its caller")
        )
    );
}

#[test]
fn a_server_has_its_authority_and_its_peer() {
    let rest = "server.address=svc server.port=81 network.peer.address=10.0.0.1 network.peer.port=5000";
    let start = "rpc.system.name=grpc rpc.method=a.B/C";
    for (code, end, error) in [
        (0, "rpc.status_code=OK", None),
        (5, "rpc.status_code=NOT_FOUND", None),
        (12, "rpc.status_code=UNIMPLEMENTED error.type=UNIMPLEMENTED", Some("said")),
        (100, "rpc.status_code=100", None),
    ] {
        assert_eq!(server("/a.B/C", code, false).made(), ("a.B/C", &*format!("{start} {rest} {end}"), error));
    }
}

#[test]
fn a_method_that_the_server_does_not_have_is_another() {
    for (method, is_unknown) in [("/a.B/C", true), ("/malformed", false), ("a.B/C", false)] {
        let stage = server(method, 12, is_unknown);
        let (name, attributes, _) = stage.made();
        let start = format!("rpc.system.name=grpc rpc.method=_OTHER rpc.method_original={method} server");
        assert!(name == "grpc" && attributes.starts_with(&start), "{attributes}");
    }
    assert_eq!(client("/malformed", "svc", 12, None).made().0, "malformed", "clients call what they have");
}

#[test]
fn a_method_that_was_cut_is_marked() {
    let long = format!("/a.B/{}", "m".repeat(300));
    let stage = client(&long, "svc", 0, None);
    let (name, _, _) = stage.made();
    assert_eq!(name, format!("a.B/{}\u{2026}", "m".repeat(251)));
}

#[test]
fn peers_are_addresses_or_sockets() {
    let mapped = [[0; 10].as_slice(), &[255, 255, 127, 0, 0, 1]].concat();
    let six = [[0x20, 1].as_slice(), &[0; 13], &[1]].concat();
    for (peer, kind, port, want) in [
        (mapped.as_slice(), PEER_IP, 80, "network.peer.address=127.0.0.1 network.peer.port=80"),
        (&six, PEER_IP, 80, "network.peer.address=2001::1 network.peer.port=80"),
        (&[1, 2, 3], PEER_IP, 80, ""),
        (b"/run/a.sock", PEER_UNIX, 0, "network.peer.address=/run/a.sock"),
        (b"@", PEER_UNIX, 0, ""),
        (b"", PEER_UNIX, 0, ""),
        (b"", PEER_NONE, 0, ""),
    ] {
        let mut stage = Stage::new(Side::Server);
        stage.take(&served(1, [Some(b"/a/b"), None, Some(peer), None], (kind, port)));
        stage.take(&ended(Side::Server, 1, 0, None, false));
        let (_, attributes, _) = stage.made();
        let want =
            format!("rpc.system.name=grpc rpc.method=a/b {want} rpc.status_code=OK").replace("  ", " ");
        assert_eq!(attributes, want, "{peer:?}");
    }
}

#[test]
fn what_never_ends_is_counted() {
    let mut stage = Stage::new(Side::Client);
    stage.take(&called(1, "/a/b", "svc"));
    stage.take(&called(2, "/a/b", "svc"));
    stage.take(&ended(Side::Client, 3, 0, None, false));
    stage.take(&ended(Side::Client, 2, 0, None, false));
    assert!(stage.joiner.held_bytes() > 0);
    stage.joiner.forget(42, 1);
    let counts: Vec<u64> = stage.joiner.counters().iter().map(|count| count.value).collect();
    assert_eq!((counts, stage.joiner.held_bytes(), stage.spans.len()), (vec![1, 1, 0], 0, 1));
}

#[test]
fn what_was_given_up_is_counted_once() {
    let mut stage = Stage::new(Side::Client);
    // All begin at the same time, so that all go.
    (1..=4).for_each(|span| stage.take(&called(span, "/a/b", "svc")));
    stage.joiner.shed();
    (1..=4).for_each(|span| stage.take(&ended(Side::Client, span, 0, None, false)));
    let counts: Vec<u64> = stage.joiner.counters().iter().map(|count| count.value).collect();
    assert_eq!((counts, stage.spans.len()), (vec![0, 0, 4], 0));
}
