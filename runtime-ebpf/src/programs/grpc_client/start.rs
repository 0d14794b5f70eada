//! An RPC begins, and gets its stream.

use aya_ebpf::{maps::ring_buf::RingBufBytes, programs::ProbeContext};
use runtime_ebpf::{
    counters::Counter as Core,
    grpc::{
        client::{
            BEGAN_LARGE_SLOTS, BEGAN_METHOD, BEGAN_SLOT_COUNT, BEGAN_SLOTS, BEGAN_TARGET, BIND_ATTEMPT,
            BIND_CALL, Began, File,
        },
        records::{KIND_BEGAN, KIND_BEGAN_LARGE},
    },
    libraries::grpc_client::counters::Counter,
};

use super::flight::{self, BOUND, Client, Flight, Key, OPEN, PASSED_ON, UNRECORDED, count};
use crate::{
    count::count as count_core,
    enter::Hit,
    ids,
    in_flight::copy,
    parent::{self, Context},
    programs::grpc::now,
    read::{GoString, known, sign, try_read, word_or_zero},
    registers::GoRegisters,
    ring,
    texts::{fill, string_in},
};

const SMALL_BYTES: usize = size_of::<Began>() + BEGAN_SLOTS[0] + BEGAN_SLOTS[1];
const LARGE_BYTES: usize = size_of::<Began>() + BEGAN_LARGE_SLOTS[0] + BEGAN_LARGE_SLOTS[1];
const _: () = assert!(BEGAN_SLOT_COUNT == 2);
/// A hit at the same depth of the same stack so soon after another is that of a second attachment of the same program. (Where it is not,
/// an RPC that fails at once is taken for part of the one that follows: neither has more than these microseconds too many.)
const DOUBLED_WITHIN_NS: u64 = 50_000;

/// Begins the RPC of `newClientStream(ctx, desc, cc, method, opts...)`.
#[inline(always)]
pub fn begin(ctx: &ProbeContext, hit: &Hit, file: &File) {
    let start_ns = now();
    let bias = ctx.instruction().wrapping_sub(file.start_vaddr);
    let context = Context { itab: ctx.argument::<0>(), data: ctx.argument::<1>() };
    let conn = ctx.argument::<3>();
    let method = GoString { address: ctx.argument::<4>(), len: ctx.argument::<5>() };
    let depth = hit.depth(ctx.stack());
    let key = Key::of(hit);
    let Some(goid) = hit.goid() else {
        count(hit, Counter::Unreadable);
        // Nothing may have been kept.
        let _ = flight::remove::<Client>(hit, &key);
        return;
    };
    let Some(mut entry) = flight::enter(hit, &key) else { return };
    let flight = entry.get_mut();
    let generation = hit.process().generation;
    // One that is not recorded, too: asked again, the sampler might answer otherwise.
    if flight.generation == generation && flight.has(OPEN | UNRECORDED) {
        let is_near = start_ns.wrapping_sub(flight.start_ns) < DOUBLED_WITHIN_NS;
        if flight.goid == goid && flight.conn == conn && flight.depth == depth && is_near {
            return count_core(Core::Doubled);
        }
        if flight.has(OPEN) && sign(flight.depth.wrapping_sub(depth)) == 0 {
            count(hit, Counter::Replaced);
        }
    }
    // It may be made while another one is, deeper in the stack. If there is no room for that one, it is counted as never ended.
    let is_open = flight.generation == generation && flight.has(OPEN | UNRECORDED | PASSED_ON);
    if is_open && flight.goid == goid && sign(flight.depth.wrapping_sub(depth)) != 0 {
        let _ = copy::<Client>(hit, &flight::aside(hit), flight);
    }
    flight.generation = generation;
    flight.state = UNRECORDED;
    flight.library = hit.library;
    flight.goid = goid;
    flight.start_ns = start_ns;
    flight.conn = conn;
    flight.stream = 0;
    flight.bias = bias;
    flight.depth = depth;
    flight.transport = 0;
    let parent = parent::find(hit, goid, bias, context);
    let identity = ids::identify(hit, start_ns, parent.trace);
    flight.set_identity(&identity, parent.kind);
    if !identity.is_sampled() {
        return count(hit, Counter::Unsampled);
    }
    if send(hit, flight, method, string_in(conn, file.conn_target)) {
        count(hit, Counter::Started);
        flight.state = OPEN;
    } else {
        count(hit, Counter::BeginningLost);
    }
}

