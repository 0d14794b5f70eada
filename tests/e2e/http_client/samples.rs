//! OpenTelemetry's own end-to-end applications of net/http, by their names: what they have to see of them is seen, by the conventions'
//! newer names, and without the credentials. Its server's span is below its client's there; strobe writes no `traceparent`, so that
//! here each begins a trace.

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use strobe_tests::agent::{self, losses, strobe};
use strobe_tests::collector::Collector;
use strobe_tests::golang::{self, Build, go};
use strobe_tests::machine;
use strobe_tests::process::{PATIENCE, Running};
use strobe_tests::spans::{self, Expected, Parent, Value, Want};

/// What the application says of itself.
const NAME: &str = "sample-app";

macro_rules! samples {
    ($($app:ident)+) => { $(
        mod $app {
            use super::*;

            #[test]
            fn go1_22() -> Result<()> { seen(stringify!($app), go(22)) }
            #[test]
            fn go1_24() -> Result<()> { seen(stringify!($app), go(24)) }
            #[test]
            fn go1_26() -> Result<()> { seen(stringify!($app), go(26)) }
            #[test]
            fn go1_27() -> Result<()> { seen(stringify!($app), go(27)) }
        }
    )+ };
}

samples! { nethttp nethttp_custom }

/// The application runs under the agent, does its work, and leaves: the agent leaves after it, with all that there was to see.
fn seen(app: &str, version: &str) -> Result<()> {
    machine::require_probes()?;
    let folder = tempfile::tempdir().context("a folder for the test")?;
    let program = folder.path().join(app);
    machine::copy_program(&golang::build(app, version, Build::Stripped)?, &program)?;
    let collector = Collector::start()?;
    let mut app = Running::start(Command::new(&program).env("OTEL_SERVICE_NAME", NAME))?;
    let port = last_word(&app.expect_stdout("listening on port ", 0)?)?;
    let mut command = strobe(&["run", "--pid", &app.pid().to_string()])?;
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint()).env("OTEL_TRACES_EXPORTER", "otlp");
    let mut agent = Running::start(&mut command)?;
    agent.expect_stderr(&agent::tracing(app.pid()), 0)?;
    app.signal(libc::SIGUSR1)?;
    let status = app.wait(PATIENCE)?;
    ensure!(status.success(), "the application ended with {status}:\n{}", app.output());
    let status = agent.wait(PATIENCE)?;
    ensure!(status.success(), "strobe ended with {status}:\n{}", agent.output());

    let peer: String = last_word(&app.expect_stdout("peer ", 0)?)?;
    let (address, peer_port) = peer.rsplit_once(':').context("the peer's port")?;
    let due = [server(port, address, peer_port.parse()?), client(port)];
    let got = collector.take()?;
    if let Err(differences) = spans::compare(&due, &got) {
        anyhow::bail!("Go {version}: {differences}\n{}", agent.output());
    }
    let named = |service: Option<&Value>| service == Some(&Value::from(NAME));
    ensure!(got.iter().all(|span| named(span.resource.get("service.name"))), "{got:?}");
    ensure!(losses(&agent).is_empty(), "{}", agent.output());
    Ok(())
}

fn last_word<T: std::str::FromStr>(line: &str) -> Result<T> {
    let word = line.rsplit(' ').next().unwrap_or_default();
    word.parse().ok().with_context(|| format!("the last word of {line:?}"))
}

fn server(port: u16, peer: &str, peer_port: u16) -> Expected {
    let text = [
        ("http.request.method", "GET"),
        ("http.route", "/hello/{id}"),
        ("url.path", "/hello/42"),
        ("url.query", "query=true"),
        ("url.scheme", "http"),
        ("server.address", "localhost"),
        ("client.address", peer),
        ("network.peer.address", peer),
        ("network.protocol.version", "1.1"),
        ("user_agent.original", "Go-http-client/1.1"),
    ];
    let numbers =
        [("server.port", port), ("network.peer.port", peer_port), ("http.response.status_code", 200)];
    span(SpanKind::Server, "/hello/42?query=true", "GET /hello/{id}", &text, &numbers)
}

fn client(port: u16) -> Expected {
    let url = format!("http://REDACTED:REDACTED@localhost:{port}/hello/42?query=true#fragment");
    let text = [
        ("http.request.method", "GET"),
        ("url.full", url.as_str()),
        ("server.address", "localhost"),
        ("network.protocol.version", "1.1"),
    ];
    // A client's span has neither path nor query of its own, by which the comparison finds it.
    span(SpanKind::Client, "?", "GET", &text, &[("server.port", port), ("http.response.status_code", 200)])
}

fn span(kind: SpanKind, key: &str, name: &str, text: &[(&str, &str)], numbers: &[(&str, u16)]) -> Expected {
    let text = text.iter().map(|(name, value)| ((*name).to_owned(), Want::Is((*value).into())));
    let numbers =
        numbers.iter().map(|(name, value)| ((*name).to_owned(), Want::Is(i64::from(*value).into())));
    let attributes: BTreeMap<String, Want> = text.chain(numbers).collect();
    let (key, name) = (key.to_owned(), name.to_owned());
    Expected {
        key,
        name,
        kind,
        error: false,
        parent: Parent::None,
        flags: 0x101,
        attributes,
        children: Vec::new(),
    }
}
