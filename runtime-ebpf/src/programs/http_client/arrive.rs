//! What every program of these libraries begins with: the hit, its file, and what stands in the registers.

use aya_ebpf::programs::ProbeContext;
use runtime_ebpf::{counters::Counter as Core, http_client::File};

use super::{end::Outcome, flight::Client};
use crate::{
    count::count as count_core,
    enter::{Hit, enter},
    registers::GoRegisters,
    whole_key::WholeKey as _,
};

/// The hit and its file, if its process is traced.
#[inline(always)]
pub fn arrive<C: Client>(ctx: &ProbeContext) -> Option<(Hit, &'static File)> {
    let hit = enter(ctx)?.of(C::LIBRARY);
    if hit.never_samples() {
        return None;
    }
    Some((hit, C::files().get_at(hit.file())?))
}

/// The same of a start site, unless it is the start of a function that will start again.
#[inline(always)]
pub fn arrive_at_start<C: Client>(ctx: &ProbeContext) -> Option<(Hit, &'static File)> {
    let (hit, file) = arrive::<C>(ctx)?;
    unless_restarts(ctx, hit, file, file.start_check)
}

/// The same of the function that holds a copy of that one.
#[inline(always)]
pub fn arrive_at_copy<C: Client>(ctx: &ProbeContext) -> Option<(Hit, &'static File)> {
    let (hit, file) = arrive::<C>(ctx)?;
    unless_restarts(ctx, hit, file, file.copied_check)
}

/// The same of the function that sends a stream.
#[inline(always)]
pub fn arrive_at_stream<C: Client>(ctx: &ProbeContext) -> Option<(Hit, &'static File)> {
    let (hit, file) = arrive::<C>(ctx)?;
    unless_restarts(ctx, hit, file, file.stream_check)
}

#[inline(always)]
fn unless_restarts(
    ctx: &ProbeContext,
    hit: Hit,
    file: &'static File,
    check: u8,
) -> Option<(Hit, &'static File)> {
    if ctx.restarts(check) {
        count_core(Core::Restarted);
        return None;
    }
    Some((hit, file))
}

/// What the file's addresses are less than the process's, at a start site.
#[inline(always)]
pub fn bias(ctx: &ProbeContext, file: &File) -> u64 {
    ctx.instruction().wrapping_sub(file.start_vaddr)
}

/// How a round trip ended, behind the call that made it: its results are (resp *Response, err error).
#[inline(always)]
pub fn outcome(ctx: &ProbeContext) -> Outcome {
    match ctx.argument::<1>() {
        0 => Outcome::Response(ctx.argument::<0>()),
        error => Outcome::Error { error, data: ctx.argument::<2>() },
    }
}
