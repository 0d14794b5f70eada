//! A server over HTTP/1.1 that keeps the heads of its requests, byte for byte, and answers with nothing.
//!
//! `/redirect` is answered with a redirect to `/redirected`; behind `/closes` the connection is closed when the next request has come, which is
//! kept.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};

use crate::wire;

/// What came, in the order of its arrival: a request's line and header, to its blank line.
type Heads = Arc<Mutex<Vec<Vec<u8>>>>;

/// The server, for as long as the process lives.
#[derive(Debug)]
pub struct Recorder {
    address: SocketAddr,
    heads: Heads,
}

impl Recorder {
    /// Listens on a free port of loopback.
    pub fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("listen")?;
        let recorder = Self { address: listener.local_addr()?, heads: Heads::default() };
        let heads = Arc::clone(&recorder.heads);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let heads = Arc::clone(&heads);
                // A connection that ends is no error, however it ends: what has come is compared.
                std::thread::spawn(move || drop(serve(stream, &heads)));
            }
        });
        Ok(recorder)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What has come since it was asked last.
    pub fn take(&self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.heads.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn serve(stream: TcpStream, heads: &Heads) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    let mut closes = false;
    while let Some(head) = head(&mut reader)? {
        heads.lock().unwrap_or_else(PoisonError::into_inner).push(head.clone());
        if closes {
            return Ok(());
        }
        let parsed = wire::read_head(&mut head.as_slice())?.context("a head")?;
        if parsed.get("expect").is_some() {
            writer.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        wire::read_body(&mut reader, &parsed, false)?;
        let path = parsed.start.split(' ').nth(1).unwrap_or_default();
        closes = path == "/closes";
        let line = if path == "/redirect" { "302 Found\r\nLocation: /redirected" } else { "200 OK" };
        writer.write_all(format!("HTTP/1.1 {line}\r\nContent-Length: 0\r\n\r\n").as_bytes())?;
    }
    Ok(())
}

/// A request's line and header; `None` at the end of the connection.
fn head(reader: &mut BufReader<TcpStream>) -> Result<Option<Vec<u8>>> {
    let mut head = Vec::new();
    loop {
        let before = head.len();
        if reader.by_ref().take(1 << 20).read_until(b'\n', &mut head)? == 0 {
            return Ok(None);
        }
        if head.get(before..) == Some(b"\r\n") {
            return Ok(Some(head));
        }
    }
}
