//! What keeps the service busy beside requests in text: streams of HTTP/2, and orders to call.

use std::{
    collections::VecDeque,
    io::{BufRead as _, BufReader, Write as _},
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use strobe_tests::{h2::Connection, load::CONNECTIONS, process::Running};

use crate::{
    modes::{self, Drive},
    scale::service::PATH,
};

/// One connection of HTTP/2 with as many streams open as the load of HTTP/1.1 has connections.
pub struct Streams {
    connection: Connection,
}

/// What each of the streams is opened for.
pub struct Request {
    fields: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    /// What the load of HTTP/1.1 asks for, by as many headers.
    pub fn get() -> Self {
        let own =
            [(":method", "GET"), (":path", PATH), ("user-agent", "strobe-bench/1.0"), ("accept", "*/*")];
        Self::of(&own, &[])
    }

    /// A unary call of `tests/apps/benchlibraries`: its message is one byte, behind a flag and a length of four.
    pub fn rpc() -> Self {
        let own = [
            (":method", "POST"),
            (":path", "/strobe.Bench/Call"),
            ("content-type", "application/grpc+raw"),
            ("te", "trailers"),
            ("user-agent", "strobe-bench/1.0"),
        ];
        Self::of(&own, &[0, 0, 0, 0, 1, b'x'])
    }

    /// Fields that begin with a colon are in front.
    fn of(own: &[(&str, &str)], body: &[u8]) -> Self {
        let (pseudo, others): (Vec<_>, Vec<_>) = own.iter().partition(|(name, _)| name.starts_with(':'));
        let all = [(":scheme", "http"), (":authority", "bench.example:8080")].into_iter();
        let all = all.chain(pseudo.into_iter().copied()).chain(others.into_iter().copied());
        let parent = ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Self { fields: all.chain([parent]).map(owned).collect(), body: body.to_vec() }
    }
}

impl Drive for Streams {
    type Work = Request;

    fn open(service: &Running) -> Result<Self> {
        let connection = Connection::open(modes::address(service, "listening on ")?)?;
        Ok(Self { connection })
    }

    fn run(&mut self, total: usize, request: &Request) -> Result<()> {
        let mut open = VecDeque::new();
        for sent in 0..total + CONNECTIONS {
            if sent < total {
                open.push_back(self.connection.send(&request.fields, &request.body)?);
            }
            if sent >= CONNECTIONS
                && let Some(stream) = open.pop_front()
            {
                let answer = self.connection.receive(stream)?;
                // An RPC that failed has that status, too, but no message.
                let is_good = answer.status == Some(200) && answer.body_bytes > 0;
                ensure!(is_good, "stream {stream} was answered {answer:?}");
            }
        }
        Ok(())
    }
}

/// What an order takes at least. Operations that take next to no time would otherwise make more spans than an agent takes in that has
/// one processor with the bench and the collector: it would lose some, and waiting for it would cost the target something.
const PACE: Duration = Duration::from_millis(10);
/// Longer than any order takes, on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(30);

/// Orders to the service: so many calls of another.
pub struct Calls {
    orders: TcpStream,
    answers: BufReader<TcpStream>,
}

impl Drive for Calls {
    /// What is to be done, as the service calls it: a version of HTTP to call by, or an operation.
    type Work = str;

    fn open(service: &Running) -> Result<Self> {
        let orders = TcpStream::connect(modes::address(service, "orders on ")?).context("giving orders")?;
        orders.set_nodelay(true)?;
        orders.set_read_timeout(Some(PATIENCE))?;
        let answers = BufReader::new(orders.try_clone()?);
        Ok(Self { orders, answers })
    }

    fn run(&mut self, total: usize, how: &str) -> Result<()> {
        let begin = Instant::now();
        self.orders.write_all(format!("{how} {total}\n").as_bytes()).context("giving an order")?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer).context("waiting for calls to end")?;
        ensure!(answer.trim() == "done", "the service answered {answer:?}");
        thread::sleep(PACE.saturating_sub(begin.elapsed()));
        Ok(())
    }
}
