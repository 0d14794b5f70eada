//! The bounded queue between the producer and the exporter, and how batches are cut from it.
//!
//! The specification's batching processor: a batch leaves when it is full or when its first span has waited long enough; a
//! span that finds the queue full is refused. A batch is limited in bytes, too, because collectors limit requests.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::config::Batch;
use crate::resource::Resource;

/// A batch holds no more bytes of spans than this: common collectors refuse requests above 4 MiB.
pub const MAX_BATCH_BYTES: usize = 3 << 20;

/// A span that waits.
#[derive(Debug, Clone)]
pub struct Item {
    /// Its process.
    pub resource: Arc<Resource>,
    /// Its instrumentation scope.
    pub scope: &'static str,
    /// The encoded `Span` message.
    pub bytes: Box<[u8]>,
}

/// The queue.
#[derive(Debug)]
pub struct Queue {
    state: Mutex<State>,
    changed: Notify,
    capacity: usize,
    batch_spans: usize,
    delay: Duration,
}

#[derive(Debug, Default)]
struct State {
    items: VecDeque<Item>,
    /// When the first of `items` began to wait.
    since: Option<Instant>,
    closed: bool,
}

impl Queue {
    /// An empty queue.
    pub fn new(batch: &Batch) -> Self {
        Self {
            state: Mutex::default(),
            changed: Notify::new(),
            capacity: batch.queue_spans,
            batch_spans: batch.batch_spans.clamp(1, batch.queue_spans.max(1)),
            delay: batch.delay,
        }
    }

    /// How many spans it holds at most.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Appends a span; false if the queue is full or closed.
    pub fn push(&self, item: Item) -> bool {
        let len = {
            let mut state = self.lock();
            if state.closed || state.items.len() >= self.capacity {
                return false;
            }
            if state.items.is_empty() {
                state.since = Some(Instant::now());
            }
            state.items.push_back(item);
            state.items.len()
        };
        if len == 1 || len == self.batch_spans {
            self.changed.notify_one();
        }
        true
    }

    /// No more spans come: what waits leaves at once.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_one();
    }

    /// Waits for the next batch; `None` once the queue is closed and empty. One consumer.
    pub async fn next_batch(&self) -> Option<Vec<Item>> {
        loop {
            let due = {
                let mut state = self.lock();
                let due = state.since.map(|since| since + self.delay);
                let is_due = due.is_some_and(|due| due <= Instant::now());
                if state.items.len() >= self.batch_spans
                    || is_due
                    || (state.closed && !state.items.is_empty())
                {
                    return Some(state.take(self.batch_spans));
                }
                if state.closed {
                    return None;
                }
                due
            };
            match due {
                // Either way the state is looked at again.
                Some(due) => drop(tokio::time::timeout_at(due, self.changed.notified()).await),
                None => self.changed.notified().await,
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Cuts a batch off the head: at least one span, within both limits.
    fn take(&mut self, spans: usize) -> Vec<Item> {
        let mut bytes = 0;
        let fits = |item: &&Item| {
            bytes += item.bytes.len();
            bytes <= MAX_BATCH_BYTES
        };
        let count = self.items.iter().take(spans).take_while(fits).count().max(1).min(self.items.len());
        let batch = self.items.drain(..count).collect();
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
        Queue::new(&Batch { delay, export_timeout: Duration::ZERO, queue_spans, batch_spans })
    }

    fn item(bytes: usize) -> Item {
        Item { resource: resource("s"), scope: "x", bytes: vec![0; bytes].into() }
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
        let mut sizes = Vec::new();
        queue.close();
        while let Some(batch) = queue.next_batch().await {
            sizes.push(batch.len());
        }
        assert_eq!(sizes, [2, 1, 1, 1]);
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
