//! Which topics the messages of a call have, if its writer has none of its own: the first few are told apart, by their text. A run of a program
//! looks at [`MESSAGES_AT_ONCE`] of them, and goes on in itself.

use core::mem::MaybeUninit;

use runtime_ebpf::{
    counters::Counter,
    kafka_go::{File, MESSAGES_AT_ONCE, MOST_MESSAGES, NAMED_TOPICS, TOPIC_BYTES, TOPICS},
};

use super::flight::{Flight, GoErrorWords};
use crate::{
    count::count,
    enter::Hit,
    ids::mix,
    read::{GoString, is_some, opaque, read_or_zero, read_result, sign},
};

/// Where the goroutine's stack ends, if the address lies on it; else 0. `runtime.g` begins with `stack`, the bounds of its stack, in
/// every release: what the compiler emits at a function's entry counts on it.
#[inline(always)]
pub fn stack_end(hit: &Hit, address: u64) -> u64 {
    let low = read_or_zero(hit.goroutine);
    let high = read_or_zero(hit.goroutine.wrapping_add(8));
    // 1 for both means all ones.
    let is_within = (sign(address.wrapping_sub(low)) ^ 1) & sign(address.wrapping_sub(high));
    high & is_within.wrapping_neg()
}

/// Where the messages lie when the call returns: what is on a stack keeps its distance from the end when that one grows or shrinks.
#[inline(always)]
pub fn messages_now(hit: &Hit, flight: &Flight) -> u64 {
    let end = read_or_zero(hit.goroutine.wrapping_add(8));
    let moved = end.wrapping_sub(flight.stack_end) & is_some(flight.stack_end).wrapping_neg();
    flight.messages.wrapping_add(moved)
}

/// Counts the next messages by their topics. Whether there are more.
#[inline(always)]
pub fn count_next(file: &File, flight: &mut Flight) -> bool {
    let messages = flight.messages;
    let mut failed = 0;
    for _ in 0..MESSAGES_AT_ONCE {
        let nth = flight.done;
        if nth >= flight.count {
            break;
        }
        flight.done = nth + 1;
        let place = place_of(file, flight, messages, nth, &mut failed);
        if let Some(topic) = flight.topics.get_mut(place) {
            topic.count += 1;
            topic.last = nth;
        }
    }
    count_failed(failed);
    let rest = flight.count.wrapping_sub(flight.done);
    if flight.done < MOST_MESSAGES {
        return rest != 0;
    }
    // The rest is not looked at.
    flight.topics[NAMED_TOPICS].count += rest;
    false
}

/// Gives each topic the first error of its messages; `errors` has one for each message, most of them nil. Whether there are more.
#[inline(always)]
pub fn tell_next(hit: &Hit, file: &File, flight: &mut Flight, errors: GoString) -> bool {
    let messages = messages_now(hit, flight);
    let mut failed = 0;
    for _ in 0..MESSAGES_AT_ONCE {
        let nth = flight.done;
        if nth >= errors.len {
            break;
        }
        flight.done = nth + 1;
        let at = errors.address.wrapping_add(nth.wrapping_mul(16));
        let error = GoErrorWords { itab: read_or_zero(at), data: read_or_zero(at.wrapping_add(8)) };
        if error.itab == 0 {
            continue;
        }
        let place = place_of(file, flight, messages, nth, &mut failed);
        if let Some(topic) = flight.topics.get_mut(place)
            && topic.error.itab == 0
        {
            topic.error = error;
        }
    }
    count_failed(failed);
    if flight.done < MOST_MESSAGES {
        return flight.done < errors.len;
    }
    tell_rest(flight, errors);
    false
}

/// Gives the messages behind those that were looked at their first error. If there is none among all that are looked at, there is one that
/// nobody knows.
#[inline(always)]
fn tell_rest(flight: &mut Flight, errors: GoString) {
    let mut first = flight.topics[NAMED_TOPICS].error;
    for n in 0..MORE_ERRORS {
        let nth = MOST_MESSAGES + n;
        if nth >= errors.len || first.itab != 0 {
            break;
        }
        let at = errors.address.wrapping_add(nth.wrapping_mul(16));
        first = GoErrorWords { itab: read_or_zero(at), data: read_or_zero(at.wrapping_add(8)) };
    }
    let mut any = first.itab;
    for topic in &flight.topics {
        any |= topic.error.itab;
    }
    flight.topics[NAMED_TOPICS].error = if any == 0 { GoErrorWords::UNKNOWN } else { first };
}

