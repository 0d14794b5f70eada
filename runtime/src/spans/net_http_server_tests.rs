use super::*;
use crate::records::decode;
use crate::records::tests::{encode, record};
use runtime_ebpf::net_http_server::{
    KIND_LARGE, KIND_SMALL, Record, SLOT_CLIENT, SLOT_HOST, SLOT_METHOD, SLOT_PATTERN, SLOT_PEER, SLOT_QUERY,
    SLOT_URI, SLOT_USER_AGENT, URI_PATH, URI_RAW_PATH,
};

type Texts<'t> = &'t [(usize, &'t [u8])];

/// Builds a span and prints it as sorted `key=value` lines, the form that the tables below compare.
fn lines(change: impl Fn(&mut Record), texts: Texts<'_>) -> Vec<String> {
    let mut fixed = record(KIND_SMALL);
    change(&mut fixed);
    let bytes = encode(fixed, texts);
    let decoded = decode(&bytes).expect("decodes");
    let span =
        span(&decoded, &Clock::with_offset_ns(1_000_000), &Settings::default(), &mut Counts::default());
    let mut lines = vec![format!("name={}", span.name), format!("error={}", span.error)];
    for (key, value) in &span.attributes {
        lines.push(match value {
            Value::Str(text) => format!("{key}={text}"),
            Value::Int(number) => format!("{key}={number}"),
        });
    }
    let keys: std::collections::HashSet<_> = span.attributes.iter().map(|(key, _)| key).collect();
    assert_eq!(keys.len(), span.attributes.len(), "duplicate keys in {lines:?}");
    lines.sort();
    lines
}

#[track_caller]
fn check(change: impl Fn(&mut Record), texts: Texts<'_>, has: &[&str], lacks: &[&str]) {
    let lines = lines(change, texts);
    for want in has {
        assert!(lines.iter().any(|line| line == want), "{want} missing in {lines:#?}");
    }
    for prefix in lacks {
        assert!(!lines.iter().any(|line| line.starts_with(prefix)), "{prefix} unexpected in {lines:#?}");
    }
}

#[test]
fn a_whole_request() {
    let texts: Texts<'_> = &[
        (SLOT_METHOD, b"GET"),
        (SLOT_URI, b"/users/42?q=1&sig=secret"),
        (SLOT_HOST, b"example.com:8080"),
        (SLOT_PEER, b"[::1]:5000"),
        (SLOT_CLIENT, b"[::1]:5000"),
        (SLOT_PATTERN, b"GET example.com/users/{id}"),
        (SLOT_USER_AGENT, b"curl/8"),
    ];
    let want = [
        "client.address=::1",
        "error=false",
        "http.request.method=GET",
        "http.response.status_code=200",
        "http.route=/users/{id}",
        "name=GET /users/{id}",
        "network.peer.address=::1",
        "network.peer.port=5000",
        "network.protocol.version=1.1",
        "server.address=example.com",
        "server.port=8080",
        "url.path=/users/42",
        "url.query=q=1&sig=REDACTED",
        "url.scheme=http",
        "user_agent.original=curl/8",
    ];
    assert_eq!(lines(|_| (), texts), want);
}

#[test]
fn ids_times_flags_and_parents() {
    let mut fixed = record(KIND_SMALL);
    let build = |fixed: Record| {
        let bytes = encode(fixed, &[]);
        let decoded = decode(&bytes).expect("decodes");
        let span = span(&decoded, &Clock::with_offset_ns(500), &Settings::default(), &mut Counts::default());
        (span.trace_id, span.span_id, span.parent_span_id, span.flags, span.start_unix_ns, span.end_unix_ns)
    };
    assert_eq!(build(fixed), ([7; 16], [9; 8], None, 0x101, 1_500, 2_500));
    fixed.parent_span_id = [3; 8];
    fixed.trace_flags = 3;
    fixed.end_ns = 10;
    assert_eq!(build(fixed), ([7; 16], [9; 8], Some([3; 8]), 0x303, 1_500, 1_500));
}

#[test]
fn methods() {
    for (method, has, lacks) in [
        ("POST", &["name=POST", "http.request.method=POST"][..], &["http.request.method_original"][..]),
        ("QUERY", &["name=QUERY"], &["http.request.method_original"]),
        ("get", &["name=HTTP", "http.request.method=_OTHER", "http.request.method_original=get"], &[]),
        ("PROPFIND", &["name=HTTP", "http.request.method_original=PROPFIND"], &[]),
        (
            &"M".repeat(40),
            &["name=HTTP", "http.request.method_original=MMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMM"],
            &[],
        ),
        ("", &["name=HTTP", "http.request.method=_OTHER"], &["http.request.method_original"]),
    ] {
        check(|_| (), &[(SLOT_METHOD, method.as_bytes())], has, lacks);
    }
    check(|_| (), &[(SLOT_METHOD, b"PUT"), (SLOT_PATTERN, b"/x")], &["name=PUT /x"], &[]);
    check(|_| (), &[(SLOT_METHOD, b"BREW"), (SLOT_PATTERN, b"/x")], &["name=HTTP /x"], &[]);
}

#[test]
fn statuses() {
    type Case = (u32, u8, u8, &'static [&'static str], &'static [&'static str]);
    let cases: &[Case] = &[
        (0, 0, 0, &["http.response.status_code=200", "error=false"], &["error.type"]),
        (404, 0, 0, &["http.response.status_code=404", "error=false"], &["error.type"]),
        (400, 0, 0, &["http.response.status_code=400", "error=false"], &["error.type"]),
        (500, 0, 0, &["http.response.status_code=500", "error=true", "error.type=500"], &[]),
        (599, 0, 0, &["error=true", "error.type=599"], &[]),
        (0, 1, 0, &["error=true", "error.type=panic"], &["http.response.status_code"]),
        (200, 1, 0, &["error=true", "error.type=panic", "http.response.status_code=200"], &[]),
        (503, 1, 0, &["error=true", "error.type=503", "http.response.status_code=503"], &[]),
        (0, 0, 1, &["error=false"], &["http.response.status_code", "error.type"]),
        (101, 0, 1, &["error=false", "http.response.status_code=101"], &["error.type"]),
        (70_000, 0, 0, &["error=false"], &["http.response.status_code", "error.type"]),
    ];
    for (status, panicked, hijacked, has, lacks) in cases {
        let change = |r: &mut Record| (r.status, r.panicked, r.hijacked) = (*status, *panicked, *hijacked);
        check(change, &[], has, lacks);
    }
}

