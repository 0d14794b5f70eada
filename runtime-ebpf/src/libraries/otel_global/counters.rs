//! What the programs of `go.opentelemetry.io/otel/internal/global` count. Of a span that has begun and is not exported the agent, which
//! has its beginning, is the only one to count it.

crate::counters! { Counter:
    /// Spans begun that will be recorded (sampled).
    Started = "otel_global.started", info;
    /// Spans not recorded because the sampler, or the parent's flag, said so.
    Unsampled = "otel_global.unsampled", info;
    /// Records that found no room in the ring of large records: beginnings of spans, or parts of them.
    RecordLost = "otel_global.lost.ring_full", loss;
    /// Spans that found no room in the table of open ones when they began.
    FlightFull = "otel_global.lost.in_flight_full", loss;
    /// Spans of which the goroutine's id, or what they are made of, could not be read.
    Unreadable = "otel_global.lost.unreadable", loss;
    /// Spans whose end found no room in the ring: the agent counts them as never ended.
    EndUnsent = "otel_global.ends_unsent", info;
    /// Calls of which not all was sent: more than 64 KiB, or too many attributes and elements at once.
    Cut = "otel_global.lost.too_large", loss;
    /// Options that strobe does not know: of a type of somebody else's, or among too many copies.
    UnknownOption = "otel_global.lost.options", loss;
    /// Stack traces that an option asks for: the SDK would take them, and nobody else does.
    NoStackTrace = "otel_global.lost.stack_traces", loss;
    /// Spans that found no room in the table of open ones, and would not have been recorded.
    UnsampledFull = "otel_global.unsampled_in_flight_full", info;
    /// Ends without an entry: the span began before the agent came, or nothing could be kept of it.
    Unmatched = "otel_global.ends_unmatched", info;
}
