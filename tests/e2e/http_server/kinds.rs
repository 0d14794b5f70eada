//! Every kind of request that the agent has to get right, each with its span. `minor` is Go's minor version: patterns came
//! with 1.22, and a request carries its pattern since 1.22 (`pat`), in public since 1.23.

use strobe_tests::spans::Want;

use super::exchange::{Answer, Exchange};
use super::handlers;

pub const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
pub const PARENT: &str = "00f067aa0ba902b7";

/// All kinds once; `n` makes requests without a user agent unique.
pub fn all(minor: u32, n: usize) -> Vec<Exchange> {
    let mut all = routed(minor);
    // Not last: the client of a hijacked connection has its answer before the handler has returned, and a service that is
    // told to end at that moment does not wait for it.
    all.extend(ends(minor));
    all.extend(unrouted(n));
    all.extend(handlers::by_name(minor));
    all.extend(targets());
    all.extend(parents(n));
    all.extend(header_counts(n));
    all.extend(through_proxies());
    all
}

/// Those of them that can be said over HTTP/2, which has no chunks, no other targets than a path, and no space around values.
pub fn over_http2(minor: u32, n: usize) -> Vec<Exchange> {
    let mut all = routed(minor);
    all.extend(unrouted(n));
    all.extend(handlers::by_name(minor));
    all.extend(targets());
    all.extend(parents(n));
    all.extend(header_counts(n));
    all.extend(through_proxies());
    all.extend(panics(minor));
    all.extend([
        Exchange::get("/raw/ok").header("X-Long", &"v".repeat(5_000)).parent(TRACE, PARENT, 1),
        Exchange::get("/raw/ok").header("Cookie", "a=b").header("Cookie", "c=d"),
        Exchange::get("/raw/goexit").leaves(),
    ]);
    let can = |e: &Exchange| {
        let plain = |(name, value): &(String, String)| name != "Transfer-Encoding" && value.trim() == value;
        // For `*` a mux closes the connection, where net/http's server does not answer in its place.
        let path = e.target.starts_with(b"/") || e.method == "CONNECT";
        e.version == "1.1" && path && std::str::from_utf8(&e.target).is_ok() && e.headers.iter().all(plain)
    };
    all.into_iter().filter(can).map(Exchange::http2).collect()
}

/// Through a mux.
fn routed(minor: u32) -> Vec<Exchange> {
    let since = |version: u32, route: &'static str| Some(route).filter(|_| minor >= version);
    let only_get = |e: Exchange| if minor >= 22 { e.status(405) } else { e };
    vec![
        Exchange::get("/users/42").route(since(22, "/users/{id}")),
        Exchange::get("/users/42?verbose=1&x=%20y").route(since(22, "/users/{id}")),
        Exchange::new("HEAD", "/users/7").route(since(22, "/users/{id}")),
        Exchange::get("/static/css/site.css").route(since(22, "/static/")),
        Exchange::get("/plain").route(since(22, "/plain")),
        Exchange::new("POST", "/orders").body("hello world").status(201).route(since(22, "/orders")),
        Exchange::new("POST", "/orders")
            .header("Transfer-Encoding", "chunked")
            .body("5\r\nhello\r\n0\r\n\r\n")
            .status(201)
            .route(since(22, "/orders")),
        Exchange::new("POST", "/orders")
            .header("Expect", "100-continue")
            .body("hello")
            .status(201)
            .route(since(22, "/orders")),
        Exchange::get("/no/such/page").status(404),
        only_get(Exchange::new("POST", "/users/1")),
        Exchange::get("/fail/for/this").status(500).route(since(22, "/fail/{why...}")),
        Exchange::get("/hosted/z").host("example.com:8080").route(since(22, "/hosted/{x}")),
        Exchange::get("/strip/a/b").route(since(22, "/strip/")),
        // The mux writes its pattern into the copy that the middleware made: the server's own request has none.
        Exchange::get("/clone/5"),
        // A redirect carries the pattern it leads to, where a request has a place for it.
        Exchange::get("/static").answer(Answer::SomeStatus).route(since(23, "/static/")),
    ]
}

