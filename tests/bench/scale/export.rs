//! A collector at a distance: every answer takes 100 ms, and spans come as fast as this machine makes requests.

use std::time::{Duration, Instant};

use anyhow::Result;
use strobe_tests::load::{self, Case, Load};

use super::{agent::Agent, outcome::Outcome, service};

const ROUND_TRIP: Duration = Duration::from_millis(100);
const PER_SECOND: u32 = 20_000;
const REQUESTS: usize = 100_000;

pub fn run() -> Result<Outcome> {
    let copies = service::Copies::of("bench")?;
    let file = copies.copy("target")?;
    let (service, address) = service::start(&file, &[])?;
    let args = ["run", "--exe", &file.to_string_lossy()].map(str::to_owned);
    let mut agent = Agent::start(&args, ROUND_TRIP)?;
    agent.traces(1, Duration::from_secs(30))?;
    let requests = Case::HOT[0].requests(service::PATH);
    let mut load = Load::open(address, service::PATH)?;
    agent.begin()?;
    let begin = Instant::now();
    load.run(REQUESTS, &requests)?;
    let rate = REQUESTS as f64 / begin.elapsed().as_secs_f64();
    let due = REQUESTS + load::CONNECTIONS;
    let mut spans = agent.spans(due, Duration::from_secs(30))?;
    let behind = begin.elapsed().as_secs_f64() - REQUESTS as f64 / rate;
    let used = agent.used()?;
    drop(service);
    let (used, late) = agent.finish(used)?;
    spans.extend(late);
    Ok(Outcome {
        target: format!(
            "no span of {PER_SECOND} and more a second lost, all there 3 s after the last request"
        ),
        figure: format!("{rate:.0} spans/s, {} of {due}, the last {behind:.1} s behind", spans.len()),
        met: rate >= f64::from(PER_SECOND) && spans.len() == due && behind < 3.0 && used.losses.is_empty(),
        used,
    })
}
