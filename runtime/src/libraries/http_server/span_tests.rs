use super::super::records::tests::{some_began, some_ended};
use super::*;
use crate::records;
use runtime_ebpf::http_server::records::{
    BEGAN_SLOT_COUNT, Began, ENDED_SLOT_COUNT, Ended, HOW_ABORTED, HOW_GOEXIT, HOW_UNANSWERED, HOW_UNKNOWN,
    KIND_BEGAN_FIELDS, KIND_ENDED, PEER_BYTES,
};
use runtime_ebpf::record::{PARENT_LOCAL, PARENT_REMOTE};

/// A string of a request, by where its record has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum In {
    Began(usize),
    Peer,
    Ended(usize),
}

const SLOT_METHOD: In = In::Began(METHOD);
const SLOT_URI: In = In::Began(TARGET);
const SLOT_HOST: In = In::Began(HOST);
const SLOT_USER_AGENT: In = In::Began(USER_AGENT);
const SLOT_PEER: In = In::Peer;
const SLOT_PATTERN: In = In::Ended(ENDED_PATTERN);
const SLOT_CLIENT: In = In::Ended(ENDED_CLIENT);

/// Encodes both records, decodes them, and hands over the span.
fn with_span<T>(
    change: impl Fn(&mut Began, &mut Ended),
    texts: Texts<'_>,
    settings: &Settings,
    look: impl Fn(&Span<'_>) -> T,
) -> T {
    let (mut began, mut ended) = (some_began(KIND_BEGAN_FIELDS), some_ended(KIND_ENDED));
    (began.peer, began.peer_len) = ([0; PEER_BYTES], 0);
    change(&mut began, &mut ended);
    let (mut at_began, mut at_end) = ([None; BEGAN_SLOT_COUNT], [None; ENDED_SLOT_COUNT]);
    for (place, text) in texts {
        match place {
            In::Began(slot) => at_began[*slot] = Some(*text),
            In::Ended(slot) => at_end[*slot] = Some(*text),
            In::Peer => {
                began.peer[..text.len()].copy_from_slice(text);
                began.peer_len = u32::try_from(text.len()).expect("short");
            }
        }
    }
    let began = super::super::records::tests::began_fields(began, &at_began);
    let ended = super::super::records::tests::ended(ended, &at_end);
    let decode = |bytes| {
        let (head, bytes) = records::head(bytes).expect("a head");
        super::super::records::decode(&head, bytes).expect("decodes")
    };
    let super::super::records::Record::BeganFields(fixed, texts) = decode(&began) else {
        panic!("a beginning")
    };
    let super::super::records::Record::Ended(ended) = decode(&ended) else { panic!("an end") };
    let begun = Begun::from_fields(&fixed, &texts);
    let clock = Clock::with_offset_ns(1_000_000);
    look(&span(key::scope::NET_HTTP, &begun, &ended, &clock, settings, &mut Counts::default()))
}

type Texts<'t> = &'t [(In, &'t [u8])];

/// A span as sorted `key=value` lines, the form that the tables below compare.
pub(in super::super) fn lines_of(span: &Span<'_>) -> Vec<String> {
    let mut lines = vec![format!("name={}", span.name), format!("error={}", span.error)];
    for (key, value) in &span.attributes {
        lines.push(match value {
            Value::Str(text) => format!("{key}={text}"),
            Value::Int(number) => format!("{key}={number}"),
        });
    }
    lines.extend(span.trace_state.as_ref().map(|list| format!("tracestate={list}")));
    let keys: std::collections::HashSet<_> = span.attributes.iter().map(|(key, _)| key).collect();
    assert_eq!(keys.len(), span.attributes.len(), "duplicate keys in {lines:?}");
    lines.sort();
    lines
}

fn lines(change: impl Fn(&mut Began, &mut Ended), texts: Texts<'_>) -> Vec<String> {
    with_span(change, texts, &Settings::default(), lines_of)
}

#[track_caller]
fn check(change: impl Fn(&mut Began, &mut Ended), texts: Texts<'_>, has: &[&str], lacks: &[&str]) {
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
    assert_eq!(lines(|_, _| (), texts), want);
}

#[test]
fn ids_times_flags_and_parents() {
    let build = |change: fn(&mut Began, &mut Ended)| {
        with_span(change, &[], &Settings::default(), |span| {
            let ids = (span.trace_id, span.span_id, span.parent_span_id);
            (ids, span.flags, span.start_unix_ns, span.end_unix_ns)
        })
    };
    let root = ([7; 16], [9; 8], None);
    assert_eq!(build(|_, _| ()), (root, 0x101, 1_001_000, 1_002_000));
    let remote = |began: &mut Began, ended: &mut Ended| {
        (began.head.parent_span_id, began.head.parent) = ([3; 8], PARENT_REMOTE);
        (began.head.trace_flags, ended.head.end_ns) = (3, 10);
    };
    assert_eq!(build(remote), (([7; 16], [9; 8], Some([3; 8])), 0x303, 1_001_000, 1_001_000));
    let local = |began: &mut Began, _: &mut Ended| {
        (began.head.parent_span_id, began.head.parent) = ([3; 8], PARENT_LOCAL);
    };
    assert_eq!(build(local).1, 0x101);
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
        check(|_, _| (), &[(SLOT_METHOD, method.as_bytes())], has, lacks);
    }
    check(|_, _| (), &[(SLOT_METHOD, b"PUT"), (SLOT_PATTERN, b"/x")], &["name=PUT /x"], &[]);
    check(|_, _| (), &[(SLOT_METHOD, b"BREW"), (SLOT_PATTERN, b"/x")], &["name=HTTP /x"], &[]);
}

#[test]
fn statuses() {
    type Case = (u32, u8, &'static [&'static str], &'static [&'static str]);
    const CODE: &str = "http.response.status_code";
    let cases: &[Case] = &[
        (0, HOW_FINISHED, &["http.response.status_code=200", "error=false"], &["error.type"]),
        (404, HOW_FINISHED, &["http.response.status_code=404", "error=false"], &["error.type"]),
        (400, HOW_FINISHED, &["http.response.status_code=400", "error=false"], &["error.type"]),
        (500, HOW_FINISHED, &["http.response.status_code=500", "error=true", "error.type=500"], &[]),
        (599, HOW_FINISHED, &["error=true", "error.type=599"], &[]),
        (70_000, HOW_FINISHED, &["error=false"], &[CODE, "error.type"]),
        (0, HOW_PANICKED, &["error=true", "error.type=panic"], &[CODE]),
        (200, HOW_PANICKED, &["error=true", "error.type=panic", "http.response.status_code=200"], &[]),
        (503, HOW_PANICKED, &["error=true", "error.type=503", "http.response.status_code=503"], &[]),
        (0, HOW_HIJACKED, &["error=false"], &[CODE, "error.type"]),
        (101, HOW_HIJACKED, &["error=false", "http.response.status_code=101"], &["error.type"]),
        (0, HOW_ABORTED, &["error=false"], &[CODE, "error.type"]),
        (200, HOW_ABORTED, &["error=false", "http.response.status_code=200"], &["error.type"]),
        (502, HOW_ABORTED, &["error=true", "http.response.status_code=502", "error.type=502"], &[]),
        (0, HOW_GOEXIT, &["error=false"], &[CODE, "error.type"]),
        (202, HOW_GOEXIT, &["error=false", "http.response.status_code=202"], &["error.type"]),
        (0, HOW_UNANSWERED, &["error=false"], &[CODE, "error.type"]),
        (0, HOW_UNKNOWN, &["error=false"], &[CODE, "error.type"]),
        (0, u8::MAX, &["error=false"], &[CODE, "error.type"]),
    ];
    for (status, how, has, lacks) in cases {
        check(|_, end| (end.status, end.how) = (*status, *how), &[], has, lacks);
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
        check(|_, _| (), &[(SLOT_URI, uri.as_bytes())], &has, lacks);
    }
    check(|_, _| (), &[(SLOT_URI, b"/a\xffb?\xfe")], &["url.path=/a\u{fffd}b", "url.query=\u{fffd}"], &[]);
    check(|_, _| (), &[], &[], &["url.path", "url.query"]);
}

