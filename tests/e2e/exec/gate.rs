//! Before the command starts, and when it cannot be traced.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use strobe_tests::built::Recipe;
use strobe_tests::client::Connection;
use strobe_tests::collector::Collector;
use strobe_tests::machine;
use strobe_tests::process::{PATIENCE, Running, shell_status};

use super::harness::{Counting, GO, app, kill, strobe};

fn run(args: &[&str]) -> Result<(i32, Running)> {
    let mut running = Running::start(&mut strobe(args)?)?;
    let status = running.wait(PATIENCE)?;
    Ok((shell_status(status), running))
}

/// Loading programs and planning take a while: who interrupts meanwhile gets the status of an interrupted program.
#[test]
fn a_signal_at_the_gate_ends_all_with_the_signals_status() -> Result<()> {
    let (_folder, app) = app("signals")?;
    let app = app.to_str().context("path")?;
    for (signal, want) in [(libc::SIGINT, 130), (libc::SIGTERM, 143)] {
        let mut at_the_gate = 0;
        for delay in [40, 20, 80, 120, 160] {
            let mut running = Running::start(&mut strobe(&["exec", "--", app])?)?;
            std::thread::sleep(Duration::from_millis(delay));
            running.signal(signal)?;
            let status = shell_status(running.wait(PATIENCE)?);
            if running.stdout.all().is_empty() {
                ensure!(status == want, "after {delay} ms: {status}: {}", running.output());
                at_the_gate += 1;
            }
        }
        ensure!(at_the_gate > 0, "the command was always started before signal {signal} came");
    }
    Ok(())
}

/// It is configured while it is strobe's own child still, whose file is another.
#[test]
fn a_command_has_the_name_of_its_own_file() -> Result<()> {
    let mut counting = Counting::start(&[], Ok)?;
    let tracing = counting.strobe.expect_stderr(&format!("tracing pid {} (", counting.pid), 0)?;
    ensure!(tracing.contains("(unknown_service:signals, "), "{tracing}");
    kill(counting.pid, libc::SIGTERM)?;
    counting.strobe.wait(PATIENCE)?;
    Ok(())
}

/// What strobe cannot trace at all, it becomes: the same process, the command's own end.
#[test]
fn a_command_that_cannot_be_traced_takes_strobes_place() -> Result<()> {
    let mut command = strobe(&["exec", "--", "sh", "-c", "echo pid $$; kill -9 $$"])?;
    let mut running = Running::start(command.env("OTEL_SDK_DISABLED", "true"))?;
    let pid = running.pid();
    let status = running.wait(PATIENCE)?;
    ensure!(running.stdout.all() == [format!("pid {pid}")], "{}", running.output());
    ensure!(status.code().is_none(), "the command was killed, strobe says {status}");
    ensure!(running.stderr.text().contains("starting it untraced"), "{}", running.output());
    let (status, running) = run(&["exec", "--strict", "--", "true"])?;
    ensure!(status == 0, "{status}: {}", running.output());
    let mut strict = strobe(&["exec", "--strict", "--", "sh", "-c", "echo started"])?;
    let mut running = Running::start(strict.env("OTEL_SDK_DISABLED", "true"))?;
    ensure!(shell_status(running.wait(PATIENCE)?) == 125, "{}", running.output());
    ensure!(running.stdout.all().is_empty(), "--strict must not start it: {}", running.output());
    Ok(())
}

/// A wrapper is not what is to be traced: nothing is wrong with it, `--strict` or not.
#[test]
fn a_wrapper_is_no_warning() -> Result<()> {
    let (_folder, app) = app("httpserver")?;
    let app = app.to_str().context("path")?;
    for command in [vec!["env", "X=1", app, "-now"], vec!["sh", "-c", "exec \"$0\" -now", app]] {
        for strict in [vec!["exec", "--strict", "--"], vec!["exec", "--"]] {
            let (status, running) = run(&[strict, command.clone()].concat())?;
            ensure!(status == 0, "{command:?}: {status}: {}", running.output());
            let said = running.stderr.text();
            ensure!(said.contains("is no Go program: whatever it starts is traced"), "{said}");
            ensure!(!said.contains("untraced") && !said.contains("WARN"), "{said}");
        }
    }
    Ok(())
}

/// A Go program that is refused is known before it starts.
#[test]
fn strict_does_not_start_a_go_program_that_is_refused() -> Result<()> {
    machine::require_probes()?;
    let files = [("main.go", "package main\n\nfunc main() { println(\"hello from go\") }\n")];
    let program = Recipe::server(GO, &files).build()?;
    let program = program.to_str().context("path")?;
    let (status, running) = run(&["exec", "--strict", "--", program])?;
    ensure!(status == 125, "{status}: {}", running.output());
    ensure!(!running.stderr.text().contains("hello from go"), "{}", running.output());
    let (status, running) = run(&["exec", "--", program])?;
    ensure!(status == 0, "{status}: {}", running.output());
    let said = running.stderr.text();
    ensure!(said.contains("hello from go") && said.contains("warning: not traced: "), "{said}");
    ensure!(said.contains("nothing was traced"), "{said}");
    Ok(())
}

/// `sh -c 'service; true'`, dumb-init, tini: what the command starts is traced as the command itself is.
#[test]
fn what_a_wrapper_starts_by_fork_is_traced() -> Result<()> {
    let (_folder, app) = app("signals")?;
    let collector = Collector::start()?;
    let mut command =
        strobe(&["exec", "--strict", "--", "sh", "-c", "\"$0\"; true", app.to_str().context("path")?])?;
    command.env("OTEL_TRACES_EXPORTER", "otlp").env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint());
    let mut running = Running::start(&mut command)?;
    let line = running.expect_stdout("listening on http://", 0)?;
    running.expect_stderr("tracing pid ", 0)?;
    let address = line.rsplit('/').next().unwrap_or_default().parse().context("address")?;
    let mut connection = Connection::open(address)?;
    connection.send(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
    connection.receive(false)?.context("no answer")?;
    let ready = running.expect_stdout("ready ", 0)?;
    kill(ready.trim_start_matches("ready ").parse()?, libc::SIGTERM)?;
    ensure!(running.wait(PATIENCE)?.success(), "{}", running.output());
    let spans = collector.take()?;
    ensure!(spans.len() == 1, "{} spans: {}", spans.len(), running.output());
    Ok(())
}
