//! An attempt of an RPC is sent: a server at the other end, if this agent traces it, learns of whom it is.
//!
//! The caller's goroutine makes the header, and the transport's writer sends it on its own one, with the stream's number: what both have
//! in common is where the header's fields lie.

use aya_ebpf::programs::ProbeContext;
use runtime_ebpf::{
    grpc::client::File, libraries::grpc_client::counters::Counter, trace_parent::TraceParent,
};

use super::flight::{self, Entry, Key, PASSED_ON, count};
use crate::{
    connection::{self, Conn, End},
    enter::Hit,
    read::{opaque, word_or_zero},
    registers::GoRegisters,
    senders,
};

/// The header of an attempt is there, as the transport's writer will get it. That of an RPC of which nobody knows takes the last one's
/// place at its address.
#[inline(always)]
pub fn keep(ctx: &ProbeContext, hit: &Hit, file: &File) {
    // As numbers, or LLVM would choose among the registers' places, which the verifier does not allow.
    let (fields, frame) = (opaque(ctx.argument::<0>()), opaque(ctx.argument::<3>()));
    let fields = if file.frame_has_fields == 0 { fields } else { word_or_zero(frame, file.frame_fields, 0) };
    if !hit.passes_on() || fields == 0 {
        return;
    }
    let attempt = attempt(ctx, hit);
    if attempt.is_none() {
        count(hit, Counter::AttemptUnknown);
    }
    senders::keep(hit, fields, attempt.map(|(_, entry)| entry.get().as_parent()));
}

/// The goroutine's RPC, of which an attempt is about to be made.
#[inline(always)]
fn attempt(ctx: &ProbeContext, hit: &Hit) -> Option<(Key, Entry)> {
    flight::own(hit, ctx.stack(), PASSED_ON)
}

/// An attempt's stream has its number, and is about to be put into its transport's table of them.
#[inline(always)]
pub fn number(ctx: &ProbeContext, hit: &Hit, file: &File) {
    let (streams, id) = (ctx.argument::<1>(), ctx.argument::<2>() & 0xffff_ffff);
    if !hit.correlates() {
        return;
    }
    let Some((key, mut entry)) = attempt(ctx, hit) else { return count(hit, Counter::AttemptUnknown) };
    let flight = entry.get_mut();
    let (bias, transport, span) = (flight.bias, flight.transport, flight.as_parent());
    flight::passed_on(hit, &key, flight);
    // The transport is what it was, or the address is another one's by now.
    if streams == 0 || word_or_zero(transport, file.transport_streams, 0) != streams {
        return count(hit, Counter::AttemptUnknown);
    }
    let net = Conn::at(transport, file.transport_net);
    senders::note(hit, connection::link(hit, bias, net, End::Client), id, span);
}

/// An attempt that is about to be sent.
pub struct Attempt {
    pub span: TraceParent,
    pub id: u64,
    /// Its header's fields: where they are, and how many.
    pub fields: [u64; 2],
}

/// It is about to be sent.
#[inline(always)]
pub fn note(ctx: &ProbeContext, hit: &Hit, file: &File) -> Option<Attempt> {
    let writer = ctx.argument::<0>();
    // As above.
    let (second, third, fourth) =
        (opaque(ctx.argument::<1>()), opaque(ctx.argument::<2>()), opaque(ctx.argument::<3>()));
    let fifth = opaque(ctx.argument::<4>());
    let (fields, len, id) = match file.frame_argument {
        0 => (fourth, fifth, second),
        nth => {
            let frame = if nth == 1 { second } else { third };
            let of_fields = |beyond| word_or_zero(frame, file.frame_fields, beyond);
            (of_fields(0), of_fields(8), word_or_zero(frame, file.frame_stream, 0))
        }
    };
    // A server's answers may pass here, too: nothing is kept of them.
    let span = senders::take(hit, fields)?;
    // Of a frame's eight bytes the number has four.
    let id = id & 0xffff_ffff;
    if hit.correlates() {
        let mut net = Conn::at(writer, file.writer_net);
        if net.itab == 0 {
            let framer = word_or_zero(writer, file.writer_framer, 0);
            net = Conn::at(word_or_zero(framer, file.framer_writer, 0), file.buffered_net);
        }
        let bias = ctx.instruction().wrapping_sub(file.send_vaddr);
        senders::note(hit, connection::link(hit, bias, net, End::Client), id, span);
    }
    Some(Attempt { span, id, fields: [fields, len] })
}
