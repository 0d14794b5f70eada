//! The libraries that this agent traces: what each one's programs are, and how a Plan becomes their configuration.
//!
//! One module per library, one line in the table below. Nothing outside a library's own modules names it.

mod connections;
mod contexts;
mod errors;
mod given_up;
mod grpc;
mod http2_server;
mod http_client;
mod http_server;
pub mod join;
mod library;
mod made;
mod open;
mod router;
mod values;

use runtime_ebpf::{
    abi::{SWITCH_CARRY, SWITCH_CORRELATE, SWITCH_IGNORE_PARENT, SWITCH_NO_FORWARDED, SWITCH_NO_TEXT},
    sampler::Sampler,
};

pub use connections::connections;
pub use contexts::contexts;
pub use library::{Carrier, ConfigError, Flight, GivesWay, Library, NeverEnded};
pub use values::{bytes_of, core, stack_check};

macro_rules! libraries {
    ($($module:ident::$library:ident;)+) => {
        $(mod $module;)+

        /// All libraries that this agent traces.
        pub const ALL: &[&dyn Library] = &[$(&$module::$library),+];
    };
}

// The agent's table: a line per library.
libraries! {
    net_http_server::NetHttpServer;
    net_http_server_h2::LIBRARY;
    x_net_http2_server::LIBRARY;
    net_http_client::LIBRARY;
    x_net_http2_client::LIBRARY;
    gorilla_mux::LIBRARY;
    gin::LIBRARY;
    net_http_servemux::LIBRARY;
    grpc_server::LIBRARY;
    grpc_client::LIBRARY;
    database_sql::DatabaseSql;
    kafka_go::KafkaGo;
    auto_sdk::LIBRARY;
    otel_trace::LIBRARY;
    otel_global::OtelGlobal;
}

/// The library of this catalog id, if this agent traces it.
pub fn by_id(id: &str) -> Option<&'static dyn Library> {
    ALL.iter().copied().find(|library| library.id() == id)
}

/// Ids of the catalog entries that this agent traces, for messages.
pub fn ids() -> String {
    ALL.iter().map(|library| library.id()).collect::<Vec<_>>().join(", ")
}

/// What joins the records of each library, by the library's code.
pub fn joiners() -> Vec<(u16, Box<dyn join::Joiner>)> {
    ALL.iter().map(|library| (library.code(), library.joiner())).collect()
}

/// Whose trace a request belongs to and whether it is recorded: the same for every library.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sampling {
    /// Who is sampled.
    pub sampler: Sampler,
    /// Whether a remote parent is looked for.
    pub extract: bool,
    /// Whether it is looked up who sends a request that does not say it.
    pub correlate: bool,
    /// Whether whose a request is, is noted for the programs that write trace contexts.
    pub carry: bool,
    /// Whether requests are taken field by field, never as text.
    pub fields_only: bool,
    /// Whether what proxies say of a request is looked at.
    pub forwarded: bool,
}

impl Sampling {
    /// `SWITCH_` bits.
    pub fn switches(self) -> u32 {
        let unless = |condition: bool, switch| if condition { 0 } else { switch };
        unless(self.extract, SWITCH_IGNORE_PARENT)
            | unless(!self.correlate, SWITCH_CORRELATE)
            | unless(!self.carry, SWITCH_CARRY)
            | unless(!self.fields_only, SWITCH_NO_TEXT)
            | unless(self.forwarded, SWITCH_NO_FORWARDED)
    }
}
