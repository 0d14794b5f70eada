//! The text that the connection's `bufio.Reader` holds: is it this request, whole? And which `traceparent` does it have?
//!
//! A request that came in more than one read has only its tail there, pipelined ones stand behind their predecessors, and a
//! folded line may hold whatever a client likes. So the text is taken only if
//! - it begins (behind up to four CR and LF, which net/http passes over after a POST) with the Request's own
//!   `Method SP RequestURI SP`, compared with the string that both are parts of;
//! - its first blank line is its end;
//! - it has as many header lines as the Request's map has entries, and one for Host and one for Transfer-Encoding, which
//!   net/http takes out.
//!
//! Newlines are looked for eight bytes at a time. One flat loop: nested ones are refused on 5.10, and the number of the turn
//! has to stay in a register there.

use runtime_ebpf::{
    net_http_server::LINE_BYTES,
    trace_parent::TraceParent,
};

use super::start::Picked;
use crate::{
    read::{opaque, read, read_bytes},
    traceparent,
};

/// What the text says.
pub struct Wire {
    pub header_count: u32,
    pub parent: Parent,
}

/// What it says of the parent.
pub enum Parent {
    None,
    Invalid,
    Valid(TraceParent),
}

const ONES: u64 = 0x0101_0101_0101_0101;
const LOW: u64 = 0x7f * ONES;
const TOPS: u64 = 0x80 * ONES;

/// Turns of the scan: 4,096 bytes in eights, and a line of header for every 64 of them.
const TURNS: u32 = 576;
/// `traceparent:` and the one space that nearly everybody writes.
const NAME_BYTES: u64 = 12;
/// Where the positions in [`Scan::parent`] end; above them it is counted how many there are.
const SECOND: u64 = 1 << 32;

/// Takes the text into `text`, which has `ROOM` bytes for it and [`LINE_BYTES`] and a few behind. `None`: it is not proven.
#[inline(always)]
pub fn take<const ROOM: usize>(text: *mut u8, buffer: u64, len: u64, picked: &Picked) -> Option<Wire> {
    let line_len = request_line(picked)?;
    let mut size = opaque(len);
    if size == 0 || size > ROOM as u64 {
        return None;
    }
    size = opaque(size);
    // SAFETY: the line's room lies behind the text's.
    let line = unsafe { text.add(ROOM) };
    if !read_bytes(text, size as u32, buffer) || !read_bytes(line, line_len as u32, picked.method.address) {
        return None;
    }
    let header_count = read::<u64>(picked.header)?;
    let start = skip_empty(text);
    if !begins_with(text, start, line, line_len) {
        return None;
    }
    let scan = scan::<ROOM>(text, start + line_len, size)?;
    // The request line itself, Host, and Transfer-Encoding where the length is not known.
    let chunked = (picked.content_length < 0) as u64;
    if scan.lines != header_count + 2 + chunked {
        return None;
    }
    let parent = match scan.parent {
        0 => Parent::None,
        at if at < SECOND => parent::<ROOM>(text, at)?,
        _ => Parent::Invalid,
    };
    Some(Wire { header_count: header_count as u32, parent })
}

/// Length of `Method SP RequestURI SP`, if both are parts of one string as `parseRequestLine` leaves them.
#[inline(always)]
fn request_line(picked: &Picked) -> Option<u64> {
    let (method, uri) = (picked.method, picked.uri);
    if method.len == 0 || method.len >= LINE_BYTES as u64 || uri.len >= LINE_BYTES as u64 || picked.header == 0 {
        return None;
    }
    let len = opaque(method.len + uri.len + 2);
    (len <= LINE_BYTES as u64 && method.address + method.len + 1 == uri.address).then_some(len)
}

/// How many of the first four bytes are CR or LF, up to the first that is not.
#[inline(always)]
fn skip_empty(text: *const u8) -> u64 {
    let mut skipped = 0;
    macro_rules! bytes {
        ($($i:literal)+) => { $(
            // SAFETY: the text's room is longer than four bytes.
            let byte = unsafe { text.add($i).read_volatile() };
            if skipped == $i && (byte == b'\r' || byte == b'\n') {
                skipped = $i + 1;
            }
        )+ };
    }
    bytes!(0 1 2 3);
    skipped
}

