//! One trace through several services, without a byte written into any of them: three services of three Go versions call one another over
//! HTTP/1.1, HTTP/2 and gRPC, with and without TLS, and each span has to be below its caller's (`tests/apps/chain`).
//!
//! 3,600 chains, 100 of each pair of ways. `STROBE_CHAINS` says how many else; then none may be missing at half of the load, and at all of
//! it no more than one span in 10,000. `scripts/test --full` makes 100,000.

mod chain;
mod hpack;
mod islands;
mod over;
mod own;
mod sdk;
mod thousand;

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use strobe_tests::agent::{strobe, tracing};
use strobe_tests::collector::Collector;
use strobe_tests::golang::go;
use strobe_tests::machine;
use strobe_tests::process::Running;
use strobe_tests::spans::Received;

use chain::{Differences, Service, Versions, compare};
use islands::{FAR, Island, NEAR};

const CHAINS: usize = 3_600;
const CALLERS: usize = 64;
const NAMES: [&str; 3] = ["a", "b", "c"];
const SPANS_OF_A_CHAIN: usize = 4;

fn versions() -> [Versions; 3] {
    [
        Versions { go: go(22), net: "v0.30.0", grpc: "v1.60.0" },
        Versions { go: go(24), net: "v0.44.0", grpc: "v1.69.0" },
        Versions { go: go(27), net: "v0.62.0", grpc: "v1.85.0" },
    ]
}

/// The services' programs, each a file of its own.
fn programs() -> Result<(tempfile::TempDir, Vec<PathBuf>)> {
    machine::require_probes()?;
    let built = versions().iter().map(chain::build).collect::<Result<Vec<_>>>()?;
    let folder = tempfile::tempdir().context("a folder for the test")?;
    let programs = chain::copies(folder.path(), &built, &NAMES)?;
    Ok((folder, programs))
}

/// An agent that traces these programs.
fn agent(collector: &Collector, programs: &[PathBuf], more: &[&str]) -> Result<Running> {
    let mut args = vec!["run"];
    for program in programs {
        args.extend(["--exe", program.to_str().context("path")?]);
    }
    args.extend(more);
    let mut command: Command = strobe(&args)?;
    command
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint())
        .env("OTEL_TRACES_EXPORTER", "otlp")
        .env("OTEL_BSP_MAX_QUEUE_SIZE", "262144")
        .env("OTEL_BSP_SCHEDULE_DELAY", "200");
    Running::start(&mut command)
}

/// What came of a run.
struct Run {
    spans: Vec<Received>,
    said: String,
    rate: u64,
}

/// Three services, the first of which begins the chains at `rate` a second at most (0: all it can).
fn run(programs: &[PathBuf], requests: usize, rate: u64, how: &[&str], own: bool) -> Result<Run> {
    let collector = Collector::start()?;
    let mut agent = agent(&collector, programs, how)?;
    agent.expect_stderr("waiting for a process", 0)?;
    let [a, b, c] = programs else { anyhow::bail!("three programs") };
    let last = Service::start(c, "c", None, &[])?;
    let middle = Service::start(b, "b", None, &[("CHAIN_NEXT", last.places.clone())])?;
    let mut more = vec![
        ("CHAIN_NEXT", middle.places.clone()),
        ("CHAIN_REQUESTS", requests.to_string()),
        ("CHAIN_CALLERS", CALLERS.to_string()),
        ("CHAIN_RATE", rate.to_string()),
    ];
    if own {
        more.push(("CHAIN_OWN", "1".to_owned()));
    }
    let first = Service::start(a, "a", None, &more)?;
    for service in [&first, &middle, &last] {
        agent.expect_stderr(&tracing(service.app.pid()), 0)?;
    }
    first.begin()?;
    let rate = first.done(requests)?;
    collector.wait_for(SPANS_OF_A_CHAIN * requests, Duration::from_secs(10));
    let status = agent.terminate()?;
    ensure!(status.success(), "strobe ended with {status}:\n{}", agent.output());
    for mut service in [first, middle, last] {
        ensure!(service.app.terminate()?.success(), "a service failed:\n{}", service.app.output());
    }
    Ok(Run { spans: collector.take()?, said: agent.output(), rate })
}

/// None wrong, and none missing.
fn exact(differences: &Differences, said: &str) -> Result<()> {
    let none =
        differences.missing.is_empty() && differences.orphans.is_empty() && differences.wrong.is_empty();
    ensure!(none && differences.torn == 0, "{}\n{said}", differences.text());
    Ok(())
}

fn wanted() -> Option<usize> {
    std::env::var("STROBE_CHAINS").ok().and_then(|text| text.parse().ok())
}

#[test]
fn three_services_are_one_trace() -> Result<()> {
    let (_folder, programs) = programs()?;
    let requests = wanted().unwrap_or(CHAINS);
    let whole = run(&programs, requests, 0, &[], false)?;
    let differences = compare(&whole.spans, NAMES, 1, requests, None);
    println!("at {} chains a second: {}", whole.rate, differences.text());
    if wanted().is_none() {
        return exact(&differences, &whole.said);
    }
    ensure!(differences.wrong.is_empty(), "{}\n{}", differences.text(), whole.said);
    let less = differences.missing.len() + differences.orphans.len();
    ensure!(less <= SPANS_OF_A_CHAIN * requests / 10_000, "{}\n{}", differences.text(), whole.said);
    let half = run(&programs, requests, (whole.rate / 2).max(1), &[], false)?;
    let differences = compare(&half.spans, NAMES, 1, requests, None);
    println!("at {} chains a second: {}", half.rate, differences.text());
    exact(&differences, &half.said)
}

