//! What links messages that are received to what sent them, where no header says so, and what a call could not write.
//!
//! ```text
//! KIND_JOINED, KIND_MADE ──► batches: whose a batch's messages are
//! KIND_PRODUCING ──────────► the batch is on its way: its runs of messages, by goroutine
//! KIND_PRODUCED ───────────► sent: cluster, topic, partition, offset ► whose; or failures: whose messages could not be written to which partition
//! KIND_SENT ───────────────► the partitions that its call could not write to
//! KIND_POLLED ─────────────► its sender; if it is not known and a batch is on its way there, the span waits for that, up to [`PATIENCE`]
//! ```
//! A message is often received before its writer hears that it was written. Nothing else waits.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use runtime_ebpf::{
    kafka_go::records::{
        Batch, KIND_JOINED, KIND_MADE, KIND_POLLED, KIND_PRODUCED, KIND_PRODUCING, KIND_SENT, OUTCOME_DONE,
        POLLED_ADDRESS, POLLED_TOPIC, PRODUCING_ADDRESS, PRODUCING_TOPIC,
    },
    record::Head,
};

use super::batches::{Batches, Run, Sender};
use super::failures::{Failure, Failures, Partition};
use super::records::{self, What};
use super::sent::{Place, SentMessages};
use super::span;
use crate::libraries::join::{Count, Joiner, SpanContext};
use crate::records::DecodeError;
use crate::spans::{FLAG_HAS_REMOTE, FLAG_REMOTE, Link};

/// How long a span of a received message waits for its sender's.
const PATIENCE: Duration = Duration::from_secs(2);
/// Spans that wait, of all processes.
const MOST_WAITING: usize = 4096;
/// Goroutines of one process that send batches, of which the last one is kept.
const MOST_ATTEMPTS: usize = 16_384;
/// About what is kept of one.
const ATTEMPT_BYTES: usize = 256;

/// A batch that a goroutine sends.
#[derive(Debug)]
struct Attempt {
    start_ns: u64,
    batch: Batch,
    partition: Partition,
    /// `None`: the cluster is not known.
    place: Option<Arc<Place>>,
    runs: Vec<Run>,
    is_under_way: bool,
}

/// A span that waits, as its record.
#[derive(Debug)]
struct Waiting {
    record: Vec<u8>,
    since: Instant,
    place: Place,
    offset: u64,
    end_ns: u64,
}

#[derive(Debug, Default)]
struct Process {
    network: Option<u64>,
    batches: Batches,
    attempts: HashMap<u64, Attempt>,
    failures: Failures,
    waiting: VecDeque<Waiting>,
}

#[derive(Debug, Default)]
struct Counted {
    by_header: u64,
    found: u64,
    unknown: u64,
    no_cluster: u64,
    in_vain: u64,
    not_waited: u64,
    given_up: u64,
    failures_given_up: u64,
    broken: u64,
    nowhere: u64,
}

/// The library's joiner.
#[derive(Debug, Default)]
pub struct KafkaJoiner {
    processes: HashMap<(u32, u32), Process>,
    sent: SentMessages,
    waiting: usize,
    waiting_bytes: usize,
    counted: Counted,
}

impl KafkaJoiner {
    fn process(&mut self, head: &Head, cx: &SpanContext<'_>) -> &mut Process {
        let process = self.processes.entry((head.tgid, head.generation)).or_default();
        process.network = cx.network;
        process
    }

    /// A batch is sent. The same one again: the attempt before has failed.
    fn producing(&mut self, head: &Head, bytes: &[u8], cx: &SpanContext<'_>) -> Result<(), DecodeError> {
        let (producing, texts) = records::producing(bytes)?;
        let text = |slot: usize| span::text(texts.get(slot).copied().flatten());
        let topic: Option<Arc<str>> = text(PRODUCING_TOPIC).map(Into::into);
        let place = place(cx.network, text(PRODUCING_ADDRESS), topic.clone(), producing.partition);
        if place.is_none() {
            self.counted.nowhere += 1;
        }
        let partition = (topic, producing.partition);
        let process = self.process(head, cx);
        let before = process.attempts.remove(&producing.goid);
        let (runs, broken) = match &before {
            Some(before) if before.batch == producing.batch => {
                for run in &before.runs {
                    process.failures.take_back(&run.sender.span_id, &partition, producing.batch);
                }
                (before.runs.clone(), 0)
            }
            _ => process.batches.sent(&producing.batch, producing.count),
        };
        if let Some(place) = before.filter(|before| before.is_under_way).and_then(|before| before.place) {
            // What became of that was not said.
            self.sent.end(&place);
        }
        self.counted.broken += broken;
        let attempt = Attempt {
            start_ns: head.start_ns,
            batch: producing.batch,
            partition,
            place: place.map(|place| self.sent.begin(place)),
            runs,
            is_under_way: true,
        };
        let process = self.process(head, cx);
        if process.attempts.len() >= MOST_ATTEMPTS {
            process.attempts.retain(|_, attempt| attempt.is_under_way);
        }
        process.attempts.insert(producing.goid, attempt);
        Ok(())
    }

