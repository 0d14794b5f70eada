//! Spans that programs make by hand: the table of those that are open, by the address of what the program has of each, which its
//! contexts hold.
//!
//! A span may begin on one goroutine and end on another, and others look for it as a parent meanwhile. So an entry is copied before it
//! is believed, and compared with its seal: the kernel gives the memory of a removed entry to the next one at once.

use runtime_ebpf::{
    abi::BY_HAND_TABLE,
    made::{BEGINS, DEFAULT_ENTRIES, IN_FLIGHT_BYTES, OPEN, SECOND},
    trace_parent::TraceParent,
};

pub use crate::in_flight::Key;
use crate::{
    enter::Hit,
    in_flight::{self, Entry, Span, table},
};

/// The table.
pub struct ByHand;

table! { ByHand BY_HAND_TABLE Open, DEFAULT_ENTRIES, gives_way; BY_HAND_FLIGHT BY_HAND_BLANK BY_HAND_USE BY_HAND_ENTRIES }

/// An open span.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Open {
    pub span: Span,
    /// What its identity and its addresses are together: see [`seal`].
    pub seal: u64,
    /// The other address at which the program has it; 0: there is none.
    pub other: u64,
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
    write(hit, address, 0, span)
}

/// The same of a span that the program has at two addresses. One that lay at the first and never ended is gone from its second one, too.
#[inline(always)]
pub fn open_twice(hit: &Hit, address: u64, second: u64, span: &Span) -> Option<u32> {
    if let Some(before) = whole(hit, address, &Key::at(hit, address)) {
        forget_second(hit, &before);
    }
    let before = write(hit, address, second, span)?;
    let copy = Span { own: SECOND, ..*span };
    if second != 0 && write(hit, second, address, &copy).is_none() {
        in_flight::remove::<ByHand>(hit, &Key::at(hit, address));
        return None;
    }
    Some(before)
}

#[inline(always)]
fn write(hit: &Hit, address: u64, other: u64, span: &Span) -> Option<u32> {
    let key = Key::at(hit, address);
    let mut before = 0;
    if let Some(entry) = in_flight::find::<ByHand>(&key) {
        // SAFETY: the entry is the map's, and of this type. Volatile: others write to it meanwhile.
        let kept = unsafe { core::ptr::from_ref(&entry.get().span).read_volatile() };
        if kept.generation != span.generation {
            // What an earlier program of the process has left is not among what this one has.
            hit.add_entries(BY_HAND_TABLE, 1);
        } else if kept.own != SECOND {
            before = kept.state;
        }
    }
    // In a piece: the agent may remove it at any moment, and the memory is another's then.
    let made = Open { span: *span, seal: seal(span) ^ address ^ other, other };
    in_flight::copy::<ByHand>(hit, &key, &made).then_some(before)
}

/// A span begins whose address will be known when its function returns, on this goroutine. What has begun there before and is not open yet.
#[inline(always)]
pub fn begins(hit: &Hit, span: &Span) -> Option<u32> {
    write(hit, hit.goroutine, 0, span)
}

/// The span that has begun on this goroutine.
#[inline(always)]
pub fn begun(hit: &Hit, goid: u64) -> Option<Span> {
    let open = entry(hit, hit.goroutine, &Key::of(hit))?;
    (open.span.has(BEGINS) && open.span.goid == goid).then_some(open.span)
}

/// The same, and the goroutine has it no longer.
#[inline(always)]
pub fn take_begun(hit: &Hit, goid: u64) -> Option<Span> {
    let span = begun(hit, goid)?;
    in_flight::remove::<ByHand>(hit, &Key::of(hit)).then_some(span)
}

/// The span at that address, while it is open.
#[inline(always)]
pub fn find(hit: &Hit, address: u64) -> Option<Span> {
    whole(hit, address, &Key::at(hit, address)).map(|open| open.span)
}

/// The entry at that address, if it is open and whole.
#[inline(always)]
fn whole(hit: &Hit, address: u64, key: &Key) -> Option<Open> {
    entry(hit, address, key).filter(|open| open.span.has(OPEN))
}

/// The entry at that address, if it is whole.
#[inline(always)]
fn entry(hit: &Hit, address: u64, key: &Key) -> Option<Open> {
    let entry: Entry<Open> = in_flight::find::<ByHand>(key)?;
    // SAFETY: the entry is the map's, and of this type. Volatile: others write to it meanwhile.
    let copy = unsafe { core::ptr::from_ref(entry.get()).read_volatile() };
    let is_whole = copy.span.generation == hit.process().generation
        && copy.seal == seal(&copy.span) ^ address ^ copy.other;
    is_whole.then_some(copy)
}

/// It has ended: the caller alone has it now. `None`: nothing was kept, or somebody else has ended it.
#[inline(always)]
pub fn take(hit: &Hit, address: u64) -> Option<Span> {
    let key = Key::at(hit, address);
    let open = whole(hit, address, &key)?;
    if !in_flight::remove::<ByHand>(hit, &key) {
        return None;
    }
    forget_second(hit, &open);
    Some(open.span)
}

/// Removes what is kept of a span at its other address, if that is not another's by now.
#[inline(always)]
fn forget_second(hit: &Hit, open: &Open) {
    if open.other == 0 {
        return;
    }
    let key = Key::at(hit, open.other);
    if whole(hit, open.other, &key).is_some_and(|other| other.span.span_id == open.span.span_id) {
        in_flight::remove::<ByHand>(hit, &key);
    }
}

/// As a parent.
#[inline(always)]
pub fn parent(hit: &Hit, address: u64) -> Option<TraceParent> {
    let span = find(hit, address)?;
    Some(TraceParent { trace_id: span.trace_id, span_id: span.span_id, flags: span.trace_flags })
}
