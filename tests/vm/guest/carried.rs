//! The trace context in requests over HTTP/1.x, where the kernel lets probes write.

use std::process::Command;

use anyhow::{Result, ensure};
use strobe_tests::{
    agent::losses,
    http_client::carried::{ByPath, SPANS, by_path, check_counters, shown, wrong},
    process::Running,
    recorder::Recorder,
    stage::{go, listening},
};

use crate::bench::{Bench, PATIENCE, ended, left, tracing};
use crate::features::writes_from_probes;

/// What arrives is what the program sends, and the context, under an agent for each of these samplers (the one by ratio records half of the spans).
pub fn contexts(version: &str, samplers: &[&str]) -> Result<String> {
    let bench = Bench::of("carries", version)?;
    let recorder = Recorder::start()?;
    let (before, _) = sent(&bench, &recorder, None)?;
    let written = writes_from_probes();
    for &sampler in samplers {
        let is_all = sampler == "parentbased_always_on";
        let (after, log) = sent(&bench, &recorder, Some(sampler))?;
        let wrong = wrong(&before, &after, &bench.collector.take()?, written, is_all);
        ensure!(wrong.is_empty(), "{sampler}: {}\n{}", wrong.join("\n"), shown(&log));
        if written {
            check_counters(&log)?;
        }
    }
    Ok(format!("{SPANS} spans, contexts written: {written}"))
}

/// Runs all cases, under an agent with that sampler if there is one; what has arrived, and the agent's log.
fn sent(bench: &Bench, recorder: &Recorder, sampler: Option<&str>) -> Result<(ByPath, String)> {
    let mut app = Running::start(Command::new(&bench.app).arg(recorder.address().to_string()))?;
    let address = listening(&app)?;
    let agent = sampler.map(|sampler| {
        let mut command = bench.strobe(&["run", "--pid", &app.pid().to_string()]);
        command
            .env("OTEL_TRACES_SAMPLER", sampler)
            .env("OTEL_TRACES_SAMPLER_ARG", if sampler.ends_with("ratio") { "0.5" } else { "1" })
            .env("OTEL_LOG_LEVEL", "debug")
            .env("STROBE_PROPAGATION", "write");
        let agent = Running::start(&mut command)?;
        tracing(&agent, 0)?;
        anyhow::Ok(agent)
    });
    let agent = agent.transpose()?;
    go(&app, address, PATIENCE)?;
    if sampler == Some("parentbased_always_on") {
        // And the one of the request for /go.
        bench.collector.wait_for(SPANS + 1, PATIENCE);
    }
    let mut log = String::new();
    if let Some(mut agent) = agent {
        log = left(&mut agent)?;
        let mut lost = losses(&agent);
        // The name of the error's type, of the request that is sent again: it lies where the program itself never looks, and a page of its file
        // that nobody has looked at is not there for a probe.
        if lost.get("reads.failed") == Some(&1) {
            lost.remove("reads.failed");
        }
        ensure!(lost.is_empty(), "{sampler:?}: lost {lost:?}:\n{}", shown(&log));
    }
    ended(&mut app)?;
    Ok((by_path(recorder.take()), log))
}
