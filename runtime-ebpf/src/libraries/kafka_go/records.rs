//! What the programs of segmentio/kafka-go send: one record for each span, when its operation has ended. That is one for each message that
//! was received, one for each call that commits, and one for each topic of a call that writes. And four that make no span: which messages of
//! a batch are from which call, and at which offsets a batch was written.
//!
//! ```text
//! KIND_SENT, KIND_COMMITTED  Sent | strings in SENT_SLOTS | strings in ERROR_SLOTS
//! KIND_POLLED                Polled | strings in POLLED_SLOTS | strings in ERROR_SLOTS
//! KIND_JOINED, KIND_MADE     Joined
//! KIND_PRODUCING             Producing | strings in PRODUCING_SLOTS
//! KIND_PRODUCED              Produced | strings in ERROR_SLOTS
//! ```

use crate::{
    errors::{ERROR_BYTES, ERROR_SLOT_COUNT},
    record::Head,
};

/// Messages have been written, or could not be.
pub const KIND_SENT: u16 = 1;
/// A message has been received, or an error in place of one.
pub const KIND_POLLED: u16 = 2;

/// Messages have been committed, or could not be.
pub const KIND_COMMITTED: u16 = 3;

/// A call adds messages to the batches of a partition; its head is that of the call's span.
pub const KIND_JOINED: u16 = 4;
/// The same call has had to begin another batch.
pub const KIND_MADE: u16 = 5;
/// A batch is sent to a broker; its head has the time and no span.
pub const KIND_PRODUCING: u16 = 6;
/// What became of that; its head begins with the same time.
pub const KIND_PRODUCED: u16 = 7;

/// There was no error.
pub const OUTCOME_DONE: u32 = 0;
/// There was one.
pub const OUTCOME_FAILED: u32 = 1;
/// There was one, and it is a broker's code.
pub const OUTCOME_CODE: u32 = 2;
/// There was one which could not be read.
pub const OUTCOME_UNKNOWN: u32 = 3;

/// Bytes of a message's key that are shown.
pub const KEY_BYTES: usize = 256;

/// What both kinds have.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// One of the `OUTCOME_` constants.
    pub what: u32,
    /// The error's strings' lengths, in the order of the `ERROR_` slots.
    pub lens: [u32; ERROR_SLOT_COUNT],
    /// The broker's code.
    pub code: u64,
}

/// A call of `WriteMessages`, as far as it is of one topic, or one of `CommitMessages`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// Complete.
    pub head: Head,
    /// How it ended.
    pub outcome: Outcome,
    /// Number of messages.
    pub count: u64,
    /// The strings' lengths, in the order of the `SENT_` slots. A topic that is absent is several of which none is named.
    pub lens: [u32; SENT_SLOT_COUNT],
}

/// The topic.
pub const SENT_TOPIC: usize = 0;
/// The brokers' address; of a reader, if it was given one alone.
pub const SENT_ADDRESS: usize = 1;
/// The reader's group.
pub const SENT_GROUP: usize = 2;
/// The key of the message that was written, if it is the only one of its topic.
pub const SENT_KEY: usize = 3;
/// Number of strings.
pub const SENT_SLOT_COUNT: usize = 4;
/// Their sizes in bytes: a topic has 249 characters at most.
pub const SENT_SLOTS: [usize; SENT_SLOT_COUNT] = [256, 128, 256, KEY_BYTES];
/// Bytes of a KIND_SENT or KIND_COMMITTED record.
pub const SENT_BYTES: usize = size_of::<Sent>()
    + SENT_SLOTS[SENT_TOPIC]
    + SENT_SLOTS[SENT_ADDRESS]
    + SENT_SLOTS[SENT_GROUP]
    + SENT_SLOTS[SENT_KEY]
    + ERROR_BYTES;

/// A call of `FetchMessage` that has got a message, or an error.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Polled {
    /// Complete.
    pub head: Head,
    /// How it ended.
    pub outcome: Outcome,
    /// The partition.
    pub partition: u64,
    /// The offset in it.
    pub offset: u64,
    /// What the message's `traceparent` says: trace id, span id (0: it has none, or none that is valid), flags.
    pub link_trace_id: [u64; 2],
    /// See there.
    pub link_span_id: u64,
    /// See there.
    pub link_flags: u64,
    /// The strings' lengths, in the order of the `POLLED_` slots.
    pub lens: [u32; POLLED_SLOT_COUNT],
    /// 1: there is a message.
    pub has_message: u64,
    /// How many brokers the reader was given.
    pub brokers: u64,
}

