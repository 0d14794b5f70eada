//! Requests that end in other ways than by their handler's return, and what must not come of it: another request's data, a
//! loss that is none.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use anyhow::{Result, ensure};
use strobe_tests::client::Connection;
use strobe_tests::golang::{Build, go};
use strobe_tests::process::PATIENCE;

use super::drive::drive;
use super::exchange::Exchange;
use super::harness::{Bench, losses, tracing};

/// Since Go 1.25 a handler that hijacks and then panics, or leaves by Goexit, passes none of the functions at whose entry a
/// span ends otherwise: what was kept of it is then found by the next connection on that goroutine.
#[test]
fn what_a_hijacked_request_kept_never_shows_in_another_trace() -> Result<()> {
    for version in [go(24), go(26)] {
        let bench = Bench::new(version, Build::Stripped)?;
        let mut service = bench.service()?;
        let mut agent = bench.trace_pid(&service)?;
        let mut due = Vec::new();
        for round in 0..20 {
            for how in ["hijack-goexit", "hijack-panic"] {
                let kept = Exchange::get(&format!("/raw/{how}?client=a&round={round}")).hijacked(None);
                due.extend(drive(service.http, vec![kept], 1)?);
                due.extend(drive(service.http, vec![Exchange::get("/raw/gc")], 1)?);
                // Connections that only come and go, on the goroutines that were left.
                for _ in 0..3 {
                    drop(Connection::open(service.http)?);
                }
                due.extend(drive(service.http, vec![Exchange::get(&format!("/raw/b?round={round}"))], 1)?);
            }
        }
        bench.settle(&mut agent, &due)?;
        let counted = losses(&agent);
        ensure!(counted.is_empty(), "Go {version} counted {counted:?}:\n{}", agent.output());
        service.stop()?;
    }
    Ok(())
}

/// Goexit is no panic: the span has no error, and no status that was never sent.
#[test]
fn a_handler_that_leaves_by_goexit_has_not_panicked() -> Result<()> {
    for version in [go(19), go(24), go(26)] {
        let bench = Bench::new(version, Build::Stripped)?;
        let mut service = bench.service()?;
        let mut agent = bench.trace_pid(&service)?;
        let kinds = vec![Exchange::get("/raw/goexit").leaves(), Exchange::get("/raw/panic").panics(None)];
        let mut due = drive(service.http, kinds, 1)?;
        due.extend(drive(service.http, vec![Exchange::get("/raw/ok")], 1)?);
        bench.settle(&mut agent, &due)?;
        service.stop()?;
    }
    Ok(())
}

/// Another goroutine than the handler's may take the connection over.
#[test]
fn a_request_that_another_goroutine_hijacks_ends_there_once() -> Result<()> {
    for version in [go(22), go(26)] {
        let bench = Bench::new(version, Build::Stripped)?;
        let mut service = bench.service()?;
        let mut agent = bench.trace_pid(&service)?;
        let hijacks = vec![Exchange::get("/raw/hijack-elsewhere").hijacked(None); 5];
        let mut due = drive(service.http, hijacks, 2)?;
        due.extend(drive(service.http, vec![Exchange::get("/raw/ok")], 1)?);
        bench.settle(&mut agent, &due)?;
        let counted = losses(&agent);
        ensure!(counted.is_empty(), "Go {version} counted {counted:?}:\n{}", agent.output());
        service.stop()?;
    }
    Ok(())
}

/// The first line of HTTP/2, sent to a server that has only HTTP/1: its span would last as long as the connection. Nothing is said
/// of it, since HTTP/2 is traced.
#[test]
fn the_preface_of_http2_makes_no_span() -> Result<()> {
    let bench = Bench::new(go(22), Build::Stripped)?;
    let mut service = bench.service()?;
    let mut agent = bench.trace_pid(&service)?;
    let mut connection = Connection::open(service.http)?;
    connection.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")?;
    // Whatever it answers.
    let _ = connection.receive(false);
    let due = drive(service.http, vec![Exchange::get("/raw/ok")], 1)?;
    bench.settle(&mut agent, &due)?;
    ensure!(!agent.stderr.text().contains("serves HTTP/2"), "{}", agent.output());
    let counted = losses(&agent);
    ensure!(counted.is_empty(), "counted {counted:?}:\n{}", agent.output());
    service.stop()
}

/// A file whose mode changes between two starts is the same inode with other metadata. However many sets of probes there come to
/// be on it, each request has one span, and nothing is counted as lost.
#[test]
fn a_second_set_of_probes_on_an_inode_changes_nothing() -> Result<()> {
    let bench = Bench::new(go(26), Build::Stripped)?;
    let mut agent = bench.trace_exe()?;
    let mut first = bench.service()?;
    agent.expect_stderr(&tracing(first.running.pid()), 0)?;
    fs::set_permissions(&bench.app, fs::Permissions::from_mode(0o700))?;
    let mut second = bench.service()?;
    agent.expect_stderr(&tracing(second.running.pid()), 0)?;
    let kinds = || {
        vec![
            Exchange::get("/users/42").route(Some("/users/{id}")),
            Exchange::get("/raw/nothing"),
            Exchange::get("/raw/hijack").hijacked(None),
            Exchange::get("/raw/panic").panics(None),
            Exchange::new("POST", "/orders").body("hello").status(201).route(Some("/orders")),
        ]
    };
    let mut due = drive(first.http, kinds(), 1)?;
    due.extend(drive(second.http, kinds(), 1)?);
    due.extend(drive(first.http, kinds(), 1)?);
    bench.collector.wait_for(due.len(), PATIENCE);
    bench.settle(&mut agent, &due)?;
    let counted = losses(&agent);
    ensure!(counted.is_empty(), "counted {counted:?}:\n{}", agent.output());
    first.stop()?;
    second.stop()
}
