//! The round trips that have begun and not ended, and how an end finds its beginning: by its span id.
//!
//! | what comes | what becomes of it |
//! |---|---|
//! | a beginning | kept; what was open on its goroutine before is over: it has failed, or no request was sent |
//! | a response | the span |
//! | an error after which nothing is tried again | the span |
//! | word that there is no connection, and that net/http makes one | nothing: it has sent nothing |
//! | another error | waits: for a next attempt, for the goroutine's next round trip, or for its time |
//! | word of a next attempt, or its response | the error did not count; the request was sent once more, if it had been sent |
//! | an end whose beginning was given up | nothing: that was counted then |
//! | an end whose beginning is not there | nothing: HTTP/2 says twice that a request has failed which opened its connection, or has no TLS |

use std::time::{Duration, Instant};

use runtime_ebpf::record::Head;

use super::begun::Begun;
use super::records::{self, Record};
use super::span::{Outcome, had_sent, is_passed_on, may_be_retried, span};
use crate::libraries::errors::ErrorTexts;
use crate::libraries::join::{self, Count, SpanContext};
use crate::libraries::open::{self, Open};
use crate::records::DecodeError;

/// How long a failure waits for a next attempt, which needs a connection first: as long as net/http's own dialler tries, and a
/// little more.
const PATIENCE: Duration = Duration::from_secs(32);

/// A failed attempt.
#[derive(Debug)]
struct Attempt {
    outcome: Outcome,
    /// Whether something was sent: then the next one sends it again.
    had_sent: bool,
    end_ns: u64,
    since: Instant,
}

/// A round trip that is open.
#[derive(Debug)]
struct Kept {
    begun: Box<Begun>,
    failed: Option<Attempt>,
}

/// The names of what a joiner counts.
#[derive(Debug, Clone, Copy)]
pub struct Names {
    pub not_sent: &'static str,
    pub ends_said_twice: &'static str,
    pub open_at_exit: &'static str,
    pub too_many_open: &'static str,
}

/// Those of a library, named after it.
macro_rules! names {
    ($prefix:literal) => {
        $crate::libraries::http_client::Names {
            not_sent: concat!($prefix, ".not_sent"),
            ends_said_twice: concat!($prefix, ".ends_said_twice"),
            open_at_exit: concat!($prefix, ".lost.open_at_exit"),
            too_many_open: concat!($prefix, ".lost.too_many_open"),
        }
    };
}
pub(crate) use names;

/// Joins a library's records.
#[derive(Debug)]
pub struct Joiner {
    scope: &'static str,
    names: Names,
    open: Open<Kept>,
    /// Failed attempts that are kept.
    waiting: usize,
    counts: Counted,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Counted {
    not_sent: u64,
    open_at_exit: u64,
    too_many_open: u64,
    unmatched: u64,
}

impl open::Kept for Kept {
    fn start_ns(&self) -> u64 {
        self.begun.start_ns
    }

    fn held_bytes(&self) -> usize {
        size_of::<Self>() + self.begun.held_bytes()
    }
}

impl Kept {
    /// There was an attempt after the one that has failed.
    fn count_resend(&mut self) {
        self.begun.resends += u32::from(self.failed.as_ref().is_some_and(|attempt| attempt.had_sent));
    }
}

impl Joiner {
    /// Of the library that counts by these names; its spans have this scope.
    pub fn new(scope: &'static str, names: Names) -> Self {
        Self { scope, names, open: Open::default(), waiting: 0, counts: Counted::default() }
    }

    fn began(&mut self, head: &Head, begun: Begun, before: [u8; 8], cx: &mut SpanContext<'_>) {
        if let Some(kept) = self.take(head, before) {
            match kept.failed {
                Some(attempt) => self.emit(&kept.begun, &attempt.outcome, attempt.end_ns, cx),
                None => self.counts.not_sent += 1,
            }
        }
        let kept = Kept { begun: Box::new(begun), failed: None };
        let same_id = self.open.put(head, kept);
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
            Some(mut kept) => {
                // HTTP/2 tries again without a word. (Two failures in a row may be one that was said twice.)
                if matches!(outcome, Outcome::Response { .. }) {
                    kept.count_resend();
                }
                self.emit(&kept.begun, outcome, head.end_ns, cx);
            }
            None => self.unmatched(head),
        }
    }

