//! A request's line and header as they came over the wire, read as Go's net/http reads them.
//!
//! The text is another process's memory and a client's bytes: nothing here panics, and the time is linear in its length (but
//! for the sorting of the names' hashes). What Go does is in net/http `readRequest`, net/textproto `ReadMIMEHeader` and net/url
//! `parse`; each rule below was tried against a Go 1.26.8 server.
//!
//! ```text
//! [CR|LF]* METHOD SP TARGET SP PROTO EOL       up to four CR or LF are tolerated after a POST
//! NAME ':' VALUE EOL                           EOL is LF, with or without one CR before it
//! (SP|HTAB)+ MORE EOL                          goes on with the line before, joined by one space
//! EOL                                          the end; nothing may lie behind it
//! ```
//! The text is believed only as far as it is proven to be this request's: its line by the lengths of the method and the
//! target, the header by its blank line at the very end and by the number of entries of the handler's header map. Cookies and
//! credentials pass by: only what a span needs is kept, everything else is dropped as it is read.

use std::borrow::Cow;

use memchr::memchr;

use runtime_ebpf::http_server::records::{
    HEADERS_FORWARDED, HEADERS_FORWARDED_FOR, HEADERS_FORWARDED_HOST, HEADERS_FORWARDED_PROTO,
    HEADERS_SLOT_COUNT, HEADERS_TRACESTATE, MOST_TRACESTATES, NO_TRACESTATE,
};

use crate::records::{DecodeError, Text};
use crate::spans::text::percent_decode;

/// The most CR and LF that net/http takes away in front of a request (`numLeadingCRorLF` of a peek of four).
const LEADING_EOL_BYTES: usize = 4;

/// What the kernel's side knows of the request without its text.
#[derive(Debug, Clone, Copy)]
pub struct Proof {
    /// Length of the method.
    pub method_len: u32,
    /// Length of the target.
    pub target_len: u32,
    /// Entries of `Request.Header`; `None` if they could not be counted.
    pub header_count: Option<u32>,
    /// Whether the request is HTTP/1.0, for which net/http ignores `Transfer-Encoding`.
    pub is_http10: bool,
}

/// What a span needs of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request<'a> {
    /// The method.
    pub method: Text<'a>,
    /// The target.
    pub target: Text<'a>,
    /// `Request.Host`; `None`: not known.
    pub host: Option<Cow<'a, [u8]>>,
    /// The first `User-Agent`.
    pub user_agent: Option<Cow<'a, [u8]>>,
    /// What more the header says, in the order of the `HEADERS_` slots: the first value of each, and all of `tracestate`.
    pub more: Option<Box<MoreHeaders<'a>>>,
    /// Whether it asked for another protocol: `Upgrade`, and `Connection` names it.
    pub asks_upgrade: bool,
    /// The header could not be proven to be this request's, or is not there to its end: only what is proven was used.
    pub unsure: bool,
}

/// Headers that most requests do not have.
pub type MoreHeaders<'a> = [Option<Cow<'a, [u8]>>; HEADERS_SLOT_COUNT];

/// Reads a request. `names` is working memory that the caller keeps, so that reading allocates nothing.
pub fn parse<'a>(text: Text<'a>, proof: Proof, names: &mut Vec<u64>) -> Result<Request<'a>, DecodeError> {
    let start = text.bytes.iter().take(LEADING_EOL_BYTES).take_while(|b| matches!(b, b'\r' | b'\n')).count();
    let held = text.bytes.get(start..).unwrap_or_default();
    let (method, rest) = word(held, proof.method_len, text.is_cut())?;
    let (target, rest) = word(rest, proof.target_len, text.is_cut())?;
    let found =
        line(rest).and_then(|(_protocol, header)| read_header(header, text.is_cut(), proof.is_http10, names));
    let proven = found.filter(|found| proof.header_count.is_some_and(|count| found.agrees(count)));
    let mut request = Request {
        method,
        target,
        host: target_host(method.bytes, target).filter(|host| !host.is_empty()),
        user_agent: None,
        more: None,
        asks_upgrade: false,
        unsure: true,
    };
    if let Some(found) = proven {
        request.unsure = !found.is_whole;
        request.asks_upgrade = found.upgrade && found.connection_upgrade;
        request.user_agent = found.user_agent;
        request.more = found.more;
        request.host = request.host.or(found.host);
    }
    Ok(request)
}

