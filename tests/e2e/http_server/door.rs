//! A listener that speaks HTTP/2, and all that it is asked: the spans are those of HTTP/1.1, one for each stream.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use strobe_tests::h2::Connection;
use strobe_tests::process::Running;
use strobe_tests::spans::Expected;

use super::drive::name;
use super::exchange::{Answer, Exchange};
use super::{kinds, trace_context};

/// Streams that are open at the same time on one connection.
const STREAMS: usize = 64;
/// Requests that are sent before an answer is read. A server has room for 250 streams.
const AT_ONCE: usize = 100;
/// How long connections are idle before they are used once more: no request takes so long.
pub const IDLE: Duration = Duration::from_millis(1_500);

/// A listener that speaks HTTP/2.
#[derive(Debug)]
pub struct Door {
    /// Where a client connects to: the server, or what carries the frames to it over TLS.
    server: SocketAddr,
    /// What clients call the server.
    host: String,
    tls: bool,
    /// The carrier.
    _tunnel: Option<Running>,
}

impl Door {
    /// A listener for HTTP.
    pub fn plain(server: SocketAddr) -> Self {
        Door { server, host: server.to_string(), tls: false, _tunnel: None }
    }

    /// One for HTTPS, whose URL this is; the program is a copy of the service that is not traced.
    pub fn tls(program: &Path, url: &str) -> Result<Self> {
        let host = url.trim_start_matches("https://").to_owned();
        let tunnel = Running::start(Command::new(program).args(["tunnel", &host]))?;
        let line = tunnel.expect_stdout("listening on tunnel://", 0)?;
        let server = line.rsplit('/').next().unwrap_or_default().parse().context("the tunnel's address")?;
        Ok(Door { server, host, tls: true, _tunnel: Some(tunnel) })
    }

    pub fn open(&self) -> Result<Connection> {
        Connection::open(self.server)
    }

    /// Gives each request its user agent, by which its span is found, and the server's own name.
    pub fn name(&self, exchanges: Vec<Exchange>) -> Vec<Exchange> {
        let scheme = |e: Exchange| if self.tls { e.over_tls() } else { e };
        let exchanges = exchanges.into_iter().map(scheme).map(|e| e.http2().default_host(&self.host));
        name(self.server, exchanges.collect())
    }

    /// Sends all over one connection, many at once, and then reads the answers; the spans that are due.
    pub fn drive(&self, connection: &mut Connection, exchanges: Vec<Exchange>) -> Result<Vec<Expected>> {
        let mut due = Vec::new();
        for some in self.name(exchanges).chunks(AT_ONCE) {
            let sent: Vec<_> = some.iter().map(|e| Ok((send(connection, e)?, e))).collect::<Result<_>>()?;
            for (id, exchange) in sent {
                due.extend(receive(connection, id, exchange)?);
            }
        }
        Ok(due)
    }
}

/// Sends the request; gives the stream's number.
pub fn send(connection: &mut Connection, exchange: &Exchange) -> Result<u32> {
    let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let mut fields = vec![field(":method", &exchange.method)];
    // Of a CONNECT the authority is all (RFC 9113, 8.5).
    if exchange.method != "CONNECT" {
        fields.push(field(":scheme", if exchange.tls { "https" } else { "http" }));
        fields.push(field(":path", std::str::from_utf8(&exchange.target)?));
    }
    let some = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    fields.extend(some(&exchange.host).map(|host| field(":authority", &host)));
    fields.extend(some(&exchange.agent).map(|agent| field("user-agent", &agent)));
    fields.extend(exchange.headers.iter().map(|(name, value)| field(&name.to_lowercase(), value)));
    connection.send(&fields, &exchange.body)
}

/// Reads the answer and checks it; the span that is due.
pub fn receive(connection: &mut Connection, id: u32, exchange: &Exchange) -> Result<Option<Expected>> {
    let what = || format!("{} {}", exchange.method, String::from_utf8_lossy(&exchange.target));
    let answer = connection.receive(id).with_context(what)?;
    match exchange.answer {
        Answer::Status(want) => ensure!(answer.status == Some(want), "{}: {answer:?}, not {want}", what()),
        Answer::SomeStatus => ensure!(answer.status.is_some(), "{}: {answer:?}", what()),
        Answer::Closed | Answer::ByHand => ensure!(answer.reset, "{}: {answer:?}: not reset", what()),
    }
    Ok(exchange.traced.then(|| exchange.expected(connection.local_port().unwrap_or(0), answer.status)))
}

/// All that a listener is asked: every kind of request, many streams at once, and streams that are given up.
pub fn everything(minor: u32, door: &Door) -> Result<Vec<Expected>> {
    let (mut idle, mut busy) = (door.open()?, door.open()?);
    let mut due = door.drive(&mut idle, vec![Exchange::get("/raw/nothing")])?;
    for round in 0..2 {
        due.extend(door.drive(&mut busy, kinds::over_http2(minor, round))?);
    }
    due.extend(door.drive(&mut busy, trace_context::over_http2()?).context("the W3C's cases")?);
    let held = Exchange::get(&format!("/raw/barrier?n={STREAMS}"));
    due.extend(door.drive(&mut busy, vec![held; STREAMS]).context("many at once")?);
    due.extend(door.drive(&mut busy, vec![Exchange::get("/raw/push")]).context("a push")?);
    due.extend(given_up(door, &mut busy)?);
    std::thread::sleep(IDLE);
    due.extend(door.drive(&mut idle, vec![Exchange::get("/raw/ok")])?);
    due.extend(door.drive(&mut busy, vec![Exchange::get("/raw/ok")])?);
    Ok(due)
}

/// Streams that the client resets while their handlers run, and a connection that it closes: what the handlers do afterwards is
/// theirs, and nobody is told of it. They wait a moment: the server cancels a stream's context before it calls the stream closed
/// (`processResetStream`), and a handler that ends in between has answered by all that can be read of it.
fn given_up(door: &Door, connection: &mut Connection) -> Result<Vec<Expected>> {
    let left = vec![
        Exchange::get("/raw/gone?ms=50").unanswered(None),
        Exchange::get("/raw/gone?ms=300").unanswered(None),
        Exchange::get("/raw/gone?ms=50&status=1").unanswered(Some(202)),
    ];
    let exchanges = door.name([left.clone(), left].concat());
    let (reset, lost) = exchanges.split_at(exchanges.len() / 2);
    let mut due = Vec::new();
    for exchange in reset {
        let id = send(connection, exchange)?;
        // The handler runs by then: what is answered behind it is.
        door.drive(
            connection,
            vec![Exchange::get("/raw/ok").untraced().parent(
                "4bf92f3577b34da6a3ce929d0e0e4736",
                "00f067aa0ba902b7",
                0,
            )],
        )?;
        connection.reset(id)?;
        due.push(exchange.expected(connection.local_port()?, None));
    }
    for exchange in lost {
        let mut connection = door.open()?;
        send(&mut connection, exchange)?;
        due.extend(door.drive(&mut connection, vec![Exchange::get("/raw/ok")])?);
        due.push(exchange.expected(connection.local_port()?, None));
    }
    Ok(due)
}
