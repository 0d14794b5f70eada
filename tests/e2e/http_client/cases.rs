//! What each round trip of `tests/apps/httpclient` has to look like.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use strobe_tests::spans::{Received, Value};

use super::found::Found;
use super::places::Places;

/// Callers, calls of each, over HTTP/1.1 and HTTP/2.
pub struct Many {
    callers: usize,
    calls: usize,
}

pub const MANY: Many = Many { callers: 64, calls: 16 };

impl Many {
    pub fn total(&self) -> usize {
        2 * self.callers * self.calls
    }
}

/// A span that is due. An attribute that stands for several has them behind `|`.
#[derive(Clone)]
pub struct Due {
    case: String,
    name: &'static str,
    is_error: bool,
    attributes: BTreeMap<&'static str, String>,
}

impl Due {
    pub fn new(case: &str, url: String) -> Self {
        let (scheme, rest) = url.split_once("://").unwrap_or(("", &url));
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        let authority = authority.rsplit('@').next().unwrap_or_default();
        let (host, port) =
            authority.rsplit_once(':').unwrap_or((authority, if scheme == "https" { "443" } else { "80" }));
        let attributes = BTreeMap::from([
            ("http.request.method", "GET".to_owned()),
            ("server.address", host.to_owned()),
            ("server.port", port.to_owned()),
            ("network.protocol.version", "1.1".to_owned()),
            ("http.response.status_code", "200".to_owned()),
            ("url.full", url.clone()),
        ]);
        Self { case: case.to_owned(), name: "GET", is_error: false, attributes }
    }

    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.attributes.insert(name, value.to_owned());
        self
    }

    pub fn method(mut self, method: &'static str) -> Self {
        self.name = method;
        self.with("http.request.method", method)
    }

    pub fn status(self, status: &str) -> Self {
        self.with("http.response.status_code", status)
    }

    pub fn h2(self) -> Self {
        self.with("network.protocol.version", "2")
    }

    /// An error status.
    pub fn fails(mut self) -> Self {
        self.is_error = true;
        let status = self.attributes["http.response.status_code"].clone();
        self.with("error.type", &status)
    }

    /// There is no response.
    pub fn unanswered(mut self) -> Self {
        self.attributes.remove("http.response.status_code");
        self.attributes.remove("network.protocol.version");
        self
    }

    /// There is an error.
    pub fn error(mut self, name: &str) -> Self {
        self.is_error = true;
        self.unanswered().with("error.type", name)
    }

    /// The name of its case.
    pub fn case(&self) -> &str {
        &self.case
    }

    fn differs(&self, span: &Received) -> Vec<String> {
        let mut out = Vec::new();
        if span.span.name != self.name {
            out.push(format!("named {:?}", span.span.name));
        }
        let code = span.span.status.as_ref().map_or(StatusCode::Unset, |status| status.code());
        if (code == StatusCode::Error) != self.is_error || code == StatusCode::Ok {
            out.push(format!("status {code:?}"));
        }
        let show = |value: &Value| match value {
            Value::Str(text) => text.clone(),
            other => other.to_string(),
        };
        for (name, want) in &self.attributes {
            match span.attributes.get(*name).map(show) {
                Some(got) if want.split('|').any(|one| one == got) => {}
                got => out.push(format!("{name}: expected {want:?}, got {got:?}")),
            }
        }
        let more = span.attributes.keys().filter(|name| !self.attributes.contains_key(name.as_str()));
        out.extend(more.map(|name| format!("{name} is not due: {:?}", span.attributes.get(name))));
        out
    }
}

/// All that are due, but for those of many callers and those of handlers.
pub fn due(minor: u32, at: &Places) -> Vec<Due> {
    let plain = |path: &str| format!("http://{}/case/{path}", at.http);
    let secure = |path: &str| format!("https://{}/case/{path}", at.https);
    let port = at.http.port();
    let long = format!("long/{}", "x".repeat(600));
    let mut all = vec![
        Due::new("get", plain("get")),
        Due::new("post", plain("post")).method("POST"),
        Due { name: "HTTP", ..Due::new("unknown-method", plain("unknown-method")) }
            .with("http.request.method", "_OTHER")
            .with("http.request.method_original", "FOO"),
        Due::new("not-found", plain("not-found?status=404")).status("404").fails(),
        Due::new("server-error", plain("server-error?status=503")).status("503").fails(),
        Due::new("redirected", plain("redirected?redirects=2")).status("302"),
        Due::new("redirected", plain("redirected?redirects=1"))
            .status("302")
            .with("http.request.resend_count", "1"),
        Due::new("redirected", plain("redirected?redirects=0")).with("http.request.resend_count", "2"),
        Due::new("a%2Fb", plain("a%2Fb/%C3%BC")),
        Due::new("long", plain(&long)),
        Due::new(
            "secrets",
            format!("http://REDACTED:REDACTED@{}/case/secrets?sig=REDACTED&x=1#part", at.http),
        ),
        Due::new("opaque", format!("http://REDACTED:REDACTED@{}/case/opaque?sig=REDACTED&x=1", at.http)),
        Due::new("fragment", plain("fragment#access_token=REDACTED&x=1")),
        Due::new("by-name", format!("http://localhost:{port}/case/by-name")),
        Due::new("unix-socket", "http://local.test/case/unix-socket".to_owned()),
        Due::new("empty-method", plain("empty-method")),
        Due::new("wrapped", plain("wrapped")),
        // The inner Transport's: that is who sends it.
        Due::new("nested", plain("nested"))
            .with("url.full", &format!("http://{0}/case/nested|other://{0}/case/nested", at.http)),
        Due::new("after-not-sent", plain("after-not-sent")),
        Due::new("tried-again", plain("tried-again")),
    ];
    let timeout = || Due::new("wrapped-timeout", plain("wrapped-timeout?wait=1"));
    all.extend((0..12).map(|_| timeout().error(&format!("{DEADLINE}|http.errRequestCanceled"))));
    all.extend(failing(minor, at));
    all.extend([
        Due::new("h2-first", secure("h2-first")).h2(),
        Due::new("h2-second", secure("h2-second")).h2(),
        Due::new("h2-not-found", secure("h2-not-found?status=404")).h2().status("404").fails(),
        Due::new("h2-post", secure("h2-post")).h2().method("POST"),
        Due::new("h2-redirected", secure("h2-redirected?redirects=1")).h2().status("302"),
        Due::new("h2-redirected", secure("h2-redirected?redirects=0"))
            .h2()
            .with("http.request.resend_count", "1"),
        Due::new("h2-aborted", secure("h2-aborted?abort=1")).error(if minor >= 27 {
            "http2.StreamError"
        } else {
            "http.http2StreamError"
        }),
        Due::new("h2-cancelled", secure("h2-cancelled?wait=1")).unanswered(),
        Due::new("h2-deadline", secure("h2-deadline?wait=1")).error(DEADLINE),
        Due::new("tls-http1", secure("tls-http1")),
    ]);
    all
}

