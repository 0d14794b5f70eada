//! The requests of `tests/e2e/propagation` that have a trace context of their own, for the virtual machines of `tests/vm` too.

#[path = "../e2e/propagation/chain.rs"]
pub mod chain;
#[path = "../e2e/propagation/sdk.rs"]
pub mod sdk;
#[path = "../e2e/propagation/thousand.rs"]
pub mod thousand;
