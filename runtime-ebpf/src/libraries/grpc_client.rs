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
        /// Attempts of RPCs of which nobody knows: one began before the agent came, or is tried again by who reads its answer. Whoever serves
        /// them does not learn whose they are.
        AttemptUnknown = "grpc_client.attempts_unknown", info;
        /// Goroutines whose entry was removed, because many are kept.
        GaveWay = "grpc_client.gave_way", info;
    }
}