const DEADLINE: &str = "context.deadlineExceededError";

fn failing(minor: u32, at: &Places) -> Vec<Due> {
    let plain = |path: &str| format!("http://{}/case/{path}", at.http);
    let timeout = if minor >= 23 { "http.timeoutError" } else { "http.httpError" };
    let authority =
        if minor >= 20 { "tls.CertificateVerificationError" } else { "x509.UnknownAuthorityError" };
    vec![
        Due::new("refused", format!("http://{}/case/refused", at.closed)).error("net.OpError"),
        Due::new("no-such-host", "http://nowhere.test./case/no-such-host".to_owned()).error("net.OpError"),
        Due::new("unknown-authority", format!("https://{}/case/unknown-authority", at.https))
            .error(authority),
        Due::new("header-timeout", plain("header-timeout?wait=1")).error(timeout),
        Due::new("deadline", plain("deadline?wait=1")).error(DEADLINE),
        Due::new("client-timeout", plain("client-timeout?wait=1")).error(DEADLINE),
        Due::new("cancelled", plain("cancelled?wait=1")).unanswered(),
        Due::new("reset", format!("http://{}/case/reset", at.resets)).error("net.OpError"),
        Due::new("alive", format!("http://{}/case/alive", at.dead)),
        Due::new("sent-again", format!("http://{}/case/sent-again", at.dead))
            .with("http.request.resend_count", "1"),
        Due::new("alive-too", format!("http://{}/case/alive-too", at.dead)),
        Due::new("not-sent-again", format!("http://{}/case/not-sent-again", at.dead))
            .method("POST")
            .error("errors.errorString|net.OpError"),
        Due::new("after-not-sent-again", plain("after-not-sent-again")),
    ]
}

/// What differs from the spans that are due of some cases, all of them without a parent; their scope is this one, if that is said.
pub fn differing(all: Vec<Due>, found: &Found, scope: Option<&str>) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut due_by_case: BTreeMap<String, Vec<Due>> = BTreeMap::new();
    for due in all {
        due_by_case.entry(due.case.clone()).or_default().push(due);
    }
    for (case, due) in &due_by_case {
        let got = found.call(case);
        if got.len() != due.len() {
            wrong.push(format!("{case}: {} spans, {} due", got.len(), due.len()));
        }
        for (due, span) in due.iter().zip(got) {
            wrong.extend(due.differs(span).into_iter().map(|what| format!("{case}: {what}")));
            if !span.span.parent_span_id.is_empty() {
                wrong.push(format!("{case}: it has a parent"));
            }
            if scope.is_some_and(|scope| scope != span.scope) {
                wrong.push(format!("{case}: of {}", span.scope));
            }
        }
    }
    wrong
}

/// What differs.
pub fn compare(minor: u32, at: &Places, found: &Found) -> Vec<String> {
    let mut wrong = differing(due(minor, at), found, None);
    for case in ["not-sent", "invented", "tried-first"] {
        if !found.call(case).is_empty() {
            wrong.push(format!("{case}: nothing was sent, and there is a span"));
        }
    }
    for (prefix, scheme, host, version) in
        [("many", "http", at.http.to_string(), "1.1"), ("h2-many", "https", at.https.clone(), "2")]
    {
        for caller in 0..MANY.callers {
            for n in 0..MANY.calls {
                let case = format!("{prefix}-{caller}-{n}");
                let due = Due::new("", format!("{scheme}://{host}/case/{case}"))
                    .with("network.protocol.version", version);
                match found.call(&case) {
                    [span] => {
                        wrong.extend(due.differs(span).into_iter().map(|what| format!("{case}: {what}")));
                        if !span.span.parent_span_id.is_empty() {
                            wrong.push(format!("{case}: it has a parent"));
                        }
                    }
                    other => wrong.push(format!("{case}: {} spans", other.len())),
                }
            }
        }
    }
    wrong
}

/// What was lost beyond the call of `outlives-context`, which sends nothing, and whose goroutine makes no other.
pub fn lost(losses: &BTreeMap<String, u64>) -> Option<String> {
    let is_due = |(name, count): (&String, &u64)| name == "net_http_client.lost.open_at_exit" && *count == 1;
    (!losses.iter().all(is_due)).then(|| format!("more was lost than a call that was not sent: {losses:?}"))
}
