//! What is asked over a Unix socket, whose clients have no address: the spans are those of TCP, without a peer.

use std::io::{BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use strobe_tests::spans::Expected;
use strobe_tests::wire;

use super::exchange::{Answer, Exchange};
use super::kinds::{PARENT, TRACE};

pub fn exchanges(minor: u32) -> Vec<Exchange> {
    let all = vec![
        Exchange::get("/users/42").route(Some("/users/{id}").filter(|_| minor >= 22)),
        Exchange::get("/raw/ok").parent(TRACE, PARENT, 1),
        Exchange::new("POST", "/raw/echo").body("body").status(201),
        Exchange::get("/raw/stream"),
        Exchange::get("/raw/ok").header("X-Forwarded-For", "203.0.113.7").client("203.0.113.7"),
        Exchange::get("/raw/nothing").default_host("named.example:8080"),
    ];
    let named = |(i, e): (usize, Exchange)| e.default_host("localhost").agent(format!("t/unix-{i}"));
    all.into_iter().enumerate().map(named).collect()
}

/// One after the other over one connection; the spans that are due.
pub fn ask(socket: &Path, exchanges: Vec<Exchange>) -> Result<Vec<Expected>> {
    let stream = UnixStream::connect(socket).with_context(|| format!("connect to {}", socket.display()))?;
    stream.set_read_timeout(Some(strobe_tests::process::PATIENCE))?;
    let mut reader = BufReader::new(stream);
    let mut due = Vec::new();
    for exchange in &exchanges {
        reader.get_mut().write_all(&exchange.bytes()).context("send a request")?;
        let head = wire::read_head(&mut reader)?.context("no answer")?;
        wire::read_body(&mut reader, &head, false)?;
        let status = head.start.split(' ').nth(1).and_then(|code| code.parse().ok());
        ensure!(matches!(exchange.answer, Answer::Status(want) if status == Some(want)), "{head:?}");
        due.push(without_peer(exchange.expected(0, status)));
    }
    Ok(due)
}

fn without_peer(mut span: Expected) -> Expected {
    span.attributes.remove("network.peer.address");
    span.attributes.remove("network.peer.port");
    // Nobody has named the client, unless a proxy has.
    if matches!(span.attributes.get("client.address"), Some(want) if want.to_string().contains("127.0.0.1")) {
        span.attributes.remove("client.address");
    }
    span
}
