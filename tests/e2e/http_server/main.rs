//! One Go service, every Go version, plain and stripped, under the real agent on this machine's kernel: exactly the spans
//! that are due reach a fake collector. One test per Go version, so that a failure names it.
//!
//! What a request has to look like as a span is in `exchange`, the kinds of requests are in `kinds`.

mod door;
mod drive;
mod ends;
mod exchange;
mod exe;
mod exec;
mod handlers;
mod harness;
mod http2;
mod kinds;
mod profiles;
mod proxies;
mod refusals;
mod room;
mod routers;
mod routes;
mod socket;
mod sources;
mod trace_context;
mod unix;
mod x_net;

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use strobe_tests::client::Connection;
use strobe_tests::golang::{Build, go};
use strobe_tests::machine;
use strobe_tests::process::Running;
use strobe_tests::spans::{Expected, Value, Want};

use drive::{all_at_once, drive, pipelined};
use exchange::Exchange;
use harness::{Bench, Service};

/// How often every kind is sent under `run --pid`: more than 200 requests.
const ROUNDS: usize = 3;
/// Concurrent connections.
const CONNECTIONS: usize = 8;
/// Requests that are in flight at the same time.
const IN_FLIGHT: usize = 500;

macro_rules! go_versions {
    ($($name:ident = $version:expr,)+) => { $(
        mod $name {
            use super::*;

            #[test]
            fn a_running_plain_build_taken_field_by_field() -> Result<()> {
                by_pid(Bench::new($version, Build::Plain)?.fields_only())
            }
            #[test]
            fn a_running_stripped_build() -> Result<()> { by_pid(Bench::new($version, Build::Stripped)?) }
            #[test]
            fn http2_over_tls() -> Result<()> { http2::over_tls($version) }
            #[test]
            fn started_by_exec() -> Result<()> { exec::from_the_first_request($version) }
            #[test]
            fn over_a_unix_socket() -> Result<()> { unix::over_a_socket($version) }
            #[test]
            fn found_by_its_file() -> Result<()> { exe::across_restarts($version) }
        }
    )+

        #[test]
        fn every_newest_patch_has_its_tests() {
            assert_eq!(strobe_tests::golang::traced(), [$($version),+]);
        }
    };
}

go_versions! {
    go1_19 = go(19),
    go1_20 = go(20),
    go1_21 = go(21),
    go1_22 = go(22),
    go1_23 = go(23),
    go1_24 = go(24),
    go1_25 = go(25),
    go1_26 = go(26),
    go1_27 = go(27),
}

/// Before Go 1.24 the standard library speaks HTTP/2 over TLS alone.
mod http2_without_tls {
    use super::*;

    #[test]
    fn go1_24() -> Result<()> {
        http2::without_tls(go(24))
    }
    #[test]
    fn go1_25() -> Result<()> {
        http2::without_tls(go(25))
    }
    #[test]
    fn go1_26() -> Result<()> {
        http2::without_tls(go(26))
    }
    #[test]
    fn go1_27() -> Result<()> {
        http2::without_tls(go(27))
    }
}

/// Everything, on a service that was running and serving before the agent came.
fn by_pid(bench: Bench) -> Result<()> {
    let mut service = bench.service()?;
    let mut before = Before::begin(&service)?;
    let mut agent = bench.trace_pid(&service)?;

    let mut due = before.go_on(&service)?;
    due.extend(everything(&bench, &service)?);
    due.extend(over_tls(&bench, &service)?);
    due.extend(over_http2(&bench, &service)?);
    if bench.fields_only {
        // That a request asked for another protocol is read in its text: a status that nobody wrote is not inferred then.
        let paths = ["/raw/hijack", "/raw/websocket"];
        let is_hijack = |want: &Want| matches!(want, Want::Is(Value::Str(path)) if paths.contains(&&**path));
        let inferred = due.iter_mut().filter(|span| span.attributes.get("url.path").is_some_and(is_hijack));
        inferred.for_each(|span| drop(span.attributes.remove("http.response.status_code")));
    }
    bench.settle(&mut agent, &due).context("run --pid")?;
    let losses = harness::losses(&agent);
    ensure!(losses.is_empty(), "counted {losses:?}:\n{}", agent.output());
    service.stop()
}

