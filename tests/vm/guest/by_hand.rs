//! A program that makes spans by hand, in requests that it makes to itself.

use std::net::SocketAddr;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use strobe_tests::{agent::losses, auto_sdk::cases, client::Connection, process::Running};

use crate::bench::{Bench, PATIENCE};

/// Every kind of span, with its parent.
pub fn spans(version: &str) -> Result<String> {
    let bench = Bench::of("autosdk", version)?;
    let mut app = Running::start(&mut Command::new(&bench.app))?;
    let line = app.expect_stdout("listening on http://", 0)?;
    let address: SocketAddr = line.rsplit('/').next().unwrap_or_default().parse().context("an address")?;
    let mut agent = bench.trace_pid(&app)?;
    let mut connection = Connection::open(address)?;
    connection.send(format!("GET /go HTTP/1.1\r\nHost: {address}\r\n\r\n").as_bytes())?;
    let done = app.stdout.wait_for("done", 0, PATIENCE);
    done.with_context(|| format!("the spans never ended:\n{}", app.output()))?;
    bench.collector.wait_for(cases::SPANS, PATIENCE);
    app.signal(libc::SIGTERM)?;
    ensure!(app.wait(PATIENCE)?.success(), "the program ended badly:\n{}", app.output());
    let status = agent.wait(PATIENCE)?;
    ensure!(status.success(), "strobe ended with {status}:\n{}", agent.output());
    let wrong = cases::wrong(&bench.collector.take()?, &losses(&agent));
    ensure!(wrong.is_empty(), "{}\n{}", wrong.join("\n"), agent.output());
    Ok(format!("{} spans", cases::SPANS))
}