#[test]
fn request_targets() {
    for (uri, path, query) in [
        ("/", "/", None),
        ("/%ff", "/%ff", None),
        ("/a?b", "/a", Some("b")),
        ("/a?", "/a", None),
        ("/a?b?c", "/a", Some("b?c")),
        ("//a/b", "//a/b", None),
        ("/caf\u{e9}", "/caf\u{e9}", None),
        ("/x?to=http://h/", "/x", Some("to=http://h/")),
        ("*", "*", None),
        ("http://h:1/p/q?r=s", "/p/q", Some("r=s")),
        ("http://h", "/", None),
        ("http://h?x=1", "/", Some("x=1")),
        ("h:443", "", None),
    ] {
        let mut has = vec![format!("url.path={path}")];
        has.extend(query.map(|query| format!("url.query={query}")));
        let lacks: &[&str] = if query.is_none() { &["url.query"] } else { &[] };
        let has: Vec<&str> = has.iter().map(String::as_str).collect();
        check(|_| (), &[(SLOT_URI, uri.as_bytes())], &has, lacks);
    }
    check(|_| (), &[(SLOT_URI, b"/a\xffb?\xfe")], &["url.path=/a\u{fffd}b", "url.query=\u{fffd}"], &[]);
    check(|_| (), &[], &[], &["url.path", "url.query"]);
}

#[test]
fn paths_that_the_handler_changed() {
    let raw = |r: &mut Record| r.uri_kind = URI_RAW_PATH;
    check(raw, &[(SLOT_URI, b"/a%2Fb")], &["url.path=/a%2Fb"], &["url.query"]);
    let plain = |r: &mut Record| (r.kind, r.uri_kind, r.has_query) = (KIND_LARGE, URI_PATH, 1);
    check(
        plain,
        &[(SLOT_URI, b"/a b?\xff"), (SLOT_QUERY, b"x=1")],
        &["url.path=/a%20b%3F%FF", "url.query=x=1"],
        &[],
    );
}

#[test]
fn long_targets_keep_path_and_query() {
    let large = |r: &mut Record| (r.kind, r.has_query) = (KIND_LARGE, 1);
    let path = format!("/{}", "p".repeat(5000));
    let query = format!("q={}", "v".repeat(3000));
    let uri = format!("{path}?{query}");
    let (want_path, want_query) =
        (format!("url.path={}", &path[..4096]), format!("url.query={}", &query[..2048]));
    check(
        large,
        &[(SLOT_URI, uri.as_bytes()), (SLOT_QUERY, query.as_bytes())],
        &[&want_path, &want_query],
        &[],
    );
    // The uri slot holds more of the query than the query slot does.
    let query = format!("q={}", "v".repeat(6000));
    let uri = format!("/p?{query}");
    let want_query = format!("url.query={}", &query[..4093]);
    check(
        large,
        &[(SLOT_URI, uri.as_bytes()), (SLOT_QUERY, query.as_bytes())],
        &["url.path=/p", &want_query],
        &[],
    );
}

#[test]
fn a_path_cut_inside_a_character() {
    let uri = format!("/{}{}", "a".repeat(254), "\u{e9}".repeat(20));
    let want = format!("url.path=/{}", "a".repeat(254));
    check(|_| (), &[(SLOT_URI, uri.as_bytes())], &[&want], &[]);
    let uri = format!("/{}%C3%A9", "a".repeat(253));
    let want = format!("url.path=/{}", "a".repeat(253));
    check(|_| (), &[(SLOT_URI, uri.as_bytes())], &[&want], &[]);
}

