use runtime_ebpf::http_server::records::{
    Began, Ended, HOW_FINISHED, HOW_HIJACKED, HOW_PUSHED, KIND_BEGAN_FIELDS, KIND_BEGAN_WIRE, KIND_ENDED,
    KIND_ENDED_WHOLE, KIND_HTTP2,
};
use runtime_ebpf::libraries::NET_HTTP_SERVER;
use runtime_ebpf::record::{PARENT_NONE, PARENT_REMOTE};

use super::super::records::tests::{began_fields, began_wire, ended, some_began, some_ended, whole};
use super::super::span::tests::lines_of;
use super::*;
use crate::libraries::join::Joiner as _;
use crate::records::tests::{bytes_of, some_head};
use crate::spans::clock::Clock;
use crate::spans::trace_state::TraceStates;
use crate::spans::{Counts, Settings};

/// A joiner and the spans that came of it, each as its lines.
#[derive(Default)]
struct Bench {
    joiner: Joiner,
    spans: Vec<(u64, Vec<String>)>,
    told: Vec<String>,
    wishes: u32,
    trace_states: TraceStates,
}

impl Bench {
    fn send(&mut self, bytes: &[u8]) {
        let (head, bytes) = crate::records::head(bytes).expect("a head");
        let (clock, settings, mut counts) =
            (Clock::with_offset_ns(0), Settings::default(), Counts::default());
        let Self { joiner, spans, told, wishes, trace_states } = self;
        let mut cx = SpanContext {
            clock: &clock,
            settings: &settings,
            counts: &mut counts,
            trace_states,
            wish: &mut || *wishes += 1,
            emit: &mut |span| spans.push((u64::from_ne_bytes(span.span_id), lines_of(span))),
            tell: &mut |what| told.push(what.to_owned()),
            network: None,
        };
        joiner.record(&head, bytes, &mut cx).expect("a good record");
    }