/// The word of this length, and what is behind the space after it. Only a cut text may end before that.
fn word(text: &[u8], len: u32, is_cut: bool) -> Result<(Text<'_>, &[u8]), DecodeError> {
    let full_len = usize::try_from(len).unwrap_or(usize::MAX);
    match text.split_at_checked(full_len) {
        Some((word, [b' ', rest @ ..])) if memchr(b' ', word).is_none() => Ok((Text::whole(word), rest)),
        Some((word, [])) if is_cut => Ok((Text::whole(word), &[])),
        None if is_cut => Ok((Text { bytes: text, full_len }, &[])),
        _ => Err(DecodeError::Contradiction("request line and its lengths")),
    }
}

/// The first line without its end, and what is behind it.
fn line(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = memchr(b'\n', text)?;
    let line = text.get(..at)?;
    Some((line.strip_suffix(b"\r").unwrap_or(line), text.get(at + 1..)?))
}

fn is_blank(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn trim(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|byte| !is_blank(byte)).unwrap_or(text.len());
    let end = text.iter().rposition(|byte| !is_blank(byte)).map_or(start, |last| last + 1);
    text.get(start..end).unwrap_or_default()
}

/// What the header says, as far as anybody asks.
#[derive(Debug, Default)]
struct Header<'a> {
    host: Option<Cow<'a, [u8]>>,
    user_agent: Option<Cow<'a, [u8]>>,
    more: Option<Box<MoreHeaders<'a>>>,
    trace_states: usize,
    upgrade: bool,
    connection_upgrade: bool,
    transfer_encoding: bool,
    trailer: bool,
    content_length: bool,
    cache_control: bool,
    pragma: Option<bool>,
    is_http10: bool,
    /// Different names.
    distinct: usize,
    /// Read up to its blank line.
    is_whole: bool,
}

impl<'a> Header<'a> {
    /// Whether net/http makes a map of so many entries of it: it takes `Host` and `Transfer-Encoding` out, of a chunked
    /// request `Trailer` and `Content-Length` too, and adds `Cache-Control` to `Pragma: no-cache`. Of a header that is not
    /// there to its end no more can be said than that it has not too many.
    fn agrees(&self, count: u32) -> bool {
        let chunked = self.transfer_encoding && !self.is_http10;
        let taken = [
            self.host.is_some(),
            self.transfer_encoding,
            chunked && self.trailer,
            chunked && self.content_length,
        ];
        let taken = taken.into_iter().filter(|is_taken| *is_taken).count();
        let added = usize::from(self.pragma == Some(true) && !self.cache_control);
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let expected = (self.distinct + added).saturating_sub(taken);
        if self.is_whole { expected == count } else { self.distinct.saturating_sub(taken) <= count }
    }

    fn field(&mut self, name: &[u8], value: Cow<'a, [u8]>) {
        let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
        match name.len() {
            6 if is(b"Pragma") => {
                self.pragma.get_or_insert(*value == *b"no-cache");
            }
            7 if is(b"Upgrade") => self.upgrade = true,
            7 if is(b"Trailer") => self.trailer = true,
            9 if is(b"Forwarded") => self.keep(HEADERS_FORWARDED, value),
            10 if is(b"Tracestate") => self.join_trace_state(value),
            15 if is(b"X-Forwarded-For") => self.keep(HEADERS_FORWARDED_FOR, value),
            16 if is(b"X-Forwarded-Host") => self.keep(HEADERS_FORWARDED_HOST, value),
            17 if is(b"X-Forwarded-Proto") => self.keep(HEADERS_FORWARDED_PROTO, value),
            10 if is(b"Connection") => self.connection_upgrade |= names_upgrade(&value),
            13 if is(b"Cache-Control") => self.cache_control = true,
            14 if is(b"Content-Length") => self.content_length = true,
            17 if is(b"Transfer-Encoding") => self.transfer_encoding = true,
            _ => {}
        }
    }
}

impl<'a> Header<'a> {
    fn keep(&mut self, slot: usize, value: Cow<'a, [u8]>) {
        if let Some(place) = self.more.get_or_insert_default().get_mut(slot) {
            place.get_or_insert(value);
        }
    }

    /// Several headers are one list (RFC 9110, 5.3), as the programs join them from the Request's header map.
    fn join_trace_state(&mut self, value: Cow<'a, [u8]>) {
        self.trace_states += 1;
        match self.more.get_or_insert_default().get_mut(HEADERS_TRACESTATE) {
            Some(Some(list)) if self.trace_states > MOST_TRACESTATES => {
                *list = Cow::Borrowed(&[NO_TRACESTATE])
            }
            Some(Some(list)) => {
                let list = list.to_mut();
                list.push(b',');
                list.extend_from_slice(&value);
            }
            Some(place) => *place = Some(value),
            None => {}
        }
    }
}

