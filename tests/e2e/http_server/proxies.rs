//! What proxies and other vendors add to a request, where it does not come as it mostly does.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use strobe_tests::client::Connection;
use strobe_tests::golang::{Build, go};
use strobe_tests::process::Running;
use strobe_tests::spans;

use super::door::{self, Door};
use super::drive::{drive, name, receive};
use super::exchange::Exchange;
use super::harness::{Bench, losses, tracing};
use super::kinds::{PARENT, TRACE};

/// The smallest that the configuration allows.
const RING_BYTES: &str = "65536";
/// More requests than the ring has room for, and so few that the agent is not missed meanwhile.
const TOO_MANY: usize = 120;
/// Until the agent has read what is in the ring, or a handler has begun.
const A_MOMENT: Duration = Duration::from_millis(400);

fn agent(bench: &Bench, variable: (&str, &str)) -> Result<Running> {
    let exe = bench.app.to_str().context("path")?;
    let mut command = bench.strobe(&["run", "--exe", exe])?;
    let agent = Running::start(command.env(variable.0, variable.1).env("OTEL_LOG_LEVEL", "debug"))?;
    agent.expect_stderr("waiting for a process", 0)?;
    Ok(agent)
}

/// What nobody believes is not taken from the target either: a request has two records, its beginning and its end.
#[test]
fn headers_that_are_switched_off_are_not_read() -> Result<()> {
    const COUNT: usize = 20;
    let bench = Bench::new(go(26), Build::Stripped)?.fields_only();
    let mut agent = agent(&bench, ("STROBE_FORWARDED_HEADERS", "false"))?;
    let mut service = bench.service()?;
    agent.expect_stderr(&tracing(service.running.pid()), 0)?;
    let proxied = Exchange::get("/raw/proxied")
        .header("Forwarded", "for=192.0.2.1;host=a;proto=https")
        .header("X-Forwarded-For", "192.0.2.2")
        .header("X-Forwarded-Host", "b")
        .header("X-Forwarded-Proto", "https");
    let listed = proxied.clone().parent(TRACE, PARENT, 1).trace_state("a=1");
    let mut due = drive(service.http, vec![proxied; COUNT], 1)?;
    due.extend(drive(service.http, vec![listed; COUNT], 1)?);
    bench.settle(&mut agent, &due)?;
    let submitted = format!("name: \"records.submitted\", value: {},", 2 * COUNT + 3 * COUNT);
    ensure!(agent.stderr.text().contains(&submitted), "{submitted}\n{}", agent.output());
    ensure!(losses(&agent).is_empty(), "{}", agent.output());
    service.stop()
}

/// A request whose beginning found no room in the ring says at its end what its header says.
#[test]
fn headers_of_a_request_whose_beginning_found_no_room() -> Result<()> {
    let bench = Bench::new(go(26), Build::Stripped)?;
    let mut agent = agent(&bench, ("STROBE_RING_BYTES", RING_BYTES))?;
    let mut service = bench.service()?;
    agent.expect_stderr(&tracing(service.running.pid()), 0)?;
    let held = Exchange::get("/raw/barrier?n=3")
        .parent(TRACE, PARENT, 1)
        .header("X-Forwarded-For", "203.0.113.7")
        .client("203.0.113.7")
        .header("X-Forwarded-Proto", "https")
        .header("tracestate", "a=1")
        .header("tracestate", "b=2")
        .has_trace_state("a=1,b=2");
    let held = |host: &str| held.clone().default_host(host);
    let door = Door::plain(service.http);
    let (mut by_text, mut by_stream) = (Connection::open(service.http)?, door.open()?);
    let first = name(service.http, vec![held("h").asked_for("h", "https")]).remove(0);
    let second = door.name(vec![held("h").asked_for("h", "https")]).remove(0);

    agent.signal(libc::SIGSTOP)?;
    drive(service.http, vec![Exchange::get("/raw/ok"); TOO_MANY], 1)?;
    by_text.send(&first.bytes())?;
    let stream = door::send(&mut by_stream, &second)?;
    std::thread::sleep(A_MOMENT / 2);
    agent.signal(libc::SIGCONT)?;
    std::thread::sleep(A_MOMENT);
    drive(service.http, vec![Exchange::get("/raw/barrier?n=3")], 1)?;
    let mut due: Vec<_> = receive(&mut by_text, &first)?.into_iter().collect();
    due.extend(door::receive(&mut by_stream, stream, &second)?);

    // Of the others some are lost.
    std::thread::sleep(A_MOMENT);
    agent.terminate()?;
    let mut got = bench.collector.take()?;
    got.retain(|span| due.iter().any(|due| due.key == span.key()));
    spans::compare(&due, &got).map_err(|differences| anyhow::anyhow!("{differences}\n{}", agent.output()))?;
    let text = agent.stderr.text();
    for library in ["net_http_server", "net_http_server_h2"] {
        let none = format!("name: \"{library}.unannounced\", value: 0,");
        ensure!(!text.contains(&none), "the beginning over {library} found room:\n{text}");
    }
    service.stop()
}
