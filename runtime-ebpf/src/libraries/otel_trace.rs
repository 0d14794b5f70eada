//! `go.opentelemetry.io/otel/trace`: what its programs count. What they need to know of a file is that of all spans made by hand.

pub mod counters {
    //! What the programs of `go.opentelemetry.io/otel/trace` count.

    crate::made_counters! { "otel_trace" }
}
