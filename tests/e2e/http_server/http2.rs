//! Requests over HTTP/2: the spans are those of HTTP/1.1, one for each stream.

use anyhow::{Context, Result, ensure};
use strobe_tests::golang::Build;
use strobe_tests::h2::Connection;
use strobe_tests::machine;
use strobe_tests::spans::{Expected, Received, Want};

use super::door::{Door, IDLE, everything, send};
use super::exchange::Exchange;
use super::harness::{self, Bench, Service};

/// The service's listener for HTTP.
pub fn plain(service: &Service) -> Door {
    Door::plain(service.http)
}

/// The service's listener for HTTPS.
pub fn tls(bench: &Bench, service: &Service) -> Result<Door> {
    let program = bench.folder.path().join("client");
    if !program.exists() {
        machine::copy_program(&bench.app, &program)?;
    }
    Door::tls(&program, &service.https)
}

/// No span is as long as its connection was open.
pub fn check_lengths(got: &[Received]) -> Result<()> {
    for span in got {
        let lasted = span.span.end_time_unix_nano - span.span.start_time_unix_nano;
        ensure!(u128::from(lasted) < IDLE.as_nanos(), "{} lasted {lasted} ns", span.key());
    }
    Ok(())
}

/// What only the handler's Request has: the mux's pattern, and the client's address that middleware has put there.
pub fn forget_handlers_request(span: &mut Expected) {
    span.attributes.remove("http.route");
    span.name = span.name.split(' ').next().unwrap_or_default().to_owned();
    // What a proxy has said stands in the stream's own header.
    let is_proxied =
        matches!(span.attributes.get("url.path"), Some(Want::Is(path)) if *path == "/raw/proxied".into());
    if !is_proxied {
        span.attributes.insert("client.address".to_owned(), Want::Is("127.0.0.1".into()));
    }
}

/// A stream from before the agent's time, whose end is seen and makes no span.
fn from_before(door: &Door) -> Result<(Connection, u32)> {
    let mut connection = door.open()?;
    let held = door.name(vec![Exchange::get("/raw/gone")]);
    let id = send(&mut connection, held.first().context("one exchange")?)?;
    door.drive(&mut connection, vec![Exchange::get("/raw/ok")])?;
    Ok((connection, id))
}

/// A service under the agent; `door` opens the listener that is asked. `knows_handlers` says whether a probe is passed that has the
/// Request of the handler.
pub fn traced(
    bench: &Bench,
    knows_handlers: bool,
    door: impl Fn(&Bench, &Service) -> Result<Door>,
) -> Result<()> {
    // From Go 1.27 the handler's Request, which knows the pattern, is garbage once the handler looks at it no more.
    let keeps_all: &[_] = if bench.minor() >= 27 { &[("GOGC", "off")] } else { &[] };
    let mut service = bench.service_with(keeps_all)?;
    let door = door(bench, &service)?;
    let (mut before, id) = from_before(&door)?;
    let mut agent = bench.trace_pid(&service)?;
    before.reset(id)?;
    let mut due = everything(bench.minor(), &door)?;
    due.extend(door.drive(&mut door.open()?, vec![Exchange::new("OPTIONS", "*")])?);
    if !knows_handlers {
        due.iter_mut().for_each(forget_handlers_request);
    }
    let got = bench.settle(&mut agent, &due)?;
    check_lengths(&got)?;
    // That nothing is known of a handler's Request is said.
    ensure!(!knows_handlers || !agent.stderr.text().contains("serves HTTP/2"), "{}", agent.output());
    let losses = harness::losses(&agent);
    ensure!(losses.is_empty(), "counted {losses:?}:\n{}", agent.output());
    service.stop()
}

/// As servers have it whose TLS offers both.
pub fn over_tls(version: &'static str) -> Result<()> {
    traced(&Bench::new(version, Build::Stripped)?, true, tls)
}

/// By prior knowledge, with the standard library's own `Protocols` (Go 1.24).
pub fn without_tls(version: &'static str) -> Result<()> {
    traced(&Bench::new(version, Build::Stripped)?, true, |_, service| Ok(plain(service)))
}
