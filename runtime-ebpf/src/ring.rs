//! The record ring, shared by all libraries.
//!
//! A wake-up per record costs the target five times as much as everything else here (field-notes §10), and above half full
//! each of them is an interrupt to another processor. So the agent polls, and is woken only when the ring crosses half of its
//! size: `WAKE` says that it has been, until the agent has emptied it. Each 16th record of a processor asks.

use aya_ebpf::{
    macros::map,
    maps::{Array, RingBuf, ring_buf::RingBufBytes},
};
use runtime_ebpf::counters::Counter;

use crate::{
    count::{add_one, count},
    whole_key::WholeKey as _,
};

/// The agent sets the real size at load.
#[map]
static RECORDS: RingBuf = RingBuf::with_byte_size(4 * 1024 * 1024, 0);
#[map]
static WAKE: Array<u64> = Array::with_max_entries(1, 0);

/// Bytes in the ring above which the agent is woken; set at load.
#[unsafe(no_mangle)]
static WAKE_ABOVE_BYTES: u64 = 2 * 1024 * 1024;

const BPF_RB_NO_WAKEUP: u64 = 1;
const BPF_RB_FORCE_WAKEUP: u64 = 2;
const BPF_RB_AVAIL_DATA: u64 = 0;
/// Records between two looks at the ring, a power of two.
const ASK_EVERY: u64 = 16;

/// Room for a record, or a count of one that found none.
#[inline(always)]
pub fn reserve(bytes: usize) -> Option<RingBufBytes<'static>> {
    let room = RECORDS.reserve_bytes(bytes, 0);
    if room.is_none() {
        count(Counter::RingFull);
    }
    room
}

/// Gives the room back.
#[inline(always)]
pub fn discard(room: RingBufBytes<'_>) {
    room.discard(BPF_RB_NO_WAKEUP);
}

/// Sends the record.
#[inline(always)]
pub fn submit(record: RingBufBytes<'_>) {
    let sent = add_one(Counter::Submitted as u32);
    let flags = if sent & (ASK_EVERY - 1) == 0 && crossed() { BPF_RB_FORCE_WAKEUP } else { BPF_RB_NO_WAKEUP };
    record.submit(flags);
}

/// Whether the ring has just crossed its mark: once until the agent has emptied it.
#[inline(always)]
fn crossed() -> bool {
    // SAFETY: a static of this object that the loader sets before the program runs.
    let above = unsafe { core::ptr::read_volatile(&WAKE_ABOVE_BYTES) };
    RECORDS.query(BPF_RB_AVAIL_DATA) > above && claim_wake()
}

/// Two processors may both claim it: one wake-up too many.
#[inline(always)]
fn claim_wake() -> bool {
    let Some(woken) = WAKE.at(0) else { return false };
    // SAFETY: the verifier has seen the null check; a word.
    unsafe {
        if woken.as_ptr().read_volatile() != 0 {
            return false;
        }
        woken.as_ptr().write_volatile(1);
    }
    true
}
