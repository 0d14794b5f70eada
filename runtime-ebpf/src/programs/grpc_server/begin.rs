//! An RPC begins.

use aya_ebpf::{maps::ring_buf::RingBufBytes, programs::ProbeContext};
use runtime_ebpf::{
    counters::Counter as Core,
    grpc::{
        records::{KIND_BEGAN, KIND_BEGAN_LARGE},
        server::{
            BEGAN_AUTHORITY, BEGAN_LARGE_SLOTS, BEGAN_METHOD, BEGAN_PEER, BEGAN_SLOT_COUNT, BEGAN_SLOTS,
            BEGAN_TRACESTATE, Began, File, STREAM_WINDOW, TCP_WINDOW,
        },
    },
    libraries::grpc_server::counters::Counter,
    record::{PARENT_LOCAL, PARENT_NONE, PARENT_REMOTE, PARENT_SENDER},
    trace_parent::TraceParent,
};

use super::{
    flight::{self, Flight, OPEN, SAMPLED, count},
    metadata,
    peer::{self, Peer},
};
use crate::{
    connection::{Conn, link_apart},
    count::count as count_core,
    current,
    enter::Hit,
    header_names::{AUTHORITY, LOWER_TRACEPARENT, LOWER_TRACESTATE, MetadataNames},
    headers::{self, Found},
    ids,
    in_flight::Key,
    parent::{self, Context},
    programs::grpc::now,
    read::{GoString, read, word_or_zero},
    registers::GoRegisters,
    ring, senders,
    texts::{Window, fill},
    trace_states, traceparent, tracestate,
};

const SMALL_BYTES: usize = size_of::<Began>() + total(&BEGAN_SLOTS);
const LARGE_BYTES: usize = size_of::<Began>() + total(&BEGAN_LARGE_SLOTS);
/// The last of several `tracestate` values reaches beyond its slot, which is the last one.
const BEHIND: usize = BEGAN_LARGE_SLOTS[BEGAN_TRACESTATE];
// Structs are read into where the strings will stand.
const _: () = assert!(total(&BEGAN_SLOTS) >= STREAM_WINDOW && STREAM_WINDOW >= TCP_WINDOW);
const _: () = assert!(BEGAN_TRACESTATE == BEGAN_SLOT_COUNT - 1);

const fn total(slots: &[usize; BEGAN_SLOT_COUNT]) -> usize {
    slots[0] + slots[1] + slots[2] + slots[3]
}

/// What is picked out of the `transport.Stream`.
#[derive(Clone, Copy)]
struct Picked {
    method: GoString,
    context: Context,
    /// The stream's number.
    id: u64,
}

/// What the record says.
struct Texts {
    method: GoString,
    authority: GoString,
    peer: Peer,
}

/// Begins the RPC of `handleStream(s, t, stream)`.
#[inline(always)]
pub fn begin(ctx: &ProbeContext, hit: &Hit, file: &File) {
    let start_ns = now();
    let bias = ctx.instruction().wrapping_sub(file.start_vaddr);
    let transport = [ctx.argument::<1>(), ctx.argument::<2>()];
    let stream = ctx.argument::<3>();
    let key = Key::of(hit);
    let Some(goid) = hit.goid() else {
        count(hit, Counter::Unreadable);
        return flight::remove(hit, &key);
    };
    // Before the entry: verifiers before Linux 6.3 or so take two reservations for different ones, and what happens to the entry would be
    // followed to the program's end once for each of its ways.
    let Some(mut record) = ring::reserve(SMALL_BYTES) else {
        if flight::enter(hit, &key, goid, stream).is_some() {
            flight::lose(hit, Counter::BeginningLost);
        }
        return;
    };
    let Some(mut entry) = flight::enter(hit, &key, goid, stream) else { return ring::discard(record) };
    let flight = entry.get_mut();
    flight.start_ns = start_ns;
    flight.bias = bias;
    // SAFETY: the reservation has a Began and all slots.
    let slots = unsafe { record.as_mut_ptr().add(size_of::<Began>()) };
    let Some(picked) = pick(file, slots, stream) else {
        ring::discard(record);
        return flight::lose(hit, Counter::Unreadable);
    };
    let map = metadata::find(hit.file(), bias, picked.context.itab, picked.context.data);
    // SAFETY: the entry has no identity yet.
    let mut found =
        unsafe { headers::find::<MetadataNames>(map, &file.headers, &raw mut flight.parent_span_id) };
    let is_within = transport[0].wrapping_sub(bias) == file.handler_itab_vaddr;
    let (parent, kind) = match within(hit, is_within) {
        Some(request) => (Some(request), PARENT_LOCAL),
        None => match callers(hit, file, &mut found) {
            (None, _) if !is_within => sender(hit, file, bias, transport[1], picked.id),
            said => said,
        },
    };
    let identity = ids::identify(hit, start_ns, parent);
    flight.set_identity(&identity, kind);
    if hit.asks_for_parents() {
        current::open(hit, goid, picked.context.data, &identity);
    }
    flight.state = OPEN;
    if identity.is_sampled() {
        let authority = found.first_of(AUTHORITY, &file.headers);
        let peer = peer::of(file, bias, transport, slots);
        let texts = Texts { method: picked.method, authority, peer };
        if send(hit, file, flight, &texts, &mut found, record) {
            flight.state = OPEN | SAMPLED;
        }
    } else {
        count(hit, Counter::Unsampled);
        ring::discard(record);
    }
    // Last of all, where the verifier has the fewest ways to follow.
    if trace_states::concerns(hit, flight.parent) {
        // As in `send`.
        found.keep_if_none(&[LOWER_TRACESTATE], (flight.parent ^ PARENT_REMOTE) as u64);
        let values = found.all_of(LOWER_TRACESTATE, &file.headers);
        trace_states::note(hit, flight.trace_id, values, &mut found);
    }
    found.count_failures();
}

