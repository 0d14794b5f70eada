//! From a library's records to spans: what each library does on drain's thread.
//!
//! A library sends several records for one operation, so somebody keeps the first until the last has come: the library's
//! joiner. Drain finds the process first ([`crate::sink`]); a joiner sees only records of processes that are known, and never
//! more memory is used for what it keeps than drain allows.

use runtime_ebpf::record::Head;

use crate::records::{DecodeError, Gone};
use crate::spans::clock::Clock;
use crate::spans::trace_state::TraceStates;
use crate::spans::{Counts, Settings, Span};

/// What a joiner gets beside the record.
pub struct SpanContext<'a> {
    /// From the kernel's time to time since 1970.
    pub clock: &'a Clock,
    /// What the configuration says about spans.
    pub settings: &'a Settings,
    /// What building spans left out.
    pub counts: &'a mut Counts,
    /// Of the open spans.
    pub trace_states: &'a mut TraceStates,
    /// Takes a finished span of the record's process.
    pub emit: &'a mut dyn FnMut(&Span<'_>),
    /// A server's span lacks a route: what could tell it may be attached from now on.
    pub wish: &'a mut dyn FnMut(),
    /// Takes what people should know of the record's process: what is not traced there, and why.
    pub tell: &'a mut dyn FnMut(&str),
    /// The record's process's network namespace, where it is known: an address means something within one.
    pub network: Option<u64>,
}

/// A number that a joiner counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// Its name in logs and metrics.
    pub name: &'static str,
    /// How many so far.
    pub value: u64,
    /// Whether it tells of data that is missing.
    pub is_loss: bool,
}

/// Makes a span of a record: all but its `tracestate`.
pub type Build = for<'a> fn(&Head, &'a [u8], &mut SpanContext<'_>) -> Result<Span<'a>, DecodeError>;

/// Joins one library's records.
pub trait Joiner: Send {
    /// Takes a record: `bytes` is all of it that means something, the head included.
    fn record(&mut self, head: &Head, bytes: &[u8], cx: &mut SpanContext<'_>) -> Result<(), DecodeError>;

    /// Whether something is kept that ends by itself when nothing more comes.
    fn waits(&self) -> bool {
        false
    }

    /// Ends what has waited long enough of a process, or all that waits if nothing more can come (`is_over`).
    fn settle(&mut self, _tgid: u32, _generation: u32, _is_over: bool, _cx: &mut SpanContext<'_>) {}

    /// A process, or a generation of it, is gone and all its records have been taken: nothing of it is kept any more.
    fn forget(&mut self, tgid: u32, generation: u32);

    /// Spans made by hand that a process never ends are gone in the kernel. Those count that the agent was not told of.
    fn gave_way(&mut self, _gone: Gone) {}

    /// About how much memory is taken by what is kept.
    fn held_bytes(&self) -> usize;

    /// Gives up the oldest part of what is kept, and counts it.
    fn shed(&mut self);

    /// What it has counted.
    fn counters(&self) -> Vec<Count>;
}

/// Of libraries of which one record is a whole span: nothing is kept.
pub struct Whole(pub Build);

impl Joiner for Whole {
    fn record(&mut self, head: &Head, bytes: &[u8], cx: &mut SpanContext<'_>) -> Result<(), DecodeError> {
        let trace_state = cx.trace_states.of(head.parent_span_id);
        let mut span = (self.0)(head, bytes, cx)?;
        span.trace_state = trace_state.as_deref().map(Into::into);
        cx.settings.limit(&mut span);
        (cx.emit)(&span);
        Ok(())
    }

    fn forget(&mut self, _tgid: u32, _generation: u32) {}

    fn held_bytes(&self) -> usize {
        0
    }

    fn shed(&mut self) {}

    fn counters(&self) -> Vec<Count> {
        Vec::new()
    }
}
