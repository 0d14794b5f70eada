//! SIGTERM while requests pour in: draining goes in slices, so that the signal is seen at once, and what was recorded is
//! still exported.

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use strobe_tests::load::{Case, Load};

use super::{agent::Agent, agent::tail, outcome::Outcome, service};

const LIMIT: Duration = Duration::from_secs(2);

pub fn run() -> Result<Outcome> {
    let copies = service::Copies::of("bench")?;
    let file = copies.copy("target")?;
    let (service, address) = service::start(&file, &[])?;
    let mut agent = Agent::of_files(&[&file])?;
    agent.traces(1, Duration::from_secs(30))?;
    agent.begin()?;
    let (stop, sent) = (AtomicBool::new(false), AtomicUsize::new(0));
    let requests = Case::HOT[0].requests(service::PATH);
    let mut load = Load::open(address, service::PATH)?;
    let (took, used) = std::thread::scope(|scope| -> Result<_> {
        let pouring = scope.spawn(|| -> Result<()> {
            let end = Instant::now() + Duration::from_secs(30);
            while !stop.load(Ordering::Relaxed) && Instant::now() < end {
                load.run(200, &requests)?;
                sent.fetch_add(200, Ordering::Relaxed);
            }
            Ok(())
        });
        std::thread::sleep(Duration::from_secs(3));
        let used = agent.used();
        let begin = Instant::now();
        let status = agent.running.terminate();
        let took = begin.elapsed();
        stop.store(true, Ordering::Relaxed);
        match pouring.join() {
            Ok(result) => result?,
            Err(_) => anyhow::bail!("the load panicked"),
        }
        let status = status?;
        ensure!(status.success(), "the agent ended with {status}:\n{}", tail(&agent.running));
        Ok((took, used?))
    })?;
    let spans = agent.collector.take()?.len();
    drop(service);
    Ok(Outcome {
        target: format!("ended within {} s", LIMIT.as_secs()),
        figure: format!(
            "ended after {:.2} s; {spans} spans of {} requests, those after the signal included",
            took.as_secs_f64(),
            sent.load(Ordering::Relaxed)
        ),
        met: took <= LIMIT && spans > 0,
        used,
    })
}
