//! The record ring, shared by all libraries, and another one for records that may be large: whoever fills that takes no room from the rest.
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
/// Likewise.
#[map]
static LARGE_RECORDS: RingBuf = RingBuf::with_byte_size(2 * 1024 * 1024, 0);
/// Whether the agent has been woken, by the ring's number.
#[map]
static WAKE: Array<u64> = Array::with_max_entries(2, 0);

/// Bytes in the ring above which the agent is woken; set at load.
#[unsafe(no_mangle)]
static WAKE_ABOVE_BYTES: u64 = 2 * 1024 * 1024;
/// The same of the ring of large records.
#[unsafe(no_mangle)]
static WAKE_ABOVE_LARGE_BYTES: u64 = 1024 * 1024;

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
    record.submit(if sent & (ASK_EVERY - 1) == 0 {
        wakes(&RECORDS, &WAKE_ABOVE_BYTES, 0)
    } else {
        BPF_RB_NO_WAKEUP
    });
}

/// Room for a record that may be large, or a count of one that found none.
#[inline(always)]
pub fn reserve_large(bytes: usize) -> Option<RingBufBytes<'static>> {
    let room = LARGE_RECORDS.reserve_bytes(bytes, 0);
    if room.is_none() {
        count(Counter::RingFull);
    }
    room
}

/// Sends such a record. A few fill the ring, so that each one asks.
#[inline(always)]
pub fn submit_large(record: RingBufBytes<'_>) {
    count(Counter::Submitted);
    record.submit(wakes(&LARGE_RECORDS, &WAKE_ABOVE_LARGE_BYTES, 1));
}

/// How a record is sent, by whether its ring has just crossed its mark: once until the agent has emptied it.
#[inline(always)]
fn wakes(ring: &RingBuf, above: &u64, number: u32) -> u64 {
    // SAFETY: a static of this object that the loader sets before the program runs.
    let above = unsafe { core::ptr::read_volatile(above) };
    if ring.query(BPF_RB_AVAIL_DATA) > above && claim_wake(number) {
        BPF_RB_FORCE_WAKEUP
    } else {
        BPF_RB_NO_WAKEUP
    }
}

/// Two processors may both claim it: one wake-up too many.
#[inline(always)]
fn claim_wake(number: u32) -> bool {
    let Some(woken) = WAKE.at(number) else { return false };
    // SAFETY: the verifier has seen the null check; a word.
    unsafe {
        if woken.as_ptr().read_volatile() != 0 {
            return false;
        }
        woken.as_ptr().write_volatile(1);
    }
    true
}
