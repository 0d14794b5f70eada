//! One request of the tests: what goes over the wire, what must come back, and the span that must come of it.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use strobe_tests::spans::{Expected, Parent, TRACE_STATE, Value, Want};

/// What the client sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// This status.
    Status(u16),
    /// Any status; the span must have the same.
    SomeStatus,
    /// No answer: the server closes the connection.
    Closed,
    /// Something, written by hand, that the span knows nothing of.
    ByHand,
}

/// A request and its consequences.
#[derive(Debug, Clone)]
pub struct Exchange {
    pub method: String,
    pub target: Vec<u8>,
    pub version: &'static str,
    pub host: Option<String>,
    pub agent: Option<String>,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub answer: Answer,
    /// Whether a span must come of it.
    pub traced: bool,
    /// Whether the server closes the connection after it.
    pub closes: bool,
    route: Option<String>,
    path: Want,
    query: Option<Want>,
    /// The span's status, where it is not the answer's.
    status: Option<Option<u16>>,
    panicked: bool,
    client: String,
    /// The host and the scheme that a proxy has named.
    forwarded: Option<(&'static str, &'static str)>,
    trace_state: Option<String>,
    pub tls: bool,
    parent: Parent,
    flags: u32,
    /// How its lines end.
    eol: &'static str,
    /// What the client sends behind the request that belongs to none.
    behind: &'static [u8],
    /// Whether the user agent stands on a line that continues the header's.
    folded: bool,
    /// The request leaves in two segments: so many bytes first.
    pub cut: Option<usize>,
}

