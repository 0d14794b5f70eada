//! The RPCs that have begun and not ended, and how an end finds its beginning: by its span id.
//!
//! | what comes | what becomes of it |
//! |---|---|
//! | a beginning | kept |
//! | an end | the span |
//! | an end whose beginning was given up | nothing: that was counted then |
//! | an end whose beginning is not there | nothing, and counted |
//! | the process is gone | what is kept never ended: counted |

use runtime_ebpf::record::Head;

use super::begun::Begun;
use super::records::{self, Record, Side};
use super::span::span;
use crate::libraries::join::{self, Count, SpanContext};
use crate::libraries::open::Open;
use crate::records::DecodeError;

/// Joins the records of one side.
#[derive(Debug)]
pub struct Joiner {
    side: Side,
    open: Open<Begun>,
    counts: Counted,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Counted {
    beginning_missing: u64,
    open_at_exit: u64,
    too_many_open: u64,
}

impl Joiner {
    /// Of this side.
    pub fn new(side: Side) -> Self {
        Self { side, open: Open::default(), counts: Counted::default() }
    }

    fn began(&mut self, head: &Head, begun: Begun) {
        self.counts.too_many_open += u64::from(self.open.put(head, begun).is_some());
    }
}

impl join::Joiner for Joiner {
    fn record(&mut self, head: &Head, bytes: &[u8], cx: &mut SpanContext<'_>) -> Result<(), DecodeError> {
        match records::decode(self.side, head, bytes)? {
            Record::Called(texts) => {
                let trace_state = cx.trace_states.of(head.parent_span_id);
                self.began(head, Begun { trace_state, ..Begun::called(head, &texts, cx.counts) });
            }
            Record::Served(began, texts) => {
                let mut begun = Begun::served(&began, &texts, cx.counts);
                match &begun.trace_state {
                    // Spans below this one have its list, too.
                    Some(list) => cx.trace_states.keep(begun.span_id, list),
                    None => begun.trace_state = cx.trace_states.of(head.parent_span_id),
                }
                self.began(head, begun);
            }
            Record::Ended(ended, message) => {
                let Some(begun) = self.open.take(head, head.span_id) else {
                    let was_given_up = self.open.given_up.end(head.span_id);
                    self.counts.beginning_missing += u64::from(!was_given_up);
                    return Ok(());
                };
                cx.trace_states.forget(begun.span_id);
                let span = span(self.side, &begun, &ended, message, cx);
                (cx.emit)(&span);
            }
        }
        Ok(())
    }

    fn forget(&mut self, tgid: u32, generation: u32) {
        self.counts.open_at_exit += self.open.forget(tgid, generation).len() as u64;
    }

    fn held_bytes(&self) -> usize {
        self.open.held_bytes()
    }

    fn shed(&mut self) {
        self.counts.too_many_open += self.open.shed().len() as u64;
    }

    fn counters(&self) -> Vec<Count> {
        let count = |name, value, is_loss| Count { name, value, is_loss };
        let Counted { beginning_missing, open_at_exit, too_many_open } = self.counts;
        match self.side {
            Side::Server => vec![
                count("grpc_server.beginning_missing", beginning_missing, false),
                count("grpc_server.lost.open_at_exit", open_at_exit, true),
                count("grpc_server.lost.too_many_open", too_many_open, true),
            ],
            Side::Client => vec![
                count("grpc_client.beginning_missing", beginning_missing, false),
                count("grpc_client.lost.open_at_exit", open_at_exit, true),
                count("grpc_client.lost.too_many_open", too_many_open, true),
            ],
        }
    }
}

#[cfg(test)]
#[path = "joiner_tests.rs"]
mod tests;
