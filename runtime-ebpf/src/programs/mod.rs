//! One module per library of the table, what libraries of a kind share, and the process events.

mod floor;
mod grpc;
mod header_block;
mod http2_server;
mod http_client;
mod http_server;
mod made;
mod process;
mod signals;
mod state_field;

macro_rules! modules {
    ($($code:literal $module:ident $name:ident $id:literal;)+) => { $(mod $module;)+ };
}

runtime_ebpf::libraries!(modules);
