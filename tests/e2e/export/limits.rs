//! Requests that are too large, collectors that are slow or drop connections: no span is lost that could be kept.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use strobe_tests::collector::Collector;
use strobe_tests::process::PATIENCE;

use super::ports::Port;
use super::stage::{self, Stage};

#[test]
fn a_413_halves_the_request_and_loses_nothing() -> Result<()> {
    let stage = Stage::new()?;
    let service = stage.service(&[])?;
    let collector = Collector::start()?;
    collector.answer_with([413, 413, 413]);
    let mut agent = stage::traced(&service, &collector.endpoint(), &[("OTEL_BSP_SCHEDULE_DELAY", "1000")])?;
    stage::request(service.http, "/", 40)?;
    let got = collector.wait_for(40, PATIENCE);
    stage::end(&mut agent)?;
    ensure!(got == 40 && collector.take()?.len() == 40, "{got} of 40:\n{}", agent.output());
    ensure!(agent.stderr.text().contains("requests too large and halved"), "{}", agent.output());
    Ok(())
}

#[test]
fn a_single_span_that_is_too_large_is_dropped_and_counted() -> Result<()> {
    let stage = Stage::new()?;
    let service = stage.service(&[])?;
    let collector = Collector::start()?;
    collector.answer_with([413]);
    let mut agent = stage::traced(&service, &collector.endpoint(), &[])?;
    stage::request(service.http, "/", 1)?;
    agent.expect_stderr("it finds a single span too large", 0)?;
    stage::request(service.http, "/", 1)?;
    let got = collector.wait_for(1, PATIENCE);
    stage::end(&mut agent)?;
    ensure!(got == 1, "{}", agent.output());
    ensure!(agent.stderr.text().contains("1 dropped: too large for the collector"), "{}", agent.output());
    Ok(())
}

/// 2,000 requests a second. With one export request of 512 spans at a time, 400 ms each, the queue would fill. (More spans a
/// second are the unit test's: here they would fill the kernel's ring on a machine that is busy with other tests.)
#[test]
fn a_slow_collector_at_load_loses_nothing() -> Result<()> {
    const REQUESTS: usize = 12_000;
    const AT_ONCE: usize = 60;
    const PACE: Duration = Duration::from_millis(30);
    let stage = Stage::new()?;
    let service = stage.service(&[])?;
    let collector = Collector::start()?;
    collector.answer_after(Duration::from_millis(400));
    let mut agent = stage::traced(&service, &collector.endpoint(), &[])?;
    let begin = Instant::now();
    for _ in 0..REQUESTS / AT_ONCE {
        let next = Instant::now() + PACE;
        stage::request(service.http, "/", AT_ONCE)?;
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    let took = begin.elapsed();
    let got = collector.wait_for(REQUESTS, PATIENCE);
    stage::end(&mut agent)?;
    eprintln!("{got} spans of {REQUESTS} requests in {took:.1?}");
    ensure!(got == REQUESTS, "{got} of {REQUESTS}:\n{}", agent.output());
    Ok(())
}

#[test]
fn a_collector_that_resets_connections_is_said_and_its_spans_are_kept() -> Result<()> {
    let stage = Stage::new()?;
    let service = stage.service(&[])?;
    let mut agent = stage::traced(&service, &Port::Reset.open()?, &[])?;
    stage::request(service.http, "/", 2)?;
    let line = agent.expect_stderr("closed the connection without an answer", 0)?;
    ensure!(line.contains("spans are kept and sent again"), "{line}");
    stage::end(&mut agent)?;
    ensure!(agent.stderr.text().contains("2 dropped: not sent at the end"), "{}", agent.output());
    Ok(())
}
