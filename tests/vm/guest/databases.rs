//! A program that asks databases: its operations, and the requests that they are made for.

use std::process::Command;

use anyhow::{Result, ensure};
use strobe_tests::{
    agent::losses,
    database_sql::{cases, seen::SCOPE},
    golang,
    process::Running,
    stage::{go, listening},
};

use crate::bench::{Bench, PATIENCE};
use crate::endings::{ended, left};

/// How many times as long as on a processor of its own everything may take here.
const SLOW: &str = "50";

/// Every kind of operation, with its parent.
pub fn operations(version: &str) -> Result<String> {
    let bench = Bench::of("databasesql", version)?;
    let mut app = Running::start(Command::new(&bench.app).args(["-slow", SLOW]))?;
    let address = listening(&app)?;
    let mut agent = bench.trace_pid(&app)?;
    go(&app, address, PATIENCE)?;
    bench.collector.wait_for(cases::due_count(), PATIENCE);
    left(&mut agent)?;
    let spans = bench.collector.take()?;
    let mut wrong = cases::compare(golang::minor(version), &spans);
    let lost = losses(&agent);
    if !lost.is_empty() {
        wrong.push(format!("lost: {lost:?}"));
    }
    ensure!(wrong.is_empty(), "{}\n{}", wrong.join("\n"), agent.output());
    ended(&mut app)?;
    let operations = spans.iter().filter(|span| span.scope == SCOPE).count();
    Ok(format!("{operations} operations"))
}
