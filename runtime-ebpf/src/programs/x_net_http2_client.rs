//! `golang.org/x/net/http2.client`: a span for each call of `(*Transport).RoundTripOpt`, or of what does its work since v0.54.
//!
//! ```text
//! start   RoundTripOpt or roundTripViaPool entered
//! conn    behind GetClientConn, which dials
//! stream  encodeAndWriteHeaders entered
//! end     behind (*ClientConn).RoundTrip
//! frame   at the call of endWrite in (*Framer).WriteHeaders
//! ```
//! `http2.ConfigureTransport` makes it net/http's HTTP/2. Then a round trip of net/http passes here too, on the same goroutine and with the
//! same header, and is one span, net/http's. Its end is seen here: net/http's own sites are passed by the request that opens a connection
//! alone, since those on one that is open already return from an alternative RoundTripper.

use super::{
    http_client::{
        arrive, arrive_at_copy, arrive_at_start, arrive_at_stream, bias, carry,
        connect::{self, Stream},
        count,
        flight::{Entry, FAILED, HANDED_ON},
        http_client,
        start::{self, Call},
    },
    net_http_client::NetHttp,
};
use crate::{
    enter::Hit,
    read::{known, opaque, try_read},
    registers::GoRegisters,
};
use runtime_ebpf::http_client::counters::Counter;

http_client! {
    XNet X_NET_HTTP2_CLIENT X_NET_HTTP2_CLIENT_TABLE X_NET_HTTP2_CLIENT_FILES;
    X_NET_HTTP2_CLIENT_FLIGHT X_NET_HTTP2_CLIENT_BLANK X_NET_HTTP2_CLIENT_USE X_NET_HTTP2_CLIENT_ENTRIES
}

/// `(*Transport).RoundTripOpt(t, req, …)`, after its stack check.
#[uprobe]
pub fn x_net_http2_client_start(ctx: ProbeContext) -> u32 {
    if let Some((hit, file)) = arrive_at_start::<XNet>(&ctx) {
        begin(&ctx, &hit, file, bias(&ctx, file));
    }
    0
}

/// `(*Transport).RoundTrip(t, req)`, where a profile had RoundTripOpt copied into it.
#[uprobe]
pub fn x_net_http2_client_start_copied(ctx: ProbeContext) -> u32 {
    if let Some((hit, file)) = arrive_at_copy::<XNet>(&ctx) {
        begin(&ctx, &hit, file, ctx.instruction().wrapping_sub(file.copied_vaddr));
    }
    0
}

#[inline(always)]
fn begin(ctx: &ProbeContext, hit: &Hit, file: &File, bias: u64) {
    let call = Call::at(hit, ctx);
    // As a number: the verifier of Linux 5.10 would follow the rest once for each way to the answer.
    if opaque(is_net_https(hit, file, &call) as u64) == 0 {
        start::begin::<XNet>(hit, file, call, bias);
    }
}

/// Behind `GetClientConn`, with its results (cc *ClientConn, err error). An error comes without a connection.
#[uprobe]
pub fn x_net_http2_client_conn(ctx: ProbeContext) -> u32 {
    let Some((hit, file)) = arrive::<XNet>(&ctx) else { return 0 };
    let (conn, error, data) = (ctx.argument::<0>(), ctx.argument::<1>(), ctx.argument::<2>());
    if let Some(entry) = innermost(&hit) {
        if error == 0 {
            end::resume::<XNet>(&ctx, &hit, entry);
        } else if conn == 0 {
            end::close::<XNet>(&ctx, &hit, file, entry, Outcome::NoConnection { error, data });
        }
    } else if let Some(entry) = handed_on(&hit) {
        // An error is no end: mostly it says that there is no connection yet, and net/http opens one.
        if error == 0 {
            end::resume::<NetHttp>(&ctx, &hit.of(NetHttp::LIBRARY), entry);
        }
    }
    0
}

