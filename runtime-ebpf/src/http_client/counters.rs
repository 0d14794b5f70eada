//! What every library that calls over HTTP counts. The numbers are the same in each, so that what their programs share can count.

/// A library's counters, named after it.
#[macro_export]
macro_rules! http_client_counters {
    ($prefix:literal) => {
        $crate::counters! { Counter:
            /// Spans begun and recorded (sampled).
            Started = concat!($prefix, ".started"), info;
            /// Round trips not recorded because the sampler, or the parent's flag, said so.
            Unsampled = concat!($prefix, ".unsampled"), info;
            /// Calls that are made in the name of a round trip that is open on the same goroutine, this library's or another's: part of
            /// its span.
            Nested = concat!($prefix, ".nested"), info;
            /// Round trips whose beginning found no room in the ring.
            BeginningLost = concat!($prefix, ".lost.ring_full"), loss;
            /// Round trips whose end found no room in the ring: the agent counts them as never ended.
            EndUnsent = concat!($prefix, ".ends_unsent"), info;
            /// Round trips that found no room in the in-flight table.
            FlightFull = concat!($prefix, ".lost.in_flight_full"), loss;
            /// Round trips of which the goroutine's id, the request or its URL could not be read.
            Unreadable = concat!($prefix, ".lost.unreadable"), loss;
            /// A round trip began on a goroutine whose last one is still open: that one sent no request (its URL, method or header is
            /// not valid, or its context was done already). The agent counts it as never ended.
            Replaced = concat!($prefix, ".replaced"), info;
            /// Ends without an entry: HTTP/2's second one of a round trip that opened the connection, or a round trip that began
            /// before the agent came.
            Unmatched = concat!($prefix, ".ends_unmatched"), info;
            /// What was kept does not belong to what ended (another goroutine, another request): it was dropped. The agent counts it
            /// as never ended.
            Mismatch = concat!($prefix, ".mismatch"), info;
            /// Round trips during which a hook (`httptrace`, a `Proxy` function) made another call on the same goroutine that has no end:
            /// their own end is not told.
            Outer = concat!($prefix, ".lost.called_within"), loss;
            /// Round trips that failed and were tried again within their call.
            Resumed = concat!($prefix, ".resumed"), info;
            /// Streams of HTTP/2 that were sent for a round trip of which nobody knows: it began before the agent came, or its caller has
            /// given it up. Whoever serves them does not learn whose they are.
            StreamUnknown = concat!($prefix, ".streams_unknown"), info;
            /// Requests over HTTP/1.x into which the trace context was written.
            Carried = concat!($prefix, ".context.written"), info;
            /// The same of HTTP/2.
            CarriedInBlock = concat!($prefix, ".context.h2.written"), info;
            /// Requests that have a `traceparent` of the program's own, or of another agent: theirs was left alone.
            OwnHeader = concat!($prefix, ".context.own"), info;
            /// Requests over HTTP/1.x without the trace context: the connection's buffer has no room for it.
            NoRoom = concat!($prefix, ".context.no_room"), info;
            /// Requests over HTTP/2 without the trace context: the connection's buffer, or the frame, has no room for it.
            NoRoomInBlock = concat!($prefix, ".context.h2.no_room"), info;
            /// Requests without the trace context: their header or the connection's buffer could not be read to its end, or not be written
            /// to.
            HeaderUnread = concat!($prefix, ".context.unreadable"), info;
            /// Requests without the trace context, of which it is not known whose they are: the program has written them itself, or they
            /// began before the agent came, or are not traced.
            NotOurs = concat!($prefix, ".context.not_known"), info;
            /// Requests without the trace context: there was no room to note whose connection it is, or whose stream.
            CarrierFull = concat!($prefix, ".context.too_many"), info;
            /// Goroutines whose entry was removed when a round trip ended, because many are kept.
            GaveWay = concat!($prefix, ".gave_way"), info;
        }
    };
}

// For the programs that all of them share.
http_client_counters! { "" }