#[test]
fn long_targets_keep_what_their_slot_holds() {
    let uri = format!("/p?q={}", "v".repeat(6000));
    let want = format!("url.query=q={}", &uri[5..4096]);
    check(|_, _| (), &[(SLOT_URI, uri.as_bytes())], &["url.path=/p", &want], &[]);
    let uri = format!("/{}?q=1", "p".repeat(5000));
    let want = format!("url.path={}", &uri[..4096]);
    check(|_, _| (), &[(SLOT_URI, uri.as_bytes())], &[&want], &["url.query"]);
}

#[test]
fn a_path_cut_inside_a_character() {
    for tail in ["\u{e9}".repeat(20), "%C3%A9".to_owned()] {
        // The character's, or the escape's, first byte is the last one of the slot.
        let path = format!("/{}", "a".repeat(4094));
        let (uri, want) = (format!("{path}{tail}"), format!("url.path={path}"));
        check(|_, _| (), &[(SLOT_URI, uri.as_bytes())], &[&want], &[]);
    }
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
        ("SIG=x&sigh=y&sig", "SIG=REDACTED&sigh=y&sig"),
        ("AWSAccessKeyId=k&X-Amz-Security-Token=t", "AWSAccessKeyId=REDACTED&X-Amz-Security-Token=REDACTED"),
    ] {
        let (uri, want) = (format!("/?{query}"), format!("url.query={want}"));
        check(|_, _| (), &[(SLOT_URI, uri.as_bytes())], &[&want], &[]);
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
        check(|_, _| (), &[(SLOT_METHOD, b"GET"), (SLOT_PATTERN, pattern.as_bytes())], &[&route, &name], &[]);
    }
    for pattern in ["", "nonsense", &format!("/{}", "r".repeat(200))] {
        check(
            |_, _| (),
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
        check(|_, _| (), &[(SLOT_HOST, host.as_bytes())], &has, lacks);
    }
    check(|_, _| (), &[(SLOT_HOST, b"")], &[], &["server."]);
    let behind_proxy: Texts<'_> = &[(SLOT_PEER, b"10.0.0.1:4"), (SLOT_CLIENT, b"1.2.3.4")];
    check(
        |_, _| (),
        behind_proxy,
        &["client.address=1.2.3.4", "network.peer.address=10.0.0.1", "network.peer.port=4"],
        &[],
    );
    check(|_, _| (), &[(SLOT_PEER, b"10.0.0.1:4")], &["client.address=10.0.0.1"], &[]);
    check(|_, _| (), &[(SLOT_PEER, b"@"), (SLOT_CLIENT, b"@")], &[], &["client.", "network.peer."]);
}

