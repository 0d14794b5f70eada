//! `net/http.server`: two hits per kept-alive request, `start` and `end`; `hijack`, `abort` and `release` end the spans that
//! `end` never sees (field-notes §4).
//!
//! ```text
//! start ── the text stands whole ──► KIND_BEGAN_WIRE          end ── the agent knows the beginning ──► KIND_ENDED
//!   ├─ it is long ─(tail call)─► large ► KIND_BEGAN_WIRE          └─ it does not ─(tail call)─► whole ► KIND_ENDED_WHOLE
//!   └─ any doubt ──(tail call)─► fields ► KIND_BEGAN_FIELDS
//! ```
//!
//! State between the hits is keyed by (process, goroutine): HTTP/1.x serves a connection, handler included, on one
//! goroutine, which serves that connection alone. The entry stays while the connection is idle. Records are built in reserved
//! ring memory, never in per-CPU scratch, which a preempting hit would overwrite (house.md, decision 12).

mod close;
mod slow;
mod start;
mod wire;

use aya_ebpf::{
    macros::{map, uprobe},
    maps::{Array, ProgramArray},
    programs::ProbeContext,
};
use runtime_ebpf::{
    abi::MAX_FILES,
    counters::Counter as Core,
    http_server::{counters::Counter, records::KIND_HTTP2},
    libraries::{NET_HTTP_SERVER, NET_HTTP_SERVER_H2, X_NET_HTTP2_SERVER},
    net_http_server::{File, counters::Counter as Own},
    record::Head,
};

use start::Next;

use super::http_server::{
    count,
    flight::{self, Key, OPEN},
};
use crate::{
    count::{count as count_core, count_of},
    enter::{Hit, enter},
    read::read,
    registers::GoRegisters,
    ring,
    whole_key::WholeKey as _,
};

#[map]
static NET_HTTP_SERVER_FILES: Array<File> = Array::with_max_entries(MAX_FILES, 0);
/// The programs of the slow ways, by `TAIL_`; the agent puts them there.
#[map]
static NET_HTTP_SERVER_TAILS: ProgramArray = ProgramArray::with_max_entries(4, 0);

/// In `Process::told`.
const TOLD_HTTP2: u32 = 1;

const TAIL_FIELDS: u32 = 0;
const TAIL_WHOLE: u32 = 1;
const TAIL_LARGE: u32 = 2;
const TAIL_STATE: u32 = 3;

/// Those that trace HTTP/2.
const HTTP2: u64 = NET_HTTP_SERVER_H2.bit() | X_NET_HTTP2_SERVER.bit();

/// Adds one to a counter that no other library has.
#[inline(always)]
fn count_own(counter: Own) {
    count_of(NET_HTTP_SERVER.code, counter as u32);
}

/// The hit and its file, if its process is traced and the hit is not the start of a function that will start again.
#[inline(always)]
fn arrive(ctx: &ProbeContext, check: impl Fn(&File) -> u8) -> Option<(Hit, &'static File)> {
    let hit = enter(ctx)?.of(NET_HTTP_SERVER);
    let file = NET_HTTP_SERVER_FILES.get_at(hit.file())?;
    if ctx.restarts(check(file)) {
        count_core(Core::Restarted);
        return None;
    }
    Some((hit, file))
}

/// Goes on in another program, which does not return. Where the kernel refuses that, the request is lost, and counted.
#[inline(always)]
fn go_on(ctx: &ProbeContext, hit: &Hit, tail: u32) {
    // SAFETY: the map's programs are of this object and take the same context.
    unsafe { NET_HTTP_SERVER_TAILS.tail_call(ctx, tail) };
    count(hit, Counter::NoTail);
}

/// `serverHandler.ServeHTTP(srv, w ResponseWriter, r *Request)`, after its stack check; or, where that was inlined, behind
/// the call of `readRequest`, with its results.
#[uprobe]
pub fn net_http_server_start(ctx: ProbeContext) -> u32 {
    let Some((hit, file)) = arrive(&ctx, |file| file.start_check) else { return 0 };
    if hit.never_samples() {
        return 0;
    }
    let Some((response, request)) = begun(&ctx, &hit, file) else { return 0 };
    follow(&ctx, &hit, start::begin(&hit, file, bias(&ctx, file), response, request));
    0
}

/// What the file's addresses are less than the process's, at the start site, and in the programs that go on there.
#[inline(always)]
fn bias(ctx: &ProbeContext, file: &File) -> u64 {
    ctx.instruction().wrapping_sub(file.start_vaddr)
}

/// A beginning goes on in another program.
#[inline(always)]
fn follow(ctx: &ProbeContext, hit: &Hit, next: Next) {
    match next {
        Next::Done => {}
        Next::Large => go_on(ctx, hit, TAIL_LARGE),
        Next::Fields => go_on(ctx, hit, TAIL_FIELDS),
        Next::State => {
            // SAFETY: as in `go_on`. The request has begun, whatever becomes of this.
            unsafe { NET_HTTP_SERVER_TAILS.tail_call(ctx, TAIL_STATE) };
            count_core(Core::StateLost);
        }
    }
}

/// A beginning with a text that does not fit a small record: a program of its own, for the verifier's sake.
#[uprobe]
pub fn net_http_server_large(ctx: ProbeContext) -> u32 {
    if let Some((hit, file)) = arrive(&ctx, |_| 0) {
        follow(&ctx, &hit, start::large(&hit, file, bias(&ctx, file)));
    }
    0
}