/// `encodeAndWriteHeaders(cs, req)`, after its stack check, of a round trip of either library.
#[uprobe]
pub fn x_net_http2_client_stream(ctx: ProbeContext) -> u32 {
    if let Some((hit, file)) = arrive_at_stream::<XNet>(&ctx)
        && sent(&ctx, &hit, file).is_none()
    {
        count(&hit, Counter::StreamUnknown);
    }
    0
}

/// The same where requests carry the context.
#[uprobe]
pub fn x_net_http2_client_stream_carrying(ctx: ProbeContext) -> u32 {
    if let Some((hit, file)) = arrive_at_stream::<XNet>(&ctx) {
        match sent(&ctx, &hit, file) {
            Some(stream) => carry::note_stream(&hit, &stream),
            None => count(&hit, Counter::StreamUnknown),
        }
    }
    0
}

#[inline(always)]
fn sent(ctx: &ProbeContext, hit: &Hit, file: &File) -> Option<Stream> {
    match connect::stream::<XNet>(ctx, hit, file) {
        None => connect::stream::<NetHttp>(ctx, hit, file),
        stream => stream,
    }
}

/// At the call of `(*Framer).endWrite(f)` in `WriteHeaders`, of whatever is sent. Only where the kernel lets probes write.
#[uprobe]
pub fn x_net_http2_client_frame(ctx: ProbeContext) -> u32 {
    if let Some((hit, file)) = arrive::<XNet>(&ctx) {
        carry::carry_in_block(&ctx, &hit, file);
    }
    0
}

/// Behind `(*ClientConn).RoundTrip`, with its results (resp *Response, err error).
#[uprobe]
pub fn x_net_http2_client_end(ctx: ProbeContext) -> u32 {
    let Some((hit, file)) = arrive::<XNet>(&ctx) else { return 0 };
    let outcome = http_client::outcome(&ctx);
    if let Some(entry) = innermost(&hit) {
        end::close::<XNet>(&ctx, &hit, file, entry, outcome);
    } else if let Some(entry) = handed_on(&hit) {
        end::close::<NetHttp>(&ctx, &hit.of(NetHttp::LIBRARY), file, entry, outcome);
    } else {
        count(&hit, Counter::Unmatched);
    }
    0
}

/// Whether the call is part of a round trip that net/http has open: then this is noted there, and nothing begins here.
#[inline(always)]
fn is_net_https(hit: &Hit, file: &File, call: &Call) -> bool {
    let Some(mut entry) = flight::open::<NetHttp>(hit) else { return false };
    let outer = entry.get_mut();
    let Some(header) = known(call.request, file.request_header).and_then(try_read::<u64>) else {
        return false;
    };
    // Until it is known that this call is its part.
    outer.state &= !HANDED_ON;
    let is_part = !outer.has(FAILED) && hit.goid() == Some(outer.goid) && call.is_part_of(outer, header);
    if !is_part {
        return false;
    }
    outer.state |= HANDED_ON;
    count(hit, Counter::Nested);
    if let Some(mut own) = flight::open::<XNet>(hit)
        && own.get().depth >= outer.depth
    {
        // A call that has sent nothing, or that a panic has ended: the end that comes is not its. One that is further out may be the one
        // whose hook has made net/http's.
        own.get_mut().state = 0;
        count(hit, Counter::Replaced);
    }
    true
}

/// The round trip of this library that is open here, unless one of net/http is made within it.
#[inline(always)]
fn innermost(hit: &Hit) -> Option<Entry> {
    let within = handed_on(hit).map_or(0, |entry| entry.get().depth);
    flight::open::<XNet>(hit).filter(|entry| entry.get().depth > within)
}

/// The round trip of net/http that is made here.
#[inline(always)]
fn handed_on(hit: &Hit) -> Option<Entry> {
    flight::open::<NetHttp>(hit).filter(|entry| entry.get().has(HANDED_ON))
}
