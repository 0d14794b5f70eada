//! What the programs of `net/http.server` count.

crate::counters! { Counter:
    /// Spans begun and recorded (sampled).
    Started = "net_http_server.started", info;
    /// Requests not recorded because the sampler, or the parent's flag, said so.
    Unsampled = "net_http_server.unsampled", info;
    /// Beginnings that were sent as text.
    Text = "net_http_server.text", info;
    /// Beginnings that were taken field by field: the slow way.
    Fields = "net_http_server.fields", info;
    /// Beginnings that found no room in the ring and are sent with their end.
    Unannounced = "net_http_server.unannounced", info;
    /// Ends that found no room in the ring, of requests whose beginning the agent has: it counts them as never ended.
    EndUnsent = "net_http_server.ends_unsent", info;
    /// Requests of which neither the beginning nor the end found room in the ring.
    EndLost = "net_http_server.lost.ring_full", loss;
    /// Requests that found no room in the in-flight table, or more than their process's share in it.
    FlightFull = "net_http_server.lost.in_flight_full", loss;
    /// Requests whose goroutine's id could not be read.
    Unidentified = "net_http_server.lost.unidentified", loss;
    /// A request began on a goroutine whose last one is still open: that one passed none of the probes. Its beginning, if it
    /// was sent, stays in the agent, which counts it as never ended.
    Replaced = "net_http_server.replaced", info;
    /// The same where the agent does not know the beginning.
    ReplacedUnannounced = "net_http_server.lost.never_ended", loss;
    /// An end without an entry: the request began before the agent came, was refused before its handler, or found
    /// no room when it began (counted then).
    BeganBefore = "net_http_server.began_before", info;
    /// What was kept does not belong to what ended (another goroutine, response or connection): it was dropped. If the agent
    /// has its beginning, it counts it as never ended.
    Mismatch = "net_http_server.mismatch", info;
    /// The same where the agent does not know the beginning.
    MismatchUnannounced = "net_http_server.lost.mismatch", loss;
    /// Requests over HTTP/2, not traced yet: their ResponseWriter is not `*net/http.response`, or they are its preface.
    Http2 = "net_http_server.http2", info;
    /// The slow way's program could not be reached: the kernel refused the tail call.
    NoTail = "net_http_server.lost.tail_call", loss;
    /// Hijacks on another goroutine than the request's.
    HijackedElsewhere = "net_http_server.hijacked_elsewhere", info;
    /// Connections whose entry was removed when a request ended, because many are kept.
    GaveWay = "net_http_server.gave_way", info;
}
