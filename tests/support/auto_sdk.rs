//! The spans of `tests/e2e/auto_sdk`, for the virtual machines of `tests/vm` too.

#[path = "../e2e/auto_sdk/cases.rs"]
pub mod cases;
#[path = "../e2e/auto_sdk/program.rs"]
pub mod program;
