//! A program that opens streams and never ends them fills what it may have of the client's table, and nobody else's.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use strobe_tests::agent::{SERVICE, losses, strobe, tracing};
use strobe_tests::collector::Collector;
use strobe_tests::golang::go;
use strobe_tests::machine;
use strobe_tests::process::Running;

use super::places::Places;
use super::program::Program;

/// What the table has: half of it is one process's.
const ENTRIES: usize = 1_024;
/// More than all of it.
const LEAKED: usize = 1_100;
/// Calls of the program beside it.
const CALLS: usize = 100;

#[test]
fn what_one_process_never_ends_nobody_else_misses() -> Result<()> {
    machine::require_probes()?;
    let folder = tempfile::tempdir().context("a folder for the test")?;
    let program = folder.path().join("grpc");
    machine::copy_program(&Program { go: go(26), grpc: "v1.85.0" }.build()?, &program)?;
    let collector = Collector::start()?;
    let start = |name: &str, count: usize| {
        let mut command = Command::new(&program);
        Running::start(command.env("OTEL_SERVICE_NAME", SERVICE).env(name, count.to_string()))
    };
    let (mut leaks, mut calls) = (start("LEAK", LEAKED)?, start("LOAD", CALLS)?);
    let mut command = strobe(&["run", "--exe", program.to_str().context("path")?])?;
    command
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint())
        .env("OTEL_TRACES_EXPORTER", "otlp")
        .env("OTEL_BSP_SCHEDULE_DELAY", "200")
        .env("STROBE_MAX_IN_FLIGHT", ENTRIES.to_string());
    let mut agent = Running::start(&mut command)?;
    for app in [&leaks, &calls] {
        agent.expect_stderr(&tracing(app.pid()), 0)?;
    }
    let limit = Duration::from_secs(30);
    for app in [&leaks, &calls] {
        Places::of(app)?.begin()?;
        app.stdout.wait_for("done", 0, limit).with_context(|| app.output())?;
    }
    // Ends of its own that come from the server, and all of the other's.
    collector.wait_for(LEAKED + 4 * CALLS, Duration::from_secs(10));
    let status = agent.terminate()?;
    ensure!(status.success(), "strobe ended with {status}:\n{}", agent.output());
    let spans = collector.take()?;
    let whose = calls.pid().to_string();
    let of_calls = spans
        .iter()
        .filter(|span| span.resource.get("process.pid").is_some_and(|pid| pid.to_string() == whose))
        .count();
    let lost = losses(&agent);
    let said = || format!("{lost:?}\n{}", agent.output());
    // A load's spans, and its request for /go.
    ensure!(of_calls == 4 * CALLS + 1, "{of_calls} spans beside the leak: {}", said());
    let full = lost.get("grpc_client.lost.in_flight_full").copied().unwrap_or(0);
    // One entry is the goroutine's own.
    ensure!(full as usize >= LEAKED - ENTRIES / 2, "{full} found no room: {}", said());
    for app in [&mut leaks, &mut calls] {
        ensure!(app.terminate()?.success(), "the program was harmed:\n{}", app.output());
    }
    Ok(())
}