#[test]
fn versions_and_schemes() {
    for (major, minor, want) in [(1, 0, "1.0"), (1, 1, "1.1"), (2, 0, "2")] {
        let want = format!("network.protocol.version={want}");
        check(|r, _| (r.proto_major, r.proto_minor) = (major, minor), &[], &[&want], &[]);
    }
    check(|r, _| r.proto_major = 0, &[], &["url.scheme=http"], &["network.protocol.version"]);
    check(|r, _| r.tls = 1, &[], &["url.scheme=https"], &[]);
}

#[test]
fn what_could_not_be_read_is_left_out() {
    check(|r, _| r.tls = TLS_UNKNOWN, &[], &[], &["url.scheme"]);
    check(|_, r| r.status = STATUS_UNKNOWN, &[], &[], &["http.response.status_code", "error.type"]);
}

#[test]
fn limits() {
    let settings = Settings {
        value_length_limit: Some(3),
        attribute_count_limit: 2,
        known_methods: vec!["GET".to_owned()],
        ..Settings::default()
    };
    let texts: Texts<'_> = &[(SLOT_METHOD, b"GET"), (SLOT_URI, "/\u{e9}\u{e9}\u{e9}".as_bytes())];
    let look = |span: &Span<'_>| {
        let path = span.str(key::URL_PATH).map(str::to_owned);
        (path, span.attributes.len(), span.dropped_attributes)
    };
    let got = with_span(|_, _| (), texts, &settings, look);
    assert_eq!(got, (Some("/\u{e9}\u{e9}".to_owned()), 2, 3));
}
