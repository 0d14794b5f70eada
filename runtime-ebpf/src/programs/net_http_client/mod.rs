//! `net/http.client`: a span for each call of `(*Transport).roundTrip`, from its entry to where headers have arrived.
//!
//! ```text
//! start   roundTrip entered                     ► KIND_BEGAN
//! conn    behind getConn: an error is the end   ► KIND_FAILED; a connection for what has failed already ► KIND_RESUMED
//! end     behind (*persistConn).roundTrip       ► KIND_ENDED or KIND_FAILED
//! h2_end  behind HTTP/2's round trip            ► the same
//! ```
//! All are hits on the caller's goroutine, which is the key. A request that opens an HTTP/2 connection passes `h2_end` and then
//! `end`, with the same results: the first of them counts. Round trips are repeated by net/http in one call of roundTrip, where
//! an old connection turned out to be dead: a failure leaves the entry open for another end ([`records`]).
//!
//! [`records`]: runtime_ebpf::net_http_client::records

mod end;
mod flight;
mod start;

use aya_ebpf::{
    macros::{map, uprobe},
    maps::Array,
    programs::ProbeContext,
};
use runtime_ebpf::{
    abi::MAX_FILES,
    counters::Counter as Core,
    libraries::NET_HTTP_CLIENT,
    net_http_client::{File, counters::Counter},
    record::Head,
};

use end::Outcome;
use flight::Flight;

use crate::{
    count::{count as count_core, count_of},
    enter::{Hit, enter},
    registers::GoRegisters,
    whole_key::WholeKey as _,
};

#[map]
static NET_HTTP_CLIENT_FILES: Array<File> = Array::with_max_entries(MAX_FILES, 0);

#[inline(always)]
fn count(counter: Counter) {
    count_of(NET_HTTP_CLIENT.code, counter as u32);
}

/// The hit and its file, if its process is traced.
#[inline(always)]
fn arrive(ctx: &ProbeContext) -> Option<(Hit, &'static File)> {
    let hit = enter(ctx)?;
    if hit.never_samples() {
        return None;
    }
    Some((hit, NET_HTTP_CLIENT_FILES.get_at(hit.file())?))
}

/// `(*Transport).roundTrip(t, req)`, after its stack check.
#[uprobe]
pub fn net_http_client_start(ctx: ProbeContext) -> u32 {
    let Some((hit, file)) = arrive(&ctx) else { return 0 };
    if ctx.restarts(file.start_check) {
        count_core(Core::Restarted);
        return 0;
    }
    let bias = ctx.instruction().wrapping_sub(file.start_vaddr);
    start::begin(&hit, file, ctx.argument::<1>(), bias, ctx.stack());
    0
}

/// Behind `getConn`, with its results (pc *persistConn, err error).
#[uprobe]
pub fn net_http_client_conn(ctx: ProbeContext) -> u32 {
    let Some((hit, file)) = arrive(&ctx) else { return 0 };
    let (error, data) = (ctx.argument::<1>(), ctx.argument::<2>());
    if error == 0 {
        end::resume(&hit);
    } else {
        end::finish(&hit, file, Outcome::NoConnection { error, data });
    }
    0
}

/// Behind `(*persistConn).roundTrip`, or HTTP/2's, with its results (resp *Response, err error).
#[uprobe]
pub fn net_http_client_end(ctx: ProbeContext) -> u32 {
    let Some((hit, file)) = arrive(&ctx) else { return 0 };
    let (error, data) = (ctx.argument::<1>(), ctx.argument::<2>());
    let response = ctx.argument::<0>();
    end::finish(
        &hit,
        file,
        if error == 0 { Outcome::Response(response) } else { Outcome::Error { error, data } },
    );
    0
}

/// Behind HTTP/2's round trip, with its results: a *Response, or since Go 1.27 a *http2.ClientResponse.
#[uprobe]
pub fn net_http_client_h2_end(ctx: ProbeContext) -> u32 {
    let Some((hit, file)) = arrive(&ctx) else { return 0 };
    let (error, data) = (ctx.argument::<1>(), ctx.argument::<2>());
    let response = ctx.argument::<0>();
    let outcome = match (error, file.h2_own_response) {
        (0, 0) => Outcome::Response(response),
        (0, _) => Outcome::Http2Response(response),
        _ => Outcome::Error { error, data },
    };
    end::finish(&hit, file, outcome);
    0
}

/// Writes what every record begins with.
#[inline(always)]
fn write_head(hit: &Hit, base: *mut u8, flight: &Flight, kind: u16, len: u32, end_ns: u64) {
    // SAFETY: every reservation is at least a Head long and aligned to 8.
    let head = unsafe { &mut *base.cast::<Head>() };
    head.library = NET_HTTP_CLIENT.code;
    head.kind = kind;
    head.len = len;
    head.tgid = hit.tgid;
    head.generation = flight.generation;
    head.start_ns = flight.start_ns;
    head.end_ns = end_ns;
    // SAFETY: byte arrays at multiples of 8 in a repr(C) struct (pinned by a test): word stores.
    unsafe {
        let ids = (&raw mut head.trace_id).cast::<u64>();
        ids.write_volatile(flight.trace_id[0]);
        ids.add(1).write_volatile(flight.trace_id[1]);
        (&raw mut head.span_id).cast::<u64>().write_volatile(flight.span_id);
        (&raw mut head.parent_span_id).cast::<u64>().write_volatile(flight.parent_span_id);
        // Flags, the parent's kind and zeros, in one.
        (&raw mut head.trace_flags).cast::<u64>().write_volatile(flight.flags);
    }
}
