//! The trace context in the header of an attempt, where the transport's writer sends it ([`crate::programs::header_block`]).

use aya_ebpf::programs::ProbeContext;
use runtime_ebpf::{grpc::client::File, libraries::grpc_client::counters::Counter};

use super::{flight::count, send::Attempt};
use crate::{
    enter::Hit,
    programs::header_block::{self, Block, Outcome},
    read::{GoString, known, try_read, try_read_bytes},
};

/// Fields of a header that are looked through. One that has more is left alone.
const MOST_FIELDS: u64 = 64;
/// `traceparent`, with the bit in each letter that tells lower from upper case.
const TRACEPARENT: [u64; 2] = [u64::from_le_bytes(*b"tracepar"), u64::from_le_bytes(*b"ent\0\0\0\0\0")];
const TRACEPARENT_BYTES: u64 = 11;
const LOWER_CASE: u64 = 0x2020_2020_2020_2020;

/// An attempt is about to be sent.
#[inline(always)]
pub fn note(hit: &Hit, attempt: &Attempt) {
    if !header_block::note(hit, attempt.span, attempt.id, attempt.fields) {
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
        |block, _| has_own(file, block),
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

/// Whether the program has put a `traceparent` into its metadata, however it is spelled. `None`: nobody knows.
#[inline(always)]
fn has_own(file: &File, block: &Block) -> Option<bool> {
    if block.fields > MOST_FIELDS {
        return None;
    }
    let mut field = known(block.header, file.field_name)?;
    for nth in 0..MOST_FIELDS {
        if nth >= block.fields {
            return Some(false);
        }
        let name = try_read::<GoString>(field)?;
        if name.len == TRACEPARENT_BYTES && spells_it(name.address)? {
            return Some(true);
        }
        field += file.field_bytes as u64;
    }
    Some(false)
}

/// Whether eleven bytes do.
#[inline(always)]
fn spells_it(address: u64) -> Option<bool> {
    let mut text = core::mem::MaybeUninit::<[u64; 2]>::uninit();
    let word = text.as_mut_ptr().cast::<u64>();
    // SAFETY: two words, of which the second has five bytes that are not read.
    unsafe {
        word.add(1).write_volatile(0);
        if !try_read_bytes(word.cast(), TRACEPARENT_BYTES as u32, address) {
            return None;
        }
        let first = word.read_volatile() | LOWER_CASE;
        let second = (word.add(1).read_volatile() | LOWER_CASE) & 0xff_ffff;
        Some(first == TRACEPARENT[0] && second == TRACEPARENT[1])
    }
}