/// Without a mux, and with middleware that changes the request in place.
fn unrouted(n: usize) -> Vec<Exchange> {
    // `code` is what OAuth hands out, and redacted.
    let redacted = || Want::Is("code=REDACTED".into());
    let status =
        |code: u16| Exchange::get(&format!("/raw/status?code={code}")).query(redacted()).status(code);
    let mut all: Vec<_> = [200, 204, 304, 404, 418, 500, 503].into_iter().map(status).collect();
    all.extend([
        Exchange::get("/raw/nothing"),
        Exchange::get("/raw/early").status(202),
        Exchange::get("/raw/wipe"),
        Exchange::new("POST", "/raw/echo").body("body").status(201),
        Exchange::new("DELETE", "/raw/ok"),
        Exchange::new("OPTIONS", "/raw/ok"),
        Exchange::new("OPTIONS", "*"),
        Exchange::new("QUERY", "/raw/ok"),
        Exchange::new("FOO", "/raw/ok"),
        Exchange::new("get", "/raw/ok"),
        Exchange::new("POST", "/override/ok"),
        Exchange::get("/nouri/a%20b?x=1"),
        Exchange::get("/nouri/a%2Fb"),
        Exchange::get("/realip/ok").client("203.0.113.9"),
        Exchange::get(&format!("/raw/ok?unique={n}")).no_agent(),
        Exchange::get(&format!("/raw/ok?unique={n}&old")).no_agent().http10(),
        Exchange::get("/raw/ok").host("example.com"),
        Exchange::get("/raw/ok").host("[::1]:8080"),
    ]);
    all
}

/// Request targets.
fn targets() -> Vec<Exchange> {
    // The character's first byte is the last one of a slot of 256.
    let cut = format!("/raw/{}é{}", "a".repeat(250), "b".repeat(43));
    let long_path = format!("/raw/{}", "é".repeat(2500));
    let long_query = format!("x={}", "q".repeat(1500));
    let mut not_utf8 = Exchange::get("/raw/").path(Want::Any);
    not_utf8.target.extend([b'a', 0xff, b'b']);
    let head = |s: &str| Want::HeadOf(s.to_owned(), 1024);
    vec![
        Exchange::get("/raw/%ff"),
        Exchange::get("/raw/é"),
        not_utf8,
        Exchange::get("//raw/twice"),
        Exchange::get(&cut),
        Exchange::get(&long_path).path(head(&long_path)),
        Exchange::get(&format!("/raw/ok?{long_query}")).query(head(&long_query)),
        // Of a target no more than 4,096 bytes are kept: this one's query is beyond them.
        beyond(&long_path, &long_query),
        Exchange::get("/raw/q?sig=abc&x=1&X-Amz-Signature=zz&Access_Token=t&user[password]=p").query(
            Want::Is(
                "sig=REDACTED&x=1&X-Amz-Signature=REDACTED&Access_Token=REDACTED&user[password]=REDACTED"
                    .into(),
            ),
        ),
        absolute(),
    ]
}

/// A path so long that nothing is kept of the query.
fn beyond(path: &str, query: &str) -> Exchange {
    let mut e = Exchange::get(path).path(Want::HeadOf(path.to_owned(), 1024));
    e.target.extend_from_slice(format!("?{query}").as_bytes());
    e
}

/// As a proxy is asked; the target's host beats the header's.
fn absolute() -> Exchange {
    let mut e = Exchange::get("/raw/abs?x=1").host("example.com:8080");
    e.target = b"http://example.com:8080/raw/abs?x=1".to_vec();
    e
}

/// `traceparent`, valid and not.
fn parents(n: usize) -> Vec<Exchange> {
    let own = format!("{:032x}", 0x4bf9_0000_0000_u64 + n as u64);
    let later = format!("01-{TRACE}-{PARENT}-01-and-more");
    let spaces = format!("  00-{TRACE}-{PARENT}-01 \t");
    let mut all = vec![
        Exchange::get("/raw/parent").parent(&own, PARENT, 1),
        Exchange::get("/raw/parent").parent(TRACE, PARENT, 3),
        Exchange::get("/raw/parent").parent(TRACE, PARENT, 0xff),
        Exchange::get("/users/9").parent(TRACE, PARENT, 0).untraced(),
        Exchange::get("/raw/unsampled").parent(TRACE, PARENT, 2).untraced(),
        Exchange::get("/raw/parent").parent_header("TRACEPARENT", &later, TRACE, PARENT, 1),
        Exchange::get("/raw/parent").parent_header("traceparent", &spaces, TRACE, PARENT, 1),
    ];
    let invalid = [
        format!("00-{}-{PARENT}-01", TRACE.to_uppercase()),
        format!("00-{}-{PARENT}-01", "0".repeat(32)),
        format!("00-{TRACE}-{}-01", "0".repeat(16)),
        format!("00-{TRACE}-{PARENT}-0"),
        format!("00-{TRACE}-{PARENT}-01-"),
        format!("ff-{TRACE}-{PARENT}-01"),
        format!("00-{TRACE}-{PARENT}-0g"),
        format!("00-{TRACE}_{PARENT}-01"),
        format!("01-{TRACE}-{PARENT}-01x"),
        "nonsense".to_owned(),
        String::new(),
    ];
    all.extend(invalid.iter().map(|v| Exchange::get("/raw/invalid").header("Traceparent", v)));
    let twice = format!("00-{TRACE}-{PARENT}-01");
    all.push(Exchange::get("/raw/two").header("Traceparent", &twice).header("Traceparent", &twice));
    all
}

