//! The tests that libraries have of their own, for the virtual machines of `tests/vm` too.

#[path = "../e2e/gotest/suite.rs"]
pub mod suite;
#[path = "../e2e/gotest/verdicts.rs"]
pub mod verdicts;
