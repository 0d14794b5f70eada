//! The operations that have begun and not ended, and how an end finds its beginning: by its span id.
//!
//! | what comes | what becomes of it |
//! |---|---|
//! | a beginning | kept; what was open on its goroutine before is over: its connections were bad, it reached no driver, its driver panicked, or it makes the new one |
//! | word that it has been done, or a final error | the span |
//! | word that its connection was bad | waits: for a next try, for the goroutine's next operation, or for its time |
//! | word of a next try | the error did not count |
//! | an end whose beginning was given up | nothing: that was counted then |
//! | an end whose beginning is not there | nothing, and counted |

use std::time::{Duration, Instant};

use runtime_ebpf::{database_sql::records::Began, record::Head};

use super::begun::Begun;
use super::records::{self, Record};
use super::span::{Outcome, span};
use crate::libraries::join::{self, Count, SpanContext};
use crate::libraries::open::{self, Open};
use crate::records::DecodeError;

/// How long an operation whose connection was bad waits for a next try, which needs another connection first.
const PATIENCE: Duration = Duration::from_secs(60);

/// A try that has failed.
#[derive(Debug)]
struct Try {
    outcome: Outcome,
    end_ns: u64,
    since: Instant,
}

/// An operation that is open.
#[derive(Debug)]
struct Kept {
    begun: Box<Begun>,
    failed: Option<Try>,
}

impl open::Kept for Kept {
    fn start_ns(&self) -> u64 {
        self.begun.start_ns
    }

    fn held_bytes(&self) -> usize {
        size_of::<Self>() + open::Kept::held_bytes(&*self.begun)
    }
}

/// Joins the library's records.
#[derive(Debug, Default)]
pub struct Joiner {
    open: Open<Kept>,
    /// Tries that are kept.
    waiting: usize,
    counts: Counted,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Counted {
    not_sent: u64,
    called_within: u64,
    open_at_exit: u64,
    too_many_open: u64,
    unmatched: u64,
}

impl Joiner {
    fn began(&mut self, head: &Head, begun: Begun, began: &Began, cx: &mut SpanContext<'_>) {
        if let Some(kept) = self.take(head, began.before_span_id) {
            match kept.failed {
                Some(failed) => emit(&kept.begun, &failed.outcome, failed.end_ns, cx),
                None if began.is_within != 0 => self.counts.called_within += 1,
                None => self.counts.not_sent += 1,
            }
        }
        let same_id = self.open.put(head, Kept { begun: Box::new(begun), failed: None });
        self.given_up(same_id.as_slice());
    }

    fn take(&mut self, head: &Head, span_id: [u8; 8]) -> Option<Kept> {
        let kept = self.open.take(head, span_id)?;
        self.gone(&kept);
        Some(kept)
    }

    fn gone(&mut self, kept: &Kept) {
        self.waiting -= usize::from(kept.failed.is_some());
    }

    fn given_up(&mut self, kept: &[Kept]) {
        kept.iter().for_each(|kept| self.gone(kept));
        self.counts.too_many_open += kept.len() as u64;
    }

    fn ended(&mut self, head: &Head, outcome: &Outcome, cx: &mut SpanContext<'_>) {
        match self.take(head, head.span_id) {
            Some(kept) => emit(&kept.begun, outcome, head.end_ns, cx),
            None => self.counts.unmatched += u64::from(!self.open.given_up.end(head.span_id)),
        }
    }

    fn failed(&mut self, head: &Head, outcome: Outcome) {
        let Some(kept) = self.open.get_mut(head, head.span_id) else {
            // It may be tried again: this is its end only if nothing follows.
            self.counts.unmatched += u64::from(!self.open.given_up.has(head.span_id));
            return;
        };
        let failed = Try { outcome, end_ns: head.end_ns, since: Instant::now() };
        if kept.failed.replace(failed).is_none() {
            self.waiting += 1;
        }
    }

    fn resumed(&mut self, head: &Head) {
        if let Some(kept) = self.open.get_mut(head, head.span_id)
            && kept.failed.take().is_some()
        {
            self.waiting -= 1;
        }
    }
}

fn emit(begun: &Begun, outcome: &Outcome, end_ns: u64, cx: &mut SpanContext<'_>) {
    (cx.emit)(&span(begun, outcome, end_ns, cx.clock, cx.settings, cx.counts));
}

impl join::Joiner for Joiner {
    fn record(&mut self, head: &Head, bytes: &[u8], cx: &mut SpanContext<'_>) -> Result<(), DecodeError> {
        match records::decode(head, bytes)? {
            Record::Began(began, texts) => {
                let trace_state = cx.trace_states.of(head.parent_span_id);
                let begun = Begun { trace_state, ..Begun::new(&began, &texts, cx.settings, cx.counts) };
                self.began(head, begun, &began, cx);
            }
            Record::Ended => self.ended(head, &Outcome::Done, cx),
            Record::Failed(failed, error) => {
                let outcome = Outcome::of_error(&failed, &error);
                if failed.is_final == 0 { self.failed(head, outcome) } else { self.ended(head, &outcome, cx) }
            }
            Record::Resumed => self.resumed(head),
        }
        Ok(())
    }

    fn waits(&self) -> bool {
        self.waiting > 0
    }

    fn settle(&mut self, tgid: u32, generation: u32, is_over: bool, cx: &mut SpanContext<'_>) {
        let is_due = |failed: &Try| is_over || failed.since.elapsed() >= PATIENCE;
        for kept in self.open.take_if(tgid, generation, |kept| kept.failed.as_ref().is_some_and(is_due)) {
            self.gone(&kept);
            if let Some(failed) = &kept.failed {
                emit(&kept.begun, &failed.outcome, failed.end_ns, cx);
            }
        }
    }

    fn forget(&mut self, tgid: u32, generation: u32) {
        for kept in self.open.forget(tgid, generation) {
            self.gone(&kept);
            match kept.begun.may_be_left_out {
                true => self.counts.not_sent += 1,
                false => self.counts.open_at_exit += 1,
            }
        }
    }

    fn held_bytes(&self) -> usize {
        self.open.held_bytes()
    }

    fn shed(&mut self) {
        let shed = self.open.shed();
        self.given_up(&shed);
    }

    fn counters(&self) -> Vec<Count> {
        let count = |name, value, is_loss| Count { name, value, is_loss };
        vec![
            count("database_sql.not_sent", self.counts.not_sent, false),
            count("database_sql.ends_without_beginning", self.counts.unmatched, false),
            count("database_sql.lost.called_within", self.counts.called_within, true),
            count("database_sql.lost.open_at_exit", self.counts.open_at_exit, true),
            count("database_sql.lost.too_many_open", self.counts.too_many_open, true),
        ]
    }
}

#[cfg(test)]
#[path = "joiner_tests.rs"]
mod tests;
