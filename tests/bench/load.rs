//! A bounded closed loop over kept-alive connections, cheap enough to share a processor with the agent.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
};

use anyhow::{Context as _, Result, bail};

/// Connections to each service.
pub const CONNECTIONS: usize = 8;

/// The connections to one service.
#[derive(Debug)]
pub struct Load {
    connections: Vec<Connection>,
}

impl Load {
    /// Opens them; each has sent a first request when this returns.
    pub fn open(server: SocketAddr) -> Result<Self> {
        let open = || -> Result<Connection> {
            let stream = TcpStream::connect(server).context("connecting to the service")?;
            stream.set_nodelay(true)?;
            let mut connection = Connection { stream, length: 0 };
            connection.send(&request(3))?;
            connection.answered()?;
            Ok(connection)
        };
        Ok(Self { connections: (0..CONNECTIONS).map(|_| open()).collect::<Result<_>>()? })
    }

    /// Sends `total` requests with `headers` headers beside Host; every answer must be a 200. One thread goes round the
    /// connections, and each has its next request before the round comes back to it: the service always has some waiting
    /// and never sleeps. (Waking it for every request costs it more than the request.)
    pub fn run(&mut self, total: usize, headers: usize) -> Result<()> {
        let request = &request(headers);
        let mut unsent = total;
        for connection in self.connections.iter_mut().take(total) {
            connection.send(request)?;
            unsent -= 1;
        }
        for turn in 0..total {
            let connection = &mut self.connections[turn % CONNECTIONS];
            connection.answered()?;
            if unsent > 0 {
                connection.send(request)?;
                unsent -= 1;
            }
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

fn request(headers: usize) -> Vec<u8> {
    let mut text = String::from(
        "GET /items/42?verbose=1 HTTP/1.1\r\nHost: bench.example:8080\r\nUser-Agent: strobe-bench/1.0\r\n",
    );
    text.push_str("Accept: */*\r\n");
    for name in OTHERS.iter().take(headers - 3) {
        text.push_str(&format!("{name}: keep-alive\r\n"));
    }
    text.push_str("Traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n\r\n");
    text.into_bytes()
}