/// Whether a `Connection` header has the token `upgrade`.
fn names_upgrade(value: &[u8]) -> bool {
    value.split(|byte| *byte == b',').any(|token| trim(token).eq_ignore_ascii_case(b"upgrade"))
}

/// Reads the header's lines; `None` if net/http would have refused them, or if they do not end where the text does.
fn read_header<'a>(
    mut rest: &'a [u8],
    is_cut: bool,
    is_http10: bool,
    names: &mut Vec<u64>,
) -> Option<Header<'a>> {
    names.clear();
    let mut header = Header { is_http10, ..Header::default() };
    if rest.first().is_some_and(is_blank) {
        return None;
    }
    while let Some((first, behind)) = line(rest) {
        if first.is_empty() {
            header.is_whole = true;
            header.distinct = distinct(names);
            return behind.is_empty().then_some(header);
        }
        let colon = memchr(b':', first)?;
        let Some((value, behind)) = value(first.get(colon + 1..)?, behind) else { break };
        if behind.is_empty() && is_cut {
            // Its next line, which is not there, may be a continuation.
            break;
        }
        rest = behind;
        let name = trim(first.get(..colon)?);
        if name.is_empty() {
            continue;
        }
        names.push(folded(name));
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"Host") => header.host = header.host.or(Some(value)),
            10 if name.eq_ignore_ascii_case(b"User-Agent") => {
                header.user_agent = header.user_agent.or(Some(value));
            }
            _ => header.field(name, value),
        }
    }
    header.distinct = distinct(names);
    is_cut.then_some(header)
}

/// A value that begins on a line with `first`, joined with the lines that continue it; and what is behind them. `None` if
/// the text ends within.
fn value<'a>(first: &'a [u8], mut rest: &'a [u8]) -> Option<(Cow<'a, [u8]>, &'a [u8])> {
    let mut value = Cow::Borrowed(trim(first));
    while rest.first().is_some_and(is_blank) {
        let (more, behind) = line(rest)?;
        let joined = value.to_mut();
        joined.push(b' ');
        joined.extend_from_slice(trim(more));
        rest = behind;
    }
    // The space of a continued empty line is at the value's beginning, which net/http trims once more.
    if let Cow::Owned(joined) = &mut value {
        let blanks = joined.iter().take_while(|byte| is_blank(byte)).count();
        joined.drain(..blanks);
    }
    Some((value, rest))
}

/// How many different hashes; sorts them.
fn distinct(names: &mut Vec<u64>) -> usize {
    names.sort_unstable();
    names.dedup();
    names.len()
}

/// A hash of a name without regard to case, eight bytes at a time. Names that it takes for one although they are two make the
/// header unsure, no worse.
fn folded(name: &[u8]) -> u64 {
    /// An odd number with many bits (2^64 divided by the golden ratio).
    const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
    const LOWER_CASE: u64 = 0x2020_2020_2020_2020;
    name.chunks(8).fold(name.len() as u64, |hash, chunk| {
        let mut word = [0; 8];
        for (to, from) in word.iter_mut().zip(chunk) {
            *to = *from;
        }
        let mixed = (hash ^ (u64::from_le_bytes(word) | LOWER_CASE)).wrapping_mul(SPREAD);
        mixed ^ (mixed >> 32)
    })
}

/// The host of an absolute-form target, or CONNECT's authority: net/http prefers it to the `Host` header. `None` where the
/// target has none, or is cut within it.
fn target_host<'a>(method: &[u8], target: Text<'a>) -> Option<Cow<'a, [u8]>> {
    let bytes = target.bytes;
    let authority = if method == b"CONNECT" && !bytes.starts_with(b"/") {
        bytes
    } else {
        bytes.get(scheme_len(bytes)? + 1..)?.strip_prefix(b"//")?
    };
    let end = authority.iter().position(|byte| matches!(byte, b'/' | b'?'));
    if end.is_none() && target.is_cut() {
        return None;
    }
    let authority = authority.get(..end.unwrap_or(authority.len()))?;
    let host = authority.rsplit(|byte| *byte == b'@').next()?;
    if memchr(b'%', host).is_some() {
        return percent_decode(host).map(Cow::Owned);
    }
    Some(Cow::Borrowed(host))
}

/// Length of the scheme before `:` (net/url `getScheme`).
fn scheme_len(target: &[u8]) -> Option<usize> {
    for (at, byte) in target.iter().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if at > 0 => {}
            b':' if at > 0 => return Some(at),
            _ => return None,
        }
    }
    None
}

#[cfg(test)]
#[path = "request_text_tests.rs"]
mod tests;
