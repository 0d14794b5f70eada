//! Spans that programs make by hand: the table of those that are open, by the address of what the program has of each, which its
//! contexts hold.
//!
//! A span may begin on one goroutine and end on another, and others look for it as a parent meanwhile. So an entry is copied before it
//! is believed, and compared with its seal: the kernel gives the memory of a removed entry to the next one at once.

use runtime_ebpf::{
    abi::BY_HAND_TABLE,
    made::{BEGINS, DEFAULT_ENTRIES, IN_FLIGHT_BYTES, OPEN, TOLD},
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
    /// The other address at which it was given to the program, which may have kept one of them only: what lies at the other is another's then,
    /// or another span's. 0: there is none.
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

/// Keeps it. What was open there before, but for spans that the agent counts itself; `None` if there is no room.
#[inline(always)]
pub fn open(hit: &Hit, address: u64, span: &Span) -> Option<u32> {
    write(hit, address, 0, span)
}

/// The same of a span that the program has at two addresses, from both of which [`displace`] has removed what lay there. Whether there is room.
#[inline(always)]
pub fn open_twice(hit: &Hit, address: u64, second: u64, span: &Span) -> bool {
    if write(hit, address, second, span).is_none() {
        return false;
    }
    let is_kept = second == 0 || write(hit, second, address, span).is_some();
    if !is_kept {
        in_flight::remove::<ByHand>(hit, &Key::at(hit, address));
    }
    is_kept
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
        } else if kept.own != TOLD {
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

/// It has ended. `None`: nothing was kept, or somebody else has ended it. (Of a span at two addresses two who end it at the same moment may both
/// be given it. The agent, which was told of its beginning, heeds the first.)
#[inline(always)]
pub fn take(hit: &Hit, address: u64) -> Option<Span> {
    let key = Key::at(hit, address);
    let open = whole(hit, address, &key)?;
    // The other one first: whoever finds that at its address then knows that this one has not ended.
    if is_elsewhere(hit, &open) {
        in_flight::remove::<ByHand>(hit, &Key::at(hit, open.other));
    }
    let is_removed = in_flight::remove::<ByHand>(hit, &key);
    (is_removed || open.other != 0).then_some(open.span)
}

/// The address is a new span's, so that nobody has the one any more that lay there: Go gives memory away that the program does not reach. Removes
/// that, and gives it if it never ends, since the program has it at no other address either.
#[inline(always)]
pub fn displace(hit: &Hit, address: u64) -> Option<Span> {
    let key = Key::at(hit, address);
    let open = whole(hit, address, &key)?;
    // Before this one is removed: one that ends meanwhile is removed here before it is there.
    let is_elsewhere = is_elsewhere(hit, &open);
    let is_removed = in_flight::remove::<ByHand>(hit, &key);
    (is_removed && !is_elsewhere).then_some(open.span)
}

/// Whether the span is kept at its other address, too: what lies there may be another's by now.
#[inline(always)]
fn is_elsewhere(hit: &Hit, open: &Open) -> bool {
    open.other != 0
        && whole(hit, open.other, &Key::at(hit, open.other))
            .is_some_and(|other| other.span.span_id == open.span.span_id)
}

/// As a parent.
#[inline(always)]
pub fn parent(hit: &Hit, address: u64) -> Option<TraceParent> {
    let span = find(hit, address)?;
    Some(TraceParent { trace_id: span.trace_id, span_id: span.span_id, flags: span.trace_flags })
}
