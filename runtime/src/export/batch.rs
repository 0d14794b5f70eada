//! The bounded queue between the producer and the exporter, and how batches are cut from it.
//!
//! The specification's batching processor: a batch leaves when it is full or when its first span has waited long enough; a
//! span that finds the queue full is refused. A batch is limited in bytes, too, because collectors limit requests: its spans
//! and each of its resources count. A process whose resource is large waits in a lane of its own, where a batch holds the spans
//! of one process: nobody else's spans share a request that a collector may find too large.

use std::collections::{HashSet, VecDeque};
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

#[derive(Debug, Default)]
struct State {
    usual: Lane,
    /// Spans of processes whose resource is large.
    large: Lane,
    closed: bool,
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

    /// How many spans it holds at most.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Appends a span; false if the queue is full or closed.
    pub fn push(&self, item: Item) -> bool {
        let wakes = {
            let mut state = self.lock();
            let spans = state.usual.items.len() + state.large.items.len();
            let bytes = state.usual.bytes + state.large.bytes + item.weight();
            if state.closed || spans >= self.capacity || bytes > MAX_QUEUE_BYTES {
                return false;
            }
            let is_large = item.resource.encoded.len() > LARGE_RESOURCE_BYTES;
            let lane = if is_large { &mut state.large } else { &mut state.usual };
            let was_full = self.is_full(lane);
            lane.push(item);
            lane.items.len() == 1 || (!was_full && self.is_full(lane))
        };
        if wakes {
            self.changed.notify_one();
        }
        true
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
                let since = [state.usual.since, state.large.since].into_iter().flatten().min();
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
        let (usual, large) = (due(&state.usual), due(&state.large));
        let bytes = self.batch_bytes.load(Relaxed);
        if large && (!usual || state.large.since <= state.usual.since) {
            Some(state.large.take_of_one_process(self.batch_spans, bytes))
        } else if usual {
            Some(state.usual.take(self.batch_spans, bytes))
        } else {
            None
        }
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
mod tests {
    use super::*;
    use crate::export::tests::resource;

    fn queue(queue_spans: usize, batch_spans: usize, delay_ms: u64) -> Queue {
        let delay = Duration::from_millis(delay_ms);
        Queue::new(&Batch { delay, export_timeout: Duration::ZERO, queue_spans, batch_spans, concurrent: 1 })
    }

    async fn batches(queue: &Queue) -> Vec<Vec<Item>> {
        queue.close();
        let mut batches = Vec::new();
        while let Some(batch) = queue.next_batch().await {
            batches.push(batch);
        }
        batches
    }

    /// A resource of about this many bytes.
    fn sized(bytes: usize) -> Arc<Resource> {
        let mut resource = Resource::clone(&resource("sized"));
        resource.encoded.resize(bytes, 0);
        Arc::new(resource)
    }

    fn item_of(resource: &Arc<Resource>, bytes: usize) -> Item {
        Item { resource: Arc::clone(resource), scope: Scope::Library("x"), bytes: vec![0; bytes].into() }
    }

    fn item(bytes: usize) -> Item {
        Item { resource: resource("s"), scope: Scope::Library("x"), bytes: vec![0; bytes].into() }
    }

    #[tokio::test]
    async fn full_batches_leave_at_once_and_the_rest_after_the_delay() {
        let queue = queue(10, 3, 50);
        let begin = Instant::now();
        assert!((0..4).all(|_| queue.push(item(1))));
        assert_eq!(queue.next_batch().await.map(|batch| batch.len()), Some(3));
        assert!(begin.elapsed() < Duration::from_millis(40));
        assert_eq!(queue.next_batch().await.map(|batch| batch.len()), Some(1));
        assert!(begin.elapsed() >= Duration::from_millis(50));
    }

    #[tokio::test]
    async fn a_full_queue_refuses_the_new_span() {
        let queue = queue(2, 2, 1_000);
        assert_eq!([0, 1, 2].map(|_| queue.push(item(1))), [true, true, false]);
        assert_eq!(queue.next_batch().await.map(|batch| batch.len()), Some(2));
        assert!(queue.push(item(1)));
    }

    #[tokio::test]
    async fn closing_flushes_and_ends() {
        let queue = queue(10, 5, 60_000);
        assert!((0..7).all(|_| queue.push(item(1))));
        queue.close();
        assert!(!queue.push(item(1)));
        assert_eq!(queue.next_batch().await.map(|batch| batch.len()), Some(5));
        assert_eq!(queue.next_batch().await.map(|batch| batch.len()), Some(2));
        assert!(queue.next_batch().await.is_none());
    }

    #[tokio::test]
    async fn batches_are_limited_in_bytes() {
        let queue = queue(10, 10, 0);
        for bytes in [2 << 20, 1 << 20, 1, 4 << 20, 1] {
            assert!(queue.push(item(bytes)));
        }
        let sizes: Vec<usize> = batches(&queue).await.iter().map(Vec::len).collect();
        assert_eq!(sizes, [1, 2, 1, 1]);
    }

    #[tokio::test]
    async fn resources_count_once_for_each_batch() {
        let queue = queue(200, 200, 0);
        let resources: Vec<_> = (0..100).map(|_| sized(60 << 10)).collect();
        for resource in resources.iter().flat_map(|resource| [resource, resource]) {
            assert!(queue.push(item_of(resource, 1)));
        }
        let batches = batches(&queue).await;
        assert_eq!(batches.iter().map(Vec::len).sum::<usize>(), 200);
        // 51 resources of 60 KiB fit into 3 MiB, with both spans of each.
        assert_eq!(batches.iter().map(Vec::len).collect::<Vec<_>>(), [102, 98]);
    }

    #[tokio::test]
    async fn a_process_with_a_large_resource_shares_no_request() {
        let queue = queue(100, 100, 0);
        let (large, other, usual) = (sized(200 << 10), sized(300 << 10), sized(100));
        for _ in 0..10 {
            for resource in [&usual, &large, &other] {
                assert!(queue.push(item_of(resource, 10)));
            }
        }
        let batches = batches(&queue).await;
        assert_eq!(batches.iter().map(Vec::len).collect::<Vec<_>>(), [10, 10, 10]);
        for batch in batches {
            assert!(batch.iter().all(|item| Arc::ptr_eq(&item.resource, &batch[0].resource)));
        }
    }

    #[tokio::test]
    async fn what_a_collector_found_too_large_makes_batches_smaller_to_a_least() {
        let queue = queue(10, 10, 0);
        queue.cut_below(256 << 10);
        for _ in 0..4 {
            assert!(queue.push(item(60 << 10)));
        }
        assert_eq!(queue.next_batch().await.map(|batch| batch.len()), Some(2));
        queue.cut_below(1);
        assert!(queue.push(item(1)));
        assert_eq!(batches(&queue).await.iter().map(Vec::len).collect::<Vec<_>>(), [1, 2]);
    }

    #[tokio::test]
    async fn the_queue_is_bounded_in_bytes() {
        let queue = queue(1_000_000, 100, 60_000);
        let pushed = (0..100).filter(|_| queue.push(item(1 << 20))).count();
        assert_eq!(pushed, 64);
        assert!(queue.next_batch().await.is_some());
        assert!(queue.push(item(1 << 20)));
    }

    #[tokio::test]
    async fn a_waiting_consumer_wakes_up() {
        let queue = Arc::new(queue(10, 2, 60_000));
        let consumer = tokio::spawn({
            let queue = Arc::clone(&queue);
            async move { queue.next_batch().await }
        });
        tokio::task::yield_now().await;
        assert!(queue.push(item(1)));
        tokio::task::yield_now().await;
        assert!(queue.push(item(1)));
        let batch =
            tokio::time::timeout(Duration::from_secs(5), consumer).await.expect("woken").expect("joined");
        assert_eq!(batch.map(|batch| batch.len()), Some(2));
    }
}
