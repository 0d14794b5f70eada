//! OpenTelemetry's Auto SDK for Go: spans that a program makes by hand where nobody else traces it. The SDK is there twice, as a module and
//! within the API's; [`made`] makes the programs of each.
//!
//! ```text
//! start   `(*tracer).start`, which is there to be probed   the entry, by the address of its span
//! end     `(*span).ended`, likewise, with the span's JSON  ► KIND_ENDED
//! ```
//! A span ends on any goroutine, once. Where the kernel lets probes write, `telling` is in the place of `start`; elsewhere the program goes on
//! with a span context of zeros.

use aya_ebpf::{
    helpers::{bpf_ktime_get_ns, bpf_probe_write_user},
    programs::ProbeContext,
};
use runtime_ebpf::{
    made::{
        CONTEXT_WORD, File, OPEN, SAMPLED, TOLD,
        counters::Counter,
        records::{Ended, KIND_ENDED, ROOMS},
    },
    record::PARENT_NONE,
};

use crate::{
    by_hand,
    count::count_of,
    enter::Hit,
    ids,
    in_flight::Span,
    parent::{self, Context},
    read::{opaque, read_bytes},
    registers::GoRegisters,
    ring,
};

/// The programs and the map of a library: its constant, the map of its files, and its programs' names.
macro_rules! made {
    ($library:ident $files:ident $start:ident $telling:ident $end:ident) => {
        use aya_ebpf::{
            macros::{map, uprobe},
            maps::Array,
            programs::ProbeContext,
        };
        use runtime_ebpf::{abi::MAX_FILES, libraries::$library, made::File};

        use super::made::{begin, end, tell};
        use crate::enter::arrive;

        #[map]
        static $files: Array<File> = Array::with_max_entries(MAX_FILES, 0);

        /// `start(t, ctx, span, psc, sampled, sc)`.
        #[uprobe]
        pub fn $start(ctx: ProbeContext) -> u32 {
            if let Some((hit, file)) = arrive(&ctx, $library, &$files, |file| file.start_check) {
                begin(&ctx, &hit, file);
            }
            0
        }

        /// The same, and the program is told the span's ids. Only where the kernel lets probes write.
        #[uprobe]
        pub fn $telling(ctx: ProbeContext) -> u32 {
            if let Some((hit, file)) = arrive(&ctx, $library, &$files, |file| file.start_check)
                && let Some(span) = begin(&ctx, &hit, file)
            {
                tell(&ctx, &hit, &span);
            }
            0
        }

        /// `ended(s, buf)`.
        #[uprobe]
        pub fn $end(ctx: ProbeContext) -> u32 {
            if let Some((hit, _)) = arrive(&ctx, $library, &$files, |file| file.end_check) {
                end(&ctx, &hit);
            }
            0
        }
    };
}
pub(super) use made;

#[inline(always)]
fn count(hit: &Hit, counter: Counter) {
    count_of(hit.library, counter as u32);
}

/// A span begins; it is kept.
#[inline(always)]
pub fn begin(ctx: &ProbeContext, hit: &Hit, file: &File) -> Option<Span> {
    // SAFETY: plain helper call.
    let start_ns = unsafe { bpf_ktime_get_ns() };
    let address = ctx.argument::<3>();
    let Some(goid) = hit.goid() else {
        count(hit, Counter::Unreadable);
        forget(hit, address);
        return None;
    };
    let bias = ctx.instruction().wrapping_sub(file.start_vaddr);
    let context = Context { itab: ctx.argument::<1>(), data: ctx.argument::<2>() };
    let parent = parent::find(hit, goid, bias, context);
    let identity = ids::identify(hit, start_ns, parent.trace);
    let is_sampled = identity.is_sampled();
    let mut span = Span {
        generation: hit.process().generation,
        state: if is_sampled { OPEN | SAMPLED } else { OPEN },
        goid,
        start_ns,
        trace_id: [0; 2],
        span_id: 0,
        parent_span_id: 0,
        trace_flags: 0,
        parent: PARENT_NONE,
        library: hit.library,
        own: 0,
    };
    span.set_identity(&identity, parent.kind);
    let Some(before) = by_hand::open(hit, address, &span) else {
        count(hit, if is_sampled { Counter::FlightFull } else { Counter::UnsampledFull });
        forget(hit, address);
        return None;
    };
    if before & SAMPLED != 0 {
        count(hit, Counter::NeverEnded);
    }
    count(hit, if is_sampled { Counter::Started } else { Counter::Unsampled });
    Some(span)
}

