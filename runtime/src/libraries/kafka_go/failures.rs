//! Which partitions a call has failed to write to, until its span is made.
//!
//! A batch's answer comes on a goroutine of the writer's; the call that waits for it ends later, so that all is known by then. An attempt that
//! failed is no failure of the call's as long as the batch is sent again: what was said of it is taken back. An asynchronous call has ended
//! before its batches are sent: then nobody keeps what becomes of them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use runtime_ebpf::kafka_go::records::Batch;

/// Spans, and partitions that failed, that are kept of one process; spans that began long ago are given up first.
const MOST: usize = 65_536;
/// About what one takes.
const FAILURE_BYTES: usize = 192;

/// A partition of a topic; without one where its name is not known.
pub type Partition = (Option<Arc<str>>, u64);

/// What a call could not write to a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// How many messages.
    pub count: u64,
    /// `error.type`.
    pub error: String,
    /// When that was known, CLOCK_MONOTONIC.
    pub at_ns: u64,
}

/// A partition's failures.
#[derive(Debug, Default)]
struct Failed {
    /// Of batches that are not sent again: the first, with the messages of all.
    past: Option<Failure>,
    /// Of the last batch, which may be.
    last: Option<(Batch, Failure)>,
}

impl Failed {
    /// Both together.
    fn all(self) -> Option<Failure> {
        let last = self.last.map(|(_, failure)| failure);
        match (self.past, last) {
            (Some(past), Some(last)) => {
                Some(Failure { count: past.count.saturating_add(last.count), ..past })
            }
            (past, last) => past.or(last),
        }
    }
}

/// Spans that began one after the other, by their ids, each with the partitions that failed.
#[derive(Debug, Default)]
struct Era {
    spans: HashMap<[u8; 8], BTreeMap<Partition, Failed>>,
    /// Spans and partitions.
    size: usize,
}

/// The calls of one process that are under way.
#[derive(Debug, Default)]
pub struct Failures {
    /// Those that began first, and those that began last. When there are too many, the first are given up: most likely their ends were lost.
    eras: [Era; 2],
}

impl Failures {
    /// Messages of this span are sent from now on. How many older ones were given up for it.
    pub fn begin(&mut self, span: [u8; 8]) -> u64 {
        if self.eras.iter().any(|era| era.spans.contains_key(&span)) {
            return 0;
        }
        let [old, young] = &self.eras;
        let is_full = young.size >= MOST / 2 || old.size >= MOST;
        let given_up = if is_full { self.shed() } else { 0 };
        let [_, young] = &mut self.eras;
        young.spans.insert(span, BTreeMap::new());
        young.size += 1;
        given_up
    }

    /// Messages of this span, in this batch for that partition, could not be written; nothing is kept of a span that has ended.
    pub fn add(&mut self, span: &[u8; 8], partition: &Partition, batch: Batch, failure: Failure) {
        let Some((partitions, size)) = self.of(span) else { return };
        let failed = partitions.entry(partition.clone()).or_insert_with(|| {
            *size += 1;
            Failed::default()
        });
        if failed.last.as_ref().is_some_and(|(last, _)| *last != batch) {
            failed.past = std::mem::take(failed).all();
        }
        failed.last = Some((batch, failure));
    }

    /// That batch is sent again.
    pub fn take_back(&mut self, span: &[u8; 8], partition: &Partition, batch: Batch) {
        let Some((partitions, size)) = self.of(span) else { return };
        let Some(failed) = partitions.get_mut(partition) else { return };
        if failed.last.as_ref().is_some_and(|(last, _)| *last == batch) {
            failed.last = None;
        }
        if failed.last.is_none() && failed.past.is_none() {
            partitions.remove(partition);
            *size -= 1;
        }
    }

    /// The span has ended: the partitions that failed, in order.
    pub fn end(&mut self, span: &[u8; 8]) -> Vec<(Partition, Failure)> {
        for era in &mut self.eras {
            if let Some(partitions) = era.spans.remove(span) {
                era.size -= 1 + partitions.len();
                let failed = partitions.into_iter();
                return failed.filter_map(|(partition, failed)| Some((partition, failed.all()?))).collect();
            }
        }
        Vec::new()
    }

    /// What is kept of a span, and the number that it counts in.
    fn of(&mut self, span: &[u8; 8]) -> Option<(&mut BTreeMap<Partition, Failed>, &mut usize)> {
        let era = self.eras.iter_mut().find(|era| era.spans.contains_key(span))?;
        Some((era.spans.get_mut(span)?, &mut era.size))
    }

    /// Gives up the older half. How many spans that were.
    pub fn shed(&mut self) -> u64 {
        let [old, young] = &mut self.eras;
        std::mem::replace(old, std::mem::take(young)).spans.len() as u64
    }

    /// About how much memory is taken.
    pub fn held_bytes(&self) -> usize {
        self.eras.iter().map(|era| era.size * FAILURE_BYTES).sum()
    }
}

#[cfg(test)]
#[path = "failures_tests.rs"]
mod tests;
