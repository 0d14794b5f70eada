//! What became of every span: counters, and a snapshot of them.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// One number.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, n: u64) {
        self.0.fetch_add(n, Relaxed);
    }

    /// One less, of what was counted too early.
    pub(crate) fn take_back(&self) {
        self.0.fetch_sub(1, Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Snapshot of the exporters' counters. `queued == exported + dropped after queueing + waiting`, always.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Spans that entered the OTLP queue.
    pub queued: u64,
    /// Spans that the collector accepted.
    pub exported: u64,
    /// Spans in the queue, or in a request under way.
    pub waiting: u64,
    /// Dropped: the queue was full.
    pub queue_full: u64,
    /// Dropped: the collector answered that it will not have the request.
    pub refused: u64,
    /// Dropped: the collector accepted the request in part.
    pub rejected: u64,
    /// Dropped: the collector finds the span too large, alone.
    pub too_large: u64,
    /// Dropped: retried for long enough.
    pub gave_up: u64,
    /// Dropped: not sent when the agent ended.
    pub unsent: u64,
    /// Requests sent, retries included.
    pub requests: u64,
    /// Requests sent again.
    pub retries: u64,
    /// Requests that were too large for the collector, and were sent in halves.
    pub halved: u64,
    /// Spans shown in the waterfall.
    pub shown: u64,
    /// Spans that the terminal was too slow for.
    pub not_shown: u64,
}

impl Stats {
    /// All spans that were dropped.
    pub fn dropped(&self) -> u64 {
        self.queue_full + self.after_queueing() + self.not_shown
    }

    fn after_queueing(&self) -> u64 {
        self.refused + self.rejected + self.too_large + self.gave_up + self.unsent
    }
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} queued, {} exported, {} waiting", self.queued, self.exported, self.waiting)?;
        for (what, n) in [
            ("dropped: queue full", self.queue_full),
            ("dropped: refused by the collector", self.refused),
            ("dropped: rejected in part", self.rejected),
            ("dropped: too large for the collector", self.too_large),
            ("dropped: collector out of reach", self.gave_up),
            ("dropped: not sent at the end", self.unsent),
            ("requests sent again", self.retries),
            ("requests too large and halved", self.halved),
            ("shown", self.shown),
            ("not shown: terminal too slow", self.not_shown),
        ] {
            if n > 0 {
                write!(f, ", {n} {what}")?;
            }
        }
        Ok(())
    }
}

/// The live counters.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) queued: Counter,
    pub(crate) exported: Counter,
    pub(crate) queue_full: Counter,
    pub(crate) refused: Counter,
    pub(crate) rejected: Counter,
    pub(crate) too_large: Counter,
    pub(crate) gave_up: Counter,
    pub(crate) unsent: Counter,
    pub(crate) requests: Counter,
    pub(crate) retries: Counter,
    pub(crate) halved: Counter,
    pub(crate) shown: Counter,
    pub(crate) not_shown: Counter,
}

impl Counters {
    pub(crate) fn count_shown(&self, shown: bool) {
        if shown { self.shown.add(1) } else { self.not_shown.add(1) }
    }

    /// What still waits is not going to be sent.
    pub(crate) fn abandon(&self) {
        self.unsent.add(self.snapshot().waiting);
    }

    pub(crate) fn snapshot(&self) -> Stats {
        let mut stats = Stats {
            queued: self.queued.get(),
            exported: self.exported.get(),
            waiting: 0,
            queue_full: self.queue_full.get(),
            refused: self.refused.get(),
            rejected: self.rejected.get(),
            too_large: self.too_large.get(),
            gave_up: self.gave_up.get(),
            unsent: self.unsent.get(),
            requests: self.requests.get(),
            retries: self.retries.get(),
            halved: self.halved.get(),
            shown: self.shown.get(),
            not_shown: self.not_shown.get(),
        };
        stats.waiting = stats.queued.saturating_sub(stats.exported + stats.after_queueing());
        stats
    }
}