/// Reads method and context of the `transport.Stream`.
#[inline(always)]
fn pick(file: &File, scratch: *mut u8, stream: u64) -> Option<Picked> {
    let mut base = stream + file.stream_at as u64;
    if file.stream_is_pointer != 0 {
        base = read::<u64>(base)?;
    }
    let window = Window::<STREAM_WINDOW>::read(scratch, base, 0, file.stream_bytes);
    if !window.ok() {
        return None;
    }
    let context = window.known_string(file.stream_ctx);
    Some(Picked {
        method: window.known_string(file.stream_method),
        context: Context { itab: context.address, data: context.len },
        id: word_or_zero(base, file.stream_id, 0) & 0xffff_ffff,
    })
}

/// The request that the RPC is, if net/http serves it: its handler has made this goroutine.
#[inline(always)]
fn within(hit: &Hit, is_within: bool) -> Option<TraceParent> {
    if !is_within || !hit.asks_for_parents() {
        return None;
    }
    parent::creators(hit).map(|open| open.trace)
}

/// The parent that the metadata names.
#[inline(always)]
fn callers(hit: &Hit, file: &File, found: &mut Found<MetadataNames>) -> (Option<TraceParent>, u8) {
    if !hit.extracts() || !found.has_any(&[LOWER_TRACEPARENT]) {
        return (None, PARENT_NONE);
    }
    // Two headers are as good as none (W3C, 3.2).
    match traceparent::parse(found.only(LOWER_TRACEPARENT, &file.headers)) {
        Some(parent) => (Some(parent), PARENT_REMOTE),
        None => {
            count_core(Core::TraceparentInvalid);
            (None, PARENT_NONE)
        }
    }
}

/// Who has sent the stream, where its metadata does not say it.
#[inline(always)]
fn sender(hit: &Hit, file: &File, bias: u64, transport: u64, id: u64) -> (Option<TraceParent>, u8) {
    if !hit.correlates() || !senders::are_there() || id == 0 {
        return (None, PARENT_NONE);
    }
    let net = Conn::at(transport, file.conn_net);
    let link = link_apart(hit.file(), bias, net.itab, net.data);
    match senders::find(link, id) {
        Some(parent) => (Some(parent), PARENT_SENDER),
        None => (None, PARENT_NONE),
    }
}

/// Sends the beginning. Whether there was room.
#[inline(always)]
fn send(
    hit: &Hit,
    file: &File,
    flight: &Flight,
    texts: &Texts,
    found: &mut Found<MetadataNames>,
    mut record: RingBufBytes<'static>,
) -> bool {
    // `tracestate` counts behind a valid `traceparent` alone (W3C, 3.3).
    found.keep_if_none(&[LOWER_TRACESTATE], (flight.parent ^ PARENT_REMOTE) as u64);
    if fits(texts) && !found.has_any(&[LOWER_TRACESTATE]) {
        let base = record.as_mut_ptr();
        flight.write_head(hit, base, KIND_BEGAN, SMALL_BYTES as u32, 0);
        write(base, &BEGAN_SLOTS, texts);
        count(hit, Counter::Started);
        ring::submit(record);
        return true;
    }
    ring::discard(record);
    let Some(mut large) = ring::reserve(LARGE_BYTES + BEHIND) else {
        count(hit, Counter::BeginningLost);
        return false;
    };
    let base = large.as_mut_ptr();
    flight.write_head(hit, base, KIND_BEGAN_LARGE, LARGE_BYTES as u32, 0);
    write(base, &BEGAN_LARGE_SLOTS, texts);
    let values = found.all_of(LOWER_TRACESTATE, &file.headers);
    // SAFETY: the reservation has a Began, all slots, and as much behind them as the last one has.
    unsafe {
        let slot = base.add(LARGE_BYTES - BEHIND);
        let len = tracestate::join::<BEHIND, _>(slot, values, found);
        (&raw mut (*base.cast::<Began>()).lens[BEGAN_TRACESTATE]).write_volatile(len);
    }
    count(hit, Counter::Started);
    ring::submit(large);
    true
}

#[inline(always)]
fn fits(texts: &Texts) -> bool {
    texts.method.fits(BEGAN_SLOTS[BEGAN_METHOD])
        && texts.authority.fits(BEGAN_SLOTS[BEGAN_AUTHORITY])
        && texts.peer.text.fits(BEGAN_SLOTS[BEGAN_PEER])
}

/// Writes what is behind the head, but for `tracestate`.
#[inline(always)]
fn write(base: *mut u8, sizes: &[usize; BEGAN_SLOT_COUNT], texts: &Texts) {
    // SAFETY: the reservation has a Began and all slots.
    unsafe {
        let began = base.cast::<Began>();
        (*began).peer_port = texts.peer.port;
        (*began).peer_kind = texts.peer.kind;
        let mut slot = base.add(size_of::<Began>());
        let lens = &raw mut (*began).lens;
        (&raw mut (*lens)[BEGAN_METHOD]).write_volatile(fill(slot, sizes[BEGAN_METHOD], texts.method));
        slot = slot.add(sizes[BEGAN_METHOD]);
        (&raw mut (*lens)[BEGAN_AUTHORITY]).write_volatile(fill(
            slot,
            sizes[BEGAN_AUTHORITY],
            texts.authority,
        ));
        slot = slot.add(sizes[BEGAN_AUTHORITY]);
        (&raw mut (*lens)[BEGAN_PEER]).write_volatile(fill(slot, sizes[BEGAN_PEER], texts.peer.text));
        (&raw mut (*lens)[BEGAN_TRACESTATE]).write_volatile(0);
    }
}
