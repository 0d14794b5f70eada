//! The bounded queue between the producer and the exporter, and how batches are cut from it.
//!
//! The specification's batching processor: a batch leaves when it is full or when its first span has waited long enough; a
//! span that finds the queue full is refused. A batch is limited in bytes, too, because collectors limit requests: its spans
//! and each of its resources count. A process whose resource is large waits in a lane of its own, where a batch holds the spans
//! of one process: nobody else's spans share a request that a collector may find too large. Spans that are large themselves, which a program
//! can make by hand as fast as it likes, wait in a third one, and are refused where the queue is half full: the others do not wait behind them.

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::config::Batch;
use crate::resource::Resource;
use crate::spans;

/// A batch holds no more bytes of spans and resources than this: common collectors refuse requests above 4 MiB.
pub const MAX_BATCH_BYTES: usize = 3 << 20;
/// However small the requests are that a collector takes, batches are not cut smaller than this beforehand.
const LEAST_BATCH_BYTES: usize = 64 << 10;
/// Spans that wait hold no more bytes than this altogether.
const MAX_QUEUE_BYTES: usize = 64 << 20;
/// A resource beyond this travels alone.
const LARGE_RESOURCE_BYTES: usize = 64 << 10;
/// A span beyond this is large: four times the longest target of a request that is kept (4,096 bytes). Those made by hand have up to 64 KiB.
const LARGE_SPAN_BYTES: usize = 16 << 10;

/// An instrumentation scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// The agent's, for a library.
    Library(&'static str),
    /// The program's own.
    Program(Arc<spans::Scope>),
}

/// A span that waits.
#[derive(Debug, Clone)]
pub struct Item {
    /// Its process.
    pub resource: Arc<Resource>,
    /// Its instrumentation scope.
    pub scope: Scope,
    /// The encoded `Span` message.
    pub bytes: Box<[u8]>,
}

impl Item {
    /// Bytes that it takes in a queue, and in a request at the most: a program's own scope is sent with its resource before it.
    fn weight(&self) -> usize {
        let own = match &self.scope {
            Scope::Library(_) => 0,
            Scope::Program(scope) => {
                scope.encoded.len() + scope.schema_url.len() + self.resource.encoded.len()
            }
        };
        self.bytes.len() + own
    }
}

/// The queue.
#[derive(Debug)]
pub struct Queue {
    state: Mutex<State>,
    changed: Notify,
    capacity: usize,
    batch_spans: usize,
    batch_bytes: AtomicUsize,
    delay: Duration,
}

/// Why a span was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// So many spans wait.
    Spans(usize),
    /// So many bytes of spans wait.
    Bytes(usize),
    /// The agent ends.
    Closed,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Spans(most) => write!(f, "{most} spans wait"),
            Self::Bytes(most) => write!(f, "{} MiB wait", most >> 20),
            Self::Closed => write!(f, "the agent ends"),
        }
    }
}

#[derive(Debug, Default)]
struct State {
    usual: Lane,
    /// Spans of processes whose resource is large.
    of_large: Lane,
    /// Spans that are large themselves.
    large: Lane,
    closed: bool,
}

impl State {
    fn lanes(&self) -> [&Lane; 3] {
        [&self.usual, &self.of_large, &self.large]
    }
}

#[derive(Debug, Default)]
struct Lane {
    items: VecDeque<Item>,
    /// Of `items`, resources aside.
    bytes: usize,
    /// When the first of `items` began to wait.
    since: Option<Instant>,
}

impl Queue {
    /// An empty queue.
    pub fn new(batch: &Batch) -> Self {
        Self {
            state: Mutex::default(),
            changed: Notify::new(),
            capacity: batch.queue_spans,
            batch_spans: batch.batch_spans.clamp(1, batch.queue_spans.max(1)),
            batch_bytes: AtomicUsize::new(MAX_BATCH_BYTES),
            delay: batch.delay,
        }
    }

    /// Appends a span, if the queue is neither full nor closed.
    pub fn push(&self, item: Item) -> Result<(), Refused> {
        let wakes = {
            let mut state = self.lock();
            let is_large = item.bytes.len() > LARGE_SPAN_BYTES;
            // At least one: a queue of one span takes a large one.
            let share = |all: usize| if is_large { all.div_ceil(2) } else { all };
            let (most_spans, most_bytes) = (share(self.capacity), share(MAX_QUEUE_BYTES));
            let spans: usize = state.lanes().iter().map(|lane| lane.items.len()).sum();
            let bytes: usize = state.lanes().iter().map(|lane| lane.bytes).sum();
            if state.closed {
                return Err(Refused::Closed);
            }
            if spans >= most_spans {
                return Err(Refused::Spans(most_spans));
            }
            if bytes + item.weight() > most_bytes {
                return Err(Refused::Bytes(most_bytes));
            }
            let lane = if item.resource.encoded.len() > LARGE_RESOURCE_BYTES {
                &mut state.of_large
            } else if is_large {
                &mut state.large
            } else {
                &mut state.usual
            };
            let was_full = self.is_full(lane);
            lane.push(item);
            lane.items.len() == 1 || (!was_full && self.is_full(lane))
        };
        if wakes {
            self.changed.notify_one();
        }
        Ok(())
    }