/// Nothing is kept of a new span: its end must not be taken for that of one which lay there before.
#[inline(always)]
fn forget(hit: &Hit, address: u64) {
    if by_hand::displace(hit, address).is_some_and(|before| before.has(SAMPLED) && before.own != TOLD) {
        count(hit, Counter::NeverEnded);
    }
}

/// What a `trace.SpanContext` begins with: its first 25 bytes, all that is written of it.
#[repr(C)]
struct Ids {
    trace_id: [u64; 2],
    span_id: u64,
}

/// Writes the span's ids and flags into the SpanContext that the program has made for them, by the pointer that it has given. It is a
/// variable of the caller, on the heap or on its stack, which looks at it when the function returns; what is written has no pointers.
#[inline(always)]
pub fn tell(ctx: &ProbeContext, hit: &Hit, span: &Span) {
    let at = ctx.argument::<CONTEXT_WORD>();
    let ids = Ids { trace_id: span.trace_id, span_id: span.span_id };
    let flags = span.trace_flags;
    let place = at as *mut Ids;
    // The flags first: without ids they mean nothing, and so ids are there with their flags or not at all.
    // SAFETY: the helper checks the addresses, and that they are the process's own.
    let is_told = unsafe {
        bpf_probe_write_user(place.add(1).cast::<u8>(), &raw const flags).is_ok()
            && bpf_probe_write_user(place, &raw const ids).is_ok()
    };
    if !is_told {
        count(hit, Counter::Untold);
    }
}

/// A span has ended, and been written down.
#[inline(always)]
pub fn end(ctx: &ProbeContext, hit: &Hit) {
    // SAFETY: plain helper call.
    let end_ns = unsafe { bpf_ktime_get_ns() };
    let Some(span) = by_hand::take(hit, ctx.argument::<0>()) else {
        count(hit, Counter::Unmatched);
        return;
    };
    if !span.has(SAMPLED) {
        return;
    }
    let (json, len) = (ctx.argument::<1>(), ctx.argument::<2>());
    if len == 0 {
        count(hit, Counter::Unwritten);
        return;
    }
    let room = ROOMS.iter().position(|room| len <= *room as u64);
    match room {
        Some(0) => send::<{ ROOMS[0] }>(hit, &span, end_ns, json, len),
        Some(1) => send::<{ ROOMS[1] }>(hit, &span, end_ns, json, len),
        Some(2) => send::<{ ROOMS[2] }>(hit, &span, end_ns, json, len),
        Some(_) => send::<{ ROOMS[3] }>(hit, &span, end_ns, json, len),
        None => count(hit, Counter::TooLarge),
    }
}

/// Sends the record, which has room for so much JSON.
#[inline(always)]
fn send<const ROOM: usize>(hit: &Hit, span: &Span, end_ns: u64, json: u64, len: u64) {
    let len = opaque(len);
    // For the verifier, which has to see that this very number is small enough.
    if len == 0 || len > ROOM as u64 {
        count(hit, Counter::Unreadable);
        return;
    }
    let Some(mut room) = ring::reserve_large(size_of::<Ended>() + ROOM) else {
        count(hit, Counter::SpanLost);
        return;
    };
    let base = room.as_mut_ptr();
    span.write_head(hit, base, KIND_ENDED, (size_of::<Ended>() as u64 + len) as u32, end_ns);
    // SAFETY: the reservation is as long as an Ended and more, and aligned to 8.
    unsafe { (&raw mut (*base.cast::<Ended>()).json_bytes).write_volatile(len) };
    // SAFETY: within the reservation.
    let place = unsafe { base.add(size_of::<Ended>()) };
    if read_bytes(place, len as u32, json) {
        ring::submit_large(room);
    } else {
        count(hit, Counter::Unreadable);
        ring::discard(room);
    }
}
