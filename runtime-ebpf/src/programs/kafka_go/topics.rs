//! Which topics the messages of a call have, if its writer has none of its own: the first few are told apart, by their text. A run of a program
//! looks at [`MESSAGES_AT_ONCE`] of them, and goes on in itself.

use runtime_ebpf::kafka_go::{File, MESSAGES_AT_ONCE, MOST_MESSAGES, NAMED_TOPICS, TOPIC_BYTES, TOPICS};

use super::flight::{Flight, GoErrorWords};
use crate::{
    enter::Hit,
    ids::mix,
    read::{GoString, is_some, opaque, read_bytes, read_or_zero, sign, try_read},
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
    for _ in 0..MESSAGES_AT_ONCE {
        let nth = flight.done;
        if nth >= flight.count {
            return false;
        }
        let place = place_of(file, flight, messages, nth);
        if let Some(topic) = flight.topics.get_mut(place) {
            topic.count += 1;
        }
        flight.done = nth + 1;
    }
    if flight.done >= MOST_MESSAGES {
        // The rest is not looked at.
        let rest = flight.count.wrapping_sub(flight.done);
        flight.topics[NAMED_TOPICS].count += rest;
        return false;
    }
    flight.done < flight.count
}

/// Gives each topic the first error of its messages; `errors` has one for each message, most of them nil. Whether there are more.
#[inline(always)]
pub fn tell_next(hit: &Hit, file: &File, flight: &mut Flight, errors: GoString) -> bool {
    let messages = messages_now(hit, flight);
    for _ in 0..MESSAGES_AT_ONCE {
        let nth = flight.done;
        if nth >= flight.count || nth >= errors.len {
            return false;
        }
        flight.done = nth + 1;
        let at = errors.address.wrapping_add(nth.wrapping_mul(16));
        let error = GoErrorWords { itab: read_or_zero(at), data: read_or_zero(at.wrapping_add(8)) };
        if error.itab == 0 {
            continue;
        }
        let place = place_of(file, flight, messages, nth);
        if let Some(topic) = flight.topics.get_mut(place)
            && topic.error.itab == 0
        {
            topic.error = error;
        }
    }
    flight.done < MOST_MESSAGES
}

/// The place of a message's topic among those of the call: it is given one if there is room, else that of all others.
#[inline(always)]
fn place_of(file: &File, flight: &mut Flight, messages: u64, nth: u64) -> usize {
    let at = messages.wrapping_add(file.message_bytes.wrapping_mul(nth)).wrapping_add(file.topic as u64);
    let Some(text) = try_read::<GoString>(at) else { return NAMED_TOPICS };
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
    let hash = hash_of(text);
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

const _: () = assert!(TOPICS <= 8);

/// A number that tells a text from others.
#[inline(always)]
fn hash_of(text: GoString) -> u64 {
    const WORDS: usize = 8;
    const BYTES: u64 = WORDS as u64 * 8;
    let mut hash = text.len;
    let mut at = text.address;
    let mut left = text.len;
    for _ in 0..TOPIC_BYTES as u64 / BYTES {
        if left == 0 {
            break;
        }
        let mut len = opaque(left);
        if len > BYTES {
            len = BYTES;
        }
        let mut words = [0u64; WORDS];
        // What cannot be read, which is counted, is zeros.
        read_bytes(words.as_mut_ptr().cast(), len as u32, at);
        for word in words {
            hash = mix(hash ^ word);
        }
        at = at.wrapping_add(len);
        left = left.wrapping_sub(len);
    }
    hash
}
