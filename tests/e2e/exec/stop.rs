//! Stopping `strobe run`.

use std::net::TcpListener;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use strobe_tests::client::Connection;
use strobe_tests::process::{PATIENCE, Running};

use super::harness::{app, strobe};

/// The first signal waits for a collector that says nothing, the second does not.
#[test]
fn a_second_signal_ends_at_once() -> Result<()> {
    let (_folder, app) = app("signals")?;
    let service = Running::start(&mut Command::new(&app))?;
    let line = service.expect_stdout("listening on http://", 0)?;
    let address = line.rsplit('/').next().unwrap_or_default().parse().context("address")?;
    // Accepts, by its queue, and never answers.
    let silent = TcpListener::bind("127.0.0.1:0")?;
    let mut command = strobe(&["run", "--pid", &service.pid().to_string()])?;
    command.env("OTEL_TRACES_EXPORTER", "otlp");
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{}", silent.local_addr()?));
    let mut agent = Running::start(&mut command)?;
    agent.expect_stderr(&format!("tracing pid {} ", service.pid()), 0)?;
    let mut connection = Connection::open(address)?;
    connection.send(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
    connection.receive(false)?.context("no answer")?;
    let first = Instant::now();
    agent.signal(libc::SIGINT)?;
    // The probes go first, and then the waiting begins, which is said: a signal before that would be the first one again.
    agent.expect_stderr("a second signal ends that at once", 0)?;
    let second = Instant::now();
    agent.signal(libc::SIGINT)?;
    let status = agent.wait(PATIENCE)?;
    ensure!(status.success(), "{status}: {}", agent.output());
    let waited = (first.elapsed(), second.elapsed());
    ensure!(
        waited.1 < Duration::from_secs(5),
        "since the first and the second: {waited:?}: {}",
        agent.output()
    );
    ensure!(agent.stderr.text().contains("spans that were not sent are dropped"), "{}", agent.output());
    Ok(())
}

/// A stop in the first moments, while the programs are being loaded, is a stop as any other: status 0.
#[test]
fn signals_are_heard_before_the_programs_are_loaded() -> Result<()> {
    let (_folder, app) = app("signals")?;
    let exe = app.to_str().context("path")?;
    let mut agent = Running::start(&mut strobe(&["run", "--exe", exe])?)?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        // In this order: what is loaded by then, and then whether it would be heard.
        let loaded = holds_a_map(agent.pid());
        let hears = hears_sigterm(agent.pid())?;
        ensure!(!loaded || hears, "maps are made and SIGTERM would kill it");
        if hears {
            break;
        }
        ensure!(Instant::now() < deadline, "it never hears:\n{}", agent.output());
    }
    agent.signal(libc::SIGTERM)?;
    let status = agent.wait(PATIENCE)?;
    ensure!(status.code() == Some(0), "{status}: {}", agent.output());
    Ok(())
}

fn holds_a_map(pid: u32) -> bool {
    let listed = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    listed
        .filter_map(|entry| std::fs::read_link(entry.path()).ok())
        .any(|link| link.ends_with("anon_inode:bpf-map"))
}

/// proc(5): SigCgt is a mask in hexadecimal, in which signal N is bit N-1.
fn hears_sigterm(pid: u32) -> Result<bool> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).context("no SigCgt")?;
    Ok(u64::from_str_radix(caught.trim(), 16)? & (1 << (libc::SIGTERM - 1)) != 0)
}
