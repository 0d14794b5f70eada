//! An RPC ends: its status goes to its transport.

use aya_ebpf::programs::ProbeContext;
use runtime_ebpf::{
    counters::Counter as Core, grpc::server::File, libraries::grpc_server::counters::Counter,
};

use super::flight::{self, Flight, OPEN, SAMPLED, count};
use crate::{
    count::count as count_core,
    enter::Hit,
    in_flight::Key,
    programs::grpc::{Said, Sent, send},
    registers::GoRegisters,
};

/// Ends the RPC of `writeStatus(t, stream, st)`.
#[inline(always)]
pub fn end(ctx: &ProbeContext, hit: &Hit, file: &File) {
    let key = Key::of(hit);
    let stream = ctx.argument::<1>();
    let Some(entry) = flight::live(hit, &key) else { return count(hit, Counter::BeganBefore) };
    let kept = entry.get();
    let is_it = kept.stream == stream && hit.goid() == Some(kept.goid);
    if !kept.has(OPEN) {
        // The stream is this goroutine's: another attachment of this program has ended the RPC already.
        return if is_it { count_core(Core::Doubled) } else { count(hit, Counter::BeganBefore) };
    }
    if !is_it {
        count(hit, Counter::Mismatch);
        return flight::remove(hit, &key);
    }
    if kept.has(SAMPLED) {
        let said = Said::of(&file.status, ctx.argument::<2>());
        let sent = send(hit, &kept.span, said, answers_itself(ctx, file, kept) as u32, || true);
        if let Sent::NoRoom = sent {
            count(hit, Counter::EndUnsent);
        }
    }
    flight::rest(hit, &key, entry);
}

/// Whether `handleStream` gives the status and no handler: there is no such method.
#[inline(always)]
fn answers_itself(ctx: &ProbeContext, file: &File, kept: &Flight) -> bool {
    let back_to = ctx.back_to().wrapping_sub(kept.bias);
    file.handle_vaddr != 0 && back_to.wrapping_sub(file.handle_vaddr) < file.handle_bytes
}
