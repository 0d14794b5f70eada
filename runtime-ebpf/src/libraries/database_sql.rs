//! `database/sql`: what its programs need to know of a file, send ([`records`]) and count ([`counters`]).

pub mod counters;
pub mod records;

use crate::{abi::SPAN_BYTES, errors::Errors};

/// What a call asks for. A call of a `DB`, `Conn` or `Tx` and one of a `Stmt` have sites of their own.
pub const QUERY: usize = 0;
/// `Exec`.
pub const EXEC: usize = 1;
/// `Query` of a prepared statement.
pub const STMT_QUERY: usize = 2;
/// `Exec` of a prepared statement.
pub const STMT_EXEC: usize = 3;
/// `Prepare`.
pub const PREPARE: usize = 4;
/// `Begin`.
pub const BEGIN: usize = 5;
/// `Commit`.
pub const COMMIT: usize = 6;
/// `Rollback`.
pub const ROLLBACK: usize = 7;
/// `Ping`.
pub const PING: usize = 8;
/// Number of them.
pub const OPERATIONS: usize = 9;

/// Where a query of a `DB` begins whose function has a copy of the one that begins them else: its place behind the operations'.
pub const DB_QUERY: usize = OPERATIONS;
/// Number of sites where an operation begins.
pub const STARTS: usize = OPERATIONS + 1;

/// What begins at a site, by its place.
pub const fn operation_of(start: usize) -> usize {
    if start == DB_QUERY { QUERY } else { start }
}

/// Places that calls can come from that are made again: a function, and what copies of it return to.
pub const RETRIERS: usize = 4;

/// Connectors, and drivers, that a file's programs can tell from one another.
pub const KNOWN: usize = 8;
/// Types of errors with a code that they can.
pub const CODES: usize = 5;

/// What the programs need to know of one file. Value of `DATABASE_SQL_FILES`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct File {
    /// What tells errors.
    pub errors: Errors,
    /// The start sites, by operation, and [`DB_QUERY`].
    pub starts: [Start; STARTS],
    /// Addresses in the file of the itabs of connectors; 0: none.
    pub connector_itabs: [u64; KNOWN],
    /// What is read of each.
    pub connectors: [Connector; KNOWN],
    /// Addresses in the file of the itabs of drivers; 0: none.
    pub driver_itabs: [u64; KNOWN],
    /// Whose each is: see [`Connector::system`].
    pub driver_systems: [u8; KNOWN],
    /// Addresses in the file of the descriptors of errors that have a code; 0: none.
    pub code_vaddrs: [u64; CODES],
    /// Where each has it.
    pub code_offsets: [u16; CODES],
    /// What it is: one of the `CODE_` constants.
    pub code_forms: [u8; CODES],
    /// Zero.
    pub reserved: u8,
    /// `sql.DB.connector`.
    pub db_connector: u16,
    /// `sql.Stmt.db`.
    pub stmt_db: u16,
    /// `sql.Stmt.query`.
    pub stmt_query: u16,
    /// `sql.Tx.db`.
    pub tx_db: u16,
    /// `sql.Tx.ctx`.
    pub tx_ctx: u16,
    /// `sql.Tx.done`.
    pub tx_done: u16,
    /// Zero.
    pub reserved2: [u16; 2],
}

/// Where an operation begins.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start {
    /// Address in the file of the site: `ip - vaddr` is the load bias. 0: the operation is not traced.
    pub vaddr: u64,
    /// Where what calls again when the connection was bad begins, function by function; 0 in the first: unknown, any caller may.
    pub retry_vaddrs: [u64; RETRIERS],
    /// How long each is; 0: none.
    pub retry_bytes: [u32; RETRIERS],
    /// Which flags of the saved flags register mean that the site's stack check fails; see [`crate::abi::CHECK_NONE`].
    pub check: u8,
    /// 1: a call on a bad connection is made again, by that function or by itself.
    pub is_retried: u8,
    /// 1: by itself, without another hit here.
    pub retries_itself: u8,
    /// Zero.
    pub reserved: [u8; 5],
}

/// The most of a connector, or of the configuration that it points to, that is read in one go; offsets must leave 16 bytes.
pub const CONNECTOR_WINDOW: usize = 128;

/// How a type of connectors is read.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connector {
    /// Where it holds the pointer to what is read; [`crate::abi::NO_OFFSET`]: it is read itself.
    pub config: u16,
    /// Number of bytes to read, at most [`CONNECTOR_WINDOW`]; 0: nothing.
    pub bytes: u16,
    /// A string: what says where the server is.
    pub address: u16,
    /// A string: the database.
    pub database: u16,
    /// A string: the network.
    pub network: u16,
    /// A `uint16`: the port.
    pub port: u16,
    /// A `driver.Driver`: it says whose the connector is.
    pub driver: u16,
    /// What the address is: the agent's own number, which it gets back with each record.
    pub form: u8,
    /// Which system of databases it is for: likewise; 0: unknown.
    pub system: u8,
}

/// The error has no code.
pub const CODE_NONE: u8 = 0;
/// A string.
pub const CODE_TEXT: u8 = 1;
/// A `uint16`.
pub const CODE_U16: u8 = 2;
/// An `int`.
pub const CODE_INT: u8 = 3;

/// Size of the programs' in-flight entry, pinned here for the agent, which removes those of processes that have ended.
pub const IN_FLIGHT_BYTES: usize = SPAN_BYTES + 9 * 8;

/// Operations in flight at once, over all processes, unless the agent says otherwise.
pub const DEFAULT_ENTRIES: u32 = 65_536;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_no_padding() {
        assert_eq!(size_of::<Start>(), 8 + RETRIERS * 12 + 8);
        assert_eq!(size_of::<Connector>(), 16);
        let known = KNOWN * (8 + size_of::<Connector>() + 8 + 1);
        let codes = CODES * (8 + 2 + 1) + 1;
        let all = size_of::<Errors>() + STARTS * size_of::<Start>() + known + codes + 8 * 2;
        assert_eq!((size_of::<File>(), align_of::<File>()), (all, 8));
    }
}
