//! `Start` returns: the span that has begun is at two addresses from now on, and what lay there before is not.

use aya_ebpf::programs::ProbeContext;
use runtime_ebpf::{
    made::{self, OPEN, SAMPLED, TOLD},
    otel_global::{
        File, RETURNS,
        counters::Counter,
        records::{GONE_HANDED_ON, GONE_NEVER_ENDED, GONE_NO_ROOM, KIND_GONE, Said},
    },
};

use super::count;
use crate::{
    by_hand, count::count_of, enter::Hit, in_flight::Span, read::try_read, registers::GoRegisters, ring,
};

/// The span has addresses now: it is kept at those.
#[inline(always)]
pub fn started(ctx: &ProbeContext, hit: &Hit, file: &File) {
    let take_begun = || hit.goid().and_then(|goid| by_hand::take_begun(hit, goid));
    let (itab, span) = (ctx.argument::<2>(), ctx.argument::<3>());
    // A program is loaded at a multiple of a page, which tells the return that this is.
    let mut bias = u64::MAX;
    for nth in 0..RETURNS {
        let from = ctx.instruction().wrapping_sub(file.return_vaddrs[nth]);
        if file.return_vaddrs[nth] != 0 && from & 0xfff == 0 {
            bias = from;
        }
    }
    // An SDK has been set up, just now if something has begun.
    if itab != file.itab_vaddr.wrapping_add(bias) || span == 0 {
        if let Some(begun) = take_begun() {
            gone(hit, &begun, GONE_HANDED_ON);
        }
        return;
    }
    // `valueCtx` is { Context; key, val any }.
    let [kind, held] = try_read::<[u64; 2]>(ctx.argument::<1>() + 32).unwrap_or([0; 2]);
    let second = if kind == file.span_type_vaddr.wrapping_add(bias) { held } else { 0 };
    // Whether or not this one is kept: its methods must not lead to what lay there before.
    for address in [span, second] {
        if let Some(before) = by_hand::displace(hit, address) {
            gone(hit, &before, GONE_NEVER_ENDED);
        }
    }
    let Some(begun) = take_begun() else { return };
    let open = Span { state: begun.state & SAMPLED | OPEN, ..begun };
    if !by_hand::open_twice(hit, span, second, &open) {
        if !open.has(SAMPLED) {
            count(hit, Counter::UnsampledFull);
        }
        gone(hit, &open, GONE_NO_ROOM);
    }
}

/// Nothing is kept of the span any more, and nobody ends it. If it is recorded, the agent has its beginning and counts it, by the reason: here
/// or, if this record finds no room, in the end.
#[inline(always)]
fn gone(hit: &Hit, span: &Span, reason: u64) {
    if !span.has(SAMPLED) {
        return;
    }
    if span.own == TOLD {
        tell_gone(hit, span, reason);
    } else {
        // One of the Auto SDK's, which lay there before.
        count_of(span.library, made::counters::Counter::NeverEnded as u32);
    }
}

/// Sends that nobody will end the span, and why.
#[inline(always)]
fn tell_gone(hit: &Hit, span: &Span, reason: u64) {
    let Some(mut record) = ring::reserve_large(size_of::<Said>()) else { return };
    let base = record.as_mut_ptr();
    span.write_head(hit, base, KIND_GONE, size_of::<Said>() as u32, 0);
    // SAFETY: the reservation is as long as a Said, and aligned to 8.
    unsafe {
        let said = base.cast::<Said>();
        (&raw mut (*said).number).write_volatile(reason);
        (&raw mut (*said).is_cut).write_volatile(0);
    }
    ring::submit_large(record);
}
