//! The part of HTTP/1.1 that both ends of the tests need: message heads, and bodies by length, by chunks, or to the end.

use std::io::{BufRead, Read};

use anyhow::{Context, Result, bail};

/// No message of the tests is larger.
const MAX_BODY_BYTES: u64 = 64 << 20;

/// A start line and its headers.
#[derive(Debug, Clone, Default)]
pub struct Head {
    /// `GET / HTTP/1.1` or `HTTP/1.1 200 OK`.
    pub start: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
}

impl Head {
    /// The first header of that (lower-case) name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// Whether the peer will close the connection after this message.
    pub fn closes(&self) -> bool {
        self.get("connection").is_some_and(|v| v.eq_ignore_ascii_case("close"))
    }

    fn chunked(&self) -> bool {
        self.get("transfer-encoding").is_some_and(|v| v.eq_ignore_ascii_case("chunked"))
    }
}

/// Reads a head; `None` at the end of the stream before its first byte.
pub fn read_head(r: &mut impl BufRead) -> Result<Option<Head>> {
    let Some(start) = read_line(r).context("read the start line")? else { return Ok(None) };
    let mut head = Head { start, ..Head::default() };
    loop {
        match read_line(r).context("read a header")? {
            None => bail!("the connection ended inside the headers of {:?}", head.start),
            Some(line) if line.is_empty() => return Ok(Some(head)),
            Some(line) => {
                let (name, value) = line.split_once(':').with_context(|| format!("header {line:?}"))?;
                head.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
            }
        }
    }
}

/// Reads the body that `head` announces. `to_end` says what no announcement means: everything to the end, or nothing.
pub fn read_body(r: &mut impl BufRead, head: &Head, to_end: bool) -> Result<Vec<u8>> {
    if head.chunked() {
        return read_chunks(r);
    }
    let length = match head.get("content-length") {
        Some(v) => v.parse::<u64>().with_context(|| format!("content-length {v:?}"))?,
        None if to_end => MAX_BODY_BYTES,
        None => return Ok(Vec::new()),
    };
    let exact = head.get("content-length").is_some();
    let mut body = Vec::new();
    let got = r.take(length.min(MAX_BODY_BYTES)).read_to_end(&mut body).context("read the body")?;
    if exact && got as u64 != length {
        bail!("the body ended after {got} of {length} bytes");
    }
    Ok(body)
}

fn read_chunks(r: &mut impl BufRead) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = read_line(r)?.context("the stream ended between chunks")?;
        let size = line.split(';').next().unwrap_or_default().trim();
        let size = u64::from_str_radix(size, 16).with_context(|| format!("chunk size {line:?}"))?;
        if size + body.len() as u64 > MAX_BODY_BYTES {
            bail!("a chunked body larger than {MAX_BODY_BYTES} bytes");
        }
        let got = r.take(size).read_to_end(&mut body).context("read a chunk")?;
        if got as u64 != size {
            bail!("a chunk ended after {got} of {size} bytes");
        }
        while let Some(line) = read_line(r)? {
            // The line end after a chunk; after the last one, trailers up to the empty line.
            if size > 0 || line.is_empty() {
                break;
            }
        }
        if size == 0 {
            return Ok(body);
        }
    }
}

fn read_line(r: &mut impl BufRead) -> Result<Option<String>> {
    let mut line = Vec::new();
    if r.take(64 << 10).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    while line.last().is_some_and(|b| matches!(b, b'\r' | b'\n')) {
        line.pop();
    }
    Ok(Some(String::from_utf8_lossy(&line).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(bytes: &[u8]) -> (Head, Vec<u8>) {
        let mut r = bytes;
        let head = read_head(&mut r).unwrap().unwrap();
        let body = read_body(&mut r, &head, false).unwrap();
        assert!(r.is_empty(), "left over: {r:?}");
        (head, body)
    }

    #[test]
    fn bodies_by_length_and_by_chunks() {
        let (head, body) = message(b"POST / HTTP/1.1\r\nContent-Length: 3\r\nA:  b \r\n\r\nabc");
        assert_eq!((head.get("a"), body.as_slice()), (Some("b"), b"abc".as_slice()));
        let (_, body) =
            message(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1;x\r\nc\r\n0\r\n\r\n");
        assert_eq!(body, b"abc");
    }

    #[test]
    fn a_short_body_is_an_error() {
        let mut r = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc".as_slice();
        let head = read_head(&mut r).unwrap().unwrap();
        assert!(read_body(&mut r, &head, false).unwrap_err().to_string().contains("after 3 of 9"));
    }
}
