//! An operation ends: its span is sent, or one for each of its topics.

use aya_ebpf::{helpers::bpf_ktime_get_ns, programs::ProbeContext};
use runtime_ebpf::{
    counters::Counter as Core,
    kafka_go::{
        File, KEYS_BEGIN, MESSAGE_WINDOW, MOST_HEADERS, NAMED_TOPICS,
        counters::Counter,
        records::{
            KIND_COMMITTED, KIND_POLLED, KIND_SENT, POLLED_ADDRESS, POLLED_BYTES, POLLED_GROUP, POLLED_KEY,
            POLLED_SLOT_COUNT, POLLED_SLOTS, POLLED_TOPIC, Polled, SENT_ADDRESS, SENT_BYTES, SENT_GROUP,
            SENT_KEY, SENT_SLOTS, SENT_TOPIC, Sent,
        },
    },
    record::ABSENT,
    trace_parent::TraceParent,
};

use super::{
    flight::{
        self, COMMIT, Entry, Flight, GoErrorWords, HANDED, Kafka, Key, OPEN, READ, SAMPLED, WRITE, count,
        find,
    },
    outcome::{has_one_for_each, write_outcome},
    places::{readers_address, readers_brokers, readers_first_address, readers_group, writers_address},
    topics,
};
use crate::{
    count::count as count_core,
    enter::Hit,
    ids::further_span_id,
    kernel,
    read::{GoString, opaque, read, read_or_zero, try_read, word_or_zero},
    registers::GoRegisters as _,
    ring,
    texts::{MISSING, Window, fill, string_in},
    traceparent,
};

/// The operation of this kind that is open on the goroutine, if it is that goroutine's.
#[inline(always)]
pub fn open(hit: &Hit, ctx: &ProbeContext, operation: u32) -> Option<Entry> {
    let generation = hit.process().generation;
    // A call that began deeper in the stack than this is within this one, and is over without an end.
    let depth = hit.depth(ctx.stack());
    let entry = find::<Kafka>(&Key::of(hit)).filter(|entry| {
        let kept = entry.get();
        kept.generation == generation && kept.has(OPEN) && kept.own == operation && kept.depth <= depth
    });
    let Some(entry) = entry else {
        count(Counter::Unmatched);
        return None;
    };
    if hit.goid() != Some(entry.get().goid) {
        count(Counter::Mismatch);
        flight::remove(hit, &Key::of(hit));
        return None;
    }
    Some(entry)
}

/// What the file's addresses are less than the process's; 0: nothing is open on the goroutine.
#[inline(always)]
pub fn bias(hit: &Hit) -> u64 {
    find::<Kafka>(&Key::of(hit)).map_or(0, |entry| entry.get().bias)
}

#[inline(always)]
fn now() -> u64 {
    // SAFETY: plain helper call.
    unsafe { bpf_ktime_get_ns() }
}

/// In which program the end of a call goes on.
pub enum Next {
    /// In none.
    Nothing,
    /// In the one that gives each topic its error.
    Errors,
    /// In the one that sends a span for each topic.
    Spans,
}

/// `WriteMessages` returns this error, or none.
#[inline(always)]
pub fn written(hit: &Hit, file: &File, ctx: &ProbeContext, error: GoErrorWords) -> Next {
    let Some(mut entry) = open(hit, ctx, WRITE) else { return Next::Nothing };
    let flight = entry.get_mut();
    if !flight.has(SAMPLED) {
        flight::rest(hit, entry);
        return Next::Nothing;
    }
    flight.done = 0;
    if is_mixed(flight) && has_one_for_each(file, flight.bias, error) {
        return Next::Errors;
    }
    Next::Spans
}

/// Whether the messages are of several topics, or of more than were looked at.
#[inline(always)]
fn is_mixed(flight: &Flight) -> bool {
    (flight.topics[1].count | flight.topics[NAMED_TOPICS].count) != 0
}

