//! Routes that another library than the server has found: routers in place of net/http's ServeMux, below it and below one another.

use std::fs;

use anyhow::{Context, Result, ensure};
use strobe_tests::agent::{Service, tracing};
use strobe_tests::golang::go;
use strobe_tests::process::PATIENCE;
use strobe_tests::spans::Expected;

use super::drive::{drive, pipelined};
use super::exchange::Exchange;
use super::harness::{self, Bench};
use super::http2;
use super::routers::{build, cloned, exchanges, own_of_gin};

/// What the agent says when it has attached what was missed.
const MISSED: &str = "net/http.servemux: attached";

const HOST: &str = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };

fn traced(version: &'static str, gin: &str, fields_only: bool) -> Result<()> {
    let bench = Bench::of(version, || build(version, gin, HOST))?;
    let bench = if fields_only { bench.fields_only() } else { bench };
    let mut service = bench.service()?;
    let mut agent = bench.trace_pid(&service)?;
    // Up to v1.9 the place is behind the look-up, which says nothing of the request.
    let own = if gin == "v1.8.1" { Vec::new() } else { own_of_gin() };
    let exchanges = || [exchanges(), own.clone()].concat();
    let rounds: Vec<_> = (0..5).flat_map(|_| exchanges()).collect();
    let mut due: Vec<Expected> = drive(service.http, rounds.clone(), 1).context("one connection")?;
    due.extend(drive(service.http, rounds, 8).context("many connections")?);
    due.extend(pipelined(service.http, exchanges()).context("pipelined")?);
    let tls = http2::tls(&bench, &service)?;
    due.extend(tls.drive(&mut tls.open()?, exchanges()).context("HTTP/2")?);
    bench.settle(&mut agent, &due)?;
    let losses = harness::losses(&agent);
    ensure!(losses.is_empty(), "counted {losses:?}:\n{}", agent.output());
    service.stop()
}

/// The probe of ServeMux is attached when a span lacks its route, and it stays.
fn mux(version: &'static str, gin: &str) -> Result<()> {
    let bench = Bench::of(version, || build(version, gin, HOST))?.servemux();
    let mut service = bench.service()?;
    let mut agent = bench.trace_pid(&service)?;
    // Nothing here lacks a route but what was not found.
    let mut due = drive(
        service.http,
        vec![Exchange::get("/nothing").status(404), Exchange::get("/users/7").route(Some("/users/{id}"))],
        1,
    )?;
    bench.collector.wait_for(due.len(), PATIENCE);
    ensure!(!agent.output().contains(MISSED), "it was attached without need:\n{}", agent.output());
    due.extend(drive(service.http, cloned(false)[..1].to_vec(), 1).context("before it was missed")?);
    let attached = agent.stderr.wait_for(MISSED, 0, PATIENCE);
    attached.with_context(|| format!("nothing was attached:\n{}", agent.output()))?;
    let rounds: Vec<_> = (0..5).flat_map(|_| cloned(true)).collect();
    due.extend(drive(service.http, rounds.clone(), 1).context("one connection")?);
    due.extend(drive(service.http, rounds, 8).context("many connections")?);
    let tls = http2::tls(&bench, &service)?;
    due.extend(tls.drive(&mut tls.open()?, cloned(true)).context("HTTP/2")?);
    bench.settle(&mut agent, &due)?;
    let losses = harness::losses(&agent);
    ensure!(losses.is_empty(), "counted {losses:?}:\n{}", agent.output());
    service.stop()
}

/// What was missed comes with the rest from then on, and goes with it: who writes to the file finds no probe in it.
#[test]
fn a_mux_is_asked_after_a_restart_and_its_probe_goes_before_a_writer() -> Result<()> {
    let version = go(26);
    let bench = Bench::of(version, || build(version, "v1.11.0", HOST))?.servemux();
    let mut agent = bench.trace_exe()?;
    let mut due = Vec::new();
    let start = || -> Result<Service> {
        let service = bench.service()?;
        agent.expect_stderr(&tracing(service.running.pid()), 0)?;
        Ok(service)
    };
    let missed = |nth| agent.stderr.wait_for(MISSED, nth, PATIENCE).context("nothing was attached");
    let lacking = || cloned(false)[..1].to_vec();
    let mut first = start()?;
    due.extend(drive(first.http, lacking(), 1)?);
    missed(0)?;
    due.extend(drive(first.http, cloned(true), 1)?);
    first.stop()?;
    let mut second = start()?;
    missed(1)?;
    due.extend(drive(second.http, cloned(true), 1).context("after a restart")?);
    second.stop()?;
    let program = fs::read(&bench.app)?;
    fs::write(&bench.app, program).context("writing to the file")?;
    // It is another file now, of which nobody knows that anything is missed.
    let mut third = start()?;
    due.extend(drive(third.http, lacking(), 1).context("after the file was written")?);
    missed(2)?;
    due.extend(drive(third.http, cloned(true), 1)?);
    third.stop()?;
    bench.settle(&mut agent, &due)?;
    let losses = harness::losses(&agent);
    ensure!(losses.is_empty(), "counted {losses:?}:\n{}", agent.output());
    Ok(())
}

/// What is planned for each architecture, by the first way or the second.
#[test]
fn sites_on_both_architectures() -> Result<()> {
    for arch in ["amd64", "arm64"] {
        for (version, gin, site) in [(go(22), "v1.8.1", "lookup"), (go(27), "v1.12.0", "context")] {
            let app = build(version, gin, arch)?;
            let plan = analyzer::plan_file(&app, &analyzer::Options::default(), &[])?;
            let routers = [("github.com/gin-gonic/gin", Some(site)), ("github.com/gorilla/mux", None)];
            for (id, site) in routers {
                let library = plan.libraries.iter().find(|library| library.id == id).context(id)?;
                let found = library.functions.first().with_context(|| format!("{id}: no function"))?;
                ensure!(found.site.as_deref() == site, "{arch} Go {version} {id}: {found:?}");
                ensure!(library.verdict == analyzer::plan::Verdict::Ready, "{arch} {id}: {library:?}");
            }
        }
    }
    Ok(())
}

macro_rules! combinations {
    ($($name:ident: $go:expr, $gin:literal;)+) => { $(
        mod $name {
            use super::*;

            #[test]
            fn of_other_routers() -> Result<()> { traced($go, $gin, false) }
            #[test]
            fn of_a_mux_that_is_given_a_copy() -> Result<()> { mux($go, $gin) }
            #[test]
            fn of_other_routers_taken_field_by_field() -> Result<()> { traced($go, $gin, true) }
        }
    )+ };
}

combinations! {
    go1_22_gin_v1_8: go(22), "v1.8.1";
    go1_26_gin_v1_11: go(26), "v1.11.0";
    go1_27_gin_v1_12: go(27), "v1.12.0";
}