/// All kinds, then panics followed by ordinary requests, then many at once.
fn everything(bench: &Bench, service: &Service) -> Result<Vec<Expected>> {
    let rounds: Vec<_> = (0..ROUNDS).flat_map(|round| kinds::all(bench.minor(), round)).collect();
    ensure!(rounds.len() >= 200, "{} requests are too few", rounds.len());
    let mut due = drive(service.http, rounds, CONNECTIONS)?;
    due.extend(drive(service.http, kinds::panics(bench.minor()), CONNECTIONS)?);
    due.extend(drive(service.http, kinds::all(bench.minor(), ROUNDS), CONNECTIONS)?);
    let held = Exchange::get(&format!("/raw/barrier?n={IN_FLIGHT}"));
    due.extend(all_at_once(service.http, vec![held; IN_FLIGHT]).context("many at once")?);
    due.extend(drive(service.http, trace_context::over_http1()?, 1).context("the W3C's cases")?);
    due.extend(drive(service.http, kinds::on_the_wire(), 1).context("as it may come over the wire")?);
    due.extend(drive(service.http, kinds::cut_everywhere(), 1).context("in two segments")?);
    due.extend(pipelined(service.http, kinds::behind_one_another()).context("pipelined")?);
    due.extend(drive(service.http, kinds::all(bench.minor(), ROUNDS + 1), 1)?);
    Ok(due)
}

/// A connection and a request from before the agent's time.
struct Before {
    kept: Connection,
    held: Connection,
}

impl Before {
    /// One request is answered, one stays in flight.
    fn begin(service: &Service) -> Result<Self> {
        let mut kept = Connection::open(service.http)?;
        send(&mut kept, service, &Exchange::get("/plain").untraced())?;
        let mut held = Connection::open(service.http)?;
        held.send(&held_back(service).bytes())?;
        Ok(Before { kept, held })
    }

    /// The next request on the old connection is traced. The one that was in flight is released: its end without a
    /// beginning makes no span.
    fn go_on(&mut self, service: &Service) -> Result<Vec<Expected>> {
        let mut due = Vec::new();
        due.extend(send(&mut self.kept, service, &Exchange::get("/raw/nothing"))?);
        due.extend(send(&mut self.kept, service, &Exchange::get("/raw/barrier?n=2"))?);
        drive::receive(&mut self.held, &held_back(service).untraced())?;
        Ok(due)
    }
}

fn held_back(service: &Service) -> Exchange {
    Exchange::get("/raw/barrier?n=2").default_host(&service.http.to_string())
}

fn send(connection: &mut Connection, service: &Service, exchange: &Exchange) -> Result<Option<Expected>> {
    let named = drive::name(service.http, vec![exchange.clone()]);
    let exchange = named.first().context("one exchange")?;
    connection.send(&exchange.bytes())?;
    drive::receive(connection, exchange)
}

/// HTTP/1.1 over TLS: spans as ever, with the other scheme.
fn over_tls(bench: &Bench, service: &Service) -> Result<Vec<Expected>> {
    let args = ["-n", "3", "-http1", "-user-agent", "t/tls"];
    let answers = get(bench, &args, &format!("{}/raw/ok", service.https))?;
    ensure!(answers == ["HTTP/1.1 200"; 3], "{answers:?}");
    let host = service.https.trim_start_matches("https://");
    let span = Exchange::get("/raw/ok").default_host(host).agent("t/tls".to_owned()).over_tls();
    Ok(vec![span.expected(0, Some(200)); 3])
}

/// HTTP/2 as Go's own client speaks it; what else there is to it is in `http2`.
fn over_http2(bench: &Bench, service: &Service) -> Result<Vec<Expected>> {
    let args = ["-n", "5", "-user-agent", "t/http2"];
    let answers = get(bench, &args, &format!("{}/plain", service.https))?;
    ensure!(answers == ["HTTP/2.0 200"; 5], "{answers:?}");
    let host = service.https.trim_start_matches("https://");
    let route = Some("/plain").filter(|_| bench.minor() >= 22);
    let span = Exchange::get("/plain").route(route).default_host(host).agent("t/http2".to_owned());
    Ok(vec![span.over_tls().http2().expected(0, Some(200)); 5])
}

/// Runs the service's own client, from a file of its own.
fn get(bench: &Bench, args: &[&str], url: &str) -> Result<Vec<String>> {
    let program = bench.folder.path().join("client");
    if !program.exists() {
        machine::copy_program(&bench.app, &program)?;
    }
    let mut client = Running::start(Command::new(&program).arg("get").args(args).arg(url))?;
    let status = client.wait(Duration::from_secs(20))?;
    ensure!(status.success(), "client {url}: {}", client.output());
    Ok(client.stdout.all())
}

/// The service and the driver agree without any agent: what fails below is then not theirs.
#[test]
fn the_service_answers_without_an_agent() -> Result<()> {
    for &version in strobe_tests::golang::traced() {
        let bench = Bench::new(version, Build::Stripped)?;
        let mut service = bench.service()?;
        let due = everything(&bench, &service).with_context(|| format!("Go {version}"))?;
        ensure!(due.len() > 800, "{} spans would be due", due.len());
        over_tls(&bench, &service)?;
        over_http2(&bench, &service)?;
        service.stop()?;
    }
    Ok(())
}
