//! What was written where: for each partition of a cluster, which offsets are whose. A cluster is the first address that a writer or reader was
//! given, within a network namespace: two that give different addresses of one cluster are not told to be of one, and two of one name in two
//! namespaces are never taken for one.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use super::batches::{Run, Sender};

/// Runs of messages that are kept in all; the oldest are forgotten first.
const MOST_RUNS: usize = 65_536;
/// About what one takes.
const RUN_BYTES: usize = 160;

/// A partition of a topic of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Place {
    pub network: u64,
    pub address: Box<str>,
    pub topic: Arc<str>,
    pub partition: u64,
}

/// Messages in a row that are from one call.
#[derive(Debug, Clone, Copy)]
struct Held {
    count: u64,
    sender: Sender,
    /// CLOCK_MONOTONIC when they were sent: who has them earlier has others.
    since_ns: u64,
    number: u64,
}

/// Of one partition, by the first one's offset.
#[derive(Debug, Default)]
struct Partition {
    runs: BTreeMap<u64, Held>,
    /// Batches that are on their way.
    under_way: u64,
}

/// What was written where.
#[derive(Debug, Default)]
pub struct SentMessages {
    partitions: HashMap<Arc<Place>, Partition>,
    /// In the order of their writing; what was written over since is passed over.
    order: VecDeque<(u64, Arc<Place>, u64)>,
    next: u64,
    /// Runs of messages that were forgotten while nobody had written over them.
    pub forgotten: u64,
}

impl SentMessages {
    /// A batch is on its way there.
    pub fn begin(&mut self, place: Place) -> Arc<Place> {
        let known = self.partitions.get_key_value(&place).map(|(known, _)| Arc::clone(known));
        let place = known.unwrap_or_else(|| Arc::new(place));
        self.partitions.entry(Arc::clone(&place)).or_default().under_way += 1;
        place
    }

    /// It has arrived, or not.
    pub fn end(&mut self, place: &Arc<Place>) {
        let Some(partition) = self.partitions.get_mut(place) else { return };
        partition.under_way = partition.under_way.saturating_sub(1);
        if partition.under_way == 0 && partition.runs.is_empty() {
            self.partitions.remove(place);
        }
    }

    /// Whether a batch is on its way there.
    pub fn is_under_way(&self, place: &Place) -> bool {
        self.partitions.get(place).is_some_and(|partition| partition.under_way > 0)
    }

    /// Messages of a batch that was sent then were written there, the batch's first one at this offset.
    pub fn written(&mut self, place: &Arc<Place>, offset: u64, since_ns: u64, runs: &[Run]) {
        let partition = self.partitions.entry(Arc::clone(place)).or_default();
        for run in runs {
            let Some(first) = offset.checked_add(run.first) else { continue };
            let Some(end) = first.checked_add(run.count) else { continue };
            // A topic that was made anew begins at 0 again.
            let over: Vec<u64> = partition
                .runs
                .range(..end)
                .rev()
                .take_while(|(at, held)| at.saturating_add(held.count) > first)
                .map(|(at, _)| *at)
                .collect();
            for at in over {
                partition.runs.remove(&at);
            }
            self.next += 1;
            let held = Held { count: run.count, sender: run.sender, since_ns, number: self.next };
            partition.runs.insert(first, held);
            self.order.push_back((self.next, Arc::clone(place), first));
        }
        self.shed(MOST_RUNS);
    }

    /// Who has sent the message with this offset, which somebody had at that time.
    pub fn sender(&self, place: &Place, offset: u64, had_ns: u64) -> Option<Sender> {
        let (first, held) = self.partitions.get(place)?.runs.range(..=offset).next_back()?;
        (offset - first < held.count && held.since_ns <= had_ns).then_some(held.sender)
    }

    /// Nobody who is traced is in that network namespace any more: its number may be another one's from now on.
    pub fn forget_network(&mut self, network: u64) {
        self.partitions.retain(|place, partition| {
            let stays = place.network != network;
            if !stays {
                self.forgotten += partition.runs.len() as u64;
            }
            stays
        });
        self.order.retain(|(_, place, _)| place.network != network);
    }

    /// Forgets the oldest until so many are left.
    pub fn shed(&mut self, most: usize) {
        while self.order.len() > most
            && let Some((number, place, first)) = self.order.pop_front()
        {
            let Some(partition) = self.partitions.get_mut(&place) else { continue };
            if partition.runs.get(&first).is_some_and(|held| held.number == number) {
                partition.runs.remove(&first);
                self.forgotten += 1;
            }
            if partition.runs.is_empty() && partition.under_way == 0 {
                self.partitions.remove(&place);
            }
        }
    }

    /// How many are kept.
    pub fn run_count(&self) -> usize {
        self.order.len()
    }

    /// About how much memory is taken.
    pub fn held_bytes(&self) -> usize {
        self.order.len() * RUN_BYTES
    }
}

#[cfg(test)]
#[path = "sent_tests.rs"]
mod tests;