    /// The broker has answered.
    fn produced(&mut self, head: &Head, bytes: &[u8], cx: &SpanContext<'_>) -> Result<(), DecodeError> {
        let (produced, error) = records::produced(bytes)?;
        let process = self.process(head, cx);
        let attempt = process.attempts.get_mut(&produced.goid);
        let Some(attempt) = attempt.filter(|attempt| attempt.start_ns == head.start_ns) else {
            self.counted.broken += 1;
            return Ok(());
        };
        attempt.is_under_way = false;
        let place = attempt.place.clone();
        let is_written = produced.outcome.what == OUTCOME_DONE
            && i64::try_from(produced.offset).is_ok()
            && produced.partition == attempt.partition.1;
        if let Some(error) = span::error_type(&produced.outcome, &error) {
            for run in &attempt.runs {
                let failure = Failure { count: run.count, error: error.clone(), at_ns: head.end_ns };
                process.failures.add(&run.sender.span_id, &attempt.partition, attempt.batch, failure);
            }
        }
        let runs = if is_written { std::mem::take(&mut attempt.runs) } else { Vec::new() };
        if is_written {
            process.attempts.remove(&produced.goid);
        }
        if let Some(place) = place {
            self.sent.written(&place, produced.offset, head.start_ns, &runs);
            self.sent.end(&place);
        }
        Ok(())
    }

    /// A message was received, or something else has happened of which one record is the whole span.
    fn whole(&mut self, head: &Head, bytes: &[u8], cx: &mut SpanContext<'_>) -> Result<(), DecodeError> {
        let record = records::decode(head, bytes)?;
        let What::Polled(polled, texts) = &record.what else {
            return emit(head, bytes, Beside::failed(self.ended(head)), cx);
        };
        if polled.has_message == 0 {
            return emit(head, bytes, Beside::default(), cx);
        }
        if polled.link_span_id != 0 {
            self.counted.by_header += 1;
            return emit(head, bytes, Beside::default(), cx);
        }
        let text = |slot: usize| span::text(texts.get(slot).copied().flatten());
        let topic = text(POLLED_TOPIC).map(Into::into);
        let Some(place) = place(cx.network, text(POLLED_ADDRESS), topic, polled.partition) else {
            self.counted.no_cluster += 1;
            return emit(head, bytes, Beside::default(), cx);
        };
        let (offset, end_ns) = (polled.offset, head.end_ns);
        if let Some(sender) = self.sent.sender(&place, offset, end_ns) {
            self.counted.found += 1;
            return emit(head, bytes, Beside::sender(Some(sender)), cx);
        }
        if !self.sent.is_under_way(&place) {
            self.counted.unknown += 1;
            return emit(head, bytes, Beside::default(), cx);
        }
        if self.waiting >= MOST_WAITING {
            self.counted.not_waited += 1;
            return emit(head, bytes, Beside::default(), cx);
        }
        self.waiting += 1;
        self.waiting_bytes += bytes.len();
        let waiting = Waiting { record: bytes.to_vec(), since: Instant::now(), place, offset, end_ns };
        self.process(head, cx).waiting.push_back(waiting);
        Ok(())
    }

    /// The partitions that a call could not write to, if the record is the end of one.
    fn ended(&mut self, head: &Head) -> Vec<(Partition, Failure)> {
        let process = self.processes.get_mut(&(head.tgid, head.generation));
        let process = process.filter(|_| head.kind == KIND_SENT);
        process.map(|process| process.failures.end(&head.span_id)).unwrap_or_default()
    }

    /// What has waited, and need not any longer.
    fn release(&mut self, waiting: &Waiting, is_over: bool, cx: &mut SpanContext<'_>) -> bool {
        let sender = self.sent.sender(&waiting.place, waiting.offset, waiting.end_ns);
        let may_come = self.sent.is_under_way(&waiting.place) && waiting.since.elapsed() < PATIENCE;
        if sender.is_none() && may_come && !is_over {
            return false;
        }
        match sender {
            Some(_) => self.counted.found += 1,
            None if self.sent.is_under_way(&waiting.place) => self.counted.in_vain += 1,
            None => self.counted.unknown += 1,
        }
        // It was decoded before.
        let head = crate::records::head(&waiting.record);
        let _ = head.and_then(|(head, bytes)| emit(&head, bytes, Beside::sender(sender), cx));
        self.waiting -= 1;
        self.waiting_bytes -= waiting.record.len();
        true
    }
}

/// The partition; `None` where the cluster or the network is not known.
fn place(
    network: Option<u64>,
    address: Option<&str>,
    topic: Option<Arc<str>>,
    partition: u64,
) -> Option<Place> {
    Some(Place { network: network?, address: address?.into(), topic: topic?, partition })
}

/// What other records say of a span.
#[derive(Default)]
struct Beside {
    /// Who has sent the message.
    sender: Option<Sender>,
    /// What could not be written.
    failed: Vec<(Partition, Failure)>,
}

impl Beside {
    fn sender(sender: Option<Sender>) -> Self {
        Self { sender, failed: Vec::new() }
    }

