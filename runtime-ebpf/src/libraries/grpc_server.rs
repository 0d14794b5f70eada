//! `google.golang.org/grpc.server`: what its programs count. What they need to know of a file is in [`crate::grpc::server`].

pub mod counters {
    //! What the programs of `google.golang.org/grpc.server` count.

    crate::counters! { Counter:
        /// Spans begun and recorded (sampled).
        Started = "grpc_server.started", info;
        /// RPCs not recorded because the sampler, or the parent's flag, said so.
        Unsampled = "grpc_server.unsampled", info;
        /// RPCs whose beginning found no room in the ring.
        BeginningLost = "grpc_server.lost.ring_full", loss;
        /// RPCs whose end found no room in the ring: the agent counts them as never ended.
        EndUnsent = "grpc_server.ends_unsent", info;
        /// RPCs that found no room in the in-flight table.
        FlightFull = "grpc_server.lost.in_flight_full", loss;
        /// RPCs of which the goroutine's id or the stream could not be read.
        Unreadable = "grpc_server.lost.unreadable", loss;
        /// An RPC began on a goroutine whose last one is still open: that one's client had left before its handler returned. The agent
        /// counts it as never ended.
        Replaced = "grpc_server.replaced", info;
        /// An end without an entry: the RPC began before the agent came, or found no room when it began (counted then).
        BeganBefore = "grpc_server.began_before", info;
        /// What was kept does not belong to what ended (another goroutine, another stream): it was dropped. The agent counts it as never
        /// ended.
        Mismatch = "grpc_server.mismatch", info;
        /// Goroutines whose entry was removed when an RPC ended, because many are kept.
        GaveWay = "grpc_server.gave_way", info;
    }
}
