//! A program that makes spans by hand, in requests that it makes to itself.

use std::process::Command;

use anyhow::{Result, ensure};
use strobe_tests::{
    agent::losses,
    auto_sdk::cases,
    process::Running,
    stage::{go, listening},
};

use crate::bench::{Bench, PATIENCE};

/// Every kind of span, with its parent.
pub fn spans(version: &str) -> Result<String> {
    let bench = Bench::of("autosdk", version)?;
    let mut app = Running::start(&mut Command::new(&bench.app))?;
    let address = listening(&app)?;
    let mut agent = bench.trace_pid(&app)?;
    go(&app, address, PATIENCE)?;
    bench.collector.wait_for(cases::SPANS, PATIENCE);
    app.signal(libc::SIGTERM)?;
    ensure!(app.wait(PATIENCE)?.success(), "the program ended badly:\n{}", app.output());
    let status = agent.wait(PATIENCE)?;
    ensure!(status.success(), "strobe ended with {status}:\n{}", agent.output());
    let wrong = cases::wrong(&bench.collector.take()?, &losses(&agent));
    ensure!(wrong.is_empty(), "{}\n{}", wrong.join("\n"), agent.output());
    Ok(format!("{} spans", cases::SPANS))
}
