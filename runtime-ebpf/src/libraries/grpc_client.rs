//! `google.golang.org/grpc.client`: what its programs count. What they need to know of a file is in [`crate::grpc::client`].

pub mod counters {
    //! What the programs of `google.golang.org/grpc.client` count.

    crate::counters! { Counter:
        /// Spans begun and recorded (sampled).
        Started = "grpc_client.started", info;
        /// RPCs not recorded because the sampler, or the parent's flag, said so.
        Unsampled = "grpc_client.unsampled", info;
        /// RPCs whose beginning found no room in the ring.
        BeginningLost = "grpc_client.lost.ring_full", loss;
        /// RPCs whose end found no room in the ring: the agent counts them as never ended.
        EndUnsent = "grpc_client.ends_unsent", info;
        /// RPCs that found no room in the in-flight table.
        FlightFull = "grpc_client.lost.in_flight_full", loss;
        /// RPCs that have begun, and whose stream found no room in the in-flight table: the agent counts them as never ended.
        StreamFull = "grpc_client.streams_without_room", info;
        /// RPCs of which the goroutine's id could not be read.
        Unreadable = "grpc_client.lost.unreadable", loss;
        /// An RPC began on a goroutine whose last one never got a stream: its channel had no addresses in time, or its metadata or options
        /// were not valid. The agent counts it as never ended.
        Replaced = "grpc_client.replaced", info;
        /// Ends without an entry: a stream's second one, or of an RPC that is not recorded or began before the agent came.
        Unmatched = "grpc_client.ends_unmatched", info;
        /// What was kept does not belong to what goes on (another goroutine, another channel): it was dropped. The agent counts it as never
        /// ended.
        Mismatch = "grpc_client.mismatch", info;
        /// Attempts of RPCs of which nobody knows: one began before the agent came, is not recorded and tried again, or is tried again by another
        /// goroutine. Whoever serves them does not learn whose they are.
        AttemptUnknown = "grpc_client.attempts_unknown", info;
        /// Attempts into whose header the trace context was written.
        Carried = "grpc_client.context.written", info;
        /// Attempts that have a `traceparent` of the program's own, or of another agent: theirs was left alone.
        OwnHeader = "grpc_client.context.own", info;
        /// Attempts without the trace context: the connection's buffer, or the frame, has no room for it.
        NoRoom = "grpc_client.context.no_room", info;
        /// Attempts without the trace context: their header or the connection's buffer could not be read to its end, or not be written to.
        HeaderUnread = "grpc_client.context.unreadable", info;
        /// Attempts without the trace context: what was sent is not what was noted.
        NotOurs = "grpc_client.context.not_known", info;
        /// Attempts without the trace context: there was no room to note whose stream it is.
        CarrierFull = "grpc_client.context.too_many", info;
        /// Goroutines whose entry was removed, because many are kept.
        GaveWay = "grpc_client.gave_way", info;
    }
}
