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
//! Newlines are looked for eight bytes at a time, four times in a turn. One flat loop: nested ones are refused on 5.10, and the number of the turn
//! has to stay in a register there.

use runtime_ebpf::{net_http_server::LINE_BYTES, trace_parent::TraceParent};

use super::start::Picked;
use crate::{
    read::{forget, is_some, load_u8, load_u32, load_u64, opaque, read, read_bytes},
    traceparent,
};

/// What the text says.
pub struct Wire {
    pub header_count: u32,
    pub parent: Parent,
    /// 1 if there is a `tracestate`, else 0: a number, so that no branch keeps it.
    pub stated: u64,
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

/// Turns of the scan: all bytes in 32s, and 56 lines.
const fn turns(room: usize) -> u64 {
    (room / 32 + 56) as u64
}
/// `traceparent:` and the one space that nearly everybody writes.
const NAME_BYTES: u64 = 12;
/// Where the positions in [`Scan::parent`] end; above them it is counted how many there are.
const ONE_PARENT: u64 = 1 << 32;
/// The bit of the same word that says that there is a `tracestate`.
const STATE_BIT: u32 = 63;

/// Takes the text into `text`, which has `ROOM` bytes for it and [`LINE_BYTES`] and a few behind. `None`: it is not proven.
/// `base` is where the record begins.
#[inline(always)]
pub fn take<const ROOM: usize>(
    base: *mut u8,
    text: *mut u8,
    buffer: u64,
    len: u64,
    picked: &Picked,
) -> Option<Wire> {
    let word = base.cast::<u64>();
    let line_len = request_line(picked)?;
    // SAFETY: the first words of the record, here as below, which the caller writes at the end.
    let mut size = opaque(unsafe { forget(word, len) });
    if size == 0 || size > ROOM as u64 {
        return None;
    }
    size = opaque(size);
    // SAFETY: the line's room lies behind the text's.
    let line = unsafe { text.add(ROOM) };
    if !read_bytes(text, size as u32, buffer) {
        return None;
    }
    // Again: Linux 5.10 forgets what it knew of a number that lay on the stack meanwhile.
    let line_len = opaque(line_len);
    if line_len > LINE_BYTES as u64 || !read_bytes(line, line_len as u32, picked.method.address) {
        return None;
    }
    let header_count = read::<u64>(picked.header)?;
    // SAFETY: as above.
    let start = unsafe { forget(word, skip_empty(text)) };
    if !begins_with(word, text, start, line, line_len) {
        return None;
    }
    // SAFETY: as above.
    let from = unsafe { forget(word, start + line_len) };
    let scan = scan::<ROOM>(word, text, from, size);
    if scan.end != size {
        return None;
    }
    // The request line itself, Host, and Transfer-Encoding where the length is not known.
    let chunked = (picked.content_length < 0) as u64;
    if scan.lines != header_count + 2 + chunked {
        return None;
    }
    let parent = match scan.parent {
        0 => Parent::None,
        one if one < 2 * ONE_PARENT => parent::<ROOM>(text, one - ONE_PARENT)?,
        _ => Parent::Invalid,
    };
    Some(Wire { header_count: header_count as u32, parent, stated: opaque(scan.stated) })
}

/// Length of `Method SP RequestURI SP`, if both are parts of one string as `parseRequestLine` leaves them.
#[inline(always)]
fn request_line(picked: &Picked) -> Option<u64> {
    let (method, uri) = (picked.method, picked.uri);
    if method.len == 0
        || method.len >= LINE_BYTES as u64
        || uri.len >= LINE_BYTES as u64
        || picked.header == 0
    {
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
            let byte = unsafe { load_u8(text.add($i)) };
            if skipped == $i && (byte == b'\r' || byte == b'\n') {
                skipped = $i + 1;
            }
        )+ };
    }
    bytes!(0 1 2 3);
    skipped
}

/// Whether the text has the line from `start` on: word by word, and then its last eight bytes, or all of a shorter one.
#[inline(always)]
fn begins_with(word: *mut u64, text: *const u8, start: u64, line: *const u8, len: u64) -> bool {
    // SAFETY: `start` is at most 7 and `at` below LINE_BYTES; behind line and text are a few bytes more.
    unsafe {
        let text = text.add((opaque(start) & 7) as usize);
        let mut at = 0;
        while at < LINE_BYTES as u64 - 8 {
            if at + 8 > len {
                break;
            }
            if load_u64(text.add(at as usize)) != load_u64(line.add(at as usize)) {
                return false;
            }
            at += 8;
        }
        let len = forget(word, len);
        if len < 8 {
            let differ = load_u64(text) ^ load_u64(line);
            return differ << (64 - 8 * len) == 0;
        }
        let last = opaque(forget(word, len - 8)) & (LINE_BYTES as u64 - 1);
        load_u64(text.add(last as usize)) == load_u64(line.add(last as usize))
    }
}

