//! What every library that serves HTTP counts. The numbers are the same in each, so that what their programs share can count.

/// A library's counters: the common ones, named after the library, and behind them its own.
#[macro_export]
macro_rules! http_server_counters {
    ($prefix:literal: $($own:tt)*) => {
        $crate::counters! { Counter:
            /// Spans begun and recorded (sampled).
            Started = concat!($prefix, ".started"), info;
            /// Requests not recorded because the sampler, or the parent's flag, said so.
            Unsampled = concat!($prefix, ".unsampled"), info;
            /// Beginnings that were taken field by field.
            Fields = concat!($prefix, ".fields"), info;
            /// Beginnings that found no room in the ring and are sent with their end.
            Unannounced = concat!($prefix, ".unannounced"), info;
            /// Ends that found no room in the ring, of requests whose beginning the agent has: it counts them as never ended.
            EndUnsent = concat!($prefix, ".ends_unsent"), info;
            /// Requests of which neither the beginning nor the end found room in the ring.
            EndLost = concat!($prefix, ".lost.ring_full"), loss;
            /// Requests that found no room in the in-flight table, or more than their process's share in it.
            FlightFull = concat!($prefix, ".lost.in_flight_full"), loss;
            /// Requests whose goroutine's id could not be read.
            Unidentified = concat!($prefix, ".lost.unidentified"), loss;
            /// A request began on a goroutine whose last one is still open: that one passed none of the probes. Its beginning, if
            /// it was sent, stays in the agent, which counts it as never ended.
            Replaced = concat!($prefix, ".replaced"), info;
            /// The same where the agent does not know the beginning.
            ReplacedUnannounced = concat!($prefix, ".lost.never_ended"), loss;
            /// An end without an entry: the request began before the agent came, was refused before its handler, or found
            /// no room when it began (counted then).
            BeganBefore = concat!($prefix, ".began_before"), info;
            /// What was kept does not belong to what ended (another goroutine, response or connection): it was dropped. If the
            /// agent has its beginning, it counts it as never ended.
            Mismatch = concat!($prefix, ".mismatch"), info;
            /// The same where the agent does not know the beginning.
            MismatchUnannounced = concat!($prefix, ".lost.mismatch"), loss;
            /// Another program, in which a request goes on, could not be reached: the kernel refused the tail call.
            NoTail = concat!($prefix, ".lost.tail_call"), loss;
            /// Entries that were removed when a request ended, because many are kept.
            GaveWay = concat!($prefix, ".gave_way"), info;
            /// Headers behind a beginning (`tracestate`, `Forwarded` and its like) that found no room in the ring.
            HeadersUnsent = concat!($prefix, ".headers_unsent"), loss;
            /// Ends at which the Request that the handler was given was freed already: its route is not known from it.
            RequestGone = concat!($prefix, ".requests_gone"), info;
            $($own)*
        }
    };
}

// For the programs that all of them share: the common ones alone.
http_server_counters! { "": }
