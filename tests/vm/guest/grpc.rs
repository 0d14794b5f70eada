//! A program that is gRPC's server and client in one.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use strobe_tests::{
    agent::losses,
    grpc::{
        cases::{self, MANY, SERVED},
        compare::Found,
        places::Places,
    },
    process::Running,
};

use crate::bench::{Bench, PATIENCE, ended, left};

/// How many times as long as on a processor of its own everything may take here.
const SLOW: &str = "10";

/// Every kind of RPC, with its parent.
pub fn rpcs(version: &str) -> Result<String> {
    let bench = Bench::of("grpc", version)?;
    let mut app = Running::start(Command::new(&bench.app).env("SLOW", SLOW).env("GRPC_GO_RETRY", "on"))?;
    let places = Places::of(&app)?;
    let mut agent = bench.trace_pid(&app)?;
    places.begin()?;
    let done = app.stdout.wait_for("done", 0, PATIENCE);
    done.with_context(|| format!("the calls never ended:\n{}", app.output()))?;
    let due = cases::due(&places);
    bench.collector.wait_for(due.len() + 2 * MANY + SERVED + 1, PATIENCE);
    left(&mut agent)?;
    let mut wrong = Found::new(bench.collector.take()?).differing(&due);
    let lost = losses(&agent);
    if !lost.is_empty() {
        wrong.push(format!("lost: {lost:?}"));
    }
    ensure!(wrong.is_empty(), "{}\n{}", wrong.join("\n"), agent.output());
    ended(&mut app)?;
    Ok(format!("{} RPCs", due.len() / 2 + MANY))
}
