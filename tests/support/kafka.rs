//! The operations of `tests/e2e/kafka`, for the virtual machines of `tests/vm` too.

#[path = "../e2e/kafka/cases.rs"]
pub mod cases;
#[path = "../e2e/kafka/program.rs"]
pub mod program;
