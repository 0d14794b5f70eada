//! Just enough HTTP/2 to send `GET /` without TLS (prior knowledge) and to see that it was answered.
//!
//! Frames are RFC 9113 §4.1: length (3 bytes), type, flags, stream id. The header block uses the static table of RFC 7541
//! and literals without Huffman coding, so no compressor is needed.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const ACK: u8 = 1;
const END_STREAM_AND_HEADERS: u8 = 5;

/// Sends `count` requests, one after the other, on one connection; fails unless each is answered with headers.
pub fn get(server: SocketAddr, count: u32) -> Result<()> {
    let mut stream = TcpStream::connect(server).with_context(|| format!("connect to {server}"))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.write_all(PREFACE)?;
    stream.write_all(&frame(SETTINGS, 0, 0, &[])?)?;
    for i in 0..count {
        let id = 2 * i + 1;
        stream.write_all(&frame(HEADERS, END_STREAM_AND_HEADERS, id, &block(&server.to_string())?)?)?;
        answered(&mut stream, id).with_context(|| format!("request {i} over HTTP/2"))?;
    }
    Ok(())
}

/// `:method: GET` (2), `:scheme: http` (6), `:path: /` (4), `:authority` (1, literal without indexing).
fn block(authority: &str) -> Result<Vec<u8>> {
    let length = u8::try_from(authority.len()).ok().filter(|n| *n < 127).context("authority too long")?;
    Ok([&[0x82, 0x86, 0x84, 0x01, length], authority.as_bytes()].concat())
}

fn frame(kind: u8, flags: u8, id: u32, payload: &[u8]) -> Result<Vec<u8>> {
    let length = u16::try_from(payload.len()).context("frame too long")?.to_be_bytes();
    Ok([&[0, length[0], length[1], kind, flags], id.to_be_bytes().as_slice(), payload].concat())
}

/// Reads frames until the answer's headers on stream `id` have come.
fn answered(stream: &mut TcpStream, id: u32) -> Result<()> {
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).context("read a frame")?;
        let [a, b, c, kind, flags, i, j, k, l] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        stream.read_exact(&mut payload).context("read a frame's payload")?;
        match (kind, u32::from_be_bytes([i & 0x7f, j, k, l])) {
            (SETTINGS, _) if flags & ACK == 0 => stream.write_all(&frame(SETTINGS, ACK, 0, &[])?)?,
            (HEADERS, got) if got == id => return Ok(()),
            (RST_STREAM, got) if got == id => bail!("the server reset the stream"),
            (GOAWAY, _) => bail!("the server went away"),
            _ => {}
        }
    }
}