impl Exchange {
    /// A GET that is answered with 200 and has a span without parent and route.
    pub fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    /// The same with another method.
    pub fn new(method: &str, target: &str) -> Self {
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(Want::Is(query.into()))),
            None => (target, None),
        };
        Exchange {
            method: method.to_owned(),
            target: target.as_bytes().to_vec(),
            version: "1.1",
            host: None,
            agent: None,
            headers: Vec::new(),
            body: Vec::new(),
            answer: Answer::Status(200),
            traced: true,
            closes: false,
            route: None,
            path: Want::Is(path.into()),
            query,
            status: None,
            panicked: false,
            client: "127.0.0.1".to_owned(),
            forwarded: None,
            trace_state: None,
            tls: false,
            parent: Parent::None,
            flags: 0x101,
            eol: "\r\n",
            behind: b"",
            folded: false,
            cut: None,
        }
    }

    /// Sets `Host` unless it is set already.
    pub fn default_host(mut self, host: &str) -> Self {
        self.host.get_or_insert_with(|| host.to_owned());
        self
    }

    pub fn host(mut self, host: &str) -> Self {
        self.host = Some(host.to_owned());
        self
    }

    /// `User-Agent: t/…`, by which its span is found again.
    pub fn agent(mut self, agent: String) -> Self {
        self.agent.get_or_insert(agent);
        self
    }

    /// No `User-Agent`: path and query must be unique.
    pub fn no_agent(mut self) -> Self {
        self.agent = Some(String::new());
        self
    }

    /// HTTP/1.0, without `Host`.
    pub fn http10(mut self) -> Self {
        self.version = "1.0";
        self.host = Some(String::new());
        self.closes = true;
        self
    }

    pub fn http2(mut self) -> Self {
        self.version = "2";
        self
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn body(mut self, body: &str) -> Self {
        self.body = body.as_bytes().to_vec();
        self
    }

    pub fn answer(mut self, answer: Answer) -> Self {
        self.answer = answer;
        self
    }

    pub fn status(self, status: u16) -> Self {
        self.answer(Answer::Status(status))
    }

    pub fn route(mut self, route: Option<&str>) -> Self {
        self.route = route.map(str::to_owned);
        self
    }

    pub fn path(mut self, path: Want) -> Self {
        self.path = path;
        self
    }

    pub fn query(mut self, query: Want) -> Self {
        self.query = Some(query);
        self
    }

    pub fn client(mut self, client: &str) -> Self {
        self.client = client.to_owned();
        self
    }

    /// Sent by another client over TLS, whose port is not known.
    pub fn over_tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// Its lines end in a bare LF.
    pub fn bare_lf(mut self) -> Self {
        self.eol = "\n";
        self
    }

    /// What the client sends behind it that is no request.
    pub fn behind(mut self, bytes: &'static [u8]) -> Self {
        self.behind = bytes;
        self
    }

    /// Its user agent stands on a continuation line.
    pub fn folded(mut self) -> Self {
        self.folded = true;
        self
    }

    /// It leaves in two segments, the first of so many bytes.
    pub fn cut_at(mut self, bytes: usize) -> Self {
        self.cut = Some(bytes);
        self
    }

    /// It makes no span.
    pub fn untraced(mut self) -> Self {
        self.traced = false;
        self
    }

    /// The server refuses it before any handler.
    pub fn refused(self, status: u16) -> Self {
        self.untraced().closing().status(status)
    }

    /// Over HTTP/1.1 the server closes the connection behind its answer.
    pub fn closing(mut self) -> Self {
        self.closes = true;
        self
    }

    /// A span must come of it after all.
    pub fn traced(mut self) -> Self {
        self.traced = true;
        self
    }

    /// The handler takes the connection over; `wrote` is what it had given to the ResponseWriter.
    pub fn hijacked(mut self, wrote: Option<u16>) -> Self {
        self.answer = Answer::ByHand;
        self.closes = true;
        self.status = Some(wrote);
        self
    }

    /// The handler leaves without an answer, and without a panic.
    pub fn leaves(mut self) -> Self {
        self.answer = Answer::Closed;
        self.closes = true;
        self.status = Some(None);
        self
    }

    /// The handler panics; `wrote` is what it had given to the ResponseWriter.
    pub fn panics(mut self, wrote: Option<u16>) -> Self {
        self.answer = Answer::Closed;
        self.closes = true;
        self.status = Some(wrote);
        self.panicked = true;
        self
    }

    /// The handler gives up by `http.ErrAbortHandler`, which is no error; `wrote` is what it had given to the ResponseWriter.
    pub fn aborts(self, wrote: Option<u16>) -> Self {
        let mut aborted = self.panics(wrote);
        aborted.panicked = false;
        aborted
    }

    /// A `traceparent` of version 00 that must become the parent.
    pub fn parent(self, trace: &str, span: &str, flags: u8) -> Self {
        let header = format!("00-{trace}-{span}-{flags:02x}");
        self.parent_header("Traceparent", &header, trace, span, flags)
    }

    /// The same with the header as given.
    pub fn parent_header(mut self, name: &str, value: &str, trace: &str, span: &str, flags: u8) -> Self {
        self.parent = Parent::Remote(trace.to_owned(), span.to_owned());
        self.flags = 0x300 | u32::from(flags & 3);
        self.header(name, value)
    }

    /// A `tracestate` that the span must have.
    pub fn trace_state(self, list: &str) -> Self {
        self.header("tracestate", list).has_trace_state(list)
    }

    /// The `tracestate` that the span must have of its headers.
    pub fn has_trace_state(mut self, list: &str) -> Self {
        self.trace_state = Some(list.to_owned());
        self
    }

    /// What its headers say of the host that the client asked for, if it is not empty, and of how.
    pub fn asked_for(mut self, host: &'static str, scheme: &'static str) -> Self {
        self.forwarded = Some((host, scheme));
        self
    }

    /// The handler has nobody left to answer to; `wrote` is what it had given to the ResponseWriter.
    pub fn unanswered(mut self, wrote: Option<u16>) -> Self {
        self.answer = Answer::Closed;
        self.status = Some(wrote);
        self
    }

    /// The bytes for the wire.
    pub fn bytes(&self) -> Vec<u8> {
        let eol = self.eol;
        let mut out =
            [self.method.as_bytes(), b" ", &self.target, b" HTTP/", self.version.as_bytes()].concat();
        out.extend_from_slice(eol.as_bytes());
        let mut put = |name: &str, value: &str| out.extend(format!("{name}: {value}{eol}").into_bytes());
        if let Some(host) = self.host.as_deref().filter(|host| !host.is_empty()) {
            put("Host", host);
        }
        if let Some(agent) = self.agent.as_deref().filter(|agent| !agent.is_empty()) {
            let fold = if self.folded { format!("{eol}\t") } else { String::new() };
            put("User-Agent", &format!("{fold}{agent}"));
        }
        for (name, value) in &self.headers {
            put(name, value);
        }
        let announced = self.headers.iter().any(|(name, _)| name == "Transfer-Encoding");
        if !self.body.is_empty() && !announced {
            put("Content-Length", &self.body.len().to_string());
        }
        out.extend_from_slice(eol.as_bytes());
        out.extend(&self.body);
        out.extend_from_slice(self.behind);
        out
    }

    /// The span, given the client's port and what the client saw.
    pub fn expected(&self, port: u16, seen: Option<u16>) -> Expected {
        let status = self.status.unwrap_or(seen);
        let failed = status.filter(|s| *s >= 500).map(|s| s.to_string());
        let error = failed.or(self.panicked.then(|| "panic".to_owned()));
        let attributes = self.attributes(port, status, error.as_deref());
        let method = if known(&self.method) { self.method.as_str() } else { "HTTP" };
        Expected {
            key: self.key(),
            name: self.route.as_ref().map_or(method.to_owned(), |route| format!("{method} {route}")),
            kind: SpanKind::Server,
            error: error.is_some(),
            parent: self.parent.clone(),
            flags: self.flags,
            attributes,
            children: Vec::new(),
        }
    }

    fn key(&self) -> String {
        let text = |want: Option<&Want>| match want {
            Some(Want::Is(Value::Str(s))) => s.clone(),
            _ => String::new(),
        };
        match self.agent.as_deref() {
            Some(agent) if !agent.is_empty() => agent.to_owned(),
            _ => format!("{}?{}", text(Some(&self.path)), text(self.query.as_ref())),
        }
    }

    fn attributes(&self, port: u16, status: Option<u16>, error: Option<&str>) -> BTreeMap<String, Want> {
        let mut all = BTreeMap::new();
        let mut put = |name: &str, want: Option<Want>| all.extend(want.map(|want| (name.to_owned(), want)));
        let text = |s: &str| Some(Want::Is(s.into()));
        let number = |n: u16| Want::Is(i64::from(n).into());
        let is_known = known(&self.method);
        put("http.request.method", text(if is_known { &self.method } else { "_OTHER" }));
        put("http.request.method_original", text(&self.method).filter(|_| !is_known));
        put("url.path", Some(self.path.clone()));
        put("url.query", self.query.clone());
        let (asked, scheme) = self.forwarded.unzip();
        put("url.scheme", text(scheme.unwrap_or(if self.tls { "https" } else { "http" })));
        put(TRACE_STATE, self.trace_state.as_deref().and_then(text));
        put("http.route", self.route.as_deref().and_then(text));
        put("http.response.status_code", status.map(number));
        put("error.type", error.and_then(text));
        let asked = asked.filter(|host| !host.is_empty());
        let host = asked.or(self.host.as_deref()).unwrap_or_default();
        let (name, host_port) = split_host(host);
        put("server.address", text(name).filter(|_| !name.is_empty()));
        put("server.port", host_port.map(number));
        put("client.address", text(&self.client));
        put("network.peer.address", text("127.0.0.1"));
        put("network.peer.port", Some(if self.tls { Want::Any } else { number(port) }));
        put("network.protocol.version", text(self.version));
        put("user_agent.original", self.agent.as_deref().filter(|a| !a.is_empty()).and_then(text));
        all
    }
}

fn known(method: &str) -> bool {
    ["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"]
        .contains(&method)
}

/// `name`, `name:port` or `[v6]:port`.
fn split_host(host: &str) -> (&str, Option<u16>) {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if port.parse::<u16>().is_ok() => (name, port.parse().ok()),
        _ => (host, None),
    };
    (name.trim_start_matches('[').trim_end_matches(']'), port)
}
