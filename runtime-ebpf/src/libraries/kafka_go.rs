//! segmentio/kafka-go: what its programs need to know of a file, send ([`records`]) and count ([`counters`]).

pub mod counters;
pub mod records;

use crate::{abi::SPAN_BYTES, errors::Errors};
use records::KEY_BYTES;

/// What the programs need to know of one file. Value of `KAFKA_GO_FILES`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct File {
    /// What tells errors.
    pub errors: Errors,
    /// Address in the file of the site where messages are written: `ip - vaddr` is the load bias. 0: writes are not traced.
    pub write_vaddr: u64,
    /// The same where one is asked for; 0: reads are not traced.
    pub read_vaddr: u64,
    /// The same where messages are committed; 0: commits are not traced.
    pub commit_vaddr: u64,
    /// Where the cases of the two `select`s in `CommitMessages` begin, and the addresses in the file of the sites behind them.
    pub commit_selects: [Select; COMMIT_SELECTS],
    /// Address in the file of the descriptor of `kafka.WriteErrors`; 0: unknown.
    pub write_errors_vaddr: u64,
    /// Address in the file of the descriptor of `kafka.Error`, which is a broker's code; 0: unknown.
    pub code_vaddr: u64,
    /// Address in the file of the itab of the address that `kafka.TCP` makes of one; 0: unknown.
    pub addr_itab: u64,
    /// The same of what it makes of several; 0: unknown.
    pub addrs_itab: u64,
    /// Address in the file of the site where a batch is sent; 0: nobody asks at which offsets messages are written.
    pub produce_vaddr: u64,
    /// Address in the file of the descriptor of what a broker answers to that, `*produce.Response`.
    pub response_vaddr: u64,
    /// Where `WriteMessages` begins in the file, and how long it is: what it defers is called from there, unless it is left by a panic or by
    /// `runtime.Goexit`.
    pub write_code: [u64; 2],
    /// Where the deferred function finds the error that `WriteMessages` returns: distances of its words from the stack pointer.
    pub error_slots: [u64; 2],
    /// Where the cases of the `select` in `FetchMessage` begin: the distance from the stack pointer.
    pub select_cases: u64,
    /// Number of bytes from one message of a slice to the next.
    pub message_bytes: u64,
    /// `Writer.Topic`.
    pub writer_topic: u16,
    /// `Writer.Addr`, a `net.Addr`.
    pub writer_addr: u16,
    /// `Writer.closed`, of which the lowest byte says something in all versions.
    pub writer_closed: u16,
    /// `networkAddress.address`.
    pub addr_address: u16,
    /// `Reader.msgs`, the channel that messages come by.
    pub reader_msgs: u16,
    /// `Reader.runError`, the channel that failures of its goroutines come by.
    pub reader_run_error: u16,
    /// `Reader.version`.
    pub reader_version: u16,
    /// `Reader.config` and `ReaderConfig.GroupID` together.
    pub reader_group: u16,
    /// `Reader.config` and `ReaderConfig.Brokers` together.
    pub reader_brokers: u16,
    /// `Reader.config` and `ReaderConfig.CommitInterval` together.
    pub reader_commit_interval: u16,
    /// `readerMessage.version`.
    pub read_version: u16,
    /// `readerMessage.message`.
    pub read_message: u16,
    /// `readerMessage.error`.
    pub read_error: u16,
    /// `Message.Topic`.
    pub topic: u16,
    /// `Message.Partition`.
    pub partition: u16,
    /// `Message.Offset`.
    pub offset: u16,
    /// `Message.Key`.
    pub key: u16,
    /// `Message.Headers`.
    pub headers: u16,
    /// Number of bytes from one header to the next; 0: headers are not looked at.
    pub header_bytes: u16,
    /// `Header.Key`.
    pub header_key: u16,
    /// `Header.Value`.
    pub header_value: u16,
    /// `partitionWriter.meta` and `topicPartition.topic` together.
    pub partition_writer_topic: u16,
    /// `partitionWriter.currBatch`.
    pub partition_writer_batch: u16,
    /// `writeBatch.time`, of which two words tell a batch from all others that lay at its address.
    pub batch_time: u16,
    /// `writeBatch.size`.
    pub batch_size: u16,
    /// `writeBatch.msgs`.
    pub batch_messages: u16,
    /// `produce.Response.Topics`.
    pub response_topics: u16,
    /// `produce.ResponseTopic.Partitions`.
    pub response_partitions: u16,
    /// `produce.ResponsePartition.Partition`.
    pub response_partition: u16,
    /// `produce.ResponsePartition.ErrorCode`.
    pub response_code: u16,
    /// `produce.ResponsePartition.BaseOffset`.
    pub response_offset: u16,
    /// Which flags mean that the stack check where messages are written fails; see [`crate::abi::CHECK_NONE`].
    pub write_check: u8,
    /// The same where one is asked for.
    pub read_check: u8,
    /// The same where messages are committed.
    pub commit_check: u8,
    /// The same where a call adds messages to batches.
    pub join_check: u8,
    /// The same where a batch is sent.
    pub produce_check: u8,
    /// Zero.
    pub rest: [u8; 5],
}

