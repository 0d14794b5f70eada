//! The table of operations in flight: one entry for each goroutine that writes or reads, open while it waits, idle between two.

use aya_ebpf::{macros::map, maps::Array};
use runtime_ebpf::{
    abi::MAX_FILES,
    kafka_go::{DEFAULT_ENTRIES, File, IN_FLIGHT_BYTES, KEYS_BYTES, TOPICS, counters::Counter},
    libraries::KAFKA_GO,
};

pub use runtime_ebpf::kafka_go::{COMMIT, HANDED, OPEN, PENDING, PRODUCE, READ, SAMPLED, WRITE};

pub use crate::in_flight::{Key, find};
use crate::{
    count::count_of,
    enter::Hit,
    in_flight::{self, Span, begins_with_span, table},
    read::GoString,
};

#[map]
pub static KAFKA_GO_FILES: Array<File> = Array::with_max_entries(MAX_FILES, 0);

/// The library's table.
pub struct Kafka;

table! { Kafka KAFKA_GO_TABLE Flight, DEFAULT_ENTRIES; KAFKA_GO_FLIGHT KAFKA_GO_BLANK KAFKA_GO_USE KAFKA_GO_ENTRIES }

/// A goroutine, and what it does. `span.own` is one of [`WRITE`], [`READ`], [`COMMIT`] and [`PRODUCE`].
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Flight {
    pub span: Span,
    /// What the file's addresses are less than the process's.
    pub bias: u64,
    /// How deep in the stack it began ([`Hit::depth`]).
    pub depth: u64,
    /// The `*Writer` or `*Reader`: it lives as long as the call that its goroutine makes.
    pub subject: u64,
    /// The data word of the context.
    pub context: u64,
    /// Its itab.
    pub context_itab: u64,
    /// Where the messages lie that are written or committed: in the caller's memory, which waits for the call as well.
    pub messages: u64,
    /// Where the goroutine's stack ends, if they lie on it: it may have moved when the call returns. Else 0.
    pub stack_end: u64,
    /// How many there are.
    pub count: u64,
    /// Of a read: the reader's version when it was asked for a message. What is of an older one is thrown away. Of a write: how many records
    /// have said which batches its goroutine's messages go to.
    pub version: u64,
    /// What a program that goes on with them has done: how many it has looked at, or for how many topics a span has been sent.
    pub done: u64,
    /// Their topics, in the order of the first message of each. The last is all others.
    pub topics: [Topic; TOPICS],
    /// Keys of messages that are the only ones of their topics, copied when the call began: at its end their memory may be another's.
    pub keys: [u8; KEYS_BYTES],
}

/// A topic of messages.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Topic {
    /// On the heap: messages are kept by the goroutines that send them.
    pub text: GoString,
    /// Tells it from others of the same length; 0 for one that need not be told from others.
    pub hash: u64,
    /// Number of messages.
    pub count: u64,
    /// The words of the first error of them, if the call fails with one for each message.
    pub error: GoErrorWords,
    /// The last one's number among the call's messages.
    pub last: u64,
    /// Where the key lies in [`Flight::keys`], if there is one message.
    pub key_at: u32,
    /// Its length, of which as much is there as has room; [`ABSENT`]: there is none.
    pub key_len: u32,
}

/// The words of an `error`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct GoErrorWords {
    pub itab: u64,
    pub data: u64,
}

impl GoErrorWords {
    /// There is none.
    pub const NONE: Self = Self { itab: 0, data: 0 };
    /// Nobody knows whether there is one.
    pub const UNKNOWN: Self = Self { itab: 1, data: 0 };

    #[inline(always)]
    pub fn is_unknown(&self) -> bool {
        self.itab == Self::UNKNOWN.itab
    }
}

begins_with_span!(Flight);

const _: () = assert!(size_of::<Flight>() == IN_FLIGHT_BYTES);

/// An entry of the table.
pub type Entry = in_flight::Entry<Flight>;

/// The operation has ended: the entry stays, idle, unless many do.
#[inline(always)]
pub fn rest(hit: &Hit, mut entry: Entry) {
    entry.get_mut().state = 0;
    if in_flight::is_crowded::<Kafka>(hit) {
        count(Counter::GaveWay);
        remove(hit, &Key::of(hit));
    }
}

/// What is kept is of no use any more.
#[inline(always)]
pub fn remove(hit: &Hit, key: &Key) {
    // Nothing may have been kept.
    let _ = in_flight::remove::<Kafka>(hit, key);
}

#[inline(always)]
pub fn count(counter: Counter) {
    count_of(KAFKA_GO.code, counter as u32);
}