/// The slow way of a beginning: `start` has made the entry and left everything else to this.
#[uprobe]
pub fn net_http_server_fields(ctx: ProbeContext) -> u32 {
    if let Some((hit, file)) = arrive(&ctx, |_| 0) {
        slow::begin(&hit, file, bias(&ctx, file));
    }
    0
}

/// A request whose text was taken has begun, and has a `tracestate`, or others have.
#[uprobe]
pub fn net_http_server_state(ctx: ProbeContext) -> u32 {
    if let Some((hit, file)) = arrive(&ctx, |_| 0) {
        slow::note_state(&hit, file);
    }
    0
}

/// The response and the request that begin here, if one does.
#[inline(always)]
fn begun(ctx: &ProbeContext, hit: &Hit, file: &File) -> Option<(u64, u64)> {
    if file.start_after_read != 0 {
        // (w *response, err error): with an error no handler will be called.
        let refused = ctx.argument::<1>() != 0;
        let response = if refused { 0 } else { ctx.argument::<0>() };
        if response == 0 {
            return None;
        }
        return Some((response, read(response + file.response_req as u64)?));
    }
    if ctx.argument::<1>() != file.writer_itab_vaddr.wrapping_add(bias(ctx, file)) {
        hand_over(hit, ctx.argument::<3>());
        return None;
    }
    Some((ctx.argument::<2>(), ctx.argument::<3>()))
}

/// A request over HTTP/2. Where its library has begun it, that learns which `http.Request` the handler gets: the mux writes its
/// pattern into that.
#[inline(always)]
fn hand_over(hit: &Hit, request: u64) {
    let begun = flight::live(hit, &Key::of(hit)).filter(|entry| entry.get().has(OPEN));
    match begun {
        Some(mut entry) if entry.get().library != NET_HTTP_SERVER.code => entry.get_mut().extra = request,
        _ => tell_http2(hit),
    }
}

/// A request over HTTP/2, or its preface: where no library traces it, it is counted, and told once for each process.
#[inline(always)]
fn tell_http2(hit: &Hit) {
    if hit.has_library(HTTP2) {
        return;
    }
    count_own(Own::Http2);
    if hit.has_told(TOLD_HTTP2) {
        return;
    }
    // Without room the next request tells it.
    let Some(mut record) = ring::reserve(size_of::<Head>()) else { return };
    hit.note_told(TOLD_HTTP2);
    let base = record.as_mut_ptr().cast::<u64>();
    macro_rules! zeros {
        ($($i:literal)+) => { $(
            // SAFETY: a Head is nine words long (pinned by a test).
            unsafe { base.add($i).write_volatile(0) };
        )+ };
    }
    zeros!(0 1 2 3 4 5 6 7 8);
    // SAFETY: the reservation is a Head.
    let head = unsafe { &mut *base.cast::<Head>() };
    head.library = NET_HTTP_SERVER.code;
    head.kind = KIND_HTTP2;
    head.len = size_of::<Head>() as u32;
    head.tgid = hit.tgid;
    head.generation = hit.process().generation;
    ring::submit(record);
}

/// `(*response).finishRequest(w)`, or the call of `abortPendingRead(cr)` in a copy of it: the handler has returned.
#[uprobe]
pub fn net_http_server_end(ctx: ProbeContext) -> u32 {
    let Some((hit, file)) = arrive(&ctx, |file| file.end_check) else { return 0 };
    if !hit.never_samples() && close::finished(&hit, file, ctx.argument::<0>()) {
        go_on(&ctx, &hit, TAIL_WHOLE);
    }
    0
}

/// `(*response).Hijack(w)`: the handler, or another goroutine for it, takes the connection over.
#[uprobe]
pub fn net_http_server_hijack(ctx: ProbeContext) -> u32 {
    let Some((hit, file)) = arrive(&ctx, |file| file.hijack_check) else { return 0 };
    if !hit.never_samples() && close::hijacked(&hit, file, ctx.argument::<0>()) {
        go_on(&ctx, &hit, TAIL_WHOLE);
    }
    0
}

/// `(*connReader).releaseConn(cr)`, after a hijack; before Go 1.25 the return of serve's deferred function.
#[uprobe]
pub fn net_http_server_release(ctx: ProbeContext) -> u32 {
    let Some((hit, file)) = arrive(&ctx, |file| file.release_check) else { return 0 };
    if !hit.never_samples() {
        close::released(&hit, file, ctx.argument::<0>());
    }
    0
}

/// `(*conn).close(c)`, from serve's deferred function: with a request still open, its handler panicked or left by Goexit.
#[uprobe]
pub fn net_http_server_abort(ctx: ProbeContext) -> u32 {
    let Some((hit, file)) = arrive(&ctx, |file| file.abort_check) else { return 0 };
    if !hit.never_samples() && close::closed(&hit, file, ctx.argument::<0>()) {
        go_on(&ctx, &hit, TAIL_WHOLE);
    }
    0
}

/// The slow way of an end: one of the above has found that the agent does not know the beginning.
#[uprobe]
pub fn net_http_server_whole(ctx: ProbeContext) -> u32 {
    if let Some((hit, file)) = arrive(&ctx, |_| 0) {
        slow::whole(&hit, file);
    }
    0
}
