//! A service's life under the agent: traced while it runs, from its first request, through restarts, and when its file is
//! overwritten in place.

use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use strobe_tests::calls;
use strobe_tests::http_server::door::{self, Door};
use strobe_tests::http_server::{drive, kinds, routers, socket};
use strobe_tests::load::{Case, Load};
use strobe_tests::process::Running;
use strobe_tests::spans::Expected;

use crate::bench::{Bench, Service, tracing};

/// What the service answers at once.
const PATH: &str = "/raw/ok";

/// Every kind of request, handlers that panic, and ordinary requests after those, on a service that runs already.
pub fn every_kind_of_request(bench: &Bench) -> Result<String> {
    let mut service = bench.service()?;
    let mut agent = bench.trace_pid(&service.running)?;
    let mut due = bench.requests(&service)?;
    due.extend(drive::drive(service.http, kinds::panics(bench.minor), 4)?);
    due.extend(bench.requests(&service)?);
    bench.settle(&mut agent, &due)?;
    service.stop(0)?;
    Ok(format!("{} spans", due.len()))
}

/// All that is asked of a listener for HTTP/2: over TLS, or by prior knowledge where the standard library has that (Go 1.24).
pub fn over_http2(version: &str) -> Result<String> {
    let bench = Bench::new(version)?;
    let mut service = Service::started(Running::start(Command::new(&bench.app).arg("-tls"))?)?;
    let door = if bench.minor >= 24 {
        Door::plain(service.http)
    } else {
        let client = bench.app.with_file_name("client");
        fs::copy(&bench.app, &client).context("copy the program")?;
        Door::tls(&client, &service.https()?)?
    };
    let mut agent = bench.trace_pid(&service.running)?;
    let due = door::everything(bench.minor, &door)?;
    bench.settle(&mut agent, &due)?;
    service.stop(0)?;
    Ok(format!("{} spans", due.len()))
}

/// Requests over a Unix socket.
pub fn over_a_socket(version: &str) -> Result<String> {
    let bench = Bench::of_one_library(version)?;
    let path = bench.app.with_file_name("socket");
    let running = Running::start(Command::new(&bench.app).args(["-tls", "-unix"]).arg(&path))?;
    let mut service = Service::started(running)?;
    let mut agent = bench.trace_pid(&service.running)?;
    let due = socket::ask(&path, socket::exchanges(bench.minor))?;
    bench.settle(&mut agent, &due)?;
    service.stop(0)?;
    Ok(format!("{} spans", due.len()))
}

/// Routes of other routers than net/http's.
pub fn routes(version: &str) -> Result<String> {
    let bench = Bench::of("routers", version)?;
    let mut service = bench.service()?;
    let mut agent = bench.trace_pid(&service.running)?;
    let mut due = drive::drive(service.http, routers::exchanges(), 1)?;
    due.extend(drive::drive(service.http, [routers::exchanges(), routers::exchanges()].concat(), 4)?);
    bench.settle(&mut agent, &due)?;
    service.stop(0)?;
    Ok(format!("{} spans", due.len()))
}

/// What a request may make the programs call in the kernel, and how often they may read the target's memory for it.
const MOST_CALLS: (f64, f64) = (22.0, 10.0);
/// The same where clients of the process are traced too, and the server says for whom its goroutines work.
const MOST_CALLS_WITH_CLIENTS: (f64, f64) = (27.0, 10.0);
/// Enough for an average: the ring is asked for its content each sixteenth time.
const COUNTED: usize = 320;

/// Helper calls of a connection's later requests, of every shape for which there is a target.
pub fn helper_calls(version: &str) -> Result<String> {
    let bench = Bench::new(version)?;
    let mut said = Vec::new();
    for (clients, most) in [("false", MOST_CALLS), ("true", MOST_CALLS_WITH_CLIENTS)] {
        let mut service = bench.service()?;
        let mut command = bench.strobe(&["run", "--pid", &service.running.pid().to_string()]);
        let agent =
            Running::start(command.env("OTEL_GO_AUTO_TRACES_CLIENT_INSTRUMENTATION_ENABLED", clients))?;
        agent.expect_stderr("tracing pid ", 0)?;
        let mut load = Load::open(service.http, PATH)?;
        for case in Case::HOT.iter().chain(&Case::SLOW) {
            let requests = case.requests(PATH);
            let calls = calls::count(&[0, 1], || load.run(COUNTED, &requests))?;
            let (all, reads) = calls::per_request(COUNTED, &calls);
            let is_met = all <= most.0 && reads <= most.1;
            let name = format!("{}, clients traced: {clients}", case.name);
            ensure!(
                is_met || Case::SLOW.contains(case),
                "{name}: {all:.2} calls, {reads:.2} reads: {calls:?}"
            );
            said.push(format!("{name}: {all:.1} calls, {reads:.1} reads"));
        }
        drop(agent);
        service.stop(0)?;
    }
    Ok(said.join("; "))
}

/// The first request already has its span, and the service's status comes back.
pub fn exec(version: &str) -> Result<String> {
    let bench = Bench::of_one_library(version)?;
    let app = bench.app.to_str().context("path")?;
    let running = Running::start(&mut bench.strobe(&["exec", "--strict", "--", app, "-exit", "7"]))?;
    let mut service = Service::started(running)?;
    let due = bench.requests(&service)?;
    service.stop(7)?;
    bench.compare(&service.running, &due)?;
    Ok(format!("{} spans from the first request on", due.len()))
}

/// The agent is there first; the service lives twice.
pub fn restart(version: &str) -> Result<String> {
    let bench = Bench::of_one_library(version)?;
    let mut agent = bench.trace_exe()?;
    let mut due = one_life(&bench, &agent, 0)?;
    due.extend(one_life(&bench, &agent, 1).context("the second life")?);
    bench.settle(&mut agent, &due)?;
    Ok(format!("{} spans of two lives", due.len()))
}

/// The new program runs, is planned anew and is traced.
pub fn overwritten_in_place(before: &str, after: &str) -> Result<String> {
    let bench = Bench::of_one_library(before)?;
    let mut agent = bench.trace_exe()?;
    let due = one_life(&bench, &agent, 0)?;
    bench.collector.wait_for(due.len(), std::time::Duration::from_secs(60));
    bench.compare(&agent, &due).context("before")?;
    let now = bench.overwrite(after)?;
    let mut due = one_life(&now, &agent, 1).context("after the overwrite")?;
    due.extend(one_life(&now, &agent, 2).context("and once more")?);
    now.settle(&mut agent, &due).context("after the overwrite")?;
    Ok(format!("{} spans of the new program", due.len()))
}

fn one_life(bench: &Bench, agent: &Running, nth: usize) -> Result<Vec<Expected>> {
    let mut service = bench.service()?;
    tracing(agent, nth)?;
    let due = bench.requests(&service)?;
    service.stop(0)?;
    Ok(due)
}
