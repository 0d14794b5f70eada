//! A program that opens streams and never ends them has as many as it likes: the oldest give way before it has used up its share of the
//! client's table, and what it calls behind that, and what others call, is all there. And of calls that are too many at once each is lost once.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use strobe_tests::agent::{SERVICE, losses, strobe, tracing};
use strobe_tests::collector::Collector;
use strobe_tests::golang::go;
use strobe_tests::machine;
use strobe_tests::process::Running;
use strobe_tests::spans::Received;

use super::places::Places;
use super::program::Program;
use super::stage::Stage;

/// What the table has: half of it is one process's.
const ENTRIES: usize = 1_024;
/// More than all of it.
const LEAKED: usize = 1_100;
/// Calls of the program beside it.
const CALLS: usize = 100;
/// Calls of its own behind that.
const BEHIND: usize = 100;

#[test]
fn what_a_process_never_ends_neither_it_nor_another_misses() -> Result<()> {
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
    // Ends of its own that come from the server, both sides of its calls, and all of the other's.
    collector.wait_for(LEAKED + 2 * BEHIND + 4 * CALLS, Duration::from_secs(10));
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
    let behind = |kind| {
        let is_behind =
            |span: &&Received| span.span.kind() == kind && span.span.name.ends_with("/behind-a-leak");
        spans.iter().filter(is_behind).count()
    };
    let behind = [SpanKind::Client, SpanKind::Server].map(behind);
    ensure!(behind == [BEHIND; 2], "{behind:?} spans behind the leak: {}", said());
    // Nothing but the streams that are open at the end is lost, each once.
    let open = BTreeMap::from([("grpc_client.lost.open_at_exit".to_owned(), LEAKED as u64)]);
    ensure!(lost == open, "{}", said());
    for app in [&mut leaks, &mut calls] {
        ensure!(app.terminate()?.success(), "the program was harmed:\n{}", app.output());
    }
    Ok(())
}

/// Calls at once, more than a process's share: for some there is room when they begin, and none when they have a stream.
const AT_ONCE: usize = 700;

#[test]
fn a_call_without_room_for_its_stream_is_lost_once() -> Result<()> {
    let room = ENTRIES.to_string();
    let program = Program { go: go(26), grpc: "v1.85.0" }.build()?;
    let variables = [("STROBE_MAX_IN_FLIGHT", room.as_str())];
    let mut stage = Stage::new(&program, &[("CROWD", &AT_ONCE.to_string())], &variables)?;
    let spans = stage.run(2 * AT_ONCE + 1, Duration::from_secs(60))?;
    let there = spans.iter().filter(|span| span.span.kind() == SpanKind::Client).count();
    let lost = losses(&stage.agent);
    let of_clients = lost.iter().filter(|(name, _)| name.starts_with("grpc_client.")).map(|(_, lost)| *lost);
    let lost_there: u64 = of_clients.sum();
    ensure!(lost_there > 0, "there was room: {}", stage.agent.output());
    ensure!(there as u64 + lost_there == AT_ONCE as u64, "{there} spans, {lost:?}\n{}", stage.agent.output());
    stage.stop()
}
