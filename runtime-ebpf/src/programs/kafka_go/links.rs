//! Which messages of a batch are from which call, and at which offsets the batch was written. The agent puts that together; nothing is followed
//! here that was kept, but for what the goroutine's own call keeps alive.
//!
//! A call adds its messages to a partition's batch under the writer's lock, and begins a batch where there is none, or the last one is full:
//! what it adds to each is one piece. Where a piece begins is known when the call comes (the batch, and its size), and when a batch is made.

use aya_ebpf::{helpers::bpf_ktime_get_ns, programs::ProbeContext};
use runtime_ebpf::kafka_go::{
    File, NAMED_TOPICS,
    counters::Counter,
    records::{
        Batch, JOINED_BYTES, Joined, KIND_JOINED, KIND_MADE, KIND_PRODUCED, KIND_PRODUCING, PRODUCED_BYTES,
        PRODUCING_ADDRESS, PRODUCING_BYTES, PRODUCING_SLOTS, PRODUCING_TOPIC, Produced, Producing,
    },
};

use super::{
    begin,
    flight::{self, Entry, Flight, GoErrorWords, Kafka, Key, OPEN, PRODUCE, SAMPLED, WRITE, count, find},
    outcome::write_answer,
    places::first_address,
    topics,
};
use crate::{
    enter::Hit,
    ids::further_span_id,
    read::{GoString, is_some, opaque, word_or_zero},
    registers::GoRegisters as _,
    ring,
    texts::fill,
};

/// The goroutine's entry, if it is its own and has this open.
#[inline(always)]
fn open(hit: &Hit, operation: u32, state: u32) -> Option<Entry> {
    let entry = find::<Kafka>(&Key::of(hit))?;
    let kept = entry.get();
    let is_it =
        kept.generation == hit.process().generation && kept.own == operation && kept.state & state == state;
    (is_it && hit.goid() == Some(kept.goid)).then_some(entry)
}

/// Messages of the goroutine's call, so many, are for this partition. Of a call that is not recorded nothing is said: what it adds is a gap
/// between others' messages.
#[inline(always)]
pub fn joined(hit: &Hit, file: &File, partition_writer: u64, messages: u64) {
    let Some(mut entry) = open(hit, WRITE, OPEN | SAMPLED) else { return };
    let flight = entry.get_mut();
    let topic = GoString {
        address: word_or_zero(partition_writer, file.partition_writer_topic, 0),
        len: word_or_zero(partition_writer, file.partition_writer_topic, 8),
    };
    let Some(place) = topics::place_known(flight, topic) else { return count(Counter::Unreadable) };
    let span_id = span_of(flight, place);
    let batch = word_or_zero(partition_writer, file.partition_writer_batch, 0);
    let size = word_or_zero(batch, file.batch_size, 0) & is_some(batch).wrapping_neg();
    send_joined(
        hit,
        flight,
        &Piece { kind: KIND_JOINED, span_id, batch: which(file, batch), size, messages },
    );
}

/// The goroutine's call has begun this batch.
#[inline(always)]
pub fn made(hit: &Hit, file: &File, batch: u64) {
    let Some(mut entry) = open(hit, WRITE, OPEN | SAMPLED) else { return };
    let flight = entry.get_mut();
    let span_id = flight.span_id;
    let piece = Piece { kind: KIND_MADE, span_id, batch: which(file, batch), size: 0, messages: 0 };
    send_joined(hit, flight, &piece);
}

/// What tells a batch from all others.
#[inline(always)]
fn which(file: &File, batch: u64) -> Batch {
    let time = [word_or_zero(batch, file.batch_time, 0), word_or_zero(batch, file.batch_time, 8)];
    Batch { address: batch, time }
}

/// The id of the span in this place: that of each further topic is made of the one before, as when they are sent.
#[inline(always)]
fn span_of(flight: &Flight, place: u64) -> u64 {
    let is_of_others = is_some(place ^ NAMED_TOPICS as u64) ^ 1;
    let mut id = flight.span_id;
    for n in 1..NAMED_TOPICS as u64 {
        // All named ones come before the one of all others.
        let is_named = is_some(flight.topics[n as usize].count) & is_of_others;
        let is_within = is_some(opaque(place) / n) & (is_of_others ^ 1);
        let takes = (is_named | is_within).wrapping_neg();
        id = further_span_id(id, n) & takes | id & !takes;
    }
    let takes = is_of_others.wrapping_neg();
    further_span_id(id, NAMED_TOPICS as u64) & takes | id & !takes
}

/// What a record of a piece says.
struct Piece {
    kind: u16,
    span_id: u64,
    batch: Batch,
    size: u64,
    messages: u64,
}

#[inline(always)]
fn send_joined(hit: &Hit, flight: &mut Flight, piece: &Piece) {
    // Counted whether it is sent or not: the agent sees a gap.
    flight.version = flight.version.wrapping_add(1);
    let Some(mut record) = ring::reserve(JOINED_BYTES) else { return count(Counter::LinkLost) };
    let base = record.as_mut_ptr();
    flight.write_head(hit, base, piece.kind, JOINED_BYTES as u32, 0);
    // SAFETY: the reservation is a Joined.
    unsafe {
        let joined = base.cast::<Joined>();
        (&raw mut (*joined).head.span_id).cast::<u64>().write_volatile(piece.span_id);
        write_batch(&raw mut (*joined).batch, piece.batch);
        (&raw mut (*joined).size).write_volatile(piece.size);
        (&raw mut (*joined).count).write_volatile(piece.messages);
        (&raw mut (*joined).goid).write_volatile(flight.goid);
        (&raw mut (*joined).nth).write_volatile(flight.version);
    }
    ring::submit(record);
}

