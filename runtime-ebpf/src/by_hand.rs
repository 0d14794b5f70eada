//! Spans that programs make by hand: the table of those that are open, by the address of what the program has of each, which its
//! contexts hold.
//!
//! A span may begin on one goroutine and end on another, and others look for it as a parent meanwhile. So an entry is copied before it
//! is believed, and compared with its seal: the kernel gives the memory of a removed entry to the next one at once.

use runtime_ebpf::{
    made::{DEFAULT_ENTRIES, IN_FLIGHT_BYTES, OPEN},
    trace_parent::TraceParent,
};

pub use crate::in_flight::Key;
use crate::{
    enter::Hit,
    in_flight::{self, Entry, Span, table},
};

/// The table.
pub struct ByHand;

table! { ByHand BY_HAND_TABLE Open, DEFAULT_ENTRIES; BY_HAND_FLIGHT BY_HAND_BLANK BY_HAND_USE BY_HAND_ENTRIES }

/// An open span.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Open {
    pub span: Span,
    /// What its identity and its address are together: see [`seal`].
    pub seal: u64,
}

const _: () = assert!(size_of::<Open>() == IN_FLIGHT_BYTES);

/// The words by which others know a span, in one.
#[inline(always)]
fn seal(span: &Span) -> u64 {
    let [first, second] = span.trace_id;
    first
        ^ second
        ^ span.span_id
        ^ span.goid
        ^ span.start_ns
        ^ span.trace_flags as u64
        ^ (span.generation as u64) << 32
}

/// Keeps it. What was open there before; `None` if there is no room.
#[inline(always)]
pub fn open(hit: &Hit, address: u64, span: &Span) -> Option<u32> {
    let key = Key::at(hit, address);
    let mut entry = in_flight::find::<ByHand>(&key).or_else(|| in_flight::make::<ByHand>(hit, &key))?;
    let kept = entry.get_mut();
    let before = if kept.span.generation == span.generation { kept.span.state } else { 0 };
    let made = Open { span: *span, seal: seal(span) ^ address };
    // SAFETY: the entry is the map's, and of this type. Volatile: others read it meanwhile.
    unsafe { core::ptr::from_mut(kept).write_volatile(made) };
    Some(before)
}

/// The span at that address, if it is open and its entry is whole.
#[inline(always)]
fn at(hit: &Hit, address: u64, key: &Key) -> Option<Span> {
    let entry: Entry<Open> = in_flight::find::<ByHand>(key)?;
    // SAFETY: the entry is the map's, and of this type. Volatile: others write to it meanwhile.
    let copy = unsafe { core::ptr::from_ref(entry.get()).read_volatile() };
    let is_whole =
        copy.span.generation == hit.process().generation && copy.seal == seal(&copy.span) ^ address;
    (is_whole && copy.span.has(OPEN)).then_some(copy.span)
}

/// It has ended: the caller alone has it now. `None`: nothing was kept, or somebody else has ended it.
#[inline(always)]
pub fn take(hit: &Hit, address: u64) -> Option<Span> {
    let key = Key::at(hit, address);
    let span = at(hit, address, &key)?;
    in_flight::remove::<ByHand>(hit, &key).then_some(span)
}

/// As a parent.
#[inline(always)]
pub fn parent(hit: &Hit, address: u64) -> Option<TraceParent> {
    let span = at(hit, address, &Key::at(hit, address))?;
    Some(TraceParent { trace_id: span.trace_id, span_id: span.span_id, flags: span.trace_flags })
}