/// So many are looked at for that.
const MORE_ERRORS: u64 = 1000;

/// Counts a read that found no page, of however many: a topic may have two spans then.
#[inline(always)]
fn count_failed(failed: i64) {
    if failed < 0 {
        count(Counter::ReadFault);
    }
}

/// The place of a message's topic among those of the call: it is given one if there is room, else that of all others.
#[inline(always)]
fn place_of(file: &File, flight: &mut Flight, messages: u64, nth: u64, failed: &mut i64) -> usize {
    let at = messages.wrapping_add(file.message_bytes.wrapping_mul(nth)).wrapping_add(file.topic as u64);
    // What cannot be read is a topic without a name.
    let text = GoString { address: read_or_zero(at), len: read_or_zero(at.wrapping_add(8)) };
    // Most often it is the very same string as another's.
    let (mut place, mut is_found) = (0, 0);
    for n in 0..NAMED_TOPICS {
        let topic = &flight.topics[n];
        let differs = topic.text.address ^ text.address | topic.text.len ^ text.len;
        let is_it = is_some(topic.count) & (is_some(differs) ^ 1);
        place |= n as u64 & is_it.wrapping_neg();
        is_found |= is_it;
    }
    if is_found != 0 {
        return opaque(place) as usize & 7;
    }
    let hash = hash_of(text, failed);
    let mut place = 0;
    // 1 while all places so far are another topic's.
    let mut is_others = 1;
    for n in 0..NAMED_TOPICS {
        let topic = &flight.topics[n];
        is_others &= is_some(topic.count) & is_some(topic.hash ^ hash);
        place += is_others;
    }
    let place = opaque(place) as usize & 7;
    if place < NAMED_TOPICS
        && let Some(topic) = flight.topics.get_mut(place)
        && topic.count == 0
    {
        topic.text = text;
        topic.hash = hash;
    }
    place
}

/// The place of a topic's span among those of the call, if the call has one that it can be of: where no topic of that name is, the span of all
/// others.
#[inline(always)]
pub fn place_known(flight: &Flight, topic: GoString) -> Option<u64> {
    if flight.topics[0].count == flight.count {
        return Some(0);
    }
    // What cannot be read is told from all that could be.
    let hash = hash_of(topic, &mut 0);
    let (mut place, mut is_found) = (0, 0);
    for n in 0..NAMED_TOPICS {
        let topic = &flight.topics[n];
        let is_it = is_some(topic.count) & (is_some(topic.hash ^ hash) ^ 1);
        place |= n as u64 & is_it.wrapping_neg();
        is_found |= is_it;
    }
    if is_found != 0 {
        return Some(place);
    }
    (flight.topics[NAMED_TOPICS].count != 0).then_some(NAMED_TOPICS as u64)
}

const _: () = assert!(TOPICS <= 8);

/// A number that tells a text from others of its length: without a branch, for the verifier. What could not be read is added to `failed`.
#[inline(always)]
fn hash_of(text: GoString, failed: &mut i64) -> u64 {
    let mut hash = text.len;
    let (mut at, mut left) = (text.address, text.len);
    for _ in 0..TOPIC_BYTES / CHUNK_BYTES {
        let mut words = MaybeUninit::<[u64; ROOM_BYTES / 8]>::uninit();
        let first = words.as_mut_ptr().cast::<u64>();
        for n in 0..ROOM_BYTES / 8 {
            // SAFETY: within the buffer. Volatile: LLVM would call a function for all of them.
            unsafe { first.add(n).write_volatile(0) };
        }
        // What is left, or a whole piece: all ones where that is more.
        let is_more = sign(left.wrapping_sub(CHUNK_BYTES as u64)).wrapping_sub(1);
        let len = opaque(left & !is_more | CHUNK_BYTES as u64 & is_more) & (ROOM_BYTES as u64 - 1);
        *failed |= read_result(first.cast(), len as u32, at);
        for n in 0..CHUNK_BYTES / 8 {
            // SAFETY: within the buffer, all of which has been written to.
            hash = mix(hash ^ unsafe { first.add(n).read_volatile() });
        }
        at = at.wrapping_add(len);
        left = left.wrapping_sub(len);
    }
    hash
}

/// So much is read at once.
const CHUNK_BYTES: usize = 64;
/// What the verifier takes it for: twice that, less one.
const ROOM_BYTES: usize = 2 * CHUNK_BYTES;
