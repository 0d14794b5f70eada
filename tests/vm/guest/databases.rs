//! A program that asks databases: its operations, and the requests that they are made for.

use std::net::SocketAddr;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use strobe_tests::{
    agent::losses,
    client::Connection,
    database_sql::{cases, seen::SCOPE},
    golang,
    process::Running,
};

use crate::bench::{Bench, PATIENCE};

/// How many times as long as on a processor of its own everything may take here.
const SLOW: &str = "50";

/// Every kind of operation, with its parent.
pub fn operations(version: &str) -> Result<String> {
    let bench = Bench::of("databasesql", version)?;
    let mut app = Running::start(Command::new(&bench.app).args(["-slow", SLOW]))?;
    let line = app.expect_stdout("listening on http://", 0)?;
    let address: SocketAddr = line.rsplit('/').next().unwrap_or_default().parse().context("an address")?;
    let mut agent = bench.trace_pid(&app)?;
    let mut connection = Connection::open(address)?;
    connection.send(format!("GET /go HTTP/1.1\r\nHost: {address}\r\n\r\n").as_bytes())?;
    let done = app.stdout.wait_for("done", 0, PATIENCE);
    done.with_context(|| format!("the operations never ended:\n{}", app.output()))?;
    bench.collector.wait_for(cases::due_count(), PATIENCE);
    agent.signal(libc::SIGTERM)?;
    let status = agent.wait(PATIENCE)?;
    ensure!(status.success(), "strobe ended with {status} after SIGTERM:\n{}", agent.output());
    let spans = bench.collector.take()?;
    let mut wrong = cases::compare(golang::minor(version), &spans);
    let lost = losses(&agent);
    if !lost.is_empty() {
        wrong.push(format!("lost: {lost:?}"));
    }
    ensure!(wrong.is_empty(), "{}\n{}", wrong.join("\n"), agent.output());
    app.signal(libc::SIGTERM)?;
    ensure!(app.wait(PATIENCE)?.success(), "the program ended badly:\n{}", app.output());
    let operations = spans.iter().filter(|span| span.scope == SCOPE).count();
    Ok(format!("{operations} operations"))
}
