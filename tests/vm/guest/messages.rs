//! Many messages over one way to carry them, under an agent that writes the trace context into them (`tests/apps/messages`): what arrives is what
//! was sent, and at most the context.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use strobe_tests::{
    agent::losses,
    http_client::carried::shown,
    process::Running,
    stage::{go, listening},
};

use crate::bench::{Bench, PATIENCE, tracing};
use crate::boot::said;
use crate::chain::{NO_ROOM, OWN, WRITTEN, counted_by};
use crate::features::writes_from_probes;
use crate::own_tests::stay_alive;

/// How long the slowest machine may need for all of them.
const LONGEST: Duration = Duration::from_secs(7_000);

/// All arrive as they were sent.
pub fn arrive(way: &str) -> Result<String> {
    let bench = Bench::of("messages", "1.27")?;
    let messages: u64 = said("strobe_messages=")?.parse().context("a number of messages")?;
    let mut command = Command::new(&bench.app);
    let mut app = Running::start(command.arg(way).env("MESSAGES", messages.to_string()))?;
    let address = listening(&app)?;
    let mut command = bench.strobe(&["run", "--pid", &app.pid().to_string()]);
    // One in a hundred is recorded: the others' contexts travel, too.
    command
        .env("OTEL_LOG_LEVEL", "debug")
        .env("STROBE_PROPAGATION", "write")
        .env("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
        .env("OTEL_TRACES_SAMPLER_ARG", "0.01");
    let mut agent = Running::start(&mut command)?;
    tracing(&agent, 0)?;
    stay_alive();
    go(&app, address, LONGEST)?;
    agent.signal(libc::SIGTERM)?;
    let status = agent.wait(PATIENCE)?;
    let log = agent.output();
    ensure!(status.success(), "strobe ended with {status}:\n{log}");
    let lost = losses(&agent);
    ensure!(lost.is_empty(), "lost {lost:?}:\n{}", shown(&log));
    let line = app.stdout.wait_for("done ", 0, PATIENCE).context("what it counted")?;
    let numbers: Vec<u64> = line.split([' ', ',']).filter_map(|word| word.parse().ok()).collect();
    let [sent, carried, own, none, wrong] = numbers.as_slice() else { anyhow::bail!("{line}") };
    ensure!(*sent == messages && *wrong == 0, "{}\n{}", app.stdout.text(), shown(&log));
    ensure!(carried + own + none == messages && *own == messages / 8, "{line}");
    // What the agent has counted is what has arrived.
    let logs = [log];
    let [by_agent, own_by_agent, no_room] = [WRITTEN, OWN, NO_ROOM].map(|names| counted_by(&logs, names));
    let is_right = if writes_from_probes() {
        [by_agent, own_by_agent, no_room] == [*carried, *own, *none] && *carried > 0
    } else {
        *carried == 0
    };
    ensure!(
        is_right,
        "{line}, but the agent counted {by_agent}, {own_by_agent}, {no_room}:\n{}",
        shown(&logs[0])
    );
    app.signal(libc::SIGTERM)?;
    ensure!(app.wait(PATIENCE)?.success(), "the program ended badly:\n{}", app.output());
    Ok(line.trim_start_matches("done ").to_owned())
}
