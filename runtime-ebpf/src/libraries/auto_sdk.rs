//! `go.opentelemetry.io/auto/sdk`: what its programs count. What they need to know of a file is that of all spans made by hand.

pub mod counters {
    //! What the programs of `go.opentelemetry.io/auto/sdk` count.

    crate::made_counters! { "auto_sdk" }
}
