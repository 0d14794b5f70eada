//! A program that calls: its round trips, and the requests that they are made for.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use strobe_tests::{
    agent::losses,
    client::Connection,
    http_client::{
        cases::{self, MANY},
        found::Found,
        parents,
        places::Places,
    },
    process::Running,
};

use crate::bench::{Bench, PATIENCE};

/// How many times as long as on a processor of its own everything may take here.
const SLOW: &str = "20";

/// Reads that may fail. A read of a program's memory finds nothing while the kernel moves the page (compaction, huge pages), and a small
/// machine moves many: one of some 100,000 reads failed once in twelve runs. Every span is compared all the same.
const MOVED: u64 = 1;

/// Every kind of round trip, with its parent.
pub fn round_trips(version: &str) -> Result<String> {
    let bench = Bench::of("httpclient", version)?;
    let mut app = Running::start(Command::new(&bench.app).args(["-slow", SLOW]))?;
    let places = Places::of(&app)?;
    let mut agent = bench.trace_pid(&app)?;
    let mut connection = Connection::open(places.http)?;
    connection.send(format!("GET /go HTTP/1.1\r\nHost: {}\r\n\r\n", places.http).as_bytes())?;
    let done = app.stdout.wait_for("done", 0, PATIENCE);
    done.with_context(|| format!("the calls never ended:\n{}", app.output()))?;
    let due = cases::due(bench.minor, &places).len() + MANY.total();
    bench.collector.wait_for(due, PATIENCE);
    agent.signal(libc::SIGTERM)?;
    let status = agent.wait(PATIENCE)?;
    ensure!(status.success(), "strobe ended with {status} after SIGTERM:\n{}", agent.output());
    let found = Found::new(bench.collector.take()?)?;
    let mut wrong = cases::compare(bench.minor, &places, &found);
    wrong.extend(parents::compare(bench.minor, &found));
    wrong.extend(cases::lost(&losses(&agent), MOVED));
    ensure!(wrong.is_empty(), "{}\n{}", wrong.join("\n"), agent.output());
    app.signal(libc::SIGTERM)?;
    ensure!(app.wait(PATIENCE)?.success(), "the program ended badly:\n{}", app.output());
    let calls: usize = found.calls.values().map(Vec::len).sum();
    Ok(format!("{calls} calls"))
}