/// Gives the next messages' topics their errors. Whether there are more.
#[inline(always)]
pub fn tell_errors(hit: &Hit, file: &File, error: GoErrorWords) -> bool {
    let Some(mut entry) = find::<Kafka>(&Key::of(hit)) else { return false };
    let flight = entry.get_mut();
    let is_more = match read::<GoString>(error.data) {
        Some(errors) => topics::tell_next(hit, file, flight, errors),
        None => false,
    };
    if !is_more {
        flight.done = 0;
    }
    is_more
}

/// A place of which LLVM knows nothing: from the check of one it would take what it knows of the next, and older verifiers would not.
#[inline(always)]
fn place_at(number: u64) -> usize {
    opaque(number) as usize & 7
}

/// Sends the span of the next topic. Whether there are more.
#[inline(always)]
pub fn send_next(hit: &Hit, file: &File, error: GoErrorWords) -> bool {
    let Some(mut entry) = find::<Kafka>(&Key::of(hit)) else { return false };
    let flight = entry.get_mut();
    let place = place_at(flight.done);
    let Some(topic) = flight.topics.get(place) else { return false };
    let error =
        if is_mixed(flight) && has_one_for_each(file, flight.bias, error) { topic.error } else { error };
    let text = if place < NAMED_TOPICS { topic.text } else { MISSING };
    let key = Kept { at: topic.key_at, len: topic.key_len };
    let call = Messages { kind: KIND_SENT, topic: text, count: topic.count, key };
    send_messages(hit, file, flight, &call, error);
    // Behind the last that has a place there may be all others.
    let mut next = place_at(flight.done + 1);
    if flight.topics.get(next).is_none_or(|topic| topic.count == 0) {
        next = NAMED_TOPICS;
    }
    let is_last = place == NAMED_TOPICS;
    flight.done = next as u64;
    if !is_last && flight.topics.get(place_at(next as u64)).is_some_and(|topic| topic.count != 0) {
        flight.span_id = further_span_id(flight.span_id, flight.done);
        count(Counter::Started);
        return true;
    }
    flight::rest(hit, entry);
    false
}

/// Messages that a span is of.
struct Messages {
    /// [`KIND_SENT`] or [`KIND_COMMITTED`].
    kind: u16,
    topic: GoString,
    count: u64,
    key: Kept,
}

/// A string that the entry has: where, and its length.
struct Kept {
    at: u32,
    len: u32,
}

impl Kept {
    const NONE: Self = Self { at: 0, len: ABSENT };
}

#[inline(always)]
fn send_messages(hit: &Hit, file: &File, flight: &Flight, call: &Messages, error: GoErrorWords) {
    let end_ns = now();
    let Some(mut record) = ring::reserve(SENT_BYTES) else { return count(Counter::SpanLost) };
    let base = record.as_mut_ptr();
    flight.write_head(hit, base, call.kind, SENT_BYTES as u32, end_ns);
    let (address, group) = if call.kind == KIND_SENT {
        (writers_address(file, flight), MISSING)
    } else {
        (readers_address(file, flight), readers_group(file, flight))
    };
    // SAFETY: the reservation has a Sent and all slots.
    unsafe {
        let sent = base.cast::<Sent>();
        (&raw mut (*sent).count).write_volatile(call.count);
        let mut slot = base.add(size_of::<Sent>());
        macro_rules! strings {
            ($($which:ident $text:ident)+) => { $(
                let len = fill(slot, SENT_SLOTS[$which], $text);
                (&raw mut (*sent).lens[$which]).write_volatile(len);
                slot = slot.add(SENT_SLOTS[$which]);
            )+ };
        }
        let topic = call.topic;
        strings!(SENT_TOPIC topic SENT_ADDRESS address SENT_GROUP group);
        (&raw mut (*sent).lens[SENT_KEY]).write_volatile(call.key.len);
        if call.key.len != ABSENT {
            // All that may be of it: nothing for the verifier to follow.
            let at = opaque(call.key.at as u64) as usize & (KEYS_BEGIN - 1);
            kernel::copy(slot, SENT_SLOTS[SENT_KEY] as u32, flight.keys.as_ptr().add(at));
        }
        slot = slot.add(SENT_SLOTS[SENT_KEY]);
        write_outcome(file, flight.bias, error, &raw mut (*sent).outcome, slot);
    }
    ring::submit(record);
}