    /// No more spans come: what waits leaves at once.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_one();
    }

    /// The collector found a request of `bytes` too large: batches are cut to half of that from now on.
    pub fn cut_below(&self, bytes: usize) {
        self.batch_bytes.fetch_min((bytes / 2).max(LEAST_BATCH_BYTES), Relaxed);
    }

    /// Waits for the next batch; `None` once the queue is closed and empty. One consumer.
    pub async fn next_batch(&self) -> Option<Vec<Item>> {
        loop {
            let due = {
                let mut state = self.lock();
                if let Some(batch) = self.take(&mut state) {
                    return Some(batch);
                }
                if state.closed {
                    return None;
                }
                let since = state.lanes().iter().filter_map(|lane| lane.since).min();
                since.map(|since| since + self.delay)
            };
            match due {
                // Either way the state is looked at again.
                Some(due) => drop(tokio::time::timeout_at(due, self.changed.notified()).await),
                None => self.changed.notified().await,
            }
        }
    }

    /// A batch of the lane that has waited longest, if one is due.
    fn take(&self, state: &mut State) -> Option<Vec<Item>> {
        let (now, closed) = (Instant::now(), state.closed);
        let due = |lane: &Lane| {
            let waited = lane.since.is_some_and(|since| since + self.delay <= now);
            !lane.items.is_empty() && (closed || waited || self.is_full(lane))
        };
        let first = state.lanes().into_iter().filter(|lane| due(lane)).filter_map(|lane| lane.since).min()?;
        let bytes = self.batch_bytes.load(Relaxed);
        let is_first = |lane: &Lane| due(lane) && lane.since == Some(first);
        Some(if is_first(&state.of_large) {
            state.of_large.take_of_one_process(self.batch_spans, bytes)
        } else if is_first(&state.large) {
            state.large.take(self.batch_spans, bytes)
        } else {
            state.usual.take(self.batch_spans, bytes)
        })
    }

    fn is_full(&self, lane: &Lane) -> bool {
        lane.items.len() >= self.batch_spans || lane.bytes >= self.batch_bytes.load(Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lane {
    fn push(&mut self, item: Item) {
        if self.items.is_empty() {
            self.since = Some(Instant::now());
        }
        self.bytes += item.weight();
        self.items.push_back(item);
    }

    /// Cuts a batch off the head: at least one span, within both limits.
    fn take(&mut self, spans: usize, limit: usize) -> Vec<Item> {
        let (mut bytes, mut resources) = (0, HashSet::new());
        let fits = |item: &&Item| {
            if resources.insert(Arc::as_ptr(&item.resource)) {
                bytes += item.resource.encoded.len();
            }
            bytes += item.weight();
            bytes <= limit
        };
        let count = self.items.iter().take(spans).take_while(fits).count().max(1).min(self.items.len());
        let batch = self.items.drain(..count).collect();
        self.taken(batch)
    }

    /// Takes spans of the process whose span stands first: at least one, within both limits.
    fn take_of_one_process(&mut self, spans: usize, limit: usize) -> Vec<Item> {
        let Some(resource) = self.items.front().map(|item| Arc::clone(&item.resource)) else {
            return Vec::new();
        };
        let (mut batch, mut rest, mut bytes) = (Vec::new(), VecDeque::new(), resource.encoded.len());
        for item in self.items.drain(..) {
            let fits = batch.is_empty() || (batch.len() < spans && bytes + item.weight() <= limit);
            if fits && Arc::ptr_eq(&item.resource, &resource) {
                bytes += item.weight();
                batch.push(item);
            } else {
                rest.push_back(item);
            }
        }
        self.items = rest;
        self.taken(batch)
    }

    fn taken(&mut self, batch: Vec<Item>) -> Vec<Item> {
        self.bytes -= batch.iter().map(|item| item.weight()).sum::<usize>();
        self.since = (!self.items.is_empty()).then(Instant::now);
        batch
    }
}

#[cfg(test)]
mod tests;
