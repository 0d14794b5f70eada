//! An operation begins. What is known of the call is written into the goroutine's entry; a program that all kinds go on in gives it its
//! span: the verifier follows that part once.

use aya_ebpf::helpers::bpf_ktime_get_ns;
use runtime_ebpf::{
    kafka_go::{File, KEYS_BEGIN, NAMED_TOPICS, TOPICS, counters::Counter, records::KEY_BYTES},
    record::ABSENT,
};

use super::{
    flight::{self, Entry, Flight, Kafka, Key, OPEN, PENDING, SAMPLED, WRITE, count, find},
    topics,
};
use crate::{
    enter::Hit,
    ids, in_flight,
    parent::{self, Context},
    read::{GoString, is_some, opaque, put, word_or_zero},
    texts::{fill, string_in},
};

/// A call.
#[derive(Clone, Copy)]
pub struct Call {
    /// What it does.
    pub operation: u32,
    /// The `*Writer` or `*Reader`.
    pub subject: u64,
    pub context: Context,
    /// How deep in the stack it is.
    pub depth: u64,
}

/// What is written or committed.
#[derive(Clone, Copy)]
pub struct Messages {
    pub address: u64,
    pub count: u64,
}

/// Keeps the call. `None`: there is no room, or the goroutine's id cannot be read; both are counted.
#[inline(always)]
pub fn begin(hit: &Hit, bias: u64, call: &Call) -> Option<&'static mut Flight> {
    // SAFETY: plain helper call.
    let start_ns = unsafe { bpf_ktime_get_ns() };
    let key = Key::of(hit);
    let Some(goid) = hit.goid() else {
        count(Counter::Unreadable);
        flight::remove(hit, &key);
        return None;
    };
    let mut entry = enter(hit, &key)?;
    let flight = entry.get_mut();
    flight.library = hit.library;
    flight.own = call.operation;
    flight.state = PENDING;
    flight.goid = goid;
    flight.start_ns = start_ns;
    flight.bias = bias;
    flight.depth = call.depth;
    flight.subject = call.subject;
    flight.context = call.context.data;
    flight.context_itab = call.context.itab;
    Some(flight)
}

/// The goroutine's entry for an operation that begins.
#[inline(always)]
pub fn enter(hit: &Hit, key: &Key) -> Option<Entry> {
    let generation = hit.process().generation;
    let Some(mut entry) = find::<Kafka>(key) else {
        let made = in_flight::make::<Kafka>(hit, key);
        if made.is_none() {
            count(Counter::FlightFull);
        }
        let mut made = made?;
        made.get_mut().generation = generation;
        return Some(made);
    };
    let old = entry.get_mut();
    if old.generation == generation && old.has(SAMPLED) {
        count(Counter::Replaced);
    }
    old.generation = generation;
    Some(entry)
}

/// Keeps the messages, whose topic is their writer's; if it has none, they are still to be looked at. Whether they are.
#[inline(always)]
pub fn keep_messages(hit: &Hit, flight: &mut Flight, messages: Messages, topic: GoString) -> bool {
    let is_open = is_some(topic.len) ^ 1;
    flight.messages = messages.address;
    flight.stack_end = topics::stack_end(hit, messages.address);
    flight.count = messages.count;
    put(&mut flight.done, 0);
    for kept in &mut flight.topics {
        put(&mut kept.count, 0);
        put(&mut kept.last, 0);
        put(&mut kept.error.itab, 0);
    }
    let [first, ..] = &mut flight.topics;
    put(&mut first.text, topic);
    put(&mut first.hash, 0);
    // A word of zeros, or of ones.
    first.count = messages.count & is_open.wrapping_sub(1);
    is_open != 0
}

/// Keeps the reader's version, which is 1 behind its first start.
#[inline(always)]
pub fn keep_version(file: &File, flight: &mut Flight, reader: u64) {
    flight.version = word_or_zero(reader, file.reader_version, 0);
}

/// Counts the next messages by their topics. Whether there are more.
#[inline(always)]
pub fn count_topics(hit: &Hit, file: &File) -> bool {
    let Some(mut entry) = find::<Kafka>(&Key::of(hit)) else { return false };
    let flight = entry.get_mut();
    flight.has(PENDING) && topics::count_next(file, flight)
}

/// Gives the operation in the goroutine's entry its span.
#[inline(always)]
pub fn record(hit: &Hit, file: &File) {
    let Some(mut entry) = find::<Kafka>(&Key::of(hit)) else { return };
    let flight = entry.get_mut();
    if !flight.has(PENDING) {
        return;
    }
    let (goid, bias, start_ns) = (again(&flight.goid), again(&flight.bias), again(&flight.start_ns));
    let context = Context { itab: again(&flight.context_itab), data: again(&flight.context) };
    let parent = parent::find(hit, goid, bias, context);
    let identity = ids::identify(hit, start_ns, parent.trace);
    flight.set_identity(&identity, parent.kind);
    if identity.is_sampled() {
        flight.state = OPEN | SAMPLED;
        count(Counter::Started);
        if flight.own == WRITE {
            keep_keys(file, flight);
        }
    } else {
        flight.state = OPEN;
        count(Counter::Unsampled);
    }
}

/// Copies the keys of messages that are the only ones of their topics: there is no key of several.
#[inline(always)]
fn keep_keys(file: &File, flight: &mut Flight) {
    // Counts the bytes that they take. Kept in the entry, and not in a register, the verifier follows what comes next once.
    put(&mut flight.done, 0);
    for place in 0..TOPICS {
        let at = again(&flight.done);
        let topic = &mut flight.topics[place];
        put(&mut topic.key_len, ABSENT);
        // Messages of further topics need not all have been looked at.
        if place == NAMED_TOPICS || again(&topic.count) != 1 || at >= KEYS_BEGIN as u64 {
            continue;
        }
        let message = flight.messages.wrapping_add(file.message_bytes.wrapping_mul(again(&topic.last)));
        let key = string_in(message, file.key);
        let to = opaque(at) as usize & (KEYS_BEGIN - 1);
        // SAFETY: behind each place that a key may begin at there is room for it.
        let len = fill(unsafe { flight.keys.as_mut_ptr().add(to) }, KEY_BYTES, key);
        put(&mut topic.key_at, to as u32);
        put(&mut topic.key_len, len);
        // What is longer than its room, or could not be read, is the last.
        put(&mut flight.done, at + len as u64);
    }
}

/// The word of an entry, of which LLVM knows nothing.
#[inline(always)]
fn again(word: &u64) -> u64 {
    // SAFETY: a reference is valid to read.
    unsafe { core::ptr::from_ref(word).read_volatile() }
}
