//! The codes by which records, counters and maps name a library. A line in each of the three lists here per library; a test of the agent holds this table,
//! the agent's own, the catalog and the object's programs together.

pub mod net_http_server;

use crate::counters::Count;

/// The modules of the programs, one per library: `programs/mod.rs` of the object expands it.
#[macro_export]
macro_rules! library_programs {
    () => {
        mod net_http_server;
    };
}

/// A library of the table.
#[derive(Debug, Clone, Copy)]
pub struct Library {
    /// Its code in a record's head and the place of its counters; 0 is the core's own.
    pub code: u16,
    /// Its catalog id.
    pub id: &'static str,
    /// What its programs count, in the order of its counters' numbers.
    pub counters: &'static [Count],
}

/// `net/http.server`.
pub const NET_HTTP_SERVER: Library =
    Library { code: 1, id: "net/http.server", counters: net_http_server::counters::ALL };

/// All of them.
pub const ALL: &[Library] = &[NET_HTTP_SERVER];
