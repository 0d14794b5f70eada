//! A process with 5,000 threads: attaching and tracing must not grow with their number.

use std::time::{Duration, Instant};

use anyhow::Result;
use strobe_tests::load::{self, Case, Load};

use super::{agent::Agent, outcome::Outcome, service};

const THREADS: &str = "5000";
const REQUESTS: usize = 20_000;

pub fn run() -> Result<Outcome> {
    let copies = service::Copies::of("bench")?;
    let file = copies.copy("target")?;
    let (service, address) = service::start(&file, &["-threads", THREADS])?;
    let begin = Instant::now();
    let mut agent = Agent::of_files(&[&file])?;
    agent.traces(1, Duration::from_secs(60))?;
    let attached = begin.elapsed();
    let requests = Case::HOT[0].requests(service::PATH);
    let mut load = Load::open(address, service::PATH)?;
    agent.begin()?;
    load.run(REQUESTS, &requests)?;
    let due = REQUESTS + load::CONNECTIONS;
    let mut spans = agent.spans(due, Duration::from_secs(20))?;
    let used = agent.used()?;
    drop(service);
    let (used, late) = agent.finish(used)?;
    spans.extend(late);
    Ok(Outcome {
        target: "traced within 5 s of the agent's start, every span there".to_owned(),
        figure: format!(
            "traced after {:.1} s; {} spans of {due}, {:.1} µs of the agent each",
            attached.as_secs_f64(),
            spans.len(),
            used.cpu.as_secs_f64() * 1e6 / due as f64
        ),
        met: attached < Duration::from_secs(5) && spans.len() == due && used.losses.is_empty(),
        used,
    })
}
