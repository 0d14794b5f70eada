//! An agent that is behind: it is stopped for a moment again and again while requests come in, so that the ring fills beyond
//! half. A wake-up is due at the crossing, not with every record that follows.

use std::time::Duration;

use anyhow::{Context as _, Result};
use strobe_tests::load::{self, Case, Load};

use super::{agent::Agent, outcome::Outcome, service};

/// Shorter than what makes the watchdog detach.
const STOPPED: Duration = Duration::from_millis(400);
const TIMES: usize = 8;
/// What the ring has room for meanwhile, and more than its half: 4 MiB, of which a request takes 1.8 KiB.
const PER_SECOND: usize = 4_000;

pub fn run() -> Result<Outcome> {
    let copies = service::Copies::of("bench")?;
    let file = copies.copy("target")?;
    let (service, address) = service::start(&file, &[])?;
    let mut agent = Agent::of_files(&[&file])?;
    agent.traces(1, Duration::from_secs(30))?;
    let requests = Case::HOT[0].requests(service::PATH);
    let mut load = Load::open(address, service::PATH)?;
    agent.begin()?;
    let woken = switches(agent.running.pid())?;
    let mut sent = 0;
    for _ in 0..TIMES {
        agent.running.signal(libc::SIGSTOP)?;
        sent += load.run_paced(PER_SECOND, STOPPED, &requests)?;
        agent.running.signal(libc::SIGCONT)?;
        // The same again while it catches up.
        sent += load.run_paced(PER_SECOND, STOPPED, &requests)?;
    }
    let woken = switches(agent.running.pid())? - woken;
    let due = sent + load::CONNECTIONS;
    let mut spans = agent.spans(due, Duration::from_secs(20))?;
    let used = agent.used()?;
    drop(service);
    let (used, late) = agent.finish(used)?;
    spans.extend(late);
    let per_thousand = woken as f64 * 1e3 / due as f64;
    Ok(Outcome {
        target: format!(
            "stopped {TIMES} times for {} ms at {PER_SECOND} requests/s: nothing lost, under 20 wake-ups in 1,000 spans",
            STOPPED.as_millis()
        ),
        figure: format!("{} spans of {due}, {per_thousand:.1} wake-ups in 1,000", spans.len()),
        met: spans.len() == due && per_thousand < 20.0 && used.losses.is_empty(),
        used,
    })
}

/// How often the process's threads went to sleep and were woken again.
fn switches(pid: u32) -> Result<u64> {
    let mut sum = 0;
    for task in std::fs::read_dir(format!("/proc/{pid}/task")).context("the agent's threads")? {
        // A thread may end between the listing and the reading.
        let Ok(text) = std::fs::read_to_string(task?.path().join("status")) else { continue };
        let line = text.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        sum += line.context("no voluntary_ctxt_switches")?.trim().parse::<u64>()?;
    }
    Ok(sum)
}
