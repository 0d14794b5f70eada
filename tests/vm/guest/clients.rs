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
        x_net_cases::{X_NET_1_26, differing, due_count},
    },
    process::Running,
};

use crate::bench::{Bench, PATIENCE, ended, left};

/// How many times as long as on a processor of its own everything may take here.
const SLOW: &str = "10";

/// Every kind of round trip, with its parent.
pub fn round_trips(version: &str) -> Result<String> {
    let bench = Bench::of("httpclient", version)?;
    let minor = bench.minor;
    let count = |at: &Places| Ok(cases::due(minor, at).len() + MANY.total());
    run(&bench, Places::of, count, |at, found, agent| {
        let mut wrong = cases::compare(minor, at, found);
        wrong.extend(parents::compare(minor, found));
        wrong.extend(cases::lost(&losses(agent)));
        Ok(wrong)
    })
}

/// The same and those of golang.org/x/net's client.
pub fn round_trips_of_x_net() -> Result<String> {
    let bench = Bench::of("xnet", "1.26")?;
    let count = |at: &Places| due_count(X_NET_1_26, at);
    run(&bench, Places::with_h2c, count, |at, found, agent| differing(X_NET_1_26, at, found, &losses(agent)))
}

fn run(
    bench: &Bench,
    places: impl Fn(&Running) -> Result<Places>,
    due: impl Fn(&Places) -> Result<usize>,
    compare: impl Fn(&Places, &Found, &Running) -> Result<Vec<String>>,
) -> Result<String> {
    let mut app = Running::start(Command::new(&bench.app).args(["-slow", SLOW]))?;
    let places = places(&app)?;
    let mut agent = bench.trace_pid(&app)?;
    let mut connection = Connection::open(places.http)?;
    connection.send(format!("GET /go HTTP/1.1\r\nHost: {}\r\n\r\n", places.http).as_bytes())?;
    let done = app.stdout.wait_for("done", 0, PATIENCE);
    done.with_context(|| format!("the calls never ended:\n{}", app.output()))?;
    bench.collector.wait_for(due(&places)?, PATIENCE);
    left(&mut agent)?;
    let found = Found::new(bench.collector.take()?)?;
    let wrong = compare(&places, &found, &agent)?;
    ensure!(wrong.is_empty(), "{}\n{}", wrong.join("\n"), agent.output());
    ended(&mut app)?;
    let calls: usize = found.calls.values().map(Vec::len).sum();
    Ok(format!("{calls} calls"))
}
