//! Routers: libraries that find the route of a request that a server has begun. They make no spans and have no state: their programs
//! look for what is open on the goroutine in the servers' table, and send the route in the server's name
//! ([`super::records::KIND_ROUTE`]).

/// What every router counts.
#[macro_export]
macro_rules! route_counters {
    ($prefix:literal) => {
        $crate::counters! { Counter:
            /// Routes that were sent.
            Routes = concat!($prefix, ".routes"), info;
            /// Routes that were found on a goroutine that serves no request that is recorded: that of one that is not sampled, or
            /// that the handler has left to another goroutine.
            Elsewhere = concat!($prefix, ".elsewhere"), info;
            /// Routes of other requests than the server's: the handler has made one of its own, and asked a router for it.
            OwnRequests = concat!($prefix, ".own_requests"), info;
            /// Routes of requests whose beginning found no room in the ring: there is nothing in the agent that they could join.
            Unannounced = concat!($prefix, ".lost.unannounced"), loss;
            /// Routes that found no room in the ring.
            Unsent = concat!($prefix, ".lost.ring_full"), loss;
        }
    };
}

// For what all of them share.
route_counters! { "" }
