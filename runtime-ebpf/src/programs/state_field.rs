//! The `tracestate` of a trace in a request that is given its context: a line of HTTP/1.x, or a field of HTTP/2, before the `traceparent`
//! (docs/decisions/propagation-writes.md).

use aya_ebpf::helpers::generated;
use runtime_ebpf::{counters::Counter, trace_state::LIST_BYTES};

use crate::{
    count::count,
    enter::Hit,
    read::opaque,
    ring,
    trace_states::{Key, TOPS, are_there, copy},
};

/// How a list is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As a line of HTTP/1.x.
    Line,
    /// As a field of HPACK: a literal without indexing, with a new name, in plain bytes (RFC 7541, 6.2.2).
    Field,
}

/// Where a list begins in what is written, so that it is aligned.
const LIST_AT: usize = 16;
const LINE_NAME: &[u8; 12] = b"Tracestate: ";
/// The field's kind, and its name with its length.
const FIELD_NAME: &[u8; 12] = b"\0\x0atracestate";
/// From which length on it takes two bytes, and three: the first has seven bits for it (RFC 7541, 5.1).
const TWO_BYTES: u64 = 127;
const THREE_BYTES: u64 = TWO_BYTES + 128;
const FORM_BYTES: usize = LIST_AT + LIST_BYTES + 16;

/// Writes the trace's list to a place in the target's memory that has so much room, where nobody reads yet. Gives how many bytes it wrote, for
/// [`written`]: none if there is no list, or not the room for all of it, or `own` is not 0: the program has one there itself.
#[inline(always)]
pub fn write(hit: &Hit, trace_id: [u64; 2], own: u64, form: Form, place: u64, room: u64) -> u64 {
    if !are_there() {
        return 0;
    }
    let Some(mut record) = ring::reserve(FORM_BYTES) else {
        count(Counter::StateLost);
        return 0;
    };
    let key = Key::of(hit, trace_id).unless(own);
    let written = write_by(record.as_mut_ptr(), &key, form, place, room);
    ring::discard(record);
    written
}

#[inline(always)]
fn write_by(text: *mut u8, key: &Key, form: Form, place: u64, room: u64) -> u64 {
    // SAFETY: the record has room for the longest list from there on, and what stands before and behind it.
    let list = unsafe {
        text.cast::<u64>().write_volatile(0);
        text.add(LIST_AT).cast()
    };
    let len = opaque(copy(key, list));
    if len == 0 {
        return 0;
    }
    if len > LIST_BYTES as u64 {
        count(Counter::StateLost);
        return 0;
    }
    // Other characters than those from space to tilde, or a space at one of the ends, which a field of HTTP/2 may not have (RFC 9113, 8.2.1).
    // SAFETY: as above.
    let is_odd = unsafe {
        let last = text.add(LIST_AT + (opaque(len - 1) & (LIST_BYTES as u64 - 1)) as usize);
        text.cast::<u64>().read_volatile() & TOPS != 0
            || text.add(LIST_AT).read_volatile() == b' '
            || last.read_volatile() == b' '
    };
    if is_odd {
        count(Counter::StateNotKept);
        return 0;
    }
    let (from, bytes) = match form {
        // SAFETY: as above.
        Form::Line => unsafe {
            put(text.add(LIST_AT - LINE_NAME.len()), LINE_NAME);
            put(text.add(LIST_AT + len as usize), b"\r\n");
            (LIST_AT - LINE_NAME.len(), len + LINE_NAME.len() as u64 + 2)
        },
        // SAFETY: as above.
        Form::Field => unsafe {
            let more = len.wrapping_sub(TWO_BYTES);
            let of =
                |length: &[u8]| (LIST_AT - FIELD_NAME.len() - length.len(), FIELD_NAME.len() + length.len());
            let (from, before) = if len < TWO_BYTES {
                let length = [len as u8];
                put(text.add(LIST_AT - 1), &length);
                of(&length)
            } else if len < THREE_BYTES {
                let length = [TWO_BYTES as u8, more as u8];
                put(text.add(LIST_AT - 2), &length);
                of(&length)
            } else {
                let length = [TWO_BYTES as u8, more as u8 | 0x80, (more >> 7) as u8];
                put(text.add(LIST_AT - 3), &length);
                of(&length)
            };
            put(text.add(from), FIELD_NAME);
            (from, len + before as u64)
        },
    };
    if bytes > room {
        count(Counter::StateNoRoom);
        return 0;
    }
    // The verifier is to know that it is at least one, and no more than is there.
    let before_last = opaque(opaque(bytes - 1) & (2 * LIST_BYTES as u64 - 1));
    if before_last >= (LIST_BYTES + LIST_AT) as u64 {
        return 0;
    }
    let bytes = before_last + 1;
    // SAFETY: the helper checks the place, and that it is the process's own; so many bytes are there.
    let result =
        unsafe { generated::bpf_probe_write_user(place as *mut _, text.add(from).cast(), bytes as u32) };
    if result != 0 {
        count(Counter::StateLost);
        return 0;
    }
    bytes
}

/// So many bytes of a list are part of a request now.
#[inline(always)]
pub fn written(bytes: u64) {
    if bytes != 0 {
        count(Counter::StateWritten);
    }
}

/// Writes bytes one by one: LLVM would make a call of a loop.
///
/// # Safety
///
/// They have room there.
#[inline(always)]
unsafe fn put<const N: usize>(to: *mut u8, bytes: &[u8; N]) {
    let mut nth = 0;
    while nth < N {
        // SAFETY: the caller's.
        unsafe { to.add(nth).write_volatile(bytes[nth]) };
        nth += 1;
    }
}
