//! What the spans of each RPC of `tests/apps/grpc` have to look like.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

use super::places::Places;

/// Callers, and calls of each, over several channels.
pub const MANY: usize = 8 * 8 * 8;
/// net/http's spans of what it serves.
pub const SERVED: usize = 5;
/// The first of their traces' numbers.
pub const FIRST_OF_MANY: usize = 0x10000;

/// Whose child a span has to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parent {
    Nobody,
    /// The span of a call of this method, where gRPC's client makes it; else nobody.
    Caller,
    /// Trace and span.
    Remote(String, String),
    /// The server's span of this method.
    Server(&'static str),
    /// net/http's span of the request for this method.
    Http(&'static str),
}

/// A span that is due. A code or value that stands for several has them behind `|`; `*` is any.
#[derive(Debug, Clone)]
pub struct Due {
    pub kind: SpanKind,
    /// The method by which it is known.
    pub method: String,
    pub name: String,
    pub code: String,
    pub message: Option<&'static str>,
    pub parent: Parent,
    pub attributes: BTreeMap<&'static str, String>,
}

impl Due {
    fn new(kind: SpanKind, method: &str, code: &str, port: u16) -> Self {
        let method = if method.contains('/') { method.to_owned() } else { format!("strobe.Test/{method}") };
        let mut attributes = BTreeMap::from([
            ("rpc.system.name", "grpc".to_owned()),
            ("rpc.method", method.clone()),
            ("server.address", "127.0.0.1".to_owned()),
            ("server.port", port.to_string()),
        ]);
        if kind == SpanKind::Server {
            attributes.insert("network.peer.address", "127.0.0.1".to_owned());
            attributes.insert("network.peer.port", "*".to_owned());
        }
        let parent = if kind == SpanKind::Server { Parent::Caller } else { Parent::Nobody };
        let name = method.clone();
        Self { kind, method, name, code: code.to_owned(), message: None, parent, attributes }
    }

    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.attributes.insert(name, value.to_owned());
        self
    }

    pub fn without(mut self, names: &[&str]) -> Self {
        self.attributes.retain(|name, _| !names.contains(name));
        self
    }

    fn says(mut self, message: &'static str) -> Self {
        self.message = Some(message);
        self
    }

    fn below(mut self, parent: Parent) -> Self {
        self.parent = parent;
        self
    }

    /// Of a method that the server does not have.
    fn unknown(mut self) -> Self {
        let original = format!("/{}", self.method);
        self.name = "grpc".to_owned();
        self.with("rpc.method", "_OTHER").with("rpc.method_original", &original)
    }

    /// Where nobody learns that the server does not have the method: it is what was asked for, but for what is none by its form.
    pub fn is_as_asked(&mut self) {
        let is_method = self.method.contains('/');
        if is_method && self.attributes.remove("rpc.method_original").is_some() {
            self.name = self.method.clone();
            self.attributes.insert("rpc.method", self.method.clone());
        }
    }

    /// net/http serves it.
    fn served(self, method: &'static str) -> Self {
        self.without(&["network.peer.address", "network.peer.port"]).below(Parent::Http(method))
    }
}

const NAMES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// Whether a span of this kind with this code is a failed one.
pub fn is_error(kind: SpanKind, code: &str) -> bool {
    let servers = ["UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"];
    if kind == SpanKind::Client { code != "OK" } else { servers.contains(&code) }
}

/// What a server says whose caller has gone: what its handler returns, which gRPC takes for an error of its own kind up to v1.4x.
const GONE: &str = "CANCELLED|DEADLINE_EXCEEDED|UNKNOWN";

/// All that are due, but for those of many callers.
pub fn due(at: &Places) -> Vec<Due> {
    let port = at.plain.port();
    let client = |name: &str, code: &str| Due::new(SpanKind::Client, name, code, port);
    let server = |name: &str, code: &str| Due::new(SpanKind::Server, name, code, port);
    let mut all = Vec::new();
    let mut both = |name: &str, code: &str, of_server: &str| {
        all.extend([client(name, code), server(name, of_server)]);
    };
    for name in ["ok", "server-stream", "client-stream", "bidi", "stream-elsewhere", "on-another"] {
        both(name, "OK", "OK");
    }
    for (name, code) in [
        ("intercepted", "PERMISSION_DENIED"),
        ("wrapped", "NOT_FOUND|UNKNOWN"),
        ("plain", "UNKNOWN"),
        ("context-canceled", "CANCELLED|UNKNOWN"),
        ("context-deadline", "DEADLINE_EXCEEDED|UNKNOWN"),
        ("own-code", "100"),
        ("large", "RESOURCE_EXHAUSTED"),
    ] {
        both(name, code, code);
    }
    for (number, name) in NAMES.iter().enumerate().skip(1) {
        both(&format!("code-{number}"), name, name);
    }
    both("deadline", "DEADLINE_EXCEEDED", GONE);
    both("cancelled", "CANCELLED", GONE);
    both("stream-cancelled", "CANCELLED", GONE);
    both("stream-deadline", "DEADLINE_EXCEEDED", GONE);
    both("stream-closed", "CANCELLED|UNAVAILABLE", GONE);
    for kind in [SpanKind::Client, SpanKind::Server] {
        let of = |name: &str, code: &str| Due::new(kind, name, code, port);
        all.push(of("panics", "INTERNAL").says("it panicked"));
        all.push(of("stream-breaks", "DATA_LOSS").says("the rest is lost"));
        all.push(of(&"m".repeat(256 - "/strobe.Test/".len()), "OK"));
        let cut = format!("strobe.Test/{}\u{2026}", "m".repeat(256 - "/strobe.Test/".len()));
        all.push(of(&cut, "OK"));
        all.push(of("graceful", "OK").with("server.port", "*"));
    }
    all.extend(unknown(port));
    all.extend(retried(at));
    all.extend(traces(port));
    all.extend(inside(port));
    all.extend(served(at.served.port()));
    all
}

