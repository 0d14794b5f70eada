//! What the programs of segmentio/kafka-go count.

crate::counters! { Counter:
    /// Spans begun that will be recorded (sampled). Those of reads that get no message are not sent.
    Started = "kafka_go.started", info;
    /// Operations not recorded because the sampler, or the parent's flag, said so.
    Unsampled = "kafka_go.unsampled", info;
    /// Operations whose span found no room in the ring.
    SpanLost = "kafka_go.lost.ring_full", loss;
    /// Operations that found no room in the in-flight table.
    FlightFull = "kafka_go.lost.in_flight_full", loss;
    /// A program in which operations go on could not be reached: the kernel refused the tail call.
    NoTail = "kafka_go.lost.tail_call", loss;
    /// Operations of which the goroutine's id, or the message, could not be read.
    Unreadable = "kafka_go.lost.unreadable", loss;
    /// An operation began on a goroutine whose last one is still open: its end was not seen, since a balancer of the program panicked, or the
    /// message that it had got was of an older generation while another one came up.
    Replaced = "kafka_go.lost.replaced", loss;
    /// Ends without an entry: the operation began before the agent came, or nothing could be kept of it.
    Unmatched = "kafka_go.ends_unmatched", info;
    /// What was kept is another goroutine's: it was dropped.
    Mismatch = "kafka_go.lost.mismatch", loss;
    /// Goroutines whose entry was removed when an operation ended, because many are kept.
    GaveWay = "kafka_go.gave_way", info;
    /// Reads that ended without a message: their context was done, or the reader was closed. There is no span of them.
    Nothing = "kafka_go.nothing_received", info;
    /// Commits that ended without an answer: their context was done, or the reader was closed. There is no span of them.
    GivenUp = "kafka_go.commits_given_up", info;
    /// Messages that a reader dropped, since they are of an older generation: it goes on reading.
    Stale = "kafka_go.stale", info;
    /// Messages that have more headers than are looked through, none of them a `traceparent`: there may be one behind those.
    HeadersCut = "kafka_go.headers_cut", info;
    /// Records of which call a batch's messages are from, or of what became of a batch, that found no room: those who receive the messages
    /// have no link to what sent them.
    LinkLost = "kafka_go.lost.links", loss;
}
