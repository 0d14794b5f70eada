//! Programs that send a trace context of their own, where the kernel lets probes write: one with OpenTelemetry's SDK, and a thousand requests of
//! 40 headers, of which some have their own context, and some no room for another. One agent for both.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use strobe_tests::{
    http_client::carried::{check_counted, shown},
    process::Running,
    propagation::{
        sdk::{OVER_GRPC, OVER_HTTP, SPANS, Said},
        thousand::{self, Due, REQUESTS},
    },
    recorder::Recorder,
    stage::{go, listening},
};

use crate::bench::{Bench, PATIENCE, ended, install, left_without_loss, tracing};
use crate::features::writes_from_probes;

/// How many of the requests that are wrong are shown.
const SHOWN: usize = 4;

/// What arrives is what the programs send, and the agent's context where they send none.
pub fn contexts(version: &str) -> Result<String> {
    let bench = Bench::of("carries", version)?;
    let sdk = bench.app.with_file_name("sdk");
    install(version, &sdk)?;
    let (of_sdk, of_thousand) = (Recorder::start()?, Recorder::start()?);
    let mut agent = agent(&bench, &sdk)?;
    let mut with_sdk = Running::start(Command::new(&sdk).env("RECORDER", of_sdk.address().to_string()))?;
    let server = of_thousand.address().to_string();
    let mut thousand = Running::start(Command::new(&bench.app).args([&server, "thousand"]))?;
    for nth in 0..2 {
        tracing(&agent, nth)?;
    }
    for app in [&with_sdk, &thousand] {
        go(app, listening(app)?, PATIENCE)?;
    }
    // And those of the two requests for /go.
    bench.collector.wait_for(SPANS + REQUESTS + 2, PATIENCE);
    let log = left_without_loss(&mut agent)?;
    let (spans, written) = (bench.collector.take()?, writes_from_probes());
    let mut wrong = Said::by(&with_sdk)?.wrong(of_sdk.address(), of_sdk.take(), &spans);
    wrong.truncate(SHOWN);
    let of_all = thousand::wrong(of_thousand.address(), of_thousand.take(), &spans, written);
    wrong.extend(of_all.into_iter().take(SHOWN));
    ensure!(wrong.is_empty(), "{}\n{}", wrong.join("\n"), shown(&log));
    let due = Due::of(of_thousand.address());
    if written {
        check_counted(
            &log,
            &[
                ("net_http_client.context.written", due.carrying),
                ("net_http_client.context.own", due.own + OVER_HTTP),
                ("net_http_client.context.no_room", due.no_room),
                ("net_http_client.context.unreadable", 0),
                ("grpc_client.context.own", OVER_GRPC),
                ("grpc_client.context.written", 0),
            ],
        )?;
    }
    for app in [&mut with_sdk, &mut thousand] {
        ended(app)?;
    }
    Ok(format!("{OVER_HTTP} requests of an SDK, and {}; contexts written: {written}", due.text()))
}

/// An agent that traces both files, and writes where it may.
fn agent(bench: &Bench, sdk: &Path) -> Result<Running> {
    let files = [bench.app.as_path(), sdk].map(|file| file.to_str().context("a path"));
    let [carries, sdk] = files;
    let mut command = bench.strobe(&["run", "--exe", carries?, "--exe", sdk?]);
    command
        .env("OTEL_BSP_MAX_QUEUE_SIZE", "65536")
        .env("OTEL_LOG_LEVEL", "debug")
        .env("STROBE_PROPAGATION", "write");
    let agent = Running::start(&mut command)?;
    let waits = agent.stderr.wait_for("waiting for a process", 0, PATIENCE);
    waits.with_context(|| format!("strobe never waited for processes:\n{}", agent.output()))?;
    Ok(agent)
}
