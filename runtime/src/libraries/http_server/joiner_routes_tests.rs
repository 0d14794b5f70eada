//! Routes that others than the server have found.

use runtime_ebpf::http_server::records::{ROUTE_IF_NONE, ROUTE_UNLESS_405};

use super::super::super::records::tests::route;
use super::*;

/// The routes of the spans so far.
fn routes(bench: &Bench) -> Vec<Option<&str>> {
    let of =
        |(_, lines): &'_ (u64, Vec<String>)| lines.iter().position(|line| line.starts_with("http.route="));
    let at = bench.spans.iter().map(|span| (span, of(span)));
    at.map(|((_, lines), at)| at.and_then(|at| lines[at].strip_prefix("http.route="))).collect()
}

/// A router below another is asked later, and knows more; the server's own pattern is the outermost.
#[test]
fn the_route_that_came_last_is_the_requests() {
    let mut bench = Bench::default();
    bench.begin(1, 1, 8);
    bench.send(&route(began(1, 1, 8), b"/outer/", 7, 0));
    bench.send(&route(began(1, 1, 8), b"/outer/{id}", 11, 0));
    bench.send(&ended(end(1, 8), &[Some(b"/"), None]));
    assert_eq!((routes(&bench), bench.counted()), (vec![Some("/outer/{id}")], vec![]));
    bench.keeps_nothing();
}

/// A connection's next request lies at the same address, on the same goroutine.
#[test]
fn a_route_is_never_the_next_requests() {
    let mut bench = Bench::default();
    bench.begin(1, 1, 8);
    bench.send(&route(began(1, 1, 8), b"/a/{id}", 7, 0));
    bench.end(1, 8);
    bench.begin(2, 1, 8);
    bench.send(&route(began(1, 1, 8), b"/a/{id}", 7, 0));
    bench.end(2, 8);
    bench.send(&route(began(3, 1, 8), b"/a/{id}", 7, 0));
    assert_eq!(routes(&bench), [Some("/a/{id}"), None]);
    assert_eq!(bench.counted(), [("http_server.routes_alone", 2)]);
    bench.keeps_nothing();
}

/// What ServeMux's own look-up says stands for the server's own Request, which has the outermost mux's pattern.
#[test]
fn a_muxs_route_counts_where_there_is_none() {
    let mut bench = Bench::default();
    let mux = |id, text: &[u8]| route(began(id, 1, 8), text, text.len(), ROUTE_IF_NONE);
    bench.begin(1, 1, 8);
    bench.send(&mux(1, b"GET h/outer/"));
    bench.send(&mux(1, b"/inner"));
    bench.end(1, 8);
    bench.begin(2, 1, 8);
    bench.send(&mux(2, b"/outer/"));
    bench.send(&ended(end(2, 8), &[Some(b"/own"), None]));
    bench.begin(3, 1, 8);
    bench.send(&mux(3, b"/outer/"));
    bench.send(&route(began(3, 1, 8), b"/{id}", 5, 0));
    bench.end(3, 8);
    assert_eq!(routes(&bench), [Some("/outer/"), Some("/own"), Some("/{id}")]);
    assert_eq!((bench.wishes, bench.counted()), (0, vec![]));
    bench.keeps_nothing();
}

/// Whoever could tell the route is asked for once, and not by what has none: an answer of 404 or 405.
#[test]
fn a_span_without_a_route_is_said_once() {
    let mut bench = Bench::default();
    for (id, status, wishes) in [(1, 404, 0), (2, 405, 0), (3, 200, 1), (4, 500, 1)] {
        bench.begin(id, 1, 8);
        bench.send(&ended(Ended { status, ..end(id, 8) }, &[None, None]));
        assert_eq!(bench.wishes, wishes, "after {status}");
    }
}

#[test]
fn a_route_that_is_cut_or_was_asked_for_by_a_405_is_none() {
    let mut bench = Bench::default();
    bench.begin(1, 1, 8);
    bench.send(&route(began(1, 1, 8), b"/long", 600, 0));
    bench.send(&ended(end(1, 8), &[Some(b"/"), None]));
    for (id, status) in [(2, 405), (3, 200)] {
        bench.begin(id, 1, 8);
        bench.send(&route(began(id, 1, 8), b"/b", 2, ROUTE_UNLESS_405));
        bench.send(&ended(Ended { status, ..end(id, 8) }, &[None, None]));
    }
    assert_eq!(routes(&bench), [None, None, Some("/b")]);
    bench.keeps_nothing();
}
