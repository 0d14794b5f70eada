//! A file that ends and starts once a second, beside a process that serves 5,000 requests a second.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use anyhow::Result;
use strobe_tests::{
    load::{self, Case, Load},
    process::Running,
};

use super::{agent::Agent, outcome::Outcome, service};

const STARTS: u32 = 12;
const PER_SECOND: usize = 5_000;

pub fn run() -> Result<Outcome> {
    let copies = service::Copies::of("bench")?;
    let crashing = service::Copies::of("httpserver")?;
    let (busy, looping) = (copies.copy("busy")?, crashing.copy("looping")?);
    let (service, address) = service::start(&busy, &[])?;
    let mut agent = Agent::of_files(&[&busy, &looping])?;
    agent.traces(1, Duration::from_secs(30))?;
    let requests = Case::HOT[0].requests(service::PATH);
    let mut load = Load::open(address, service::PATH)?;
    agent.begin()?;
    let begin = Instant::now();
    let mut loops: Vec<Running> = Vec::new();
    let mut sent = 0;
    for _ in 0..STARTS {
        // It lives for a moment: long enough to be planned and attached.
        loops.push(Running::start(Command::new("timeout").arg("0.5").arg(&looping))?);
        sent += load.run_paced(PER_SECOND, Duration::from_secs(1), &requests)?;
    }
    let rate = sent as f64 / begin.elapsed().as_secs_f64();
    let due = sent + load::CONNECTIONS;
    let mut spans = agent.spans(due, Duration::from_secs(20))?;
    let used = agent.used()?;
    drop(loops);
    drop(service);
    let traced = agent.running.stderr.all().iter().filter(|line| line.contains("tracing pid")).count();
    let (used, late) = agent.finish(used)?;
    spans.extend(late);
    Ok(Outcome {
        target: format!("no span of {PER_SECOND} requests/s lost, every start traced"),
        figure: format!(
            "{rate:.0} requests/s, {} spans of {due}; {} of {STARTS} starts traced",
            spans.len(),
            traced.saturating_sub(1)
        ),
        met: spans.len() == due
            && traced > STARTS as usize
            && rate >= 0.9 * PER_SECOND as f64
            && used.losses.is_empty(),
        used,
    })
}
