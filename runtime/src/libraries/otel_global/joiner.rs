//! Keeps what is said of a span until it ends.

use runtime_ebpf::{
    otel_global::records::{
        KIND_ATTRIBUTES, KIND_BEGUN, KIND_ENDED, KIND_ERROR, KIND_EVENT, KIND_LINKED, KIND_NAMED,
        KIND_STATUS, Said,
    },
    record::Head,
};

use super::items::Items;
use super::kept::Kept;
use crate::libraries::join::{Count, Joiner, SpanContext};
use crate::libraries::made::of_written;
use crate::libraries::open::{Kept as _, Open};
use crate::records::{DecodeError, Gone, Plain, read};

// SAFETY: repr(C), integers and byte arrays; runtime-ebpf's tests pin that it has no padding.
unsafe impl Plain for Said {}

/// The library's joiner.
#[derive(Debug, Default)]
pub struct OtelGlobalJoiner {
    open: Open<Kept>,
    too_many_open: u64,
    too_large: u64,
    unmatched: u64,
}

impl OtelGlobalJoiner {
    /// What is said of a span that is not there. One that was given up is lost when it ends: if it never does, the programs' own table
    /// counts it.
    fn said_of_none(&mut self, head: &Head) {
        match head.kind == KIND_ENDED {
            true if self.open.given_up.end(head.span_id) => self.too_many_open += 1,
            false if self.open.given_up.has(head.span_id) => {}
            _ => self.unmatched += 1,
        }
    }
}

impl Joiner for OtelGlobalJoiner {
    fn record(&mut self, head: &Head, bytes: &[u8], cx: &mut SpanContext<'_>) -> Result<(), DecodeError> {
        let said: Said = read(bytes, 0)?;
        if head.trace_id == [0; 16] {
            return Err(DecodeError::ZeroId("trace id"));
        }
        if head.span_id == [0; 8] {
            return Err(DecodeError::ZeroId("span id"));
        }
        let items = Items::read(bytes)?;
        // One without its value is what did not fit.
        let is_cut = said.is_cut != 0 && items.dropped == 0;
        if head.kind == KIND_BEGUN {
            let before = self.open.put(head, Kept::begun(head.start_ns, items, bytes.len(), is_cut));
            self.too_many_open += u64::from(before.is_some());
            return Ok(());
        }
        if !matches!(
            head.kind,
            KIND_ATTRIBUTES | KIND_NAMED | KIND_STATUS | KIND_EVENT | KIND_ERROR | KIND_LINKED | KIND_ENDED
        ) {
            return Err(DecodeError::UnknownKind(head.kind));
        }
        // What is kept of it takes another amount of memory afterwards.
        let Some(mut kept) = self.open.take(head, head.span_id) else {
            self.said_of_none(head);
            return Ok(());
        };
        let now_unix_ns = cx.clock.unix_ns(head.end_ns);
        let fits = kept.said(head.kind, said.number, now_unix_ns, items, bytes.len());
        self.too_large += u64::from(!fits);
        if is_cut {
            kept.is_cut();
        }
        if head.kind != KIND_ENDED {
            self.open.put(head, kept);
            return Ok(());
        }
        let (scope, written) = kept.into_parts();
        let mut span = of_written(head, scope, written, cx.clock, cx.settings);
        span.trace_state =
            cx.trace_states.of(head.parent_span_id).as_deref().map(|list| list.to_owned().into());
        cx.settings.limit(&mut span);
        cx.counts.built += 1;
        (cx.emit)(&span);
        Ok(())
    }

    /// The programs' own table says which of them were open.
    fn forget(&mut self, tgid: u32, generation: u32) {
        self.open.forget(tgid, generation);
    }

    fn gave_way(&mut self, gone: Gone) {
        self.open.take_if(gone.tgid, gone.generation, |kept| kept.start_ns() <= gone.until_ns);
    }

    fn held_bytes(&self) -> usize {
        self.open.held_bytes()
    }

    fn shed(&mut self) {
        self.open.shed();
    }

    fn counters(&self) -> Vec<Count> {
        let count = |name, value, is_loss| Count { name, value, is_loss };
        // Of those that are forgotten nobody will know that they were given up.
        let too_many_open = self.too_many_open + self.open.given_up.forgotten;
        vec![
            count("otel_global.lost.too_many_open", too_many_open, true),
            count("otel_global.lost.span_too_large", self.too_large, true),
            count("otel_global.unmatched", self.unmatched, false),
        ]
    }
}

#[cfg(test)]
#[path = "joiner_tests.rs"]
mod tests;
