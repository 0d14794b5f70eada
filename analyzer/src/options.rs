//! What a Plan is to be made of.

use offsets::catalog::{self, Entry};

/// What is planned, and which witnesses may speak. All do by default; tests withhold some.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// The libraries; the embedded catalog by default.
    pub entries: &'static [Entry],
    /// The binary's own type descriptors.
    pub types: bool,
    /// The binary's DWARF.
    pub dwarf: bool,
    /// The offset database.
    pub database: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options { entries: catalog::entries(), types: true, dwarf: true, database: true }
    }
}
