//! An attempt of an RPC is sent: a server at the other end, if this agent traces it, learns of whom it is.
//!
//! The caller's goroutine makes the header, and the transport's writer sends it on its own one, with the stream's number: what both have
//! in common is where the header's fields lie.

use aya_ebpf::programs::ProbeContext;
use runtime_ebpf::{
    grpc::client::File, libraries::grpc_client::counters::Counter, trace_parent::TraceParent,
};

use super::flight::{self, Key, PASSED_ON, count};
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
    let entry = flight::live(hit, &Key::of(hit));
    let span = entry.filter(|entry| entry.get().has(PASSED_ON) && hit.goid() == Some(entry.get().goid));
    if span.is_none() {
        count(hit, Counter::AttemptUnknown);
    }
    senders::keep(hit, fields, span.map(|entry| entry.get().as_parent()));
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