    /// An end without its beginning.
    fn unmatched(&mut self, head: &Head) {
        self.counts.unmatched += u64::from(!self.open.given_up.end(head.span_id));
    }

    fn failed(&mut self, head: &Head, error: &ErrorTexts<'_>) {
        let Some(kept) = self.open.get_mut(head, head.span_id) else {
            // It may be tried again: this is its end only if nothing follows.
            self.counts.unmatched += u64::from(!self.open.given_up.has(head.span_id));
            return;
        };
        let (outcome, had_sent) = (Outcome::of_error(error), had_sent(error));
        let attempt = Attempt { outcome, had_sent, end_ns: head.end_ns, since: Instant::now() };
        if kept.failed.replace(attempt).is_none() {
            self.waiting += 1;
        }
    }

    fn resumed(&mut self, head: &Head) {
        if let Some(kept) = self.open.get_mut(head, head.span_id) {
            kept.count_resend();
            self.waiting -= usize::from(kept.failed.take().is_some());
        }
    }

    fn passed_on(&mut self, head: &Head) {
        match self.take(head, head.span_id) {
            Some(_) => self.counts.not_sent += 1,
            None => self.unmatched(head),
        }
    }

    fn emit(&self, begun: &Begun, outcome: &Outcome, end_ns: u64, cx: &mut SpanContext<'_>) {
        (cx.emit)(&span(self.scope, begun, outcome, end_ns, cx.clock, cx.settings, cx.counts));
    }
}

impl join::Joiner for Joiner {
    fn record(&mut self, head: &Head, bytes: &[u8], cx: &mut SpanContext<'_>) -> Result<(), DecodeError> {
        match records::decode(head, bytes)? {
            Record::Began(began, texts) => {
                let trace_state = cx.trace_states.of(head.parent_span_id);
                let begun = Begun { trace_state, ..Begun::new(&began, &texts, cx.settings, cx.counts) };
                self.began(head, begun, began.before_span_id, cx);
            }
            Record::Ended(ended) => self.ended(head, &Outcome::of_response(&ended), cx),
            Record::Failed(failed, error) if is_passed_on(&failed, &error) => self.passed_on(head),
            Record::Failed(failed, error) if may_be_retried(&failed, &error) => self.failed(head, &error),
            Record::Failed(_, error) => self.ended(head, &Outcome::of_error(&error), cx),
            Record::Resumed => self.resumed(head),
        }
        Ok(())
    }

    fn waits(&self) -> bool {
        self.waiting > 0
    }

    fn settle(&mut self, tgid: u32, generation: u32, is_over: bool, cx: &mut SpanContext<'_>) {
        let is_due = |attempt: &Attempt| is_over || attempt.since.elapsed() >= PATIENCE;
        for kept in self.open.take_if(tgid, generation, |kept| kept.failed.as_ref().is_some_and(is_due)) {
            self.gone(&kept);
            if let Some(attempt) = &kept.failed {
                self.emit(&kept.begun, &attempt.outcome, attempt.end_ns, cx);
            }
        }
    }

    fn forget(&mut self, tgid: u32, generation: u32) {
        let forgotten = self.open.forget(tgid, generation);
        forgotten.iter().for_each(|kept| self.gone(kept));
        self.counts.open_at_exit += forgotten.len() as u64;
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
            count(self.names.not_sent, self.counts.not_sent, false),
            count(self.names.ends_said_twice, self.counts.unmatched, false),
            count(self.names.open_at_exit, self.counts.open_at_exit, true),
            count(self.names.too_many_open, self.counts.too_many_open, true),
        ]
    }
}

#[cfg(test)]
#[path = "joiner_tests.rs"]
mod tests;
