//! A raw HTTP/1.1 client: what a test writes is what goes over the wire, byte for byte.

use std::io::{BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::wire::{self, Head};

/// Longer than any handler of the tests takes.
const TIMEOUT: Duration = Duration::from_secs(30);

/// One connection to a server.
#[derive(Debug)]
pub struct Connection {
    reader: BufReader<TcpStream>,
    local: SocketAddr,
}

/// A final answer (informational ones are skipped).
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Start line and headers.
    pub head: Head,
    /// The body.
    pub body: Vec<u8>,
}

impl Connection {
    /// Connects to a server on loopback.
    pub fn open(server: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(server).with_context(|| format!("connect to {server}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        let local = stream.local_addr()?;
        Ok(Connection { reader: BufReader::new(stream), local })
    }

    /// The port that the server sees as its peer's.
    pub fn local_port(&self) -> u16 {
        self.local.port()
    }

    /// Writes these bytes.
    pub fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.reader.get_mut().write_all(bytes).context("send a request")
    }

    /// Reads one answer; `None` if the server closed the connection instead. `bodiless`: the request was a HEAD.
    pub fn receive(&mut self, bodiless: bool) -> Result<Option<Answer>> {
        loop {
            let head = match wire::read_head(&mut self.reader) {
                Ok(Some(head)) => head,
                Ok(None) => return Ok(None),
                Err(e) if is_reset(&e) => return Ok(None),
                Err(e) => return Err(e.context("read an answer")),
            };
            let status = status(&head.start)?;
            if (100..200).contains(&status) && status != 101 {
                continue;
            }
            let empty = bodiless || matches!(status, 101 | 204 | 304);
            let body =
                if empty { Vec::new() } else { wire::read_body(&mut self.reader, &head, head.closes())? };
            return Ok(Some(Answer { status, head, body }));
        }
    }
}

fn status(start: &str) -> Result<u16> {
    let code = start.split(' ').nth(1).with_context(|| format!("no status in {start:?}"))?;
    code.parse().with_context(|| format!("status in {start:?}"))
}

fn is_reset(e: &anyhow::Error) -> bool {
    e.chain()
        .filter_map(|c| c.downcast_ref::<std::io::Error>())
        .any(|e| matches!(e.kind(), std::io::ErrorKind::ConnectionReset | std::io::ErrorKind::BrokenPipe))
}
