//! What the programs of `net/http.client` count.

crate::counters! { Counter:
    /// Spans begun and recorded (sampled).
    Started = "net_http_client.started", info;
    /// Round trips not recorded because the sampler, or the parent's flag, said so.
    Unsampled = "net_http_client.unsampled", info;
    /// Calls that are made in the name of a round trip that is open on the same goroutine: part of its span.
    Nested = "net_http_client.nested", info;
    /// Round trips whose beginning found no room in the ring.
    BeginningLost = "net_http_client.lost.ring_full", loss;
    /// Round trips whose end found no room in the ring: the agent counts them as never ended.
    EndUnsent = "net_http_client.ends_unsent", info;
    /// Round trips that found no room in the in-flight table.
    FlightFull = "net_http_client.lost.in_flight_full", loss;
    /// Round trips of which the goroutine's id, the request or its URL could not be read.
    Unreadable = "net_http_client.lost.unreadable", loss;
    /// A round trip began on a goroutine whose last one is still open: that one sent no request (its URL, method or header is
    /// not valid, or its context was done already). The agent counts it as never ended.
    Replaced = "net_http_client.replaced", info;
    /// Ends without an entry: HTTP/2's second one of a round trip that opened the connection, or a round trip that began
    /// before the agent came.
    Unmatched = "net_http_client.ends_unmatched", info;
    /// What was kept does not belong to what ended (another goroutine, another request): it was dropped. The agent counts it
    /// as never ended.
    Mismatch = "net_http_client.mismatch", info;
    /// Round trips that failed and were tried again by net/http.
    Resumed = "net_http_client.resumed", info;
    /// Goroutines whose entry was removed when a round trip ended, because many are kept.
    GaveWay = "net_http_client.gave_way", info;
}
