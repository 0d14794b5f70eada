//! segmentio/kafka-go: a span for each call that writes messages, and topic, one for each message that is received, and one for each call that
//! commits. Each comes in one record; others say where messages were written, which links what is received to what sent it.

mod batches;
mod codes;
mod config;
mod failures;
mod joiner;
mod records;
mod sent;
mod span;

use analyzer::{Plan, plan};
use runtime_ebpf::{
    kafka_go::{COMMIT, IN_FLIGHT_BYTES, OPEN, SAMPLED, WRITE},
    libraries::KAFKA_GO,
};

use super::join::Joiner;
use super::library::{ConfigError, Flight, Library, NeverEnded};
use super::values::bytes_of;
use crate::spans::Kind;

/// The library.
pub struct KafkaGo;

impl Library for KafkaGo {
    fn id(&self) -> &'static str {
        KAFKA_GO.id
    }

    fn code(&self) -> u16 {
        KAFKA_GO.code
    }

    fn kind(&self) -> Kind {
        Kind::Client
    }

    fn programs(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("write", "kafka_go_write"),
            ("read", "kafka_go_read"),
            ("commit", "kafka_go_commit"),
            ("join", "kafka_go_join"),
            ("make", "kafka_go_make"),
            ("produce", "kafka_go_produce"),
            ("produced", "kafka_go_produced"),
            ("write_end", "kafka_go_write_end"),
            ("read_end", "kafka_go_read_end"),
            ("commit_end", "kafka_go_commit_end"),
        ]
    }

    fn correlating(&self) -> &'static [&'static str] {
        &["join", "make", "produce", "produced"]
    }

    fn takes(&self, role: &str, library: &plan::Library, _carries: bool) -> bool {
        config::takes(role, library)
    }

    fn tails(&self) -> &'static [&'static str] {
        &["kafka_go_record", "kafka_go_topics", "kafka_go_errors", "kafka_go_spans"]
    }

    fn tail_map(&self) -> &'static str {
        "KAFKA_GO_TAILS"
    }

    fn file_map(&self) -> Option<&'static str> {
        Some("KAFKA_GO_FILES")
    }

    fn flight(&self) -> Option<Flight> {
        Some(Flight {
            map: "KAFKA_GO_FLIGHT",
            value_bytes: IN_FLIGHT_BYTES,
            use_map: "KAFKA_GO_USE",
            entries_global: "KAFKA_GO_ENTRIES",
            // An entry has room for several topics, and writes are batched: few goroutines need one at once.
            part: 4,
            // A reader that waits for a message loses nothing.
            lost: Some(NeverEnded {
                at_exit: "kafka_go.lost.open_at_exit",
                state: OPEN | SAMPLED,
                kinds: &[WRITE, COMMIT],
            }),
            gives_way: None,
        })
    }

    fn asks_for_parents(&self) -> bool {
        true
    }

    fn config(&self, library: &plan::Library, plan: &Plan) -> Result<Vec<u8>, ConfigError> {
        let file = config::file(library, plan)?;
        // SAFETY: a File is repr(C), integers without padding (its size is pinned by a test in runtime-ebpf).
        Ok(unsafe { bytes_of(&file) })
    }

    fn joiner(&self) -> Box<dyn Joiner> {
        Box::new(joiner::KafkaJoiner::default())
    }
}