/// A site behind `runtime.selectgo`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Select {
    /// Its address in the file.
    pub vaddr: u64,
    /// Distance of its cases from the stack pointer.
    pub cases: u64,
}

/// A commit is handed over in one, and in another its answer is waited for.
pub const COMMIT_SELECTS: usize = 2;

/// The most of a message that is read in one go; offsets must leave 16 bytes.
pub const MESSAGE_WINDOW: usize = 256;

/// Topics of one call that are told apart, where its writer has none of its own.
pub const NAMED_TOPICS: usize = 4;
/// They, and all others together.
pub const TOPICS: usize = NAMED_TOPICS + 1;

/// Messages of one call that are looked at by one run of a program for that.
pub const MESSAGES_AT_ONCE: u64 = 38;
/// How many are looked at in all. The kernel allows 33 tail calls in a row (`MAX_TAIL_CALL_CNT`); one for each of the topics may follow.
pub const MOST_MESSAGES: u64 = MESSAGES_AT_ONCE * 27;

/// Bytes of a topic by which it is told from others of its length; one has 249 characters at most (Kafka's `Topic.MAX_NAME_LENGTH`).
pub const TOPIC_BYTES: usize = 256;

/// Keys of a call's messages begin within so many bytes, one behind the other: a power of two.
pub const KEYS_BEGIN: usize = 128;
/// What they lie in: the last of them has room for all of it.
pub const KEYS_BYTES: usize = KEYS_BEGIN + KEY_BYTES;

/// Headers of a message that are looked through for `traceparent`.
pub const MOST_HEADERS: u32 = 16;

/// Size of the programs' in-flight entry, pinned here for the agent, which removes those of processes that have ended.
pub const IN_FLIGHT_BYTES: usize = SPAN_BYTES + 10 * 8 + TOPICS * 64 + KEYS_BYTES;

// What an entry's `state` has.

/// An operation is open.
pub const OPEN: u32 = 1;
/// It is recorded.
pub const SAMPLED: u32 = 2;
/// It has begun, and the program behind the one at its start has not yet given it a span.
pub const PENDING: u32 = 4;
/// A commit has been handed over, and its answer is waited for.
pub const HANDED: u32 = 8;

// And its `own`.

/// Messages are written.
pub const WRITE: u32 = 1;
/// A message is waited for.
pub const READ: u32 = 2;
/// Messages are committed.
pub const COMMIT: u32 = 3;
/// A batch is sent, by the goroutine that does so for a partition.
pub const PRODUCE: u32 = 4;

/// Operations in flight at once, over all processes, unless the agent says otherwise.
pub const DEFAULT_ENTRIES: u32 = 65_536;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_no_padding() {
        let all = size_of::<Errors>() + 15 * 8 + COMMIT_SELECTS * 16 + 31 * 2 + 5 + 5;
        assert_eq!((size_of::<File>(), align_of::<File>()), (all, 8));
    }
}