/// What the scan finds.
struct Scan {
    /// Lines up to the first blank one.
    lines: u64,
    /// How many `traceparent` lines there are, in [`ONE_PARENT`]s, and the position of the one.
    parent: u64,
    /// Where the first blank line ends; 0 if there is none.
    end: u64,
    /// 1 if a line begins with `tracesta`, else 0: the header's map says what it is.
    stated: u64,
}

/// Goes through the lines from `from` on, which lies in the first. What it finds is kept in `words` of the record, so that
/// the verifier finds all turns alike.
#[inline(always)]
fn scan<const ROOM: usize>(words: *mut u64, text: *const u8, from: u64, len: u64) -> Scan {
    // SAFETY: the first four words of a record, which the caller writes at the end.
    let (place, lines, parent, end) = unsafe { (words, words.add(1), words.add(2), words.add(3)) };
    // SAFETY: as above, until the end of this function; and `at` is checked against ROOM before each load, behind which there
    // is more room than a load reaches.
    unsafe {
        lines.write_volatile(0);
        parent.write_volatile(0);
        end.write_volatile(0);
        let mut at = from;
        let mut turn = 0u64;
        while turn < turns(ROOM) {
            turn += 1;
            at = opaque(forget(place, at));
            if at >= len || at >= ROOM as u64 {
                break;
            }
            let mut newlines = newlines_of(load_u64(text.add(at as usize)));
            macro_rules! next_if_none {
                ($($n:literal)+) => { $(
                    let _: u32 = $n;
                    if newlines == 0 {
                        at += 8;
                        newlines = newlines_of(load_u64(text.add(at as usize)));
                    }
                )+ };
            }
            next_if_none!(1 2 3);
            if newlines == 0 {
                at += 8;
                continue;
            }
            at = opaque(forget(place, at + up_to_first(newlines)));
            if at > ROOM as u64 {
                break;
            }
            lines.write_volatile(lines.read_volatile() + 1);
            let next = text.add(at as usize);
            let first = load_u64(next);
            let blank = blank(first);
            if blank != 0 {
                end.write_volatile(at + blank);
                break;
            }
            // One branch for all lines but two or three, and none within: the verifier follows each of them in every turn.
            let lower = first | 0x20 * ONES;
            if lower << 24 == TRACE << 24 {
                let is_parent = is_some(parent_name(lower, load_u32(next.add(8)))) ^ 1;
                let is_state = is_some(lower ^ u64::from_le_bytes(*b"tracesta")) ^ 1;
                let before = parent.read_volatile();
                parent.write_volatile(before + is_parent * (at + ONE_PARENT) | is_state << STATE_BIT);
            }
        }
        let parent = parent.read_volatile();
        Scan {
            lines: lines.read_volatile(),
            parent: parent & !(1 << STATE_BIT),
            end: end.read_volatile(),
            stated: parent >> STATE_BIT,
        }
    }
}

/// The length of the line end that these bytes begin with, 0 if they do not.
#[inline(always)]
fn blank(first: u64) -> u64 {
    if first as u8 == b'\n' {
        return 1;
    }
    if first as u16 == u16::from_le_bytes(*b"\r\n") { 2 } else { 0 }
}

/// `trace`, of which five bytes count.
const TRACE: u64 = u64::from_le_bytes(*b"trace\0\0\0");

/// 0 if these eight bytes, in lower case, and four are `traceparent:` in whatever case.
#[inline(always)]
fn parent_name(lower: u64, more: u32) -> u64 {
    lower ^ u64::from_le_bytes(*b"tracepar")
        | (more | 0x2020_2020) as u64 ^ u32::from_le_bytes(*b"ent:") as u64
}

/// The top bit of each byte that is a newline, exactly.
#[inline(always)]
fn newlines_of(word: u64) -> u64 {
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
    if unsafe { load_u8(text.add(at as usize)) } == b' ' {
        at += 1;
    }
    at = opaque(at);
    if at > ROOM as u64 {
        return None;
    }
    // SAFETY: a value's 55 bytes and three more from ROOM on lie in the line's room.
    unsafe { traceparent::of_text(text.add(at as usize)) }.map(Parent::Valid)
}
