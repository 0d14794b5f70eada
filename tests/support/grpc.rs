//! The RPCs of `tests/e2e/grpc`, for the virtual machines of `tests/vm` too.

#[path = "../e2e/grpc/cases.rs"]
pub mod cases;
#[path = "../e2e/grpc/compare.rs"]
pub mod compare;
#[path = "../e2e/grpc/places.rs"]
pub mod places;
#[path = "../e2e/grpc/program.rs"]
pub mod program;
