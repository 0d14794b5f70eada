//! An HTTP/2 client without TLS: what a test asks for is what goes over the wire, frame by frame.
//!
//! Frames are RFC 9113 §4.1: length (3 bytes), type, flags, stream id. Header blocks use the static table of RFC 7541 and literals
//! without Huffman coding; the server is told to keep no dynamic table, so that of its answers the status can be read by itself.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// SETTINGS_HEADER_TABLE_SIZE = 0.
const NO_TABLE: [u8; 6] = [0, 1, 0, 0, 0, 0];
/// The same for a request over HTTP/1.1 that asks for HTTP/2: a SETTINGS frame's payload in base64url.
pub const HTTP2_SETTINGS: &str = "AAEAAAAA";
/// What a connection's answers may come to: all that the protocol allows, less what every connection begins with (65,535).
const WINDOW: u32 = (1 << 31) - 1 - 65_535;
/// The error code of a client that has lost interest.
const CANCEL: u32 = 8;
/// Longer than any handler of the tests takes.
const TIMEOUT: Duration = Duration::from_secs(30);

/// One connection to a server.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    next: u32,
    answers: HashMap<u32, Answer>,
}

/// What has come on a stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Answer {
    /// The final status (informational ones are passed over).
    pub status: Option<u16>,
    /// How much body there was.
    pub body_bytes: usize,
    /// The server has reset the stream.
    pub reset: bool,
    /// Nothing more will come.
    pub ended: bool,
}

impl Connection {
    /// Connects to a server on loopback, by prior knowledge.
    pub fn open(server: SocketAddr) -> Result<Self> {
        Self::begin(TcpStream::connect(server).with_context(|| format!("connect to {server}"))?, 1, &NO_TABLE)
    }

    /// The same on a connection that HTTP/1.1 was upgraded on by [`HTTP2_SETTINGS`], which gave the first stream away.
    ///
    /// Its first SETTINGS frame says nothing: the server is answering the first stream already, and Go's (x/net's v0.47 with any
    /// Go, seen without an agent too) ends the whole process by "concurrent map writes" when the table's size changes meanwhile.
    pub fn upgraded(stream: TcpStream) -> Result<Self> {
        Self::begin(stream, 3, &[])
    }

    fn begin(mut stream: TcpStream, next: u32, settings: &[u8]) -> Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        let window = frame(WINDOW_UPDATE, 0, 0, &WINDOW.to_be_bytes())?;
        let preface = [PREFACE, &frame(SETTINGS, 0, 0, settings)?, &window].concat();
        stream.write_all(&preface).context("the preface")?;
        Ok(Connection { stream, next, answers: HashMap::new() })
    }

    /// The port that the server sees as its peer's.
    pub fn local_port(&self) -> Result<u16> {
        Ok(self.stream.local_addr()?.port())
    }

    /// Sends a request with these fields, those that begin with a colon in front; gives the stream's number.
    pub fn send(&mut self, fields: &[(String, String)], body: &[u8]) -> Result<u32> {
        let id = self.next;
        self.next += 2;
        let block: Vec<u8> = fields.iter().flat_map(|(name, value)| literal(name, value)).collect();
        let end = if body.is_empty() { END_STREAM } else { 0 };
        let mut frames = frame(HEADERS, END_HEADERS | end, id, &block)?;
        if !body.is_empty() {
            frames.extend(frame(DATA, END_STREAM, id, body)?);
        }
        self.stream.write_all(&frames).context("send a request")?;
        Ok(id)
    }

    /// Loses interest in a stream.
    pub fn reset(&mut self, id: u32) -> Result<()> {
        self.stream.write_all(&frame(RST_STREAM, 0, id, &CANCEL.to_be_bytes())?).context("reset a stream")
    }

    /// Reads until nothing more will come on the stream.
    pub fn receive(&mut self, id: u32) -> Result<Answer> {
        loop {
            match self.answers.get(&id) {
                Some(answer) if answer.ended => return Ok(*answer),
                _ => self.read().with_context(|| format!("waiting for stream {id}"))?,
            }
        }
    }

    /// Takes one frame.
    fn read(&mut self) -> Result<()> {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head).context("read a frame")?;
        let [a, b, c, kind, flags, i, j, k, l] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        self.stream.read_exact(&mut payload).context("read a frame's payload")?;
        let answer = self.answers.entry(u32::from_be_bytes([i & 0x7f, j, k, l])).or_default();
        match kind {
            SETTINGS if flags & ACK == 0 => self.stream.write_all(&frame(SETTINGS, ACK, 0, &[])?)?,
            HEADERS => {
                // Behind the final status there are trailers, which have none.
                if answer.status.is_none() {
                    let status = status(&payload).with_context(|| format!("header block {payload:02x?}"))?;
                    answer.status = Some(status).filter(|status| *status >= 200);
                }
                answer.ended |= flags & END_STREAM != 0;
            }
            DATA => {
                answer.body_bytes += payload.len();
                answer.ended |= flags & END_STREAM != 0;
            }
            RST_STREAM => (answer.reset, answer.ended) = (true, true),
            GOAWAY => bail!("the server went away: {payload:02x?}"),
            _ => {}
        }
        Ok(())
    }
}

