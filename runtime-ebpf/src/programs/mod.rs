//! One module per library, and the process events.

mod floor;
mod net_http_server;
mod process;
mod signals;