/// What proxies and other vendors add to a request.
fn through_proxies() -> Vec<Exchange> {
    let get = || Exchange::get("/raw/proxied");
    let members: Vec<String> = (0..9).map(|i| format!("m{i}={}", "v".repeat(200))).collect();
    let traced = || get().parent(TRACE, PARENT, 1);
    let lists = ["a=1", "", "b=2, c=3", "d=4"];
    let mut all = vec![
        get().header("X-Forwarded-For", "203.0.113.7, 10.0.0.1").client("203.0.113.7"),
        get()
            .header("X-Forwarded-Host", "shop.example:8443")
            .header("X-Forwarded-Proto", "https")
            .asked_for("shop.example:8443", "https"),
        get()
            .header("Forwarded", "for=\"[2001:db8::1]:4711\";host=shop.example;proto=https, for=10.0.0.1")
            .header("X-Forwarded-For", "203.0.113.7")
            .header("X-Forwarded-Proto", "http")
            .client("2001:db8::1")
            .asked_for("shop.example", "https"),
        get().header("X-Forwarded-For", "unknown").header("X-Forwarded-Host", "").header("Forwarded", ";"),
        get().header("X-Forwarded-Fox", "203.0.113.7").header("X-Forwarded-Hosts", "a"),
        get().header("Forwarded", "for=\"unknown:4711\"").header("X-Forwarded-Host", ":443"),
        get().header("Forwarded", "for=\"192.0.2.1:_hidden\"").client("192.0.2.1"),
        traced().trace_state("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"),
        get().header("tracestate", "a=1"),
        traced().header("tracestate", "not a list"),
        traced().header("tracestate", &members[..4].join(",")).has_trace_state(&members[..2].join(",")),
        lists
            .iter()
            .fold(traced(), |e, list| e.header("tracestate", list))
            .has_trace_state("a=1,b=2,c=3,d=4"),
        [&lists[..], &["e=5"]].concat().iter().fold(traced(), |e, list| e.header("tracestate", list)),
        traced()
            .header("tracestate", &members[0])
            .header("tracestate", &members[1..4].join(","))
            .header("tracestate", "z=1")
            .has_trace_state(&[&members[0], &members[1], "z=1"].join(",")),
        // More than is read of a list.
        traced()
            .header("tracestate", &members[..4].join(","))
            .header("tracestate", &members[4..].join(","))
            .header("X-Forwarded-For", "203.0.113.7")
            .client("203.0.113.7")
            .has_trace_state(&members[..2].join(",")),
    ];
    all.extend(named_alike());
    all
}

/// Headers whose names begin like wanted ones, or have the number by which those are found in a map (runtime-ebpf/src/header_names.rs).
/// A proxy that takes the wanted ones away lets these pass: they say nothing, and what stands in the others stays where it is.
fn named_alike() -> Vec<Exchange> {
    const LIKE_TRACESTATE: &str = "X1p2xixm*fmzyx+h";
    const LIKE_TRACEPARENT: &str = "C1jk0hpwa46$&o5w";
    const LIKE_USER_AGENT: &str = "Tekr855810.i#ia3";
    const LIKE_FORWARDED_FOR: &str = "Sr2sbn9q8j`i&6.0";
    let like_proto = "X-Forwarded-Prota";
    // Which slot of the map is whose depends on the order.
    let among = |alike: &str, value: &str| {
        let secrets = |e: Exchange, from: usize| {
            (from..from + 3).fold(e, |e, i| e.header(&format!("X-Secret-{i}"), &format!("s{i}")))
        };
        secrets(secrets(Exchange::get("/raw/proxied"), 0).header(alike, value), 3)
    };
    let parent = format!("00-{TRACE}-{PARENT}-01");
    vec![
        among(like_proto, "ftp"),
        among(like_proto, "ftp").header("X-Forwarded-Proto", "https").asked_for("", "https"),
        among(LIKE_FORWARDED_FOR, "192.0.2.1"),
        among(LIKE_FORWARDED_FOR, "192.0.2.1").header("X-Forwarded-For", "192.0.2.2").client("192.0.2.2"),
        among(LIKE_TRACEPARENT, &parent),
        among(LIKE_TRACEPARENT, &parent.replace('4', "5")).parent(TRACE, PARENT, 1),
        among(LIKE_TRACESTATE, "a=1").parent(TRACE, PARENT, 1),
        among(LIKE_TRACESTATE, "a=1").parent(TRACE, PARENT, 1).trace_state("b=1"),
        among(LIKE_USER_AGENT, "another"),
    ]
}

