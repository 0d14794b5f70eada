//! The trace context in the header of an attempt, where the transport's writer sends it ([`crate::programs::header_block`]).

use aya_ebpf::programs::ProbeContext;
use runtime_ebpf::{grpc::client::File, libraries::grpc_client::counters::Counter};

use super::{flight::count, send::Attempt};
use crate::{
    enter::Hit,
    programs::header_block::{self, OWN_PARENT, OWN_STATE, Outcome},
    read::{GoString, known, try_read, try_read_bytes},
};

/// Fields of a header that are looked through. One that has more is left alone.
const MOST_FIELDS: u64 = 64;
/// `traceparent`, with the bit in each letter that tells lower from upper case.
const TRACEPARENT: [u64; 2] = [u64::from_le_bytes(*b"tracepar"), u64::from_le_bytes(*b"ent\0\0\0\0\0")];
const TRACEPARENT_BYTES: u64 = 11;
/// `tracestate` likewise.
const TRACESTATE: [u64; 2] = [u64::from_le_bytes(*b"tracesta"), u64::from_le_bytes(*b"te\0\0\0\0\0\0")];
const TRACESTATE_BYTES: u64 = 10;
const LOWER_CASE: u64 = 0x2020_2020_2020_2020;

/// An attempt is about to be sent. Its header is looked through here: it is an argument, and when the framer writes it nobody has it any more.
#[inline(always)]
pub fn note(hit: &Hit, file: &File, attempt: &Attempt) {
    let Some(own) = own(file, attempt.fields) else { return count(hit, Counter::HeaderUnread) };
    if own & OWN_PARENT != 0 {
        return count(hit, Counter::OwnHeader);
    }
    if !header_block::note(hit, attempt.span, attempt.id, 0, own) {
        count(hit, Counter::CarrierFull);
    }
}

/// The framer is about to put a frame's length in front of it.
#[inline(always)]
pub fn carry(ctx: &ProbeContext, hit: &Hit, file: &File) {
    header_block::carry(
        ctx,
        hit,
        file.frame,
        |block, _| block.own,
        |outcome| {
            let counter = match outcome {
                Outcome::Written => Counter::Carried,
                Outcome::Own => Counter::OwnHeader,
                Outcome::NoRoom => Counter::NoRoom,
                Outcome::Unreadable => Counter::HeaderUnread,
                Outcome::Another => Counter::NotOurs,
            };
            count(hit, counter);
        },
    );
}

/// What the program has put into its metadata, however it is spelled: `OWN_` bits. `None`: nobody knows.
#[inline(always)]
fn own(file: &File, [fields, len]: [u64; 2]) -> Option<u64> {
    if len == 0 || len > MOST_FIELDS {
        return None;
    }
    let mut field = known(fields, file.field_name)?;
    let mut own = 0;
    for nth in 0..MOST_FIELDS {
        if nth >= len {
            break;
        }
        let name = try_read::<GoString>(field)?;
        if name.len == TRACEPARENT_BYTES && spells(name.address, TRACEPARENT_BYTES, TRACEPARENT)? {
            return Some(OWN_PARENT);
        }
        if name.len == TRACESTATE_BYTES && spells(name.address, TRACESTATE_BYTES, TRACESTATE)? {
            own = OWN_STATE;
        }
        field += file.field_bytes as u64;
    }
    Some(own)
}

/// Whether these bytes, nine to sixteen, are this name.
#[inline(always)]
fn spells(address: u64, bytes: u64, name: [u64; 2]) -> Option<bool> {
    let mut text = core::mem::MaybeUninit::<[u64; 2]>::uninit();
    let word = text.as_mut_ptr().cast::<u64>();
    // SAFETY: two words, of which the second has bytes that are not read.
    unsafe {
        word.add(1).write_volatile(0);
        if !try_read_bytes(word.cast(), bytes as u32, address) {
            return None;
        }
        let first = word.read_volatile() | LOWER_CASE;
        let second = (word.add(1).read_volatile() | LOWER_CASE) & (1 << (8 * (bytes - 8))) - 1;
        Some(first == name[0] && second == name[1])
    }
}