/// Behind a `select` of `CommitMessages`.
#[inline(always)]
pub fn committed(hit: &Hit, file: &File, ctx: &ProbeContext) {
    let Some(mut entry) = open(hit, ctx, COMMIT) else { return };
    let flight = entry.get_mut();
    let [first, second] = &file.commit_selects;
    let is_first = ctx.instruction().wrapping_sub(flight.bias) == first.vaddr;
    let Some(chosen) = Chosen::read(ctx, if is_first { first.cases } else { second.cases }) else { return };
    let element = chosen.element;
    if element == 0 {
        // The context is done, or the reader closed: it was not handed over, or nobody waits for what becomes of it.
        count(Counter::GivenUp);
        return flight::rest(hit, entry);
    }
    let has_answer = flight.has(HANDED);
    if !has_answer && word_or_zero(flight.subject, file.reader_commit_interval, 0) == 0 {
        flight.state |= HANDED;
        return;
    }
    if flight.has(SAMPLED) {
        let topic = if is_mixed(flight) { MISSING } else { flight.topics[0].text };
        let call = Messages { kind: KIND_COMMITTED, topic, count: flight.count, key: Kept::NONE };
        let error = if has_answer {
            GoErrorWords { itab: read_or_zero(element), data: read_or_zero(element.wrapping_add(8)) }
        } else {
            GoErrorWords::NONE
        };
        send_messages(hit, file, flight, &call, error);
    }
    flight::rest(hit, entry);
}

/// What a `select` has come to.
struct Chosen {
    /// The channel of the chosen case.
    channel: u64,
    /// Where what was received lies, or what was sent; 0: that is thrown away.
    element: u64,
    /// Whether the channel is open, if it was received from.
    received: bool,
}

impl Chosen {
    /// Behind `runtime.selectgo`, which returns (chosen int, received bool). Its cases, `cases` from the stack pointer, are each a channel and
    /// the address of an element (runtime/select.go).
    #[inline(always)]
    fn read(ctx: &ProbeContext, cases: u64) -> Option<Self> {
        let at = ctx.stack().wrapping_add(cases).wrapping_add(ctx.argument::<0>().wrapping_mul(16));
        let Some(case) = read::<GoString>(at) else {
            count(Counter::Unreadable);
            return None;
        };
        // A bool is the lowest byte of its register.
        Some(Self { channel: case.address, element: case.len, received: ctx.argument::<1>() as u8 != 0 })
    }
}

/// `FetchMessage` goes on with what it has received.
#[inline(always)]
pub fn polled(hit: &Hit, file: &File, ctx: &ProbeContext) {
    let Some(mut entry) = open(hit, ctx, READ) else { return };
    let Some(chosen) = Chosen::read(ctx, file.select_cases) else { return };
    let flight = entry.get_mut();
    let reader = flight.subject;
    let is_message = chosen.channel == word_or_zero(reader, file.reader_msgs, 0);
    let is_error = chosen.channel == word_or_zero(reader, file.reader_run_error, 0);
    if chosen.channel == 0 || !(is_message || is_error) || (is_message && !chosen.received) {
        // The context is done, or the reader was closed.
        count(Counter::Nothing);
        return flight::rest(hit, entry);
    }
    if is_message {
        // Both are small numbers that count up. The reader's own may have grown since it was asked: that is the next time's.
        if word_or_zero(chosen.element, file.read_version, 0) < flight.version {
            flight.version = word_or_zero(reader, file.reader_version, 0);
            return count(Counter::Stale);
        }
    }
    if flight.has(SAMPLED) {
        send_polled(hit, file, flight, chosen.element, is_message);
    }
    flight::rest(hit, entry);
}