/// Whether the text has the line from `start` on.
#[inline(always)]
fn begins_with(text: *const u8, start: u64, line: *const u8, len: u64) -> bool {
    let mut at = 0;
    while at < LINE_BYTES as u64 {
        if at >= len {
            break;
        }
        // SAFETY: `start` is at most 4; behind line and text are a few bytes more.
        let (a, b) = unsafe {
            (
                text.add((opaque(start) & 7) as usize).add(at as usize).cast::<u64>().read_unaligned(),
                line.add(at as usize).cast::<u64>().read_unaligned(),
            )
        };
        let left = len - at;
        let mut differ = a ^ b;
        if left < 8 {
            differ <<= 64 - 8 * left;
        }
        if differ != 0 {
            return false;
        }
        at += 8;
    }
    true
}

/// What the scan finds.
struct Scan {
    /// Lines up to the blank one.
    lines: u64,
    /// Position of the `traceparent` line, 0 without one; [`SECOND`] is added by each further one.
    parent: u64,
}

/// Goes through the lines from `from` on, which lies in the first. `None`: the first blank line is not the text's end.
#[inline(always)]
fn scan<const ROOM: usize>(text: *const u8, from: u64, len: u64) -> Option<Scan> {
    let (mut at, mut lines, mut parent) = (from, opaque(0), opaque(0));
    let mut turn = 0;
    while turn < TURNS {
        turn += 1;
        at = opaque(at);
        if at >= len || at >= ROOM as u64 {
            return None;
        }
        // SAFETY: `at` is below ROOM, and there is more room behind it.
        let word = unsafe { text.add(at as usize).cast::<u64>().read_unaligned() };
        let newlines = newlines(word);
        if newlines == 0 {
            at += 8;
            continue;
        }
        at += up_to_first(newlines);
        lines += 1;
        at = opaque(at);
        if at > ROOM as u64 {
            return None;
        }
        // SAFETY: up to twelve bytes from ROOM on lie in the line's room.
        let (first, more) = unsafe {
            let next = text.add(at as usize);
            (next.cast::<u64>().read_unaligned(), next.add(8).cast::<u32>().read_unaligned())
        };
        if first as u8 == b'\n' {
            return (at + 1 == len).then_some(Scan { lines, parent });
        }
        if first as u16 == u16::from_le_bytes(*b"\r\n") {
            return (at + 2 == len).then_some(Scan { lines, parent });
        }
        let (first, more) = (first | 0x20 * ONES, more | 0x2020_2020);
        if first == u64::from_le_bytes(*b"tracepar") && more == u32::from_le_bytes(*b"ent:") {
            parent = if parent == 0 { at } else { parent + SECOND };
        }
    }
    None
}

/// The top bit of each byte that is a newline, exactly.
#[inline(always)]
fn newlines(word: u64) -> u64 {
    let other = word ^ b'\n' as u64 * ONES;
    !(((other & LOW) + LOW) | other | LOW) & TOPS
}

/// How many bytes there are up to and with the first marked one.
#[inline(always)]
fn up_to_first(marks: u64) -> u64 {
    let first = marks & marks.wrapping_neg();
    ((first - 1) & ONES).wrapping_mul(ONES) >> 56
}

/// Parses the value of the `traceparent` line at `at`. `None`: not in the form that nearly everybody sends, which the slow
/// way can judge.
#[inline(always)]
fn parent<const ROOM: usize>(text: *const u8, at: u64) -> Option<Parent> {
    let mut at = opaque(at + NAME_BYTES);
    if at >= ROOM as u64 {
        return None;
    }
    // SAFETY: `at` is below ROOM.
    if unsafe { text.add(at as usize).read_volatile() } == b' ' {
        at += 1;
    }
    at = opaque(at);
    if at > ROOM as u64 {
        return None;
    }
    // SAFETY: a value's 55 bytes and three more from ROOM on lie in the line's room.
    unsafe { traceparent::of_text(text.add(at as usize)) }.map(Parent::Valid)
}
