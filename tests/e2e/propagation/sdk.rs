//! A program with OpenTelemetry's SDK (`tests/apps/sdk`): what it sends is what it would have sent without the agent, byte for byte, and the
//! agent's spans of what serves that are below the SDK's spans.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use serde::Deserialize;
use strobe_tests::built::Recipe;
use strobe_tests::golang::go;
use strobe_tests::http_client::{carried::by_path, found::text};
use strobe_tests::process::Running;
use strobe_tests::spans::{Received, hex};

const SOURCE: &str = include_str!("../../apps/sdk/main.go");

/// Calls that the program makes in each way, as its source has it.
const CALLS: usize = 24;
/// Its calls over HTTP: to the recorder, to itself, and to a handler that calls on.
pub const OVER_HTTP: usize = 3 * CALLS;
/// Its calls of gRPC, to itself in both ways.
pub const OVER_GRPC: usize = 2 * CALLS;
/// The agent's spans of all calls, with those of gRPC, by callers and handlers, and of what serves them, which is all but the recorder.
pub const SPANS: usize = (OVER_HTTP + OVER_GRPC) + (OVER_HTTP + OVER_GRPC - CALLS);
/// As the program spells the header's name, in turn.
const SPELLINGS: [&str; 4] = ["Traceparent", "traceparent", "TRACEPARENT", "tRaCePaReNt"];
/// The scopes that its spans may have: none is of what the SDK makes, and exports itself.
const SCOPES: [&str; 2] = ["strobe/net/http", "strobe/google.golang.org/grpc"];
/// What the agent's log, and the Plan, say of such a program (docs/strobe.md, "Spans made by hand").
pub const LEFT_ALONE: &str = "because the program has an SDK, which exports";

/// What it is built of.
#[derive(Debug, Clone, Copy)]
pub struct Program {
    pub go: &'static str,
    /// Path and version.
    pub modules: &'static [(&'static str, &'static str)],
}

pub const NEWEST: Program = Program {
    go: go(27),
    modules: &[
        ("go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc", "v0.72.0"),
        ("go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp", "v0.72.0"),
        ("go.opentelemetry.io/otel", "v1.47.0"),
        ("go.opentelemetry.io/otel/sdk", "v1.47.0"),
        ("go.opentelemetry.io/otel/trace", "v1.47.0"),
        ("google.golang.org/grpc", "v1.85.0"),
    ],
};

/// Its API knows of no Auto SDK.
pub const OLDER: Program = Program {
    go: go(22),
    modules: &[
        ("go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc", "v0.49.0"),
        ("go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp", "v0.49.0"),
        ("go.opentelemetry.io/otel", "v1.24.0"),
        ("go.opentelemetry.io/otel/sdk", "v1.24.0"),
        ("go.opentelemetry.io/otel/trace", "v1.24.0"),
        ("google.golang.org/grpc", "v1.61.1"),
    ],
};

impl Program {
    /// Builds it, stripped.
    pub fn build(&self) -> Result<PathBuf> {
        self.build_for(if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" })
    }

    /// The same for an architecture, as `GOARCH` has it.
    pub fn build_for(&self, arch: &str) -> Result<PathBuf> {
        let Self { go, modules } = *self;
        let files = &[("main.go", SOURCE)];
        Recipe { version: go, arch, mode: "exe", args: &["-ldflags=-s -w"], files, modules }.build()
    }
}

/// A line that the program prints.
#[derive(Debug, Deserialize)]
#[serde(tag = "what", rename_all = "lowercase")]
enum Line {
    /// Its SDK has begun a call's span.
    Client(Own),
    /// Its SDK has begun the span of what serves one.
    Server(Own),
    /// A request has come with these contexts.
    Arrived { name: String, traceparents: Vec<String> },
}

/// A span of the SDK's.
#[derive(Debug, Deserialize)]
struct Own {
    name: String,
    trace_id: String,
    span_id: String,
    /// Empty where it has none.
    parent_id: String,
    /// As the SDK's propagator writes it.
    traceparent: String,
}

/// What the program has said of its calls, by their names.
#[derive(Debug, Default)]
pub struct Said {
    calls: HashMap<String, Own>,
    served: HashMap<String, Own>,
    arrived: HashMap<String, Vec<String>>,
    /// What came twice.
    wrong: Vec<String>,
}

impl Said {
    pub fn by(app: &Running) -> Result<Self> {
        let mut said = Self::default();
        for line in app.stdout.all().iter().filter(|line| line.starts_with('{')) {
            let (name, is_first) = match serde_json::from_str(line).with_context(|| line.clone())? {
                Line::Client(own) => (own.name.clone(), said.calls.insert(own.name.clone(), own).is_none()),
                Line::Server(own) => (own.name.clone(), said.served.insert(own.name.clone(), own).is_none()),
                Line::Arrived { name, traceparents } => {
                    (name.clone(), said.arrived.insert(name, traceparents).is_none())
                }
            };
            said.wrong.extend((!is_first).then(|| format!("{name} came twice: {line}")));
        }
        Ok(said)
    }