    fn begin(&mut self, id: u64, goid: u64, response: u64) {
        self.send(&began_wire(began(id, goid, response), b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n"));
    }

    fn end(&mut self, id: u64, response: u64) {
        self.send(&ended(end(id, response), &[None, None]));
    }

    fn ids(&self) -> Vec<u64> {
        self.spans.iter().map(|(id, _)| *id).collect()
    }

    /// The counters that are not zero.
    fn counted(&self) -> Vec<(&'static str, u64)> {
        let all = self.joiner.counters().into_iter().map(|count| (count.name, count.value));
        all.filter(|(_, value)| *value > 0).collect()
    }

    #[track_caller]
    fn keeps_nothing(&self) {
        assert_eq!(self.joiner.held_bytes(), 0);
        for process in self.joiner.processes.values() {
            assert!(process.by_response.is_empty() && process.by_goid.is_empty(), "{process:?}");
        }
    }
}

fn began(id: u64, goid: u64, response: u64) -> Began {
    let mut began = some_began(KIND_BEGAN_WIRE);
    (began.goid, began.response) = (goid, response);
    (began.method_len, began.uri_len) = (3, 2);
    (began.head.span_id, began.head.start_ns) = (id.to_ne_bytes(), id);
    began
}

fn end(id: u64, response: u64) -> Ended {
    let mut ended = some_ended(KIND_ENDED);
    (ended.response, ended.head.span_id) = (response, id.to_ne_bytes());
    ended
}

#[test]
fn an_end_finds_its_beginning() {
    let mut bench = Bench::default();
    for id in 1..=100 {
        bench.begin(id, id, id * 8);
    }
    assert!(bench.joiner.held_bytes() > 100 * size_of::<Begun>());
    for id in (1..=100).rev() {
        bench.end(id, id * 8);
    }
    assert_eq!(bench.ids(), (1..=100).rev().collect::<Vec<_>>());
    assert_eq!(bench.counted(), []);
    bench.keeps_nothing();
}

#[test]
fn http2_is_told_once_for_each_process() {
    let mut bench = Bench::default();
    let mut of = |tgid| {
        let mut head = some_head(NET_HTTP_SERVER.code, KIND_HTTP2);
        head.len = u32::try_from(size_of::<Head>()).expect("small");
        head.tgid = tgid;
        bench.send(&bytes_of(&head));
    };
    [1, 1, 2, 1].into_iter().for_each(&mut of);
    assert_eq!(bench.told.len(), 2, "{:?}", bench.told);
}

/// What a server pushes nobody has asked for.
#[test]
fn a_pushed_stream_makes_no_span() {
    let mut bench = Bench::default();
    bench.begin(1, 1, 8);
    let mut pushed = end(1, 8);
    pushed.how = HOW_PUSHED;
    bench.send(&ended(pushed, &[None, None]));
    pushed.head.kind = KIND_ENDED_WHOLE;
    bench.send(&whole(pushed, began(1, 1, 8), &[Some(b"GET"), Some(b"/a"), None, None]));
    assert_eq!((bench.ids(), bench.counted()), (vec![], vec![("http_server.pushed", 2)]));
    bench.keeps_nothing();
}

/// A request that was upgraded to HTTP/2 has the version in it that it came with.
#[test]
fn a_library_that_speaks_one_version_has_spans_of_that_version() {
    let mut bench = Bench { joiner: Joiner::of_version("scope", (2, 0)), ..Bench::default() };
    bench.send(&began_fields(began(1, 1, 8), &[Some(b"GET"), Some(b"/a"), None, None]));
    bench.end(1, 8);
    let (_, lines) = bench.spans.first().expect("a span");
    assert!(lines.iter().any(|line| line == "network.protocol.version=2"), "{lines:?}");
}

#[test]
fn other_processes_and_generations_are_others() {
    let mut bench = Bench::default();
    bench.begin(1, 1, 8);
    for change in [(|e| e.head.tgid += 1) as fn(&mut Ended), |e| e.head.generation += 1] {
        let mut stranger = end(1, 8);
        change(&mut stranger);
        bench.send(&ended(stranger, &[None, None]));
    }
    assert_eq!((bench.ids(), bench.counted()), (vec![], vec![("spans.lost.beginning_missing", 2)]));
}

#[test]
fn an_end_without_its_beginning_makes_no_span() {
    let mut bench = Bench::default();
    bench.begin(1, 1, 8);
    bench.end(2, 8);
    bench.end(1, 16);
    assert_eq!((bench.ids(), bench.counted()), (vec![], vec![("spans.lost.beginning_missing", 2)]));
    bench.end(1, 8);
    assert_eq!(bench.ids(), [1]);
}

#[test]
fn a_goroutine_that_begins_again_had_not_ended() {
    let mut bench = Bench::default();
    bench.begin(1, 7, 8);
    bench.begin(2, 7, 16);
    bench.begin(3, 9, 16);
    assert_eq!(bench.counted(), [("spans.lost.never_ended", 2)]);
    bench.end(3, 16);
    assert_eq!(bench.ids(), [3]);
    bench.keeps_nothing();
}

#[test]
fn a_hijack_on_another_goroutine_ends_the_request_once() {
    let mut bench = Bench::default();
    bench.begin(1, 7, 8);
    let mut hijacked = end(0, 8);
    hijacked.how = HOW_HIJACKED;
    hijacked.head.trace_id = [0; 16];
    // The address alone proves nothing: another response may lie there by now.
    for stranger in [None, Some(b"127.0.0.1:5001".as_slice())] {
        bench.send(&ended(hijacked, &[None, stranger]));
    }
    assert_eq!((bench.ids(), bench.counted()), (vec![], vec![("http_server.ended_unknown", 2)]));
    bench.send(&ended(hijacked, &[None, Some(b"127.0.0.1:5000")]));
    assert_eq!(bench.ids(), [1]);
    bench.end(1, 8);
    assert_eq!(bench.ids(), [1]);
    assert!(bench.counted().contains(&("http_server.ended_again", 1)), "{:?}", bench.counted());
    bench.keeps_nothing();
    // Of a request that is not sampled nothing was sent before.
    bench.send(&ended(hijacked, &[None, None]));
    assert_eq!(bench.ids(), [1]);
    assert!(bench.counted().contains(&("http_server.ended_unknown", 3)));
}

#[test]
fn a_hijacked_request_that_is_never_ended_again_is_no_loss() {
    let mut bench = Bench::default();
    let mut hijacked = end(0, 8);
    hijacked.how = HOW_HIJACKED;
    bench.begin(1, 7, 8);
    bench.send(&ended(hijacked, &[None, Some(b"127.0.0.1:5000")]));
    bench.begin(2, 7, 16);
    bench.end(2, 16);
    bench.joiner.forget(42, 1);
    assert_eq!((bench.ids(), bench.counted()), (vec![1, 2], vec![]));
    bench.keeps_nothing();
}

#[test]
fn a_whole_record_is_a_span() {
    let mut bench = Bench::default();
    bench.begin(1, 7, 8);
    let texts: [Option<&[u8]>; 4] = [Some(b"PUT"), Some(b"/w?x"), Some(b"h:1"), None];
    bench.send(&whole(end(2, 16), began(2, 7, 16), &texts));
    assert_eq!((bench.ids(), bench.counted()), (vec![2], vec![("spans.lost.never_ended", 1)]));
    for line in ["url.path=/w", "url.query=x", "name=PUT", "server.port=1", "http.response.status_code=200"] {
        assert!(bench.spans[0].1.iter().any(|has| has == line), "{line}: {:?}", bench.spans);
    }
    bench.keeps_nothing();
}

#[test]
fn a_process_that_ends_leaves_nothing() {
    let mut bench = Bench::default();
    bench.begin(1, 1, 8);
    bench.begin(2, 2, 16);
    bench.joiner.forget(42, 0);
    bench.joiner.forget(43, 1);
    assert_eq!(bench.counted(), []);
    bench.joiner.forget(42, 1);
    assert_eq!(bench.counted(), [("spans.lost.open_at_exit", 2)]);
    bench.keeps_nothing();
    bench.end(1, 8);
    assert!(bench.ids().is_empty());
}

#[test]
fn the_oldest_sixteenth_goes_first() {
    let mut bench = Bench::default();
    for id in 1..=1_600 {
        bench.begin(id, id, id * 8);
    }
    let before = bench.joiner.held_bytes();
    bench.joiner.shed();
    let counted = bench.counted();
    assert!(matches!(counted[..], [("spans.lost.too_many_open", 100..=101)]), "{counted:?}");
    assert!(bench.joiner.held_bytes() < before * 15 / 16);
    // That was counted: its end is not counted once more, unless it is said again.
    bench.end(1, 8);
    bench.end(1_600, 1_600 * 8);
    assert_eq!((bench.ids(), bench.counted()), (vec![1_600], counted));
    bench.end(1, 8);
    assert!(bench.counted().contains(&("spans.lost.beginning_missing", 1)), "{:?}", bench.counted());
    for _ in 0..100 {
        bench.joiner.shed();
    }
    bench.keeps_nothing();
}

#[test]
fn an_upgrade_that_set_no_status_is_inferred() {
    let text = b"GET /a HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    for (how, status, header_count, want) in [
        (HOW_HIJACKED, 0, 2, Some("http.response.status_code=101")),
        (HOW_HIJACKED, 200, 2, Some("http.response.status_code=200")),
        (HOW_HIJACKED, 0, 3, None),
        (HOW_FINISHED, 0, 2, Some("http.response.status_code=200")),
    ] {
        let mut bench = Bench::default();
        let (mut begin, mut end) = (began(1, 7, 8), end(1, 8));
        begin.header_count = header_count;
        (end.how, end.status) = (how, status);
        bench.send(&began_wire(begin, text));
        bench.send(&ended(end, &[None, None]));
        let status = bench.spans[0].1.iter().find(|line| line.starts_with("http.response"));
        assert_eq!(status.map(String::as_str), want);
        assert_eq!(bench.counted().len(), usize::from(header_count == 3));
    }
}

/// One request made into both kinds of beginnings, as the kernel's side would from its text and from its structs.
#[test]
fn both_ways_give_the_same_span() {
    let long_agent = "agent ".repeat(60);
    let targets = [
        "/",
        "/a?b=c&token=d",
        "http://u@h.example:81/x?y",
        "*",
        "//x",
        "/caf\u{e9}/%ff",
        "/a b".trim_end_matches(" b"),
    ];
    let hosts = ["example.com:8080", "[::1]:80", "", "h"];
    let agents = [None, Some(""), Some("curl/8"), Some(long_agent.trim_end())];
    let ends = ["\r\n", "\n"];
    let mut compared = 0;
    for target in targets {
        for (host, agent) in hosts.iter().flat_map(|host| agents.map(|agent| (host, agent))) {
            for (method, eol) in [("GET", ends[0]), ("BREW", ends[1]), (&"M".repeat(40), ends[0])] {
                compare(method, target, host, agent, eol);
                compared += 1;
            }
        }
    }
    assert_eq!(compared, 7 * 16 * 3);
}

fn compare(method: &str, target: &str, host: &str, agent: Option<&str>, eol: &str) {
    let agent_line = agent.map(|agent| format!("user-agent:\t{agent} {eol}"));
    let text = format!(
        "{method} {target} HTTP/1.1{eol}Host: {host}{eol}{}Accept: */*{eol} x{eol}Cookie: secret{eol}{eol}",
        agent_line.as_deref().unwrap_or_default()
    );
    let mut begin = began(1, 7, 8);
    begin.method_len = u32::try_from(method.len()).expect("short");
    begin.uri_len = u32::try_from(target.len()).expect("short");
    begin.header_count = if agent.is_some() { 3 } else { 2 };
    let host = if target.starts_with("http") { "h.example:81" } else { host };
    let fields: [Option<&[u8]>; 4] =
        [Some(method.as_bytes()), Some(target.as_bytes()), Some(host.as_bytes()), agent.map(str::as_bytes)];
    let mut spans = Vec::new();
    for record in [began_wire(begin, text.as_bytes()), began_fields(begin, &fields)] {
        let mut bench = Bench::default();
        bench.send(&record);
        bench.send(&ended(end(1, 8), &[Some(b"GET /{x}"), None]));
        assert_eq!(bench.counted(), [], "{text:?}");
        spans.push(bench.spans);
    }
    let mut bench = Bench::default();
    let mut last = end(1, 8);
    last.head.kind = KIND_ENDED_WHOLE;
    bench.send(&whole(last, Began { lens: [0; 4], ..began_of(begin) }, &fields));
    let without_route = |lines: &[String]| -> Vec<String> {
        lines.iter().filter(|l| !l.starts_with("http.route") && !l.starts_with("name")).cloned().collect()
    };
    assert_eq!(spans[0], spans[1], "{text:?}");
    assert_eq!(without_route(&spans[0][0].1), without_route(&bench.spans[0].1), "{text:?}");
    let secrets = ["secret", "=d"];
    assert!(!spans[0][0].1.iter().any(|line| secrets.iter().any(|secret| line.contains(secret))), "{text:?}");
}

fn began_of(mut began: Began) -> Began {
    began.head.kind = KIND_BEGAN_FIELDS;
    began
}

#[path = "joiner_routes_tests.rs"]
mod routes;

#[path = "joiner_more_tests.rs"]
mod more;