/// So many headers (`Host` is not among them in Go), the last of them `traceparent`.
fn header_counts(n: usize) -> Vec<Exchange> {
    let with = |count: usize| {
        let filled =
            (2..count).fold(Exchange::get("/raw/headers"), |e, i| e.header(&format!("X-Filler-{i}"), "v"));
        filled.parent(TRACE, PARENT, 1)
    };
    let alone = Exchange::get(&format!("/raw/headers?one={n}")).no_agent().parent(TRACE, PARENT, 1);
    vec![alone, with(8), with(9), with(20), with(60)]
}

/// Requests whose handler is never reached, or ends in another way than by returning.
fn ends(minor: u32) -> Vec<Exchange> {
    // Up to Go 1.20 a 101 is an informational header like any other, after which nothing is known to be sent.
    let switched = Some(101).filter(|_| minor >= 21);
    let mut all = vec![
        Exchange::get("/raw/ok").header("Expect", "foo").parent(TRACE, PARENT, 1).refused(417),
        Exchange::get("/raw/ok").host("").parent(TRACE, PARENT, 1).refused(400),
        Exchange::get("/raw/ok").header("Bad Name", "x").refused(400),
        Exchange::get("/raw/hijack").hijacked(None),
        Exchange::get("/raw/hijack-101").hijacked(switched),
        Exchange::get("/raw/hijack").parent(TRACE, PARENT, 1).hijacked(None),
    ];
    all.extend(handlers::taken_over(minor));
    all
}

/// Handlers that panic.
pub fn panics(minor: u32) -> Vec<Exchange> {
    let boom = Exchange::get("/boom/5").route(Some("/boom/{id}").filter(|_| minor >= 22)).panics(None);
    let kinds = [
        Exchange::get("/raw/panic").panics(None),
        Exchange::get("/raw/abort").aborts(None),
        Exchange::get("/raw/panic").parent(TRACE, PARENT, 1).panics(None),
        Exchange::get("/raw/panic200").panics(Some(200)),
        Exchange::get("/raw/panic502").panics(Some(502)),
        boom,
    ];
    kinds.into_iter().chain(handlers::panics()).cycle().take(20).collect()
}

/// Requests as they may come over the wire, in this order over one connection: however they come, by their text or string by
/// string, their spans are as ever.
pub fn on_the_wire() -> Vec<Exchange> {
    let long = "v".repeat(5_000);
    vec![
        Exchange::get("/raw/ok").bare_lf().parent(TRACE, PARENT, 1),
        Exchange::get("/raw/ok").folded().parent(TRACE, PARENT, 1),
        Exchange::get("/raw/ok").bare_lf().folded().header("X-Empty", ""),
        // Old clients send an empty line behind a POST's body.
        Exchange::new("POST", "/raw/echo").body("body").behind(b"\r\n").status(201),
        Exchange::get("/raw/ok?behind=an-empty-line").parent(TRACE, PARENT, 1),
        Exchange::get("/raw/ok").header("X-Long", &long).parent(TRACE, PARENT, 1),
        Exchange::get("/raw/ok?behind=a-long-one"),
        Exchange::get("/raw/ok").header("Pragma", "no-cache").header("Accept", "a").header("accept", "b"),
        Exchange::new("POST", "/raw/echo")
            .header("Transfer-Encoding", "chunked")
            .header("Trailer", "X-Sum")
            .body("5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n")
            .status(201),
        Exchange::get("/raw/ok").header("Cookie", "session=secret").header("Authorization", "Bearer secret"),
        // Whoever asks for another protocol and has the connection taken over without a word was told 101.
        Exchange::get("/raw/hijack")
            .header("Connection", "keep-alive, Upgrade")
            .header("Upgrade", "strobe-test")
            .hijacked(Some(101)),
    ]
}

/// One request in two segments, cut behind its first byte, its second, and so on to its last. What lies in the server's
/// buffer then is its tail alone, which may well look like a request.
pub fn cut_everywhere() -> Vec<Exchange> {
    const BYTES: usize = 230;
    let whole = || {
        let forged = format!(
            "GET /raw/forged HTTP/1.1\r\n User-Agent: forged\r\n Traceparent: 00-{TRACE}-{PARENT}-01"
        );
        Exchange::get("/raw/cut?x=1").folded().header("X-Forged", &forged)
    };
    (1..BYTES).map(|bytes| whole().cut_at(bytes)).collect()
}

/// Requests that stand behind one another in the server's buffer.
pub fn behind_one_another() -> Vec<Exchange> {
    vec![
        Exchange::get("/raw/ok?first").parent(TRACE, PARENT, 1),
        Exchange::new("POST", "/raw/echo").body("GET /raw/body HTTP/1.1\r\n\r\n").status(201),
        Exchange::get("/raw/ok?third").no_agent(),
        Exchange::get("/raw/ok?fourth").bare_lf(),
        Exchange::new("DELETE", "/raw/ok?fifth").parent(TRACE, PARENT, 1),
    ]
}
