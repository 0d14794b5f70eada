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
    record::{PARENT_LOCAL, PARENT_NONE, PARENT_REMOTE},
    trace_parent::TraceParent,
};

use super::{
    flight::{self, Flight, OPEN, SAMPLED, count},
    metadata,
    peer::{self, Peer},
};
use crate::{
    count::count as count_core,
    current,
    enter::Hit,
    header_names::{AUTHORITY, LOWER_TRACEPARENT, LOWER_TRACESTATE, MetadataNames},
    headers::{self, Found},
    ids,
    in_flight::Key,
    parent::Context,
    programs::grpc::now,
    read::{GoString, forget, read},
    registers::GoRegisters,
    ring,
    texts::{Window, fill},
    traceparent, tracestate,
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
    let Some(mut entry) = flight::enter(hit, &key, goid, stream) else { return };
    let flight = entry.get_mut();
    flight.start_ns = start_ns;
    flight.bias = bias;
    let Some(mut record) = ring::reserve(SMALL_BYTES) else {
        return count(hit, Counter::BeginningLost);
    };
    // SAFETY: the reservation has a Began and all slots.
    let slots = unsafe { record.as_mut_ptr().add(size_of::<Began>()) };
    let Some(picked) = pick(file, slots, stream) else {
        count(hit, Counter::Unreadable);
        return ring::discard(record);
    };
    // Nobody knows of a request that is open where nobody asks for parents.
    let is_within = hit.asks_for_parents() && transport[0].wrapping_sub(bias) == file.handler_itab_vaddr;
    // The entry has no identity yet: whoever is above is noted in it.
    let place = Place(core::ptr::from_mut(flight));
    place.clear();
    let map =
        metadata::find(hit, file, bias, picked.context, is_within, |trace| place.put(trace, PARENT_LOCAL));
    // SAFETY: nobody needs the word yet.
    let map = unsafe { forget(&raw mut flight.parent_span_id, map) };
    // SAFETY: as above.
    let mut found =
        unsafe { headers::find::<MetadataNames>(map, &file.headers, &raw mut flight.parent_span_id) };
    if place.kind() == PARENT_NONE {
        callers(hit, file, &mut found, place);
    }
    let (parent, kind) = place.parent();
    let identity = ids::identify(hit, start_ns, parent);
    flight.set_identity(&identity, kind);
    if hit.asks_for_parents() {
        current::open(hit, goid, picked.context.data, &identity);
    }
    if !identity.is_sampled() {
        flight.state = OPEN;
        count(hit, Counter::Unsampled);
        return ring::discard(record);
    }
    let authority = found.first_of(AUTHORITY, &file.headers);
    let peer = peer::of(file, bias, transport, slots);
    // SAFETY: what was read into the record is picked out by now.
    let peer = unsafe { peer.forget(slots.cast()) };
    let texts = Texts { method: picked.method, authority, peer };
    flight.state = OPEN;
    if send(hit, file, flight, &texts, &mut found, record) {
        flight.state = OPEN | SAMPLED;
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
    })
}

/// Notes the parent that the metadata names.
#[inline(always)]
fn callers(hit: &Hit, file: &File, found: &mut Found<MetadataNames>, place: Place) {
    if !hit.extracts() || !found.has_any(&[LOWER_TRACEPARENT]) {
        return;
    }
    // Two headers are as good as none (W3C, 3.2).
    match traceparent::parse(found.only(LOWER_TRACEPARENT, &file.headers)) {
        Some(parent) => place.put(&parent, PARENT_REMOTE),
        None => count_core(Core::TraceparentInvalid),
    }
}

/// Where the parent stands until the RPC has its identity: in its entry. The verifier knows nothing of a map's words, and follows what
/// comes behind once, however the parent was found.
#[derive(Clone, Copy)]
struct Place(*mut Flight);

impl Place {
    #[inline(always)]
    fn clear(self) {
        // SAFETY: the entry is the running goroutine's, here and below.
        unsafe { (&raw mut (*self.0).span.parent).write_volatile(PARENT_NONE) }
    }

    #[inline(always)]
    fn put(self, trace: &TraceParent, kind: u8) {
        // SAFETY: as above.
        unsafe {
            let span = &raw mut (*self.0).span;
            (&raw mut (*span).trace_id[0]).write_volatile(trace.trace_id[0]);
            (&raw mut (*span).trace_id[1]).write_volatile(trace.trace_id[1]);
            (&raw mut (*span).span_id).write_volatile(trace.span_id);
            (&raw mut (*span).trace_flags).write_volatile(trace.flags);
            (&raw mut (*span).parent).write_volatile(kind);
        }
    }

    #[inline(always)]
    fn kind(self) -> u8 {
        // SAFETY: as above.
        unsafe { (&raw const (*self.0).span.parent).read_volatile() }
    }

    #[inline(always)]
    fn parent(self) -> (Option<TraceParent>, u8) {
        let kind = self.kind();
        if kind == PARENT_NONE {
            return (None, kind);
        }
        // SAFETY: as above.
        let trace = unsafe {
            let span = &raw const (*self.0).span;
            TraceParent {
                trace_id: [
                    (&raw const (*span).trace_id[0]).read_volatile(),
                    (&raw const (*span).trace_id[1]).read_volatile(),
                ],
                span_id: (&raw const (*span).span_id).read_volatile(),
                flags: (&raw const (*span).trace_flags).read_volatile(),
            }
        };
        (Some(trace), kind)
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
