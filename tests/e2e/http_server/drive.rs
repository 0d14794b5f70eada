//! Sends exchanges over kept-alive connections, checks what comes back, and returns the spans that are due.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use strobe_tests::client::Connection;
use strobe_tests::spans::Expected;

use super::exchange::{Answer, Exchange};

/// Long enough for a server to have read the first segment, mostly; where it has not, the request came whole, and its span
/// is the same.
const BETWEEN_SEGMENTS: Duration = Duration::from_millis(2);

/// Sends all, spread over so many concurrent connections.
pub fn drive(server: SocketAddr, exchanges: Vec<Exchange>, connections: usize) -> Result<Vec<Expected>> {
    let work = Mutex::new(name(server, exchanges).into_iter());
    let run = || -> Result<Vec<Expected>> {
        let mut client = Client { server, connection: None };
        let mut due = Vec::new();
        loop {
            let Some(exchange) =
                work.lock().map_err(|_| anyhow::anyhow!("another connection failed"))?.next()
            else {
                return Ok(due);
            };
            due.extend(client.send(&exchange)?);
        }
    };
    let mut due = Vec::new();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..connections).map(|_| scope.spawn(run)).collect();
        for worker in workers {
            due.extend(worker.join().map_err(|_| anyhow::anyhow!("a connection panicked"))??);
        }
        anyhow::Ok(())
    })?;
    Ok(due)
}

/// Sends all at once, each on its own connection, and then reads the answers.
pub fn all_at_once(server: SocketAddr, exchanges: Vec<Exchange>) -> Result<Vec<Expected>> {
    let mut open = Vec::new();
    for exchange in name(server, exchanges) {
        let mut connection = Connection::open(server)?;
        connection.send(&exchange.bytes())?;
        open.push((exchange, connection));
    }
    let mut due = Vec::new();
    for (exchange, connection) in &mut open {
        due.extend(receive(connection, exchange)?);
    }
    Ok(due)
}

/// Gives each request its user agent, by which its span is found, and the server's own name as its host.
pub fn name(server: SocketAddr, exchanges: Vec<Exchange>) -> Vec<Exchange> {
    let host = server.to_string();
    let named = |(i, e): (usize, Exchange)| e.default_host(&host).agent(format!("t/{i}-{}", serial()));
    exchanges.into_iter().enumerate().map(named).collect()
}

/// A number that this process has not used before.
fn serial() -> usize {
    static NEXT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
}

struct Client {
    server: SocketAddr,
    connection: Option<Connection>,
}

impl Client {
    fn send(&mut self, exchange: &Exchange) -> Result<Option<Expected>> {
        let mut connection = match self.connection.take() {
            Some(open) => open,
            None => Connection::open(self.server)?,
        };
        send(&mut connection, exchange)?;
        let due = receive(&mut connection, exchange)?;
        if !exchange.closes {
            self.connection = Some(connection);
        }
        Ok(due)
    }
}

/// Sends all in one write, so that they stand behind one another in the server's buffer; then reads the answers.
pub fn pipelined(server: SocketAddr, exchanges: Vec<Exchange>) -> Result<Vec<Expected>> {
    let exchanges = name(server, exchanges);
    let mut connection = Connection::open(server)?;
    connection.send(&exchanges.iter().flat_map(Exchange::bytes).collect::<Vec<u8>>())?;
    let mut due = Vec::new();
    for exchange in &exchanges {
        due.extend(receive(&mut connection, exchange)?);
    }
    Ok(due)
}

/// Sends the request, in two segments where it says so: the server reads what is there and then waits for more.
fn send(connection: &mut Connection, exchange: &Exchange) -> Result<()> {
    let bytes = exchange.bytes();
    let (first, rest) = bytes.split_at(exchange.cut.unwrap_or(0).min(bytes.len() - 1));
    if !first.is_empty() {
        connection.send(first)?;
        std::thread::sleep(BETWEEN_SEGMENTS);
    }
    connection.send(rest)
}

/// Reads the answer and checks it; the span that is due.
pub fn receive(connection: &mut Connection, exchange: &Exchange) -> Result<Option<Expected>> {
    let what = || format!("{} {}", exchange.method, String::from_utf8_lossy(&exchange.target));
    let answer = connection.receive(exchange.method == "HEAD").with_context(what)?;
    let seen = answer.as_ref().map(|a| a.status);
    match (exchange.answer, &answer) {
        (Answer::Status(want), Some(got)) => {
            ensure!(got.status == want, "{}: {}, not {want}", what(), got.status)
        }
        (Answer::SomeStatus | Answer::ByHand, Some(_)) => {}
        // A panic after a header was written may still flush nothing.
        (Answer::Closed, None) => {}
        (want, got) => bail!("{}: expected {want:?}, got {got:?}", what()),
    }
    if let Some(answer) = &answer {
        let closes = answer.head.closes() || exchange.closes;
        ensure!(closes == exchange.closes, "{}: closed by the server: {:?}", what(), answer.head);
    }
    Ok(exchange.traced.then(|| exchange.expected(connection.local_port(), seen)))
}
