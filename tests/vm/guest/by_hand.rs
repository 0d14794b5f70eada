//! A program that makes spans by hand, in requests that it makes to itself, and passes trace contexts on: with the API's tracers, where the
//! kernel lets probes write, so that it knows its spans' ids; otherwise those are left alone, and the Auto SDK's own are traced. And the same
//! with an API that has no Auto SDK, whose spans are seen as the program says them, whatever the kernel lets probes write.

use std::process::Command;

use anyhow::{Result, ensure};
use strobe_tests::{
    agent::{HANDED, losses},
    auto_sdk::cases::{self, Run},
    process::Running,
    stage::{go, listening},
};

use crate::bench::{Bench, PATIENCE};
use crate::features::writes_from_probes;

/// The program with the older API.
const OLDER: &str = "older";

/// Every kind of span, with its parent.
pub fn spans(version: &str) -> Result<String> {
    let told = writes_from_probes();
    let tracers: &[&str] = if told { &["global", "context", "sdk"] } else { &["sdk"] };
    for tracer in tracers {
        run("autosdk", version, tracer, told)?;
    }
    run(OLDER, version, "global", false)?;
    Ok(format!(
        "{} spans each of {tracers:?}, {} their ids; {} with an older API",
        cases::SPANS,
        if told { "with" } else { "without" },
        cases::SPANS_OF_OLDER,
    ))
}

fn run(program: &str, version: &str, tracer: &str, told: bool) -> Result<()> {
    let is_older = program == OLDER;
    let spans = if is_older { cases::SPANS_OF_OLDER } else { cases::SPANS };
    let bench = Bench::of(program, version)?;
    let mut app = Running::start(Command::new(&bench.app).env("TRACER", tracer))?;
    let address = listening(&app)?;
    let mut agent = bench.trace_pid(&app)?;
    if told {
        agent.expect_stderr(HANDED, 0)?;
    }
    go(&app, address, PATIENCE)?;
    bench.collector.wait_for(spans, PATIENCE);
    app.signal(libc::SIGTERM)?;
    ensure!(app.wait(PATIENCE)?.success(), "{tracer}: the program ended badly:\n{}", app.output());
    let status = agent.wait(PATIENCE)?;
    ensure!(status.success(), "{tracer}: strobe ended with {status}:\n{}", agent.output());
    let run = Run { output: &app.stdout.text(), told, passes_on: !is_older, is_older };
    let wrong = cases::wrong(&bench.collector.take()?, &losses(&agent), run);
    ensure!(wrong.is_empty(), "{tracer}: {}\n{}", wrong.join("\n"), agent.output());
    ensure!(told || !agent.output().contains(HANDED), "{tracer}: it was not left alone:\n{}", agent.output());
    Ok(())
}
