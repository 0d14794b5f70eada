//! The codes by which records, counters and maps name a library. One line per library; a test of the agent holds this table,
//! the agent's own, the catalog and the object's programs together.

/// A library of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Library {
    /// Its code in a record's head; 0 is the core's own.
    pub code: u16,
    /// Its catalog id.
    pub id: &'static str,
}

/// `net/http.server`.
pub const NET_HTTP_SERVER: Library = Library { code: 1, id: "net/http.server" };

/// All of them.
pub const ALL: &[Library] = &[NET_HTTP_SERVER];
