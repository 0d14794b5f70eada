//! Counters: nothing is lost in silence. One per-CPU array, indexed by [`Counter`].

macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal,)+) => {
        /// What the programs count.
        #[repr(u32)]
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Counter { $($(#[doc = $doc])+ $name,)+ }

        /// Every counter with its exported name, in the order of the array.
        pub const ALL: &[(Counter, &str)] = &[$((Counter::$name, $text),)+];
    };
}

counters! {
    /// Spans begun and recorded (sampled).
    Started = "spans.started",
    /// Spans not recorded because the sampler, or the parent's flag, said so.
    Unsampled = "spans.unsampled",
    /// Records written to the ring.
    Submitted = "records.submitted",
    /// Records lost because the ring was full.
    RingFull = "records.lost.ring_full",
    /// Spans lost because the in-flight table was full.
    InFlightFull = "spans.lost.in_flight_full",
    /// An entry found another one of its goroutine still open: that one never ended.
    EntryReplaced = "spans.lost.never_ended",
    /// An exit without an entry: in flight when the agent attached, or refused before the handler.
    ExitWithoutEntry = "exits.without_entry",
    /// An exit whose arguments do not belong to the entry: the span was dropped.
    ExitMismatch = "spans.lost.exit_mismatch",
    /// Requests whose ResponseWriter is not `*net/http.response`: HTTP/2, not traced yet.
    OtherWriter = "net_http_server.other_writer",
    /// Reads of the target's memory that failed, each an attribute left out.
    ReadFault = "reads.failed",
    /// Header maps that could not be walked to their end.
    HeadersCut = "headers.incomplete",
    /// `traceparent` headers present and invalid: a new trace began.
    TraceparentInvalid = "traceparent.invalid",
    /// Program starts that the agent was not told of, because the ring was full.
    ExecLost = "processes.exec_lost",
    /// Stack-check hits ignored because the function starts again (morestack).
    Restarted = "entries.restarted",
}
