//! What the programs of spans made by hand count.

/// A library's counters.
#[macro_export]
macro_rules! made_counters {
    ($prefix:literal) => {
        $crate::counters! { Counter:
            /// Spans begun that will be recorded (sampled).
            Started = concat!($prefix, ".started"), info;
            /// Spans not recorded because the sampler, or the parent's flag, said so.
            Unsampled = concat!($prefix, ".unsampled"), info;
            /// Spans that found no room in the ring of large records.
            SpanLost = concat!($prefix, ".lost.ring_full"), loss;
            /// Spans that found no room in the table of open ones.
            FlightFull = concat!($prefix, ".lost.in_flight_full"), loss;
            /// Spans of which the goroutine's id, or what they are made of, could not be read.
            Unreadable = concat!($prefix, ".lost.unreadable"), loss;
            /// Spans that never ended: another one has begun where they lay.
            NeverEnded = concat!($prefix, ".lost.never_ended"), loss;
            /// Spans that are longer than 64 KiB as the Auto SDK writes them down.
            TooLarge = concat!($prefix, ".lost.too_large"), loss;
            /// Spans that the Auto SDK could not write down, since an attribute is no number or infinite, which JSON cannot say.
            Unwritten = concat!($prefix, ".lost.unwritten"), loss;
            /// Spans that found no room in the table of open ones, and would not have been recorded.
            UnsampledFull = concat!($prefix, ".unsampled_in_flight_full"), info;
            /// Spans whose ids could not be written into the program: it does not know them.
            Untold = concat!($prefix, ".untold"), info;
            /// Ends without an entry: the span began before the agent came, or nothing could be kept of it.
            Unmatched = concat!($prefix, ".ends_unmatched"), info;
        }
    };
}

// For the programs that all of them share.
made_counters! { "" }