/// Sends the beginning. Whether there was room.
#[inline(always)]
fn send(hit: &Hit, flight: &Flight, method: GoString, target: GoString) -> bool {
    if method.fits(BEGAN_SLOTS[BEGAN_METHOD]) && target.fits(BEGAN_SLOTS[BEGAN_TARGET]) {
        let Some(record) = ring::reserve(SMALL_BYTES) else { return false };
        submit(hit, flight, KIND_BEGAN, SMALL_BYTES, record, &BEGAN_SLOTS, method, target);
    } else {
        let Some(record) = ring::reserve(LARGE_BYTES) else { return false };
        submit(hit, flight, KIND_BEGAN_LARGE, LARGE_BYTES, record, &BEGAN_LARGE_SLOTS, method, target);
    }
    true
}

#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "it is `send`, once for each length of its record")]
fn submit(
    hit: &Hit,
    flight: &Flight,
    kind: u16,
    len: usize,
    mut record: RingBufBytes<'static>,
    sizes: &[usize; BEGAN_SLOT_COUNT],
    method: GoString,
    target: GoString,
) {
    let base = record.as_mut_ptr();
    flight.write_head(hit, base, kind, len as u32, 0);
    // SAFETY: the reservation has a Began and all slots.
    unsafe {
        let lens = &raw mut (*base.cast::<Began>()).lens;
        let slot = base.add(size_of::<Began>());
        (&raw mut (*lens)[BEGAN_METHOD]).write_volatile(fill(slot, sizes[BEGAN_METHOD], method));
        let slot = slot.add(sizes[BEGAN_METHOD]);
        (&raw mut (*lens)[BEGAN_TARGET]).write_volatile(fill(slot, sizes[BEGAN_TARGET], target));
    }
    ring::submit(record);
}

/// An attempt of the goroutine's RPC is about to be made: its stream is known by then.
#[inline(always)]
pub fn bind(hit: &Hit, file: &File, stack: u64, argument: u64) {
    let begun = flight::own(hit, stack, OPEN | UNRECORDED);
    let Some((key, mut entry)) = begun.or_else(|| flight::own(hit, stack, BOUND | PASSED_ON)) else { return };
    // What an earlier attempt has left is of no use any more, be it of one that was made meanwhile.
    if let Some(mut last) = flight::live(hit, &Key::of(hit)) {
        last.get_mut().state &= !PASSED_ON;
    }
    let flight = entry.get_mut();
    flight.state &= !PASSED_ON;
    let (stream, transport) = match file.bind {
        BIND_ATTEMPT => {
            let stream = word_or_zero(argument, file.attempt_stream, 0);
            (stream, word_or_zero(argument, file.attempt_transport, 8))
        }
        _ => (argument, 0),
    };
    flight.transport = transport;
    if !flight.has(OPEN | UNRECORDED) {
        // A later attempt of the RPC that the goroutine has begun, or of another one, of which this entry does not know.
        if flight.has(BOUND) && flight.stream == stream && is_still(hit, stream, flight.span_id) {
            flight.state |= PASSED_ON;
        }
        return;
    }
    // A later attempt of another RPC, whose stream is its own: the goroutine's has failed before it had one.
    if file.bind != BIND_CALL && !is_first(file, stream) {
        return;
    }
    if flight.has(UNRECORDED) {
        // One that was never finished may have had its stream at the same address: its entry would take this one's end.
        let _ = flight::remove::<Client>(hit, &Key::at(hit, stream));
        flight.state = PASSED_ON;
        return;
    }
    // Another RPC's stream: one is made while the other begins.
    if !is_of(file, stream, flight) {
        return count(hit, Counter::Mismatch);
    }
    if !flight::hand_over(hit, flight, stream) {
        // The agent has its beginning, and counts it as never ended.
        count(hit, Counter::StreamFull);
        flight::rest(hit, &key, flight);
    } else if !hit.passes_on() {
        flight::passed_on(hit, &key, flight);
    }
    const _: () = assert!(OPEN & BOUND == 0 && (OPEN | BOUND) & UNRECORDED == 0);
}

/// Whether nothing of a `*clientStream` was tried before.
#[inline(always)]
fn is_first(file: &File, stream: u64) -> bool {
    known(stream, file.stream_first).and_then(try_read::<u8>).is_some_and(|first| first != 0)
}

/// Whether a stream has this span.
#[inline(always)]
fn is_still(hit: &Hit, stream: u64, span_id: u64) -> bool {
    let kept = flight::live(hit, &Key::at(hit, stream));
    kept.is_some_and(|kept| kept.get().has(BOUND) && kept.get().span_id == span_id)
}

/// Whether a `*clientStream` is one of the RPC's channel.
#[inline(always)]
pub fn is_of(file: &File, stream: u64, flight: &Flight) -> bool {
    known(stream, file.stream_conn).and_then(try_read::<u64>) == Some(flight.conn)
}