    fn failed(failed: Vec<(Partition, Failure)>) -> Self {
        Self { sender: None, failed }
    }
}

/// Makes the span of a record.
fn emit(head: &Head, bytes: &[u8], beside: Beside, cx: &mut SpanContext<'_>) -> Result<(), DecodeError> {
    let trace_state = cx.trace_states.of(head.parent_span_id);
    let record = records::decode(head, bytes)?;
    let mut span = span::span(head, &record, cx.clock, cx.counts);
    span.links.extend(beside.sender.map(|sender| Link {
        trace_id: sender.trace_id,
        span_id: sender.span_id,
        flags: u32::from(sender.trace_flags) | FLAG_HAS_REMOTE | FLAG_REMOTE,
    }));
    // A caller that has cancelled its call, or does not wait for it, is told of no failure.
    if span.error {
        span.events = span::events(&span, beside.failed, cx.clock);
    }
    span.trace_state = trace_state.as_deref().map(Into::into);
    cx.settings.limit(&mut span);
    (cx.emit)(&span);
    Ok(())
}

impl Joiner for KafkaJoiner {
    fn record(&mut self, head: &Head, bytes: &[u8], cx: &mut SpanContext<'_>) -> Result<(), DecodeError> {
        match head.kind {
            KIND_JOINED | KIND_MADE => {
                let joined = records::joined(bytes)?;
                let Process { batches, failures, .. } = self.process(head, cx);
                let is_of_use = batches.joined(head, &joined);
                let given_up = batches.keep_within();
                let failures_given_up =
                    if head.kind == KIND_JOINED { failures.begin(head.span_id) } else { 0 };
                self.counted.broken += u64::from(!is_of_use);
                self.counted.given_up += given_up;
                self.counted.failures_given_up += failures_given_up;
                Ok(())
            }
            KIND_PRODUCING => self.producing(head, bytes, cx),
            KIND_PRODUCED => self.produced(head, bytes, cx),
            KIND_POLLED => {
                self.process(head, cx);
                self.whole(head, bytes, cx)
            }
            _ => self.whole(head, bytes, cx),
        }
    }

    fn waits(&self) -> bool {
        self.waiting > 0
    }

    fn settle(&mut self, tgid: u32, generation: u32, is_over: bool, cx: &mut SpanContext<'_>) {
        let Some(process) = self.processes.get_mut(&(tgid, generation)) else { return };
        let mut waiting = std::mem::take(&mut process.waiting);
        waiting.retain(|waiting| !self.release(waiting, is_over, cx));
        if let Some(process) = self.processes.get_mut(&(tgid, generation)) {
            process.waiting = waiting;
        }
    }

    fn forget(&mut self, tgid: u32, generation: u32) {
        let Some(process) = self.processes.remove(&(tgid, generation)) else { return };
        let under_way = process.attempts.values().filter(|attempt| attempt.is_under_way);
        for place in under_way.filter_map(|attempt| attempt.place.as_ref()) {
            self.sent.end(place);
        }
        // `settle` has ended what waited.
        self.waiting -= process.waiting.len();
        self.waiting_bytes -= process.waiting.iter().map(|waiting| waiting.record.len()).sum::<usize>();
        if let Some(network) = process.network
            && self.processes.values().all(|other| other.network != Some(network))
        {
            self.sent.forget_network(network);
        }
    }

    fn held_bytes(&self) -> usize {
        let of_process = |process: &Process| {
            let attempts = process.attempts.len() * ATTEMPT_BYTES;
            process.batches.held_bytes() + process.failures.held_bytes() + attempts
        };
        self.processes.values().map(of_process).sum::<usize>() + self.sent.held_bytes() + self.waiting_bytes
    }

    fn shed(&mut self) {
        // What was sent is needed by somebody later, if at all; a batch that never goes is needed by nobody.
        let half = self.sent.run_count() / 2;
        self.sent.shed(half);
        for process in self.processes.values_mut() {
            self.counted.given_up += process.batches.shed(1024);
            self.counted.failures_given_up += process.failures.shed();
            process.attempts.retain(|_, attempt| attempt.is_under_way);
        }
    }

    fn counters(&self) -> Vec<Count> {
        let info = |name, value| Count { name, value, is_loss: false };
        let loss = |name, value| Count { name, value, is_loss: true };
        let counted = &self.counted;
        vec![
            info("kafka_go.links.by_header", counted.by_header),
            info("kafka_go.links.by_offset", counted.found),
            info("kafka_go.links.no_sender", counted.unknown),
            info("kafka_go.links.no_cluster", counted.no_cluster + counted.nowhere),
            info("kafka_go.links.forgotten", self.sent.forgotten),
            loss("kafka_go.links.lost.waited_in_vain", counted.in_vain),
            loss("kafka_go.links.lost.too_many_wait", counted.not_waited),
            loss("kafka_go.links.lost.given_up", counted.given_up),
            loss("kafka_go.links.lost.broken", counted.broken),
            loss("kafka_go.events.lost.given_up", counted.failures_given_up),
        ]
    }
}

#[cfg(test)]
#[path = "joiner_tests.rs"]
mod tests;
