//! The kinds of requests of `tests/e2e/http_server`, each with its span, for the virtual machines of `tests/vm` too.

#[path = "../e2e/http_server/door.rs"]
pub mod door;
#[path = "../e2e/http_server/drive.rs"]
pub mod drive;
#[path = "../e2e/http_server/exchange.rs"]
pub mod exchange;
#[path = "../e2e/http_server/handlers.rs"]
pub mod handlers;
#[path = "../e2e/http_server/kinds.rs"]
pub mod kinds;
#[path = "../e2e/http_server/routers.rs"]
pub mod routers;
#[path = "../e2e/http_server/socket.rs"]
pub mod socket;
#[path = "../e2e/http_server/sources.rs"]
mod sources;
#[path = "../e2e/http_server/trace_context.rs"]
pub mod trace_context;