/// # Safety
///
/// `to` is of a reserved record.
#[inline(always)]
unsafe fn write_batch(to: *mut Batch, batch: Batch) {
    // SAFETY: the caller's.
    unsafe {
        (&raw mut (*to).address).write_volatile(batch.address);
        (&raw mut (*to).time[0]).write_volatile(batch.time[0]);
        (&raw mut (*to).time[1]).write_volatile(batch.time[1]);
    }
}

/// The goroutine sends a batch: once more when it tries again.
#[inline(always)]
pub fn producing(hit: &Hit, file: &File, ctx: &ProbeContext) {
    // SAFETY: plain helper call.
    let start_ns = unsafe { bpf_ktime_get_ns() };
    let Some(goid) = hit.goid() else { return count(Counter::Unreadable) };
    let Some(mut entry) = begin::enter(hit, &Key::of(hit)) else { return };
    let flight = entry.get_mut();
    flight.library = hit.library;
    flight.own = PRODUCE;
    flight.state = 0;
    flight.goid = goid;
    flight.start_ns = start_ns;
    flight.bias = ctx.instruction().wrapping_sub(file.produce_vaddr);
    let Some(mut record) = ring::reserve(PRODUCING_BYTES) else { return count(Counter::LinkLost) };
    let base = record.as_mut_ptr();
    flight.write_head(hit, base, KIND_PRODUCING, PRODUCING_BYTES as u32, 0);
    let batch = ctx.argument::<4>();
    let topic = GoString { address: ctx.argument::<1>(), len: ctx.argument::<2>() };
    let address = first_address(file, ctx.argument::<0>(), flight.bias);
    // SAFETY: the reservation has a Producing and both slots.
    unsafe {
        let producing = base.cast::<Producing>();
        write_batch(&raw mut (*producing).batch, which(file, batch));
        (&raw mut (*producing).count).write_volatile(word_or_zero(batch, file.batch_messages, 8));
        // An int32 in a register, of which the upper half says nothing.
        (&raw mut (*producing).partition).write_volatile(ctx.argument::<3>() & 0xffff_ffff);
        (&raw mut (*producing).goid).write_volatile(goid);
        let mut slot = base.add(size_of::<Producing>());
        let len = fill(slot, PRODUCING_SLOTS[PRODUCING_TOPIC], topic);
        (&raw mut (*producing).lens[PRODUCING_TOPIC]).write_volatile(len);
        slot = slot.add(PRODUCING_SLOTS[PRODUCING_TOPIC]);
        let len = fill(slot, PRODUCING_SLOTS[PRODUCING_ADDRESS], address);
        (&raw mut (*producing).lens[PRODUCING_ADDRESS]).write_volatile(len);
    }
    ring::submit(record);
    flight.state = OPEN;
}

/// The broker has answered, or there is an error in place of that. A program that calls `(*Client).Produce` by itself has nothing open.
#[inline(always)]
pub fn produced(hit: &Hit, file: &File, ctx: &ProbeContext) {
    let Some(entry) = open(hit, PRODUCE, OPEN) else { return };
    let flight = entry.get();
    let error = GoErrorWords { itab: ctx.argument::<2>(), data: ctx.argument::<3>() };
    let answer = ctx.argument::<1>();
    let topics = word_or_zero(answer, file.response_topics, 0);
    let partitions = word_or_zero(topics, file.response_partitions, 0);
    // Of one request, which has one partition of one topic. Without acknowledgements there is none.
    let has_partition = is_some(word_or_zero(answer, file.response_topics, 8))
        & is_some(word_or_zero(topics, file.response_partitions, 8));
    // An itab's second word is its type; there is none beside an error.
    let kind = word_or_zero(ctx.argument::<0>(), 8, 0);
    let is_answer =
        error.itab == 0 && has_partition != 0 && kind.wrapping_sub(flight.bias) == file.response_vaddr;
    let (mut partition, mut code, mut offset) = (0, 0, u64::MAX);
    if is_answer {
        partition = word_or_zero(partitions, file.response_partition, 0) & 0xffff_ffff;
        // An int16.
        code = word_or_zero(partitions, file.response_code, 0) as i16 as i64 as u64;
        offset = word_or_zero(partitions, file.response_offset, 0);
    }
    let Some(mut record) = ring::reserve(PRODUCED_BYTES) else {
        count(Counter::LinkLost);
        return flight::rest(hit, entry);
    };
    let base = record.as_mut_ptr();
    // SAFETY: plain helper call.
    let end_ns = unsafe { bpf_ktime_get_ns() };
    flight.write_head(hit, base, KIND_PRODUCED, PRODUCED_BYTES as u32, end_ns);
    // SAFETY: the reservation has a Produced and the slots of an error.
    unsafe {
        let produced = base.cast::<Produced>();
        (&raw mut (*produced).offset).write_volatile(offset);
        (&raw mut (*produced).partition).write_volatile(partition);
        (&raw mut (*produced).goid).write_volatile(flight.goid);
        let slots = base.add(size_of::<Produced>());
        write_answer(file, flight.bias, error, code, &raw mut (*produced).outcome, slots);
    }
    ring::submit(record);
    flight::rest(hit, entry);
}
