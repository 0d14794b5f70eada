//! OpenTelemetry's Auto SDK for Go, `go.opentelemetry.io/auto/sdk`: spans that a program makes by hand where nobody else traces it.
//!
//! ```text
//! start   `(*tracer).start`, which is there to be probed   the entry, by the address of its span
//! end     `(*span).ended`, likewise, with the span's JSON  ► KIND_ENDED
//! ```
//! A span ends on any goroutine, once. Nothing is written into the program: it goes on with a span context of zeros.

use aya_ebpf::{
    helpers::bpf_ktime_get_ns,
    macros::{map, uprobe},
    maps::Array,
    programs::ProbeContext,
};
use runtime_ebpf::{
    abi::MAX_FILES,
    auto_sdk::{
        File, OPEN, SAMPLED,
        counters::Counter,
        records::{Ended, KIND_ENDED, ROOMS},
    },
    counters::Counter as Core,
    libraries::AUTO_SDK,
    record::{PARENT_LOCAL, PARENT_NONE},
};

use crate::{
    by_hand,
    count::{count as count_core, count_of},
    enter::{Hit, enter},
    ids,
    in_flight::Span,
    parent::{self, Context},
    read::{opaque, read_bytes},
    registers::GoRegisters,
    ring,
    whole_key::WholeKey as _,
};

#[map]
static AUTO_SDK_FILES: Array<File> = Array::with_max_entries(MAX_FILES, 0);

#[inline(always)]
fn count(counter: Counter) {
    count_of(AUTO_SDK.code, counter as u32);
}

/// The hit and its file, if its process is traced, unless the function will start again.
#[inline(always)]
fn arrive(ctx: &ProbeContext, check: impl Fn(&File) -> u8) -> Option<(Hit, &'static File)> {
    let hit = enter(ctx)?.of(AUTO_SDK);
    if hit.never_samples() {
        return None;
    }
    let file = AUTO_SDK_FILES.get_at(hit.file())?;
    if ctx.restarts(check(file)) {
        count_core(Core::Restarted);
        return None;
    }
    Some((hit, file))
}

/// `(*tracer).start(t, ctx, span, psc, sampled, sc)`.
#[uprobe]
pub fn auto_sdk_start(ctx: ProbeContext) -> u32 {
    let Some((hit, file)) = arrive(&ctx, |file| file.start_check) else { return 0 };
    // SAFETY: plain helper call.
    let start_ns = unsafe { bpf_ktime_get_ns() };
    let Some(goid) = hit.goid() else {
        count(Counter::Unreadable);
        return 0;
    };
    let bias = ctx.instruction().wrapping_sub(file.start_vaddr);
    let context = Context { itab: ctx.argument::<1>(), data: ctx.argument::<2>() };
    let parent = parent::find(&hit, goid, bias, context);
    let kind = if parent.is_some() { PARENT_LOCAL } else { PARENT_NONE };
    let identity = ids::identify(&hit, start_ns, parent);
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
        library: AUTO_SDK.code,
        own: 0,
    };
    span.set_identity(&identity, kind);
    match by_hand::open(&hit, ctx.argument::<3>(), &span) {
        None => count(if is_sampled { Counter::FlightFull } else { Counter::UnsampledFull }),
        Some(before) => {
            if before & SAMPLED != 0 {
                count(Counter::NeverEnded);
            }
            count(if is_sampled { Counter::Started } else { Counter::Unsampled });
        }
    }
    0
}

/// `(*span).ended(s, buf)`.
#[uprobe]
pub fn auto_sdk_end(ctx: ProbeContext) -> u32 {
    let Some((hit, _)) = arrive(&ctx, |file| file.end_check) else { return 0 };
    // SAFETY: plain helper call.
    let end_ns = unsafe { bpf_ktime_get_ns() };
    let Some(span) = by_hand::take(&hit, ctx.argument::<0>()) else {
        count(Counter::Unmatched);
        return 0;
    };
    if !span.has(SAMPLED) {
        return 0;
    }
    let (json, len) = (ctx.argument::<1>(), ctx.argument::<2>());
    if len == 0 {
        count(Counter::Unwritten);
        return 0;
    }
    let room = ROOMS.iter().position(|room| len <= *room as u64);
    match room {
        Some(0) => send::<{ ROOMS[0] }>(&hit, &span, end_ns, json, len),
        Some(1) => send::<{ ROOMS[1] }>(&hit, &span, end_ns, json, len),
        Some(2) => send::<{ ROOMS[2] }>(&hit, &span, end_ns, json, len),
        Some(_) => send::<{ ROOMS[3] }>(&hit, &span, end_ns, json, len),
        None => count(Counter::TooLarge),
    }
    0
}

/// Sends the record, which has room for so much JSON.
#[inline(always)]
fn send<const ROOM: usize>(hit: &Hit, span: &Span, end_ns: u64, json: u64, len: u64) {
    let len = opaque(len);
    // For the verifier, which has to see that this very number is small enough.
    if len == 0 || len > ROOM as u64 {
        count(Counter::Unreadable);
        return;
    }
    let Some(mut room) = ring::reserve_large(size_of::<Ended>() + ROOM) else {
        count(Counter::SpanLost);
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
        count(Counter::Unreadable);
        ring::discard(room);
    }
}