#[test]
fn what_the_request_says_itself_counts() -> Result<()> {
    let (_folder, programs) = programs()?;
    let run = run(&programs, 360, 0, &[], true)?;
    exact(&compare(&run.spans, NAMES, 1, 360, Some(chain::own)), &run.said)
}

#[test]
fn switched_off_each_service_has_traces_of_its_own() -> Result<()> {
    let (_folder, programs) = programs()?;
    let run = run(&programs, 360, 0, &["--propagation", "off"], false)?;
    let differences = compare(&run.spans, NAMES, 1, 360, None);
    let [missing, wrong] = [&differences.missing, &differences.wrong].map(|all| all.len());
    ensure!(missing == 0 && wrong == 0, "{}\n{}", differences.text(), run.said);
    ensure!(differences.orphans.len() == 2 * 360 && differences.torn == 360, "{}", differences.text());
    Ok(())
}

/// Connections of both islands have equal addresses at either end, and many of them at the same time.
#[test]
fn islands_with_equal_addresses_are_not_mixed() -> Result<()> {
    const EACH: usize = 1_800;
    let (_folder, programs) = programs()?;
    let collector = Collector::start()?;
    let mut agent = agent(&collector, &programs, &[])?;
    agent.expect_stderr("waiting for a process", 0)?;
    let [a, b, c] = programs.as_slice() else { anyhow::bail!("three programs") };
    let names = [["a1", "b1", "c1"], ["a2", "b2", "c2"]];
    let islands = [Island::new(1)?, Island::new(2)?];
    let mut services = Vec::new();
    for (island, [first, middle, last]) in islands.iter().zip(names) {
        let (near, far) = (Some(island.near.as_str()), Some(island.far.as_str()));
        let host = |host: &str| ("CHAIN_HOST", host.to_owned());
        let last = Service::start(c, last, near, &[host(NEAR)])?;
        let middle = Service::start(b, middle, far, &[host(FAR), ("CHAIN_NEXT", last.places.clone())])?;
        let more = [
            host(NEAR),
            ("CHAIN_NEXT", middle.places.clone()),
            ("CHAIN_REQUESTS", EACH.to_string()),
            ("CHAIN_CALLERS", CALLERS.to_string()),
        ];
        services.push([Service::start(a, first, near, &more)?, middle, last]);
    }
    for service in services.iter().flatten() {
        agent.expect_stderr(&tracing(service.app.pid()), 0)?;
    }
    for [first, ..] in &services {
        first.begin()?;
    }
    for [first, ..] in &services {
        first.done(EACH)?;
    }
    collector.wait_for(2 * SPANS_OF_A_CHAIN * EACH, Duration::from_secs(10));
    ensure!(agent.terminate()?.success(), "{}", agent.output());
    let spans = collector.take()?;
    for names in names {
        exact(&compare(&spans, names, 1, EACH, None), &agent.output())?;
    }
    Ok(())
}

/// The probes of the three come one after the other, while all of them are busy.
#[test]
fn probes_that_come_under_load_bring_nobody_together_wrongly() -> Result<()> {
    const RATE: usize = 400;
    const CHAINS: usize = 4_000;
    let (_folder, programs) = programs()?;
    let collector = Collector::start()?;
    let [a, b, c] = programs.as_slice() else { anyhow::bail!("three programs") };
    let last = Service::start(c, "c", None, &[])?;
    let middle = Service::start(b, "b", None, &[("CHAIN_NEXT", last.places.clone())])?;
    let more = [
        ("CHAIN_NEXT", middle.places.clone()),
        ("CHAIN_REQUESTS", CHAINS.to_string()),
        ("CHAIN_CALLERS", CALLERS.to_string()),
        ("CHAIN_RATE", RATE.to_string()),
    ];
    let first = Service::start(a, "a", None, &more)?;
    let begun = Instant::now();
    first.begin()?;
    let mut agent = agent(&collector, &programs, &[])?;
    for service in [&first, &middle, &last] {
        agent.expect_stderr(&tracing(service.app.pid()), 0)?;
    }
    // A second more: what was under way has ended by then.
    let before = RATE * usize::try_from(begun.elapsed().as_secs() + 2)?;
    ensure!(before < CHAINS - 10 * RATE / 4, "the agent took {:?}", begun.elapsed());
    first.done(CHAINS)?;
    collector.wait_for(SPANS_OF_A_CHAIN * (CHAINS - before), Duration::from_secs(2));
    std::thread::sleep(Duration::from_secs(1));
    ensure!(agent.terminate()?.success(), "{}", agent.output());
    exact(&compare(&collector.take()?, NAMES, before, CHAINS, None), &agent.output())
}
