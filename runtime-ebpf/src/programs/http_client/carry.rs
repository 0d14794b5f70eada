//! The trace context in requests over HTTP/1.x: a line that is written into the buffer of the connection's writer, at the place where net/http
//! is about to put the request's own header there (docs/decisions/propagation-writes.md). Over HTTP/2: [`crate::programs::header_block`].
//!
//! ```text
//! conn    behind getConn, on the caller's goroutine   ► the connection carries this round trip's request
//! header  at the call of Header.writeSubset, on the connection's   ► the line, once
//! ```
//! A connection carries one request at a time, which is what its writer is asked by. What the caller's goroutine has open is looked at once
//! more, and so is the header's map: an address that is used again belongs to nobody here.

use core::mem::MaybeUninit;

use aya_ebpf::{helpers::bpf_probe_write_user, maps::LruHashMap, programs::ProbeContext};
use runtime_ebpf::{
    http_client::{Carrier, File, counters::Counter},
    trace_parent::{LINE_BYTES, LINE_WORDS, TraceParent, line},
};

use super::{
    connect::Stream,
    end::is_outer,
    flight::{self, Client, Key, OPEN, count},
};
use crate::{
    enter::Hit,
    header_names::{ANY_TRACEPARENT, ANY_TRACESTATE, AnyCase},
    headers,
    programs::header_block::{self, OWN_PARENT, OWN_STATE, OWN_UNKNOWN, Outcome},
    programs::state_field::{self, Form},
    read::{known, try_read},
    registers::GoRegisters,
    ring,
};

/// A client whose requests carry the context.
pub trait Carries: Client {
    /// By connection. Entries are taken out when their line is written; those of requests that were never written are the first to go.
    fn carried() -> &'static LruHashMap<Key, Carried>;
}

/// Whose request a connection carries.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Carried {
    /// The caller's.
    goroutine: u64,
    trace_id: [u64; 2],
    span_id: u64,
    trace_flags: u64,
    /// `Request.Header`.
    header: u64,
    /// What the file's addresses are less than the process's.
    bias: u64,
}

/// A connection has been found for the goroutine's round trip, if one is open there. Whatever it carried before is over.
#[inline(always)]
pub fn note<C: Carries>(ctx: &ProbeContext, hit: &Hit) {
    let (connection, error) = (ctx.argument::<0>(), ctx.argument::<1>());
    if connection == 0 || error != 0 {
        return;
    }
    let key = Key::at(hit, connection);
    let entry = flight::open::<C>(hit).filter(|entry| {
        let open = entry.get();
        hit.goid() == Some(open.goid) && !is_outer(ctx, hit, open)
    });
    let Some(entry) = entry else {
        // Nothing may have been kept.
        let _ = C::carried().remove(&key);
        return;
    };
    let open = entry.get();
    let carried = Carried {
        goroutine: hit.goroutine,
        trace_id: open.trace_id,
        span_id: open.span_id,
        trace_flags: open.trace_flags as u64,
        header: open.header,
        bias: open.bias,
    };
    if C::carried().insert(&key, &carried, 0).is_err() {
        count(hit, Counter::CarrierFull);
    }
}

/// `Header.writeSubset(h, w, exclude, trace)` is about to be called by `(*Request).write`.
#[inline(always)]
pub fn carry<C: Carries>(ctx: &ProbeContext, hit: &Hit, file: &File) {
    let (header, itab, writer) = (ctx.argument::<0>(), ctx.argument::<1>(), ctx.argument::<2>());
    // What net/http adds itself is written by another call, which excludes nothing.
    if ctx.argument::<3>() == 0 {
        return;
    }
    let carrier = &file.carrier;
    // What the writer writes to. Of another type's memory this is anything, which is seen below.
    let Some([below_itab, connection]) = known(writer, carrier.below).and_then(try_read::<[u64; 2]>) else {
        return count(hit, Counter::NotOurs);
    };
    let key = Key::at(hit, connection);
    let Some(place) = C::carried().get_ptr(&key) else {
        return count(hit, Counter::NotOurs);
    };
    // SAFETY: the value is the map's, and of this type. Volatile: it may be given to another key meanwhile.
    let carried = unsafe { place.read_volatile() };
    // One line for each request that is written.
    let _ = C::carried().remove(&key);
    let is_its = header == carried.header
        && itab == carrier.buffered_itab.wrapping_add(carried.bias)
        && below_itab == carrier.connection_itab.wrapping_add(carried.bias);
    if !is_its || !is_open::<C>(hit, &carried) {
        return count(hit, Counter::NotOurs);
    }
    let own = own(carrier, header);
    if own & OWN_UNKNOWN != 0 {
        return count(hit, Counter::HeaderUnread);
    }
    if own & OWN_PARENT != 0 {
        return count(hit, Counter::OwnHeader);
    }
    write(hit, carrier, writer, &carried, own);
}

