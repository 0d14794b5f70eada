//! What keeps the service busy beside requests in text: streams of HTTP/2, and orders to call.

use std::{
    collections::VecDeque,
    io::{BufRead as _, BufReader, Write as _},
    net::TcpStream,
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
    fields: Vec<(String, String)>,
}

impl Drive for Streams {
    type Work = ();

    fn open(service: &Running) -> Result<Self> {
        let connection = Connection::open(modes::address(service, "listening on ")?)?;
        let fields = [
            (":method", "GET"),
            (":scheme", "http"),
            (":authority", "bench.example:8080"),
            (":path", PATH),
            ("user-agent", "strobe-bench/1.0"),
            ("accept", "*/*"),
            ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ];
        let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        Ok(Self { connection, fields })
    }

    fn run(&mut self, total: usize, (): &()) -> Result<()> {
        let mut open = VecDeque::new();
        for sent in 0..total + CONNECTIONS {
            if sent < total {
                open.push_back(self.connection.send(&self.fields, &[])?);
            }
            if sent >= CONNECTIONS
                && let Some(stream) = open.pop_front()
            {
                let answer = self.connection.receive(stream)?;
                ensure!(answer.status == Some(200), "stream {stream} was answered {answer:?}");
            }
        }
        Ok(())
    }
}

/// Orders to the service: so many calls of another.
pub struct Calls {
    orders: TcpStream,
    answers: BufReader<TcpStream>,
}

impl Drive for Calls {
    /// The version of HTTP, as the service calls it.
    type Work = str;

    fn open(service: &Running) -> Result<Self> {
        let orders = TcpStream::connect(modes::address(service, "orders on ")?).context("giving orders")?;
        orders.set_nodelay(true)?;
        let answers = BufReader::new(orders.try_clone()?);
        Ok(Self { orders, answers })
    }

    fn run(&mut self, total: usize, how: &str) -> Result<()> {
        self.orders.write_all(format!("{how} {total}\n").as_bytes()).context("giving an order")?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer).context("waiting for calls to end")?;
        ensure!(answer.trim() == "done", "the service answered {answer:?}");
        Ok(())
    }
}
