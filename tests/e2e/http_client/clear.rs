//! HTTP/2 without TLS, by prior knowledge: net/http looks for a connection for each call as it does over HTTP/1.x, so that the call passes
//! both ends, HTTP/2's and the other. The first one makes its span; the second is counted (docs/strobe.md, `*.ends_unmatched`).

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use strobe_tests::agent::{self, losses, strobe};
use strobe_tests::collector::Collector;
use strobe_tests::golang::{self, Build};
use strobe_tests::machine;
use strobe_tests::process::Running;

use super::carried;

const CALLS: usize = 48;

/// The address that the program has said so.
fn said(app: &Running, how: &str) -> Result<SocketAddr> {
    let line = app.expect_stdout(how, 0)?;
    line.rsplit(' ').next().unwrap_or_default().parse().context("an address")
}

#[test]
fn each_call_without_tls_passes_both_ends_and_is_one_span() -> Result<()> {
    machine::require_probes()?;
    let folder = tempfile::tempdir().context("a folder for the test")?;
    let program = folder.path().join("calls");
    let built = golang::build("benchhttp", golang::go(26), Build::Stripped)?;
    machine::copy_program(&built, &program)?;
    let mut called = Running::start(&mut Command::new(&built))?;
    let address = said(&called, "listening on ")?;
    let mut app = Running::start(Command::new(&program).arg(format!("-upstream={address},{address}")))?;
    let orders = said(&app, "orders on ")?;

    let collector = Collector::start()?;
    let mut command = strobe(&["run", "--pid", &app.pid().to_string()])?;
    command
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint())
        .env("OTEL_TRACES_EXPORTER", "otlp")
        .env("OTEL_LOG_LEVEL", "debug");
    let mut agent = Running::start(&mut command)?;
    agent.expect_stderr(&agent::tracing(app.pid()), 0)?;
    let mut orders = TcpStream::connect(orders).context("where it takes its orders")?;
    writeln!(orders, "h2c {CALLS}").context("ordering calls")?;
    let mut answer = String::new();
    BufReader::new(orders).read_line(&mut answer).context("the answer to the order")?;
    ensure!(answer.trim() == "done", "{answer}");
    collector.wait_for(CALLS, Duration::from_secs(15));
    ensure!(agent.terminate()?.success(), "{}", agent.output());
    ensure!(losses(&agent).is_empty(), "{:?}", losses(&agent));
    let spans = collector.take()?.len();
    ensure!(spans == CALLS, "{spans} spans of {CALLS} calls");
    let twice = [("net_http_client.started", CALLS), ("net_http_client.ends_unmatched", CALLS)];
    carried::check_counted(&agent.output(), &twice)?;
    app.terminate()?;
    called.terminate()?;
    Ok(())
}
