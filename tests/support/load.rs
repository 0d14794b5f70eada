//! A bounded closed loop over kept-alive connections, cheap enough to share a processor with the agent.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

/// Requests in a row of a paced load.
const BURST: usize = 50;

/// Connections to each service.
pub const CONNECTIONS: usize = 8;

/// The connections to one service.
#[derive(Debug)]
pub struct Load {
    server: SocketAddr,
    connections: Vec<Connection>,
}

impl Load {
    /// Opens them; each has sent a first request when this returns.
    pub fn open(server: SocketAddr, path: &str) -> Result<Self> {
        let open = || -> Result<Connection> {
            let stream = TcpStream::connect(server).context("connecting to the service")?;
            stream.set_nodelay(true)?;
            let mut connection = Connection { stream, length: 0 };
            connection.send(&Case::HOT[0].requests(path)[0])?;
            connection.answered()?;
            Ok(connection)
        };
        Ok(Self { server, connections: (0..CONNECTIONS).map(|_| open()).collect::<Result<_>>()? })
    }

    /// Sends `total` requests, going round those given; every answer must be a 200. One thread goes round the connections,
    /// and each has its next request before the round comes back to it: the service always has some waiting and never
    /// sleeps. (Waking it for every request costs it more than the request.)
    pub fn run(&mut self, total: usize, requests: &[Vec<u8>]) -> Result<()> {
        let mut next = requests.iter().cycle().take(total);
        for connection in self.connections.iter_mut().take(total) {
            connection.send(next.next().context("no request to send")?)?;
        }
        for turn in 0..total {
            let connection = &mut self.connections[turn % CONNECTIONS];
            connection.answered()?;
            if let Some(request) = next.next() {
                connection.send(request)?;
            }
        }
        Ok(())
    }

    /// Sends `per_second` requests a second for so long, in small bursts; gives how many, each answered.
    pub fn run_paced(&mut self, per_second: usize, time: Duration, requests: &[Vec<u8>]) -> Result<usize> {
        let begin = Instant::now();
        let mut sent = 0;
        while begin.elapsed() < time {
            let due = (begin.elapsed().as_secs_f64() * per_second as f64) as usize;
            if sent >= due {
                std::thread::sleep(Duration::from_millis(1));
                continue;
            }
            self.run(BURST, requests)?;
            sent += BURST;
        }
        Ok(sent)
    }

    /// Sends `total` requests, each the first and last of its connection.
    pub fn run_first(&mut self, total: usize, request: &[u8]) -> Result<()> {
        for _ in 0..total {
            let stream = TcpStream::connect(self.server).context("connecting to the service")?;
            let mut connection = Connection { stream, length: 0 };
            connection.send(request)?;
            connection.answered()?;
        }
        Ok(())
    }
}

/// A kept-alive connection.
#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    /// Of an answer. All have the length of the first: fixed body, fixed headers.
    length: usize,
}

impl Connection {
    fn send(&mut self, request: &[u8]) -> Result<()> {
        self.stream.write_all(request).context("sending a request")
    }

    fn answered(&mut self) -> Result<()> {
        let mut buffer = [0; 4096];
        if self.length == 0 {
            self.length = self.stream.read(&mut buffer).context("reading the first answer")?;
        } else {
            self.stream.read_exact(&mut buffer[..self.length]).context("reading an answer")?;
        }
        if !buffer.starts_with(b"HTTP/1.1 200 ") {
            bail!("the service answered {:?}", String::from_utf8_lossy(&buffer[..self.length]));
        }
        Ok(())
    }
}

/// What browsers and proxies send, beside Accept, User-Agent and Traceparent.
const OTHERS: [&str; 12] = [
    "Accept-Encoding",
    "Accept-Language",
    "Cache-Control",
    "Connection",
    "Content-Type",
    "Cookie",
    "Origin",
    "Referer",
    "X-Forwarded-For",
    "X-Forwarded-Proto",
    "X-Real-Ip",
    "X-Request-Id",
];

/// What is sent: how many headers beside Host, and how they look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Case {
    /// What it is called in tables.
    pub name: &'static str,
    /// Headers beside Host.
    pub headers: usize,
    /// Whether `traceparent` is one of them.
    pub traceparent: bool,
    /// URLs of many lengths, headers in many orders.
    pub varied: bool,
    /// One header is there twice, which the text alone cannot prove: the slow way.
    pub doubled: bool,
}

impl Case {
    const fn new(name: &'static str, headers: usize, traceparent: bool) -> Self {
        Self { name, headers, traceparent, varied: false, doubled: false }
    }

    /// Those for which there is a target.
    pub const HOT: [Self; 6] = [
        Self::new("3 headers, traceparent", 3, true),
        Self::new("3 headers", 3, false),
        Self::new("15 headers, traceparent", 15, true),
        Self::new("15 headers", 15, false),
        Self { varied: true, ..Self::new("3 headers, varied", 3, true) },
        Self { varied: true, ..Self::new("15 headers, varied", 15, true) },
    ];

    /// The slow way.
    pub const SLOW: [Self; 2] = [
        Self { doubled: true, ..Self::new("3 headers, the slow way", 3, true) },
        Self { doubled: true, ..Self::new("15 headers, the slow way", 15, true) },
    ];

    /// Its requests for this path, to be sent in turn.
    pub fn requests(&self, path: &str) -> Vec<Vec<u8>> {
        let variants = if self.varied { 16 } else { 1 };
        let make = |variant: usize| {
            let mut text = request(path, self.headers, self.traceparent, variant * 11, variant);
            if self.doubled {
                // In front of the blank line.
                text.truncate(text.len() - 2);
                text.extend(b"Accept: text/html\r\n\r\n");
            }
            text
        };
        (0..variants).map(make).collect()
    }
}

/// `longer` bytes more of URL; the headers begin with the `first`th.
fn request(path: &str, headers: usize, traceparent: bool, longer: usize, first: usize) -> Vec<u8> {
    let mut lines = vec!["User-Agent: strobe-bench/1.0".to_owned(), "Accept: */*".to_owned()];
    lines.extend(OTHERS.iter().take(headers - 3).map(|name| format!("{name}: keep-alive")));
    if traceparent {
        lines.push("Traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned());
    } else {
        lines.push("X-Forwarded-Host: bench.example".to_owned());
    }
    let turned = first % lines.len();
    lines.rotate_left(turned);
    let padding = "x".repeat(longer);
    let separator = if path.contains('?') { '&' } else { '?' };
    let start = format!("GET {path}{separator}padding={padding} HTTP/1.1\r\nHost: bench.example:8080\r\n");
    format!("{start}{}\r\n\r\n", lines.join("\r\n")).into_bytes()
}