#[test]
fn redaction() {
    for (query, want) in [
        ("a=1&Signature=x&b", "a=1&Signature=REDACTED&b"),
        (
            "X-Amz-Signature=x=y&X-Amz-Credential=&X-Goog-Signature=1",
            "X-Amz-Signature=REDACTED&X-Amz-Credential=REDACTED&X-Goog-Signature=REDACTED",
        ),
        ("%73ig=x", "%73ig=REDACTED"),
        ("SIG=x&sigh=y&sig", "SIG=x&sigh=y&sig"),
        ("AWSAccessKeyId=k&X-Amz-Security-Token=t", "AWSAccessKeyId=REDACTED&X-Amz-Security-Token=REDACTED"),
    ] {
        let (uri, want) = (format!("/?{query}"), format!("url.query={want}"));
        check(|_| (), &[(SLOT_URI, uri.as_bytes())], &[&want], &[]);
    }
}

#[test]
fn routes() {
    for (pattern, route) in [
        ("/static/", "/static/"),
        ("GET /u/{id}", "/u/{id}"),
        ("GET  example.com/x/{rest...}", "/x/{rest...}"),
        ("/{$}", "/{$}"),
        ("/", "/"),
    ] {
        let (route, name) = (format!("http.route={route}"), format!("name=GET {route}"));
        check(|_| (), &[(SLOT_METHOD, b"GET"), (SLOT_PATTERN, pattern.as_bytes())], &[&route, &name], &[]);
    }
    for pattern in ["", "nonsense", &format!("/{}", "r".repeat(200))] {
        check(
            |_| (),
            &[(SLOT_METHOD, b"GET"), (SLOT_PATTERN, pattern.as_bytes())],
            &["name=GET"],
            &["http.route"],
        );
    }
}

#[test]
fn addresses() {
    for (host, address, port) in [
        ("example.com", "example.com", None),
        ("example.com:80", "example.com", Some(80)),
        ("[::1]", "::1", None),
        ("[fe80::1%25eth0]:8080", "fe80::1%25eth0", Some(8080)),
        ("::1", "::1", None),
        ("h:99999", "h", None),
        ("h:", "h", None),
        ("h:x", "h:x", None),
        ("caf\u{e9}:1", "caf\u{e9}", Some(1)),
    ] {
        let mut has = vec![format!("server.address={address}")];
        has.extend(port.map(|port: u16| format!("server.port={port}")));
        let lacks: &[&str] = if port.is_none() { &["server.port"] } else { &[] };
        let has: Vec<&str> = has.iter().map(String::as_str).collect();
        check(|_| (), &[(SLOT_HOST, host.as_bytes())], &has, lacks);
    }
    check(|_| (), &[(SLOT_HOST, b"")], &[], &["server."]);
    let behind_proxy: Texts<'_> = &[(SLOT_PEER, b"10.0.0.1:4"), (SLOT_CLIENT, b"1.2.3.4")];
    check(
        |_| (),
        behind_proxy,
        &["client.address=1.2.3.4", "network.peer.address=10.0.0.1", "network.peer.port=4"],
        &[],
    );
    check(|_| (), &[(SLOT_PEER, b"10.0.0.1:4")], &["client.address=10.0.0.1"], &[]);
    check(|_| (), &[(SLOT_PEER, b"@"), (SLOT_CLIENT, b"@")], &[], &["client.", "network.peer."]);
}

#[test]
fn versions_and_schemes() {
    for (major, minor, want) in [(1, 0, "1.0"), (1, 1, "1.1"), (2, 0, "2")] {
        let want = format!("network.protocol.version={want}");
        check(|r| (r.proto_major, r.proto_minor) = (major, minor), &[], &[&want], &[]);
    }
    check(|r| r.proto_major = 0, &[], &["url.scheme=http"], &["network.protocol.version"]);
    check(|r| r.tls = 1, &[], &["url.scheme=https"], &[]);
}

#[test]
fn what_could_not_be_read_is_left_out() {
    check(|r| r.tls = wire::TLS_UNKNOWN, &[], &[], &["url.scheme"]);
    check(|r| r.status = wire::STATUS_UNKNOWN, &[], &[], &["http.response.status_code", "error.type"]);
}

#[test]
fn limits() {
    let bytes =
        encode(record(KIND_SMALL), &[(SLOT_METHOD, b"GET"), (SLOT_URI, "/\u{e9}\u{e9}\u{e9}".as_bytes())]);
    let settings = Settings {
        sensitive_query_keys: Vec::new(),
        value_length_limit: Some(3),
        attribute_count_limit: 2,
        known_methods: vec!["GET".to_owned()],
    };
    let decoded = decode(&bytes).expect("decodes");
    let span = span(&decoded, &Clock::with_offset_ns(0), &settings, &mut Counts::default());
    assert_eq!(span.str(key::URL_PATH), Some("/\u{e9}\u{e9}"));
    assert_eq!((span.attributes.len(), span.dropped_attributes), (2, 3));
}
