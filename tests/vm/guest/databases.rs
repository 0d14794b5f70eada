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

use crate::bench::{Bench, PATIENCE, ended, left, tracing};

/// How many times as long as on a processor of its own everything may take here.
const SLOW: &str = "50";

/// Queries that are tried three times. Where arm64 sent a preempted goroutine back over a site, one in a thousand had two spans.
const RETRIED: usize = 10_000;

/// Every kind of operation, with its parent; and many that are tried again.
pub fn operations(version: &str) -> Result<String> {
    let bench = Bench::of("databasesql", version)?;
    let mut agent = bench.trace_exe()?;
    let mut app = Running::start(Command::new(&bench.app).args(["-slow", SLOW]))?;
    let address = listening(&app)?;
    tracing(&agent, 0)?;
    go(&app, address, PATIENCE)?;
    bench.collector.wait_for(cases::due_count(), PATIENCE);
    ended(&mut app)?;
    let mut app = Running::start(Command::new(&bench.app).env("SQL_RETRIED", RETRIED.to_string()))?;
    let address = listening(&app)?;
    tracing(&agent, 1)?;
    go(&app, address, PATIENCE)?;
    bench.collector.wait_for(cases::due_count() + RETRIED + 1, PATIENCE);
    left(&mut agent)?;
    ended(&mut app)?;
    let (retried, spans): (Vec<_>, Vec<_>) = bench.collector.take()?.into_iter().partition(|span| {
        span.span.name.starts_with("SELECT badtwice_") && !span.span.name.ends_with("_query")
    });
    let failed = retried.iter().filter(|span| span.attributes.contains_key("error.type")).count();
    let mut wrong = cases::compare(golang::minor(version), &spans);
    let lost = losses(&agent);
    if !lost.is_empty() {
        wrong.push(format!("lost: {lost:?}"));
    }
    if retried.len() != RETRIED || failed > 0 {
        wrong.push(format!(
            "{} spans of {RETRIED} queries that are tried again, {failed} of which failed",
            retried.len()
        ));
    }
    ensure!(wrong.is_empty(), "{}\n{}", wrong.join("\n"), agent.output());
    let operations = spans.iter().filter(|span| span.scope == SCOPE).count();
    Ok(format!("{operations} operations, and {RETRIED} that are tried again"))
}
