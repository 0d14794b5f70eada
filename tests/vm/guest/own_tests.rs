//! The tests that Go and gRPC have of their own, under an agent that writes the trace context into what their clients send: what passes
//! without it passes with it, but for those that hold all that a client sends against a text of their own.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use strobe_tests::gotest::{
    suite::{Package, Suite},
    verdicts::Runs,
};

use crate::bench::STROBE;
use crate::features::writes_from_probes;

/// Tests that know all bytes, or all headers, of what their client sends, and fail when there is one header more, whoever has added it: in
/// net/http of Go 1.27.4. They have to pass under an agent that writes none.
const HOLD_ALL: [&str; 3] =
    ["TestClientCopyHeadersOnRedirect", "TestRetryRequestsOnError", "TestTransportFlushesBodyChunks"];
/// How often they are run without the agent, and how often once more where a result was another with it.
const RUNS: usize = 2;
const MORE: usize = 2;
/// How long a run may take on emulated processors.
const PATIENCE: Duration = Duration::from_secs(1_500);
/// How often the console hears that the machine is alive.
const SIGN_OF_LIFE: Duration = Duration::from_secs(60);
/// Contexts that are written at least, or else what is compared is too little to be called that.
const WRITTEN: u64 = 100;

/// Their results are the same.
pub fn are_unchanged(name: &str, package: Package) -> Result<String> {
    let source = fs::read_to_string(format!("/own-tests/{name}.source")).context("where its source is")?;
    let program = PathBuf::from(format!("/own-tests/{name}"));
    let suite =
        Suite { package, program, root: PathBuf::from("/go"), source: source.into(), patience: PATIENCE };
    stay_alive();
    let mut without = Runs::default();
    for _ in 0..RUNS {
        without.add(suite.run()?.verdicts);
    }
    let traced = suite.run_traced(agent("write"))?;
    let verdicts = &traced.run.verdicts;
    for _ in 0..MORE {
        if without.others(verdicts).iter().all(|other| holds_all(other)) {
            break;
        }
        without.add(suite.run()?.verdicts);
    }
    let (see_it, others): (Vec<_>, Vec<_>) =
        without.others(verdicts).into_iter().partition(|other| holds_all(other));
    if !see_it.is_empty() {
        // It is the header that they see, and nothing else of the agent.
        let silent = suite.run_traced(agent("correlate"))?;
        let mut differing = without.others(&silent.run.verdicts);
        differing.retain(|other| holds_all(other));
        ensure!(
            differing.is_empty(),
            "other results under an agent that writes nothing: {differing:?}\n{}",
            silent.log
        );
    }
    ensure!(others.is_empty(), "other results under the agent: {others:?}\n{}", traced.log);
    let written = written(&traced.log);
    ensure!(written >= WRITTEN || !writes_from_probes(), "only {written} contexts were written");
    let (unstable, tests) = (without.unstable().len(), verdicts.len());
    ensure!(unstable * 10 <= tests, "{unstable} of {tests} tests are not the same without the agent");
    Ok(format!(
        "{tests} tests, {unstable} of them not the same without the agent; {} spans, contexts written: {written}; {} fail for the header alone",
        traced.all,
        see_it.len()
    ))
}

/// An agent that passes trace contexts on in this way.
fn agent(propagation: &str) -> Command {
    let mut agent = Command::new(STROBE);
    agent.env("OTEL_LOG_LEVEL", "debug").env("STROBE_PROPAGATION", propagation);
    agent
}

/// Whether `NAME: VERDICT` is of one of [`HOLD_ALL`], or of a part of one.
fn holds_all(other: &str) -> bool {
    let name = other.split([':', '/']).next().unwrap_or_default();
    HOLD_ALL.contains(&name)
}

/// What the agent counted when it left.
fn written(log: &str) -> u64 {
    let last = log.lines().rev().find(|line| line.contains("counters: [")).unwrap_or_default();
    let of = |counted: &str| -> Option<u64> {
        let (_, value) = counted.split_once(".context.written\", value: ")?;
        value.split(',').next()?.parse().ok()
    };
    last.split("Counted").filter_map(of).sum()
}

/// A machine of which nothing is heard is taken for dead: from now on something is, until this process ends.
pub fn stay_alive() {
    std::thread::spawn(|| {
        let Ok(mut console) = File::create("/dev/console") else { return };
        // Where the console is gone nobody is there who could hear of it.
        while writeln!(console, "\nstill running").is_ok() {
            std::thread::sleep(SIGN_OF_LIFE);
        }
    });
}
