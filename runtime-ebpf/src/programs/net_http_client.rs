//! `net/http.client`: a span for each call of `(*Transport).roundTrip`.
//!
//! ```text
//! start   roundTrip entered
//! conn    behind getConn
//! stream  HTTP/2's encodeAndWriteHeaders entered
//! end     behind (*persistConn).roundTrip, and where HTTP/2's branch joins it
//! h2_end  behind HTTP/2's round trip
//! header  at the call of Header.writeSubset in (*Request).write
//! frame   at HTTP/2's call of endWrite in (*Framer).WriteHeaders
//! ```
//! A request that opens an HTTP/2 connection, and each over HTTP/2 without TLS, passes `h2_end` and then `end`, with the same results: the first
//! of them counts. With golang.org/x/net's HTTP/2 in place of the standard library's, that one's programs see what `h2_end` would.

use aya_ebpf::maps::LruHashMap;
use runtime_ebpf::http_client::CARRIED_ENTRIES;

use super::http_client::{
    arrive, arrive_at_start, arrive_at_stream, bias,
    carry::{self, Carried, Carries},
    connect, http_client,
    start::{self, Call},
};
use crate::{enter::Hit, in_flight::Key, registers::GoRegisters};
use runtime_ebpf::http_client::counters::Counter;

http_client! {
    NetHttp NET_HTTP_CLIENT NET_HTTP_CLIENT_TABLE NET_HTTP_CLIENT_FILES;
    NET_HTTP_CLIENT_FLIGHT NET_HTTP_CLIENT_BLANK NET_HTTP_CLIENT_USE NET_HTTP_CLIENT_ENTRIES
}

#[map]
static NET_HTTP_CLIENT_CARRIED: LruHashMap<Key, Carried> = LruHashMap::with_max_entries(CARRIED_ENTRIES, 0);

impl Carries for NetHttp {
    #[inline(always)]
    fn carried() -> &'static LruHashMap<Key, Carried> {
        &NET_HTTP_CLIENT_CARRIED
    }
}

/// `(*Transport).roundTrip(t, req)`, after its stack check.
#[uprobe]
pub fn net_http_client_start(ctx: ProbeContext) -> u32 {
    if let Some((hit, file)) = arrive_at_start::<NetHttp>(&ctx) {
        start::begin::<NetHttp>(&hit, file, Call::at(&hit, &ctx), bias(&ctx, file));
    }
    0
}

/// Behind `getConn`, with its results (pc *persistConn, err error).
#[uprobe]
pub fn net_http_client_conn(ctx: ProbeContext) -> u32 {
    if let Some((hit, file)) = arrive::<NetHttp>(&ctx) {
        connected(&ctx, &hit, file);
    }
    0
}

/// The same where requests carry the trace context.
#[uprobe]
pub fn net_http_client_conn_carrying(ctx: ProbeContext) -> u32 {
    if let Some((hit, file)) = arrive::<NetHttp>(&ctx) {
        carry::note::<NetHttp>(&ctx, &hit);
        connected(&ctx, &hit, file);
    }
    0
}

#[inline(always)]
fn connected(ctx: &ProbeContext, hit: &Hit, file: &File) {
    let (conn, error, data) = (ctx.argument::<0>(), ctx.argument::<1>(), ctx.argument::<2>());
    if error != 0 {
        return end::finish::<NetHttp>(ctx, hit, file, Outcome::NoConnection { error, data });
    }
    let mut entry = flight::open::<NetHttp>(hit);
    if let Some(open) = entry
        && !end::resume::<NetHttp>(ctx, hit, open)
    {
        entry = None;
    }
    let bias = ctx.instruction().wrapping_sub(file.conn_vaddr);
    connect::connection(hit, file, conn, bias, entry);
}

/// `encodeAndWriteHeaders(cs, req)` of HTTP/2's `clientStream`, after its stack check.
#[uprobe]
pub fn net_http_client_stream(ctx: ProbeContext) -> u32 {
    if let Some((hit, file)) = arrive_at_stream::<NetHttp>(&ctx)
        && connect::stream::<NetHttp>(&ctx, &hit, file).is_none()
    {
        http_client::count(&hit, Counter::StreamUnknown);
    }
    0
}

/// The same where requests carry the context.
#[uprobe]
pub fn net_http_client_stream_carrying(ctx: ProbeContext) -> u32 {
    if let Some((hit, file)) = arrive_at_stream::<NetHttp>(&ctx) {
        match connect::stream::<NetHttp>(&ctx, &hit, file) {
            Some(stream) => carry::note_stream(&hit, &stream),
            None => http_client::count(&hit, Counter::StreamUnknown),
        }
    }
    0
}

/// At the call of `(*Framer).endWrite(f)` in `WriteHeaders`, of whatever is sent. Only where the kernel lets probes write.
#[uprobe]
pub fn net_http_client_frame(ctx: ProbeContext) -> u32 {
    if let Some((hit, file)) = arrive::<NetHttp>(&ctx) {
        carry::carry_in_block(&ctx, &hit, file);
    }
    0
}

/// At the call of `Header.writeSubset(h, w, exclude, trace)`, its arguments in place. Only where the kernel lets probes write.
#[uprobe]
pub fn net_http_client_header(ctx: ProbeContext) -> u32 {
    if let Some((hit, file)) = arrive::<NetHttp>(&ctx) {
        carry::carry::<NetHttp>(&ctx, &hit, file);
    }
    0
}

/// Behind `(*persistConn).roundTrip`, or HTTP/2's, with its results (resp *Response, err error).
#[uprobe]
pub fn net_http_client_end(ctx: ProbeContext) -> u32 {
    if let Some((hit, file)) = arrive::<NetHttp>(&ctx) {
        end::finish::<NetHttp>(&ctx, &hit, file, http_client::outcome(&ctx));
    }
    0
}

/// Behind HTTP/2's round trip, with its results: a *Response, or since Go 1.27 a *http2.ClientResponse.
#[uprobe]
pub fn net_http_client_h2_end(ctx: ProbeContext) -> u32 {
    let Some((hit, file)) = arrive::<NetHttp>(&ctx) else { return 0 };
    let outcome = match http_client::outcome(&ctx) {
        Outcome::Response(response) if file.h2_own_response != 0 => Outcome::Http2Response(response),
        outcome => outcome,
    };
    end::finish::<NetHttp>(&ctx, &hit, file, outcome);
    0
}
