//! A round trip has its connection, or its stream: a server at the other end, if this agent traces it, learns of whom its request is.

use aya_ebpf::programs::ProbeContext;
use runtime_ebpf::{http_client::File, sockets::NO_LINK, trace_parent::TraceParent};

use super::flight::{Client, Entry, FAILED, Flight, Key, OPEN, find};
use crate::{
    connection::{self, Conn, End},
    enter::Hit,
    read::{known, read, word_or_zero},
    registers::GoRegisters,
    senders,
};

/// HTTP/1.x: the connection has one request at a time, and this is it from now on. `entry` is the goroutine's open round trip, if it is the
/// one that has got the connection; without one nobody is to take the last one's place there.
#[inline(always)]
pub fn connection(hit: &Hit, file: &File, conn: u64, bias: u64, entry: Option<Entry>) {
    if !hit.correlates() {
        return;
    }
    // Another RoundTripper sends over it: HTTP/2 has streams.
    if word_or_zero(conn, file.conn_alt, 0) != 0 {
        return;
    }
    let link = connection::link(hit, bias, Conn::at(conn, file.conn_net), End::Client);
    match entry {
        Some(mut entry) => {
            senders::note(hit, link, 0, entry.get().as_parent());
            entry.get_mut().link = link;
        }
        None => senders::forget(link, 0),
    }
}

/// A stream of HTTP/2 that is about to be sent for a round trip.
pub struct Stream {
    pub span: TraceParent,
    /// 0: it is not known.
    pub id: u64,
    /// The request's `Header`.
    pub header: u64,
}

/// HTTP/2: a stream is about to be sent by a goroutine that the caller's has made, as `encodeAndWriteHeaders(cs, req)`.
#[inline(always)]
pub fn stream<C: Client>(ctx: &ProbeContext, hit: &Hit, file: &File) -> Option<Stream> {
    let (stream, request) = (ctx.argument::<0>(), ctx.argument::<1>());
    let entry = callers::<C>(hit)?;
    let header = word_or_zero(request, file.stream_header, 0);
    // The second word of an interface value is its data.
    let context = word_or_zero(stream, file.stream_ctx, 8);
    let kept: &Flight = entry.get();
    // The caller may have given this round trip up and begun another meanwhile, with the same header, but not with the same context: that
    // one is done. What is copied is its, if it has not begun another one before and behind.
    // One that has failed may be tried again, but its goroutine may also make a call that has no span: nobody can tell.
    let is_it = |kept: &Flight| {
        kept.header == header && kept.context == context && kept.has(OPEN) && !kept.has(FAILED)
    };
    let start_ns = begun(kept);
    let span = kept.as_parent();
    if !is_it(kept) || begun(kept) != start_ns {
        return None;
    }
    // Four bytes; the next ones are of the same struct.
    let id = word_or_zero(stream, file.stream_id, 0) & 0xffff_ffff;
    if hit.correlates() {
        let net = Conn::at(word_or_zero(stream, file.stream_conn, 0), file.h2_conn_net);
        let link = connection::link(hit, kept.bias, net, End::Client);
        senders::note(hit, if id == 0 { NO_LINK } else { link }, id, span);
    }
    Some(Stream { span, id, header })
}

/// When the round trip began that is there now: its goroutine may begin another one at any time.
#[inline(always)]
fn begun(kept: &Flight) -> u64 {
    // SAFETY: a reference is valid to read from.
    unsafe { (&raw const kept.span.start_ns).read_volatile() }
}

/// The round trip of the goroutine that has made this one.
#[inline(always)]
fn callers<C: Client>(hit: &Hit) -> Option<Entry> {
    let goid = known(hit.goroutine, hit.runtime()?.g_parent_goid).and_then(read::<u64>)?;
    let goroutine = senders::caller(hit, goid)?;
    let generation = hit.process().generation;
    find::<C>(&Key::at(hit, goroutine))
        .filter(|entry| entry.get().generation == generation && entry.get().goid == goid)
}
