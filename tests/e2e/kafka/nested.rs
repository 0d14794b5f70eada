//! Operations within operations, on one goroutine: SQL below gRPC below HTTP, SQL between a message that is received and one that is sent, and
//! SQL within SQL, by drivers and values that ask databases themselves. Each span is below the right one. `tests/apps/nested` makes them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, ensure};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use strobe_tests::agent::losses;
use strobe_tests::broker::{self, NEWEST};
use strobe_tests::built::Recipe;
use strobe_tests::golang::go;
use strobe_tests::spans::{Received, Value};
use strobe_tests::stage::Stage;

const FILES: &[(&str, &str)] = &[
    ("main.go", include_str!("../../apps/nested/main.go")),
    ("sql.go", include_str!("../../apps/nested/sql.go")),
];
const HOST: &str = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
const LIMIT: Duration = Duration::from_secs(60);
const CHECK: &str = "grpc.health.v1.Health/Check";

/// Every span, and the one that it is below; "" is none.
const FOREST: &[(&str, &str)] = &[
    ("serve /go", ""),
    // A consumer that is in no handler: each is a trace of its own, and the messages' links bring them together.
    ("send in", ""),
    ("send worker_in", ""),
    ("poll worker_in", ""),
    ("SELECT worked", ""),
    ("send worker_out", ""),
    // HTTP, gRPC, SQL.
    ("call /chain", ""),
    ("serve /chain", "call /chain"),
    ("client grpc.health.v1.Health/Check", "serve /chain"),
    ("server grpc.health.v1.Health/Check", "client grpc.health.v1.Health/Check"),
    ("SELECT chained", "server grpc.health.v1.Health/Check"),
    // In a handler: receive, ask, send.
    ("call /message", ""),
    ("serve /message", "call /message"),
    ("poll in", "serve /message"),
    ("SELECT handled", "serve /message"),
    ("send out", "serve /message"),
    // SQL within SQL.
    ("call /sql", ""),
    ("serve /sql", "call /sql"),
    ("SELECT outer", "serve /sql"),
    ("SELECT middle", "SELECT outer"),
    ("SELECT inner", "SELECT middle"),
    ("SELECT second", "SELECT outer"),
    ("UPDATE valued", "serve /sql"),
    ("SELECT value", "UPDATE valued"),
    ("BEGIN", "serve /sql"),
    ("SELECT begun", "BEGIN"),
    ("COMMIT", "serve /sql"),
    // One within it panics, and has no span; the next one is within it all the same.
    ("SELECT panicking", "serve /sql"),
    ("SELECT after", "SELECT panicking"),
    ("SELECT last", "serve /sql"),
];

fn build(version: &'static str) -> Result<PathBuf> {
    let modules = &[("github.com/segmentio/kafka-go", "v0.4.51"), ("google.golang.org/grpc", "v1.64.0")];
    Recipe { version, arch: HOST, mode: "exe", args: &["-ldflags=-s -w"], files: FILES, modules }.build()
}

/// What [`FOREST`] calls a span.
fn name(span: &Received) -> String {
    let text = |key: &str| match span.attributes.get(key) {
        Some(Value::Str(text)) => text.as_str(),
        _ => "",
    };
    let own = span.span.name.as_str();
    match (span.span.kind(), own) {
        (SpanKind::Client, CHECK) => format!("client {own}"),
        (SpanKind::Server, CHECK) => format!("server {own}"),
        (SpanKind::Server, _) => format!("serve {}", text("url.path")),
        (SpanKind::Client, "GET") => {
            format!("call /{}", text("url.full").rsplit('/').next().unwrap_or_default())
        }
        _ => own.to_owned(),
    }
}

fn operations_within_each_other(version: &'static str) -> Result<()> {
    let broker = broker::start(NEWEST)?;
    let off = [("OTEL_GO_AUTO_TRACES_NET_HTTP_SERVEMUX_INSTRUMENTATION_ENABLED", "false")];
    let mut stage = Stage::new(&build(version)?, &[("KAFKA_BROKER", &broker.address)], &off)?;
    let spans = stage.run_for(FOREST.len(), LIMIT)?;
    let names: BTreeMap<&[u8], String> =
        spans.iter().map(|span| (span.span.span_id.as_slice(), name(span))).collect();
    let below = |span: &Received| {
        let parent = span.span.parent_span_id.as_slice();
        let unknown = if parent.is_empty() { "" } else { "?" };
        names.get(parent).cloned().unwrap_or_else(|| unknown.to_owned())
    };
    let mut got: Vec<(String, String)> = spans.iter().map(|span| (name(span), below(span))).collect();
    let mut due: Vec<(String, String)> =
        FOREST.iter().map(|(name, parent)| ((*name).to_owned(), (*parent).to_owned())).collect();
    got.sort();
    due.sort();
    let is_other = |span: &&(String, String), all: &[(String, String)]| !all.contains(span);
    let missing: Vec<_> = due.iter().filter(|span| is_other(span, &got)).collect();
    let more: Vec<_> = got.iter().filter(|span| is_other(span, &due)).collect();
    ensure!(got == due, "Go {version}: missing {missing:#?}, not due {more:#?}\n{}", stage.agent.output());
    // What fails within another one is not the other one's failure.
    let failed: Vec<String> =
        spans.iter().filter(|span| span.attributes.contains_key("error.type")).map(name).collect();
    ensure!(failed == ["SELECT second"], "{failed:?}");
    ensure!(!format!("{spans:?}").contains("secret"), "a value is shown");
    let lost = losses(&stage.agent);
    ensure!(lost.is_empty(), "lost: {lost:?}\n{}", stage.agent.output());
    stage.stop()
}

#[test]
fn operations_within_operations_are_below_them_go1_24() -> Result<()> {
    operations_within_each_other(go(24))
}

#[test]
fn operations_within_operations_are_below_them_go1_27() -> Result<()> {
    operations_within_each_other(go(27))
}