/// Whether the caller's goroutine has that very round trip open.
#[inline(always)]
fn is_open<C: Client>(hit: &Hit, carried: &Carried) -> bool {
    let Some(entry) = flight::find::<C>(&Key::at(hit, carried.goroutine)) else { return false };
    let open = entry.get();
    let is_same = open.span_id == carried.span_id
        && open.trace_id == carried.trace_id
        && open.trace_flags as u64 == carried.trace_flags;
    open.generation == hit.process().generation && open.has(OPEN) && is_same
}

/// What the program has put into the request's header itself, however it is spelled: `OWN_` bits.
#[inline(always)]
fn own(carrier: &Carrier, header: u64) -> u64 {
    let Some(mut scratch) = ring::reserve(8) else { return OWN_UNKNOWN };
    let own = own_by(carrier, header, scratch.as_mut_ptr().cast());
    ring::discard(scratch);
    own
}

/// The same, with a word of a record that the verifier forgets numbers in.
#[inline(always)]
fn own_by(carrier: &Carrier, header: u64, scratch: *mut u64) -> u64 {
    const _: () = assert!(OWN_PARENT == 1 && OWN_STATE == 2 && OWN_UNKNOWN == 4);
    // SAFETY: eight bytes, and aligned to 8.
    let found = unsafe { headers::find::<AnyCase>(header, &carrier.walk, scratch) };
    let (parent, state) = (found.number_of(&[ANY_TRACEPARENT]), found.number_of(&[ANY_TRACESTATE]));
    parent | state << 1 | found.unseen() << 2
}

/// A stream of HTTP/2 is about to be sent.
#[inline(always)]
pub fn note_stream(hit: &Hit, stream: &Stream) {
    if !header_block::note(hit, stream.span, stream.id, stream.header, 0) {
        count(hit, Counter::CarrierFull);
    }
}

/// A framer of HTTP/2 is about to put a frame's length in front of it.
#[inline(always)]
pub fn carry_in_block(ctx: &ProbeContext, hit: &Hit, file: &File) {
    let carrier = &file.carrier;
    header_block::carry(
        ctx,
        hit,
        carrier.frame,
        |block, scratch| own_by(carrier, block.header, scratch),
        |outcome| {
            let counter = match outcome {
                Outcome::Written => Counter::CarriedInBlock,
                Outcome::Own => Counter::OwnHeader,
                Outcome::NoRoom => Counter::NoRoomInBlock,
                Outcome::Unreadable => Counter::HeaderUnread,
                Outcome::Another => Counter::NotOurs,
            };
            count(hit, counter);
        },
    );
}

/// Writes the line behind what the buffer holds, before it that of `tracestate` where it fits and the program has none, and then how much the
/// buffer holds.
#[inline(always)]
fn write(hit: &Hit, carrier: &Carrier, writer: u64, carried: &Carried, own: u64) {
    let buffer = known(writer, carrier.buffer).and_then(try_read::<[u64; 2]>);
    let used = known(writer, carrier.used).and_then(try_read::<u64>);
    let (Some([address, len]), Some(used)) = (buffer, used) else {
        return count(hit, Counter::HeaderUnread);
    };
    if address == 0 || used > len || len - used < LINE_BYTES {
        return count(hit, Counter::NoRoom);
    }
    let parent = TraceParent {
        trace_id: carried.trace_id,
        span_id: carried.span_id,
        flags: carried.trace_flags as u8,
    };
    let words = line(&parent);
    // Another agent may have been here, or another attachment of this program.
    if used >= LINE_BYTES
        && let Some(before) = try_read::<[u64; 2]>(address + used - LINE_BYTES)
        && before[0] == words[0]
        && before[1] == words[1]
    {
        return count(hit, Counter::OwnHeader);
    }
    let mut text = MaybeUninit::<[u64; LINE_WORDS]>::uninit();
    let word = text.as_mut_ptr().cast::<u64>();
    macro_rules! put {
        ($($i:literal)+) => { $(
            // SAFETY: within the array. One by one: LLVM would make a loop over bytes of it.
            unsafe { word.add($i).write_volatile(words[$i]) };
        )+ };
    }
    put!(0 1 2 3 4 5 6 7 8);
    // Before the line, which whoever else writes here looks for at the end.
    let (place, room) = (address + used, len - used - LINE_BYTES);
    let state = state_field::write(hit, carried.trace_id, own & OWN_STATE, Form::Line, place, room);
    let more = used + state + LINE_BYTES;
    // The length last: what is behind it is read by nobody.
    // SAFETY: the helper checks the addresses, and that they are the process's own; the text is as long as the line.
    let is_written = unsafe {
        bpf_probe_write_user((place + state) as *mut [u8; LINE_BYTES as usize], word.cast()).is_ok()
            && bpf_probe_write_user((writer + carrier.used as u64) as *mut u64, &raw const more).is_ok()
    };
    if is_written {
        state_field::written(state);
    }
    count(hit, if is_written { Counter::Carried } else { Counter::HeaderUnread });
}
