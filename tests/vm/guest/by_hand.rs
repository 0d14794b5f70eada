//! A program that makes spans by hand, in requests that it makes to itself, and passes trace contexts on: with the API's tracers, where the
//! kernel lets probes write, so that it knows its spans' ids; otherwise those are left alone, and the Auto SDK's own are traced. And the same
//! with an API that has no Auto SDK, whose spans are seen as the program says them, whatever the kernel lets probes write. One agent for all, one program
//! after the other: to have the verifier accept everything takes longer here than what the programs do.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use strobe_tests::{
    agent::{HANDED, losses},
    auto_sdk::cases::{self, Run},
    process::Running,
    stage::{go, listening},
};

use crate::bench::{Bench, PATIENCE, ended, install, left, tracing};
use crate::features::writes_from_probes;

/// The program with the older API.
const OLDER: &str = "older";

/// Every kind of span, with its parent.
pub fn spans(version: &str) -> Result<String> {
    let told = writes_from_probes();
    let tracers: &[&str] = if told { &["global", "context", "sdk"] } else { &["sdk"] };
    let bench = Bench::of("autosdk", version)?;
    let older = bench.app.with_file_name(OLDER);
    install(version, &older)?;
    let [newer, of_older] = [&bench.app, &older].map(|file| file.to_str().context("a program's path"));
    let mut agent = Running::start(&mut bench.strobe(&["run", "--exe", newer?, "--exe", of_older?]))?;
    let mut runs = tracers.iter().map(|tracer| (&bench.app, *tracer)).collect::<Vec<_>>();
    runs.push((&older, "global"));
    for (nth, (file, tracer)) in runs.iter().enumerate() {
        let is_older = *file == &older;
        let mut app = Running::start(Command::new(file).env("TRACER", tracer))?;
        let address = listening(&app)?;
        tracing(&agent, nth)?;
        if told && !is_older {
            agent.expect_stderr(HANDED, nth)?;
        }
        go(&app, address, PATIENCE)?;
        bench.collector.wait_for(if is_older { cases::SPANS_OF_OLDER } else { cases::SPANS }, PATIENCE);
        ended(&mut app)?;
        let run = Run { output: &app.stdout.text(), told: told && !is_older, passes_on: !is_older, is_older };
        let wrong = cases::wrong(&bench.collector.take()?, run);
        ensure!(wrong.is_empty(), "{tracer} of {file:?}: {}\n{}", wrong.join("\n"), agent.output());
    }
    let log = left(&mut agent)?;
    let late = bench.collector.take()?;
    ensure!(late.is_empty(), "spans that came late, or twice: {late:#?}\n{log}");
    let miscounted = cases::miscounted(&losses(&agent), runs.len() as u64, 1);
    ensure!(miscounted.is_none(), "{miscounted:?}\n{log}");
    let handed = log.matches(HANDED).count();
    ensure!(handed == if told { tracers.len() } else { 0 }, "{handed} programs were told:\n{log}");
    Ok(format!(
        "{} spans each of {tracers:?}, {} their ids; {} with an older API",
        cases::SPANS,
        if told { "with" } else { "without" },
        cases::SPANS_OF_OLDER,
    ))
}