fn unknown(port: u16) -> Vec<Due> {
    let both = |name: &str| {
        let of = |kind| Due::new(kind, name, "UNIMPLEMENTED", port);
        [of(SpanKind::Client), of(SpanKind::Server).unknown()]
    };
    let mut all: Vec<Due> = ["no-such-method", "strobe.Nothing/Call"].into_iter().flat_map(both).collect();
    for kind in [SpanKind::Client, SpanKind::Server] {
        let mut due = Due::new(kind, "no/slash", "UNIMPLEMENTED", port);
        (due.method, due.name) = ("malformed".to_owned(), "malformed".to_owned());
        due = due.with("rpc.method", "malformed");
        all.push(if kind == SpanKind::Server { due.unknown() } else { due });
    }
    all
}

fn retried(at: &Places) -> Vec<Due> {
    let port = at.plain.port();
    let server = |code| Due::new(SpanKind::Server, "retried", code, port);
    let closed = |name| Due::new(SpanKind::Client, name, "UNAVAILABLE", at.closed.port());
    let of_unix = ["server.port", "network.peer.address", "network.peer.port"];
    let unix = |kind| Due::new(kind, "unix", "OK", 0).without(&of_unix);
    vec![
        Due::new(SpanKind::Client, "retried", "OK", port),
        server("UNAVAILABLE").says("not yet"),
        // Who reads the answer tries again, on the goroutine that has made the call.
        server("UNAVAILABLE").says("not yet"),
        server("OK"),
        Due::new(SpanKind::Client, "refused-once", "OK", at.refuses.port()),
        closed("refused"),
        closed("refused-stream"),
        unix(SpanKind::Client).with("server.address", &at.unix),
        unix(SpanKind::Server).with("server.address", "localhost"),
    ]
}

/// Calls whose credentials and stats handlers make others, on the same goroutine, which are tried again or fail: `code` is that of a call whose
/// credentials have failed.
pub fn within(port: u16, code: &str) -> Vec<Due> {
    let of = |kind, name| Due::new(kind, name, "OK", port);
    let both = |name| [of(SpanKind::Client, name), of(SpanKind::Server, name)];
    let mut all: Vec<Due> =
        ["token", "token", "with-token", "told", "with-handler", "behind"].map(both).concat();
    all.push(Due::new(SpanKind::Client, "without-token", code, port));
    all
}

fn remote(number: &str, digit: &str) -> Parent {
    let trace = format!("{number:0>32}");
    let span = format!("{digit}{}", &trace[17..]);
    Parent::Remote(trace, span)
}

fn traces(port: u16) -> Vec<Due> {
    let client = |name| Due::new(SpanKind::Client, name, "OK", port);
    let server = |name| Due::new(SpanKind::Server, name, "OK", port);
    vec![
        client("traced"),
        server("traced").below(remote("a1", "a")).with(strobe_tests::spans::TRACE_STATE, "one=1,two=2"),
        client("traced-twice"),
        server("traced-twice"),
        client("traced-invalid"),
        server("traced-invalid"),
    ]
}

/// Calls that handlers make.
fn inside(port: u16) -> Vec<Due> {
    let of = |kind, name| Due::new(kind, name, "OK", port);
    let mut all = Vec::new();
    let pairs = [
        ("in-context", "child-context"),
        ("in-background", "child-background"),
        ("in-started", "child-started"),
        ("stream-inside", "child-stream"),
    ];
    for (outer, child) in pairs {
        all.extend([of(SpanKind::Client, outer), of(SpanKind::Server, outer)]);
        all.push(of(SpanKind::Client, child).below(Parent::Server(outer)));
        all.push(of(SpanKind::Server, child));
    }
    all.push(of(SpanKind::Client, "child-served").below(Parent::Server("served-in-context")));
    all.push(of(SpanKind::Server, "child-served"));
    all
}

/// What net/http serves.
fn served(port: u16) -> Vec<Due> {
    let mut all = Vec::new();
    for name in ["served", "served-traced", "served-bidi", "served-in-context"] {
        all.push(Due::new(SpanKind::Client, name, "OK", port));
        all.push(Due::new(SpanKind::Server, name, "OK", port).served(name));
    }
    all.push(Due::new(SpanKind::Client, "served-deadline", "DEADLINE_EXCEEDED", port));
    all.push(Due::new(SpanKind::Server, "served-deadline", GONE, port).served("served-deadline"));
    all
}