    /// What is wrong with what has arrived, at the recorder at that address too, and with the agent's spans.
    pub fn wrong(mut self, recorder: SocketAddr, heads: Vec<Vec<u8>>, spans: &[Received]) -> Vec<String> {
        self.arrivals();
        self.recorded(recorder, heads);
        self.spans(spans);
        self.wrong
    }

    /// What serves a call has seen its context, and no other, and the SDK has gone on with it.
    fn arrivals(&mut self) {
        let served = OVER_HTTP + 2 * CALLS - CALLS;
        let seen = (self.calls.len(), self.served.len(), self.arrived.len());
        if seen != (OVER_HTTP + 2 * CALLS, served, served) {
            self.wrong.push(format!("{seen:?} calls, spans of what serves them, and arrivals"));
        }
        for (name, contexts) in &self.arrived {
            let call = self.calls.get(name);
            if call.is_none_or(|call| *contexts != [call.traceparent.as_str()]) {
                self.wrong.push(format!("{name}: {contexts:?} arrived of {call:?}"));
            }
            let served = self.served.get(name);
            let ids = |own: &Own, span: &str| (own.trace_id.clone(), span.to_owned());
            if call.map(|own| ids(own, &own.span_id)) != served.map(|own| ids(own, &own.parent_id)) {
                self.wrong.push(format!("{name}: the SDK has {served:?} of {call:?}"));
            }
        }
    }

    /// The recorder got the program's own bytes, and the context in its own spelling among them.
    fn recorded(&mut self, recorder: SocketAddr, heads: Vec<Vec<u8>>) {
        let mut heads = by_path(heads);
        for nth in 0..CALLS {
            let name = format!("/recorded/{nth}");
            let spelled = SPELLINGS[nth % SPELLINGS.len()];
            let context = self.calls.get(&name).map_or("", |call| &call.traceparent);
            let due = format!(
                "GET {name} HTTP/1.1\r\nHost: {recorder}\r\nUser-Agent: Go-http-client/1.1\r\n{spelled}: {context}\r\n\
                 Accept-Encoding: gzip\r\n\r\n"
            );
            let came = heads.remove(&name).unwrap_or_default();
            if came != [due.as_bytes()] {
                let came: Vec<_> = came.iter().map(|head| String::from_utf8_lossy(head)).collect();
                self.wrong.push(format!("{name}: {came:?} is not {due:?}"));
            }
        }
        self.wrong.extend(heads.into_keys().map(|name| format!("nobody sends {name}")));
    }

    /// The agent has one span of each call, and one of what serves it, which is below the SDK's. Its own span of a call is in nobody's context:
    /// it is below the agent's span of the request whose handler makes it, if there is one.
    fn spans(&mut self, spans: &[Received]) {
        let mut wrong = Vec::new();
        let other = spans.iter().filter(|span| !SCOPES.contains(&span.scope.as_str()));
        wrong.extend(other.map(|span| format!("a span of {:?}", span.scope)));
        for (name, own) in &self.calls {
            let of_kind = |kind: SpanKind, name: &str| -> Vec<&Received> {
                spans.iter().filter(|span| span.span.kind() == kind && of(span) == name).collect()
            };
            let due = Some((own.trace_id.clone(), own.span_id.clone()));
            let served = of_kind(SpanKind::Server, name);
            let is_due = usize::from(!name.starts_with("/recorded/"));
            if served.len() != is_due || served.iter().any(|span| above(span) != due) {
                wrong.push(format!("{name}: below {due:?} is due, not {served:?}"));
            }
            let handler = handler(name).and_then(|handler| of_kind(SpanKind::Server, &handler).pop());
            let due = handler.map(|span| (hex(&span.span.trace_id), hex(&span.span.span_id)));
            let calls = of_kind(SpanKind::Client, name);
            if calls.len() != 1 || calls.iter().any(|span| above(span) != due) {
                wrong.push(format!("{name}: a call below {due:?} is due, not {calls:?}"));
            }
        }
        self.wrong.extend(wrong);
    }
}

/// The handler that makes a call.
fn handler(name: &str) -> Option<String> {
    let nth: usize = name.strip_prefix("strobe.test.Own/Call")?.parse().ok()?;
    Some(format!("/through/{}", nth.checked_sub(CALLS)?))
}

/// A span's trace and its parent, if it has one.
fn above(span: &Received) -> Option<(String, String)> {
    let parent = hex(&span.span.parent_span_id);
    (!parent.is_empty()).then(|| (hex(&span.span.trace_id), parent))
}

/// The name that the program has for what a span is of.
fn of(span: &Received) -> &str {
    let path = |url| {
        let (_, rest) = str::split_once(url, "://")?;
        rest.get(rest.find('/')?..)
    };
    let method = text(span, "rpc.method").or_else(|| text(span, "url.path"));
    method.or_else(|| path(text(span, "url.full")?)).unwrap_or_default()
}
