//! Keeps what is said of a span until it ends. A span of which the beginning has come and no end will is lost, and counted here alone, when it is
//! kept no longer: whoever else learns of it cannot know who has counted it before.

use runtime_ebpf::{
    otel_global::records::{
        GONE_HANDED_ON, GONE_NEVER_ENDED, GONE_NO_ROOM, KIND_ATTRIBUTES, KIND_BEGUN, KIND_ENDED, KIND_ERROR,
        KIND_EVENT, KIND_GONE, KIND_LINKED, KIND_NAMED, KIND_STATUS, Said,
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
    counts: Counted,
}

#[derive(Debug, Default, Clone, Copy)]
struct Counted {
    never_ended: u64,
    no_room: u64,
    gave_way: u64,
    open_at_exit: u64,
    too_many_open: u64,
    too_large: u64,
    handed_on: u64,
    unmatched: u64,
}

impl OtelGlobalJoiner {
    /// Nobody will end the span. If it is not kept, it has been counted, or was exported.
    fn gone(&mut self, head: &Head, reason: u64) -> Result<(), DecodeError> {
        let counter = match reason {
            GONE_NEVER_ENDED => &mut self.counts.never_ended,
            GONE_NO_ROOM => &mut self.counts.no_room,
            GONE_HANDED_ON => &mut self.counts.handed_on,
            _ => return Err(DecodeError::Contradiction("reason")),
        };
        *counter += u64::from(self.open.take(head, head.span_id).is_some());
        Ok(())
    }

    /// What is said of a span that is not there: what was given up is counted already.
    fn said_of_none(&mut self, head: &Head) {
        let given_up = &mut self.open.given_up;
        let is_known =
            if head.kind == KIND_ENDED { given_up.end(head.span_id) } else { given_up.has(head.span_id) };
        self.counts.unmatched += u64::from(!is_known);
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
        if head.kind == KIND_GONE {
            return self.gone(head, said.number);
        }
        let items = Items::read(bytes)?;
        // One without its value is what did not fit.
        let is_cut = said.is_cut != 0 && items.dropped == 0;
        if head.kind == KIND_BEGUN {
            let before = self.open.put(head, Kept::begun(head.start_ns, items, bytes.len(), is_cut));
            self.counts.too_many_open += u64::from(before.is_some());
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
        self.counts.too_large += u64::from(!fits);
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

    fn forget(&mut self, tgid: u32, generation: u32) {
        self.counts.open_at_exit += self.open.forget(tgid, generation).len() as u64;
    }

    fn gave_way(&mut self, gone: Gone) {
        let is_gone = |kept: &Kept| kept.start_ns() <= gone.until_ns;
        self.counts.gave_way += self.open.take_if(gone.tgid, gone.generation, is_gone).len() as u64;
    }

    fn held_bytes(&self) -> usize {
        self.open.held_bytes()
    }

    fn shed(&mut self) {
        self.counts.too_many_open += self.open.shed().len() as u64;
    }

    fn counters(&self) -> Vec<Count> {
        let Counted {
            never_ended,
            no_room,
            gave_way,
            open_at_exit,
            too_many_open,
            too_large,
            handed_on,
            unmatched,
        } = self.counts;
        let lost = |name, value| Count { name, value, is_loss: true };
        let other = |name, value| Count { name, value, is_loss: false };
        vec![
            lost("otel_global.lost.never_ended", never_ended),
            lost("otel_global.lost.no_room", no_room),
            lost("otel_global.lost.gave_way", gave_way),
            lost("otel_global.lost.open_at_exit", open_at_exit),
            lost("otel_global.lost.too_many_open", too_many_open),
            lost("otel_global.lost.span_too_large", too_large),
            other("otel_global.handed_on", handed_on),
            other("otel_global.unmatched", unmatched),
        ]
    }
}

#[cfg(test)]
#[path = "joiner_tests.rs"]
mod tests;
