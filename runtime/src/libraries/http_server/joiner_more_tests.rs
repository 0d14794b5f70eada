//! What more a header says than every span needs.

use super::super::super::records::tests::{headers, whole_with};
use super::*;

/// Whichever way a request's header came, its span says the same.
#[test]
fn what_more_a_header_says_comes_either_way() {
    let members = ["l0", "l1", "l2"].map(|key| format!("{key}={}", "x".repeat(200)));
    let list = format!("a=1,{}", members.join(","));
    let kept = format!("a=1,{},{}", members[0], members[1]);
    let all: [Option<&[u8]>; 5] = [
        Some(list.as_bytes()),
        Some(b"for=\"[2001:db8::1]:99\";proto=HTTPS, for=1.2.3.4"),
        Some(b"203.0.113.7, 10.0.0.1"),
        Some(b"www.example.com:8443"),
        Some(b"http"),
    ];
    let [mut by_wire, mut by_fields] = [Bench::default(), Bench::default()];
    let parent = |mut began: Began| {
        (began.head.parent, began.head.parent_span_id) = (PARENT_REMOTE, [3; 8]);
        began
    };
    let names = ["tracestate", "forwarded", "X-Forwarded-For", "x-forwarded-host", "X-FORWARDED-PROTO"];
    let lines = names
        .iter()
        .zip(all)
        .map(|(name, value)| format!("{name}: {}\r\n", String::from_utf8_lossy(value.unwrap_or_default())));
    let text = format!("GET /a HTTP/1.1\r\nHost: h\r\n{}\r\n", lines.collect::<String>());
    let began = Began { header_count: 5, ..parent(began(1, 1, 8)) };
    by_wire.send(&began_wire(began, text.as_bytes()));
    by_fields.send(&began_fields(began, &[Some(b"GET"), Some(b"/a"), Some(b"h"), None]));
    by_fields.send(&headers(began, &all));
    for bench in [&mut by_wire, &mut by_fields] {
        assert_eq!(bench.trace_states.of(1u64.to_ne_bytes()).as_deref(), Some(kept.as_str()));
        bench.end(1, 8);
        bench.keeps_nothing();
    }
    assert_eq!(by_wire.spans, by_fields.spans);
    let (_, lines) = &by_wire.spans[0];
    let list = format!("tracestate={kept}");
    let wanted = ["client.address=2001:db8::1", "url.scheme=https", "server.address=www.example.com", &list];
    let missing: Vec<_> = wanted.iter().filter(|want| !lines.iter().any(|line| line == *want)).collect();
    assert!(missing.is_empty(), "{missing:?} missing in {lines:#?}");
}

/// A `tracestate` without a `traceparent` is as good as none, and so are more of them than are joined.
#[test]
fn a_tracestate_that_does_not_count() {
    let many = (0..5).map(|i| format!("tracestate: k{i}=1\r\n")).collect::<String>();
    for (parent, lines) in [(PARENT_NONE, "tracestate: a=1\r\n"), (PARENT_REMOTE, many.as_str())] {
        let mut bench = Bench::default();
        let mut began = Began { header_count: 1, ..began(1, 1, 8) };
        (began.head.parent, began.head.parent_span_id) = (parent, [3; 8]);
        bench.send(&began_wire(began, format!("GET /a HTTP/1.1\r\nHost: h\r\n{lines}\r\n").as_bytes()));
        assert_eq!(bench.trace_states.of(1u64.to_ne_bytes()), None);
        bench.end(1, 8);
        assert!(!bench.spans[0].1.iter().any(|line| line.starts_with("tracestate")), "{:?}", bench.spans);
    }
}

/// Several `tracestate` headers are one list.
#[test]
fn tracestates_are_joined() {
    let mut bench = Bench::default();
    let mut began = Began { header_count: 1, ..began(1, 1, 8) };
    (began.head.parent, began.head.parent_span_id) = (PARENT_REMOTE, [3; 8]);
    let lines = ["a=1", "", "b=2, c=3", "d=4"].map(|list| format!("Tracestate: {list}\r\n")).concat();
    bench.send(&began_wire(began, format!("GET /a HTTP/1.1\r\nHost: h\r\n{lines}\r\n").as_bytes()));
    bench.end(1, 8);
    assert!(bench.spans[0].1.iter().any(|line| line == "tracestate=a=1,b=2,c=3,d=4"), "{:?}", bench.spans);
}

/// A request whose beginning found no room in the ring has said at its end what more its header says.
#[test]
fn what_more_a_header_says_comes_at_the_end() {
    let mut bench = Bench::default();
    let mut began = began(1, 1, 8);
    (began.head.parent, began.head.parent_span_id) = (PARENT_REMOTE, [3; 8]);
    let fields: [Option<&[u8]>; 4] = [Some(b"GET"), Some(b"/a"), Some(b"h"), None];
    let more: [Option<&[u8]>; 5] = [Some(b"a=1"), None, Some(b"203.0.113.7"), None, Some(b"https")];
    bench.send(&whole_with(end(1, 8), began_of(began), &fields, &more));
    bench.keeps_nothing();
    let (_, lines) = &bench.spans[0];
    for want in ["tracestate=a=1", "client.address=203.0.113.7", "url.scheme=https", "server.address=h"] {
        assert!(lines.iter().any(|line| line == want), "{want} missing in {lines:#?}");
    }
}