/// A field as a literal without indexing, its name new.
fn literal(name: &str, value: &str) -> Vec<u8> {
    [vec![0], text(name), text(value)].concat()
}

/// A string: its length, an integer with a prefix of 7 bits (RFC 7541 §5.1), and its bytes.
fn text(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text.len();
    if rest < 127 {
        out.extend(u8::try_from(rest));
    } else {
        out.push(127);
        rest -= 127;
        while rest >= 128 {
            out.extend(u8::try_from(rest % 128 + 128));
            rest /= 128;
        }
        out.extend(u8::try_from(rest));
    }
    out.extend_from_slice(text.as_bytes());
    out
}

fn frame(kind: u8, flags: u8, id: u32, payload: &[u8]) -> Result<Vec<u8>> {
    let length = u16::try_from(payload.len()).context("frame too long")?.to_be_bytes();
    Ok([&[0, length[0], length[1], kind, flags], id.to_be_bytes().as_slice(), payload].concat())
}

/// The status that a block begins with, behind changes of the table's size. Entries 8 to 14 of the static table are `:status`.
fn status(block: &[u8]) -> Option<u16> {
    const STATIC: [u16; 7] = [200, 204, 206, 304, 400, 404, 500];
    let block = block.get(block.iter().take_while(|byte| **byte & 0xe0 == 0x20).count()..)?;
    let (first, rest) = block.split_first()?;
    if first & 0x80 != 0 {
        return STATIC.get(usize::from(first & 0x7f).checked_sub(8)?).copied();
    }
    let name = if first & 0x40 != 0 { first & 0x3f } else { first & 0x0f };
    let (len, rest) = rest.split_first()?;
    let value = rest.get(..usize::from(len & 0x7f))?;
    let digits =
        if len & 0x80 != 0 { huffman_digits(value)? } else { String::from_utf8(value.to_vec()).ok()? };
    digits.parse().ok().filter(|_| (8..=14).contains(&name))
}

/// Three digits in Huffman coding (RFC 7541, appendix B): 0 to 2 are `00000` to `00010`, 3 to 9 are `011001` to `011111`.
fn huffman_digits(bytes: &[u8]) -> Option<String> {
    let mut bits = bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1));
    let mut digits = String::new();
    while digits.len() < 3 {
        let five = bits.by_ref().take(5).fold(0u8, |all, bit| all << 1 | bit);
        let digit = match five {
            0..=2 => five,
            _ => (five << 1 | bits.next()?).checked_sub(0b01_1001)? + 3,
        };
        digits.push(char::from_digit(u32::from(digit), 10)?);
    }
    Some(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_read_as_a_server_may_write_them() {
        // Indexed; with a change of the table's size in front; literal; in Huffman coding: 201, 202, 431, 503.
        assert_eq!(status(&[0x88]), Some(200));
        assert_eq!(status(&[0x20, 0x8d]), Some(404));
        assert_eq!(status(&[0x08, 0x03, b'2', b'0', b'1']), Some(201));
        assert_eq!(status(&[0x48, 0x82, 0x10, 0x03]), Some(201));
        assert_eq!(status(&[0x48, 0x82, 0x10, 0x05]), Some(202));
        assert_eq!(status(&[0x48, 0x83, 0b0110_1001, 0b1001_0000, 0b1111_1111]), Some(431));
        assert_eq!(status(&[0x48, 0x83, 0b0110_1100, 0b0000_1100, 0b1111_1111]), Some(503));
        assert_eq!(status(&[]), None);
    }

    #[test]
    fn long_strings_have_their_length_in_several_bytes() {
        assert_eq!(text("ab"), [2, b'a', b'b']);
        assert_eq!(text(&"x".repeat(127)).get(..3), Some([127, 0, b'x'].as_slice()));
        assert_eq!(text(&"x".repeat(1337)).get(..4), Some([127, 0xba, 9, b'x'].as_slice()));
    }
}
