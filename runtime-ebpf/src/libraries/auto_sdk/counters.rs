//! What the programs of the Auto SDK count.

crate::counters! { Counter:
    /// Spans begun that will be recorded (sampled).
    Started = "auto_sdk.started", info;
    /// Spans not recorded because the sampler, or the parent's flag, said so.
    Unsampled = "auto_sdk.unsampled", info;
    /// Spans that found no room in the ring of large records.
    SpanLost = "auto_sdk.lost.ring_full", loss;
    /// Spans that found no room in the table of open ones.
    FlightFull = "auto_sdk.lost.in_flight_full", loss;
    /// Spans of which the goroutine's id, or what they are made of, could not be read.
    Unreadable = "auto_sdk.lost.unreadable", loss;
    /// Spans that never ended: another one has begun where they lay.
    NeverEnded = "auto_sdk.lost.never_ended", loss;
    /// Spans that are longer than 64 KiB as the Auto SDK writes them down.
    TooLarge = "auto_sdk.lost.too_large", loss;
    /// Spans that the Auto SDK could not write down, since an attribute is no number or infinite, which JSON cannot say.
    Unwritten = "auto_sdk.lost.unwritten", loss;
    /// Spans that found no room in the table of open ones, and would not have been recorded.
    UnsampledFull = "auto_sdk.unsampled_in_flight_full", info;
    /// Ends without an entry: the span began before the agent came, or nothing could be kept of it.
    Unmatched = "auto_sdk.ends_unmatched", info;
}
