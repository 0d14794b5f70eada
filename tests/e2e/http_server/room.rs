//! How much room there is for requests under way, whose it is, and what becomes of it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use strobe_tests::client::Connection;
use strobe_tests::golang::{Build, go};
use strobe_tests::process::Running;

use super::drive::{all_at_once, drive};
use super::exchange::Exchange;
use super::harness::{Bench, losses, tracing};

/// The smallest that the configuration allows.
const ENTRIES: usize = 1024;
/// What one process may have of it.
const SHARE: usize = ENTRIES / 2;

fn small_agent(bench: &Bench) -> Result<Running> {
    let exe = bench.app.to_str().context("path")?;
    let mut command = bench.strobe(&["run", "--exe", exe])?;
    let agent = Running::start(command.env("STROBE_MAX_IN_FLIGHT", ENTRIES.to_string()))?;
    agent.expect_stderr("waiting for a process", 0)?;
    Ok(agent)
}

fn held(count: usize) -> Vec<Exchange> {
    vec![Exchange::get(&format!("/raw/barrier?n={count}")); count]
}

/// A process that has more requests under way than its share loses those, counted, and nobody else loses any. When it is gone,
/// what it left in the table is swept, and the next has its share in full.
#[test]
fn a_process_cannot_take_anothers_room_and_leaves_none_behind() -> Result<()> {
    const TOO_MANY: usize = 40;
    let bench = Bench::new(go(26), Build::Stripped)?;
    let mut agent = small_agent(&bench)?;
    let (greedy, mut modest) = (bench.service()?, bench.service()?);
    for service in [&greedy, &modest] {
        agent.expect_stderr(&tracing(service.running.pid()), 0)?;
    }
    all_at_once(greedy.http, held(SHARE + TOO_MANY))?;
    let due = drive(modest.http, vec![Exchange::get("/raw/ok"); 50], 2)?;
    let came = bench.collector.wait_for(SHARE + due.len(), Duration::from_secs(10));
    ensure!(came == SHARE + due.len(), "{came} spans:\n{}", agent.output());
    bench.collector.take()?;
    // It is killed with all of its share in use, which stays in the table.
    let mut stuck = Vec::new();
    for _ in 0..SHARE {
        let mut connection = Connection::open(greedy.http)?;
        connection.send(b"GET /raw/barrier?n=100000 HTTP/1.1\r\nHost: stuck\r\n\r\n")?;
        stuck.push(connection);
    }
    std::thread::sleep(Duration::from_secs(1));
    greedy.running.signal(libc::SIGKILL)?;
    modest.stop()?;
    // A second of grace, and a slice of 256 entries every 100 ms.
    std::thread::sleep(Duration::from_secs(3));
    let mut next = [bench.service()?, bench.service()?];
    let mut due = Vec::new();
    for service in &next {
        agent.expect_stderr(&tracing(service.running.pid()), 0)?;
        due.extend(all_at_once(service.http, held(SHARE - 1))?);
    }
    bench.settle(&mut agent, &due)?;
    let counted = losses(&agent);
    let expected = [("net_http_server.lost.in_flight_full", TOO_MANY), ("spans.lost.open_at_exit", SHARE)];
    let expected = expected.map(|(name, count)| (name.to_owned(), count as u64));
    ensure!(counted == expected.into(), "counted {counted:?}:\n{}", agent.output());
    next.iter_mut().try_for_each(|service| service.stop())
}

/// Connections that are kept open between requests give way to those that have one.
#[test]
fn idle_connections_give_way() -> Result<()> {
    const IDLE: usize = 450;
    let bench = Bench::new(go(26), Build::Stripped)?;
    let mut agent = small_agent(&bench)?;
    let mut service = bench.service()?;
    agent.expect_stderr(&tracing(service.running.pid()), 0)?;
    let mut idle = Vec::new();
    for _ in 0..IDLE {
        let mut connection = Connection::open(service.http)?;
        connection.send(b"GET /raw/ok HTTP/1.1\r\nHost: idle\r\n\r\n")?;
        connection.receive(false)?.context("no answer")?;
        idle.push(connection);
    }
    ensure!(bench.collector.wait_for(IDLE, Duration::from_secs(10)) == IDLE, "{}", agent.output());
    bench.collector.take()?;
    let due = drive(service.http, vec![Exchange::get("/raw/ok"); 100], 10)?;
    bench.settle(&mut agent, &due)?;
    let counted = losses(&agent);
    ensure!(counted.is_empty(), "counted {counted:?}:\n{}", agent.output());
    drop(idle);
    service.stop()
}