#[inline(always)]
fn send_polled(hit: &Hit, file: &File, flight: &Flight, element: u64, is_message: bool) {
    let end_ns = now();
    let Some(mut record) = ring::reserve(POLLED_BYTES) else { return count(Counter::SpanLost) };
    let base = record.as_mut_ptr();
    flight.write_head(hit, base, KIND_POLLED, POLLED_BYTES as u32, end_ns);
    // The error's own words where it was received by itself.
    let error_at = if is_message { file.read_error } else { 0 };
    let error =
        GoErrorWords { itab: word_or_zero(element, error_at, 0), data: word_or_zero(element, error_at, 8) };
    // SAFETY: the reservation has a Polled and all slots.
    unsafe {
        let polled = base.cast::<Polled>();
        let mut slot = base.add(size_of::<Polled>());
        let mut texts = [MISSING; POLLED_SLOT_COUNT];
        let has_message = is_message && error.itab == 0;
        let (mut partition, mut offset) = (0, 0);
        let mut link = None;
        if has_message {
            let message = element.wrapping_add(file.read_message as u64);
            let window = Window::<MESSAGE_WINDOW>::read(slot, message, 0, file.message_bytes as u16);
            if !window.ok() {
                ring::discard(record);
                return count(Counter::Unreadable);
            }
            texts[POLLED_TOPIC] = window.known_string(file.topic);
            texts[POLLED_KEY] = window.known_string(file.key);
            partition = window.known_word(file.partition);
            offset = window.known_word(file.offset);
            link = linked(file, window.known_string(file.headers));
        }
        let link = link.unwrap_or(TraceParent { trace_id: [0; 2], span_id: 0, flags: 0 });
        (&raw mut (*polled).link_trace_id).write_volatile(link.trace_id);
        (&raw mut (*polled).link_span_id).write_volatile(link.span_id);
        (&raw mut (*polled).link_flags).write_volatile(link.flags as u64);
        texts[POLLED_GROUP] = readers_group(file, flight);
        texts[POLLED_ADDRESS] = readers_first_address(file, flight);
        (&raw mut (*polled).brokers).write_volatile(readers_brokers(file, flight));
        (&raw mut (*polled).partition).write_volatile(partition);
        (&raw mut (*polled).offset).write_volatile(offset);
        (&raw mut (*polled).has_message).write_volatile(has_message as u64);
        macro_rules! strings {
            ($($which:ident)+) => { $(
                let len = fill(slot, POLLED_SLOTS[$which], texts[$which]);
                (&raw mut (*polled).lens[$which]).write_volatile(len);
                slot = slot.add(POLLED_SLOTS[$which]);
            )+ };
        }
        strings!(POLLED_TOPIC POLLED_KEY POLLED_GROUP POLLED_ADDRESS);
        write_outcome(file, flight.bias, error, &raw mut (*polled).outcome, slot);
    }
    ring::submit(record);
}

/// The span that the message's headers name, if they name one: a slice of `{Key string, Value []byte}`.
#[inline(always)]
fn linked(file: &File, headers: GoString) -> Option<TraceParent> {
    if file.header_bytes == 0 || headers.is_missing() {
        return None;
    }
    let mut value = MISSING;
    for n in 0..MOST_HEADERS {
        if n as u64 >= headers.len {
            break;
        }
        let at = headers.address.wrapping_add(n as u64 * file.header_bytes as u64);
        if is_traceparent(string_in(at, file.header_key)) {
            value = string_in(at, file.header_value);
            break;
        }
    }
    if value.is_missing() {
        if headers.len > MOST_HEADERS as u64 {
            count(Counter::HeadersCut);
        }
        return None;
    }
    let link = traceparent::parse(value);
    if link.is_none() {
        count_core(Core::TraceparentInvalid);
    }
    link
}

/// Whether a text is `traceparent`, as all write it into messages.
#[inline(always)]
fn is_traceparent(text: GoString) -> bool {
    if text.is_missing() || text.len != 11 {
        return false;
    }
    // Two words that overlap.
    try_read::<u64>(text.address) == Some(u64::from_le_bytes(*b"tracepar"))
        && try_read::<u64>(text.address.wrapping_add(3)) == Some(u64::from_le_bytes(*b"ceparent"))
}
