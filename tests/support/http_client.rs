//! The round trips of `tests/e2e/http_client` and their parents, for the virtual machines of `tests/vm` too.

#[path = "../e2e/http_client/carried.rs"]
pub mod carried;
#[path = "../e2e/http_client/cases.rs"]
pub mod cases;
#[path = "../e2e/http_client/found.rs"]
pub mod found;
#[path = "../e2e/http_client/parents.rs"]
pub mod parents;
#[path = "../e2e/http_client/places.rs"]
pub mod places;
#[path = "../e2e/http_client/x_net_cases.rs"]
pub mod x_net_cases;