/// The topic.
pub const POLLED_TOPIC: usize = 0;
/// The message's key.
pub const POLLED_KEY: usize = 1;
/// The reader's group.
pub const POLLED_GROUP: usize = 2;
/// The address of the first broker that the reader was given.
pub const POLLED_ADDRESS: usize = 3;
/// Number of them.
pub const POLLED_SLOT_COUNT: usize = 4;
/// Their sizes in bytes.
pub const POLLED_SLOTS: [usize; POLLED_SLOT_COUNT] = [256, KEY_BYTES, 256, 128];
/// Bytes of a KIND_POLLED record.
pub const POLLED_BYTES: usize = size_of::<Polled>()
    + POLLED_SLOTS[POLLED_TOPIC]
    + POLLED_SLOTS[POLLED_KEY]
    + POLLED_SLOTS[POLLED_GROUP]
    + POLLED_SLOTS[POLLED_ADDRESS]
    + ERROR_BYTES;

/// Which batch: no two of a process have the same address and time of their making.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Batch {
    /// Where it lies, or lay; 0: there is none.
    pub address: u64,
    /// The first two words of its `time`.
    pub time: [u64; 2],
}

/// Messages of a call go to a batch of a partition.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Joined {
    /// The span's.
    pub head: Head,
    /// KIND_JOINED: the partition's batch that is not full yet, if there is one. KIND_MADE: the new one.
    pub batch: Batch,
    /// KIND_JOINED: how many messages that one has. KIND_MADE: 0.
    pub size: u64,
    /// KIND_JOINED: how many messages of the call are for the partition. KIND_MADE: 0.
    pub count: u64,
    /// The goroutine.
    pub goid: u64,
    /// The number of this record among all of both kinds of the goroutine: a gap means that one was lost.
    pub nth: u64,
}

/// Bytes of a KIND_JOINED or KIND_MADE record.
pub const JOINED_BYTES: usize = size_of::<Joined>();

/// A batch is sent.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Producing {
    /// Without a span.
    pub head: Head,
    /// Which one.
    pub batch: Batch,
    /// How many messages it has.
    pub count: u64,
    /// The partition.
    pub partition: u64,
    /// The goroutine.
    pub goid: u64,
    /// The strings' lengths, in the order of the `PRODUCING_` slots.
    pub lens: [u32; PRODUCING_SLOT_COUNT],
}

/// The topic.
pub const PRODUCING_TOPIC: usize = 0;
/// The address of the first broker that the writer was given.
pub const PRODUCING_ADDRESS: usize = 1;
/// Number of them.
pub const PRODUCING_SLOT_COUNT: usize = 2;
/// Their sizes in bytes.
pub const PRODUCING_SLOTS: [usize; PRODUCING_SLOT_COUNT] = [256, 128];
/// Bytes of a KIND_PRODUCING record.
pub const PRODUCING_BYTES: usize =
    size_of::<Producing>() + PRODUCING_SLOTS[PRODUCING_TOPIC] + PRODUCING_SLOTS[PRODUCING_ADDRESS];

/// What became of it.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Produced {
    /// Without a span; `start_ns` is that of the KIND_PRODUCING record.
    pub head: Head,
    /// How it ended.
    pub outcome: Outcome,
    /// The offset of its first message; all ones: nobody has said.
    pub offset: u64,
    /// The partition that the broker speaks of.
    pub partition: u64,
    /// The goroutine.
    pub goid: u64,
}

/// Bytes of a KIND_PRODUCED record.
pub const PRODUCED_BYTES: usize = size_of::<Produced>() + ERROR_BYTES;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_have_no_padding() {
        assert_eq!(size_of::<Outcome>(), 4 + 4 * ERROR_SLOT_COUNT + 8);
        assert_eq!(size_of::<Sent>(), 72 + size_of::<Outcome>() + 8 + 4 * SENT_SLOT_COUNT);
        assert_eq!(size_of::<Polled>(), 72 + size_of::<Outcome>() + 32 + 32 + 4 * POLLED_SLOT_COUNT);
        assert_eq!((SENT_BYTES % 8, POLLED_BYTES % 8), (0, 0));
        assert_eq!(JOINED_BYTES, 72 + 24 + 4 * 8);
        assert_eq!(size_of::<Producing>(), 72 + 24 + 24 + 4 * PRODUCING_SLOT_COUNT);
        assert_eq!(size_of::<Produced>(), 72 + size_of::<Outcome>() + 24);
        assert_eq!((PRODUCING_BYTES % 8, PRODUCED_BYTES % 8), (0, 0));
    }
}
