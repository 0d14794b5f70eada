//! One catalog entry before one binary.

use std::cell::Cell;

use offsets::Database;
use offsets::catalog::Entry;

use super::facts::Facts;
use super::owners::Owner;
use super::settings;
use crate::go_image::GoImage;

/// What a judgement of one entry needs.
pub(super) struct Case<'a> {
    /// The binary.
    pub go: &'a GoImage<'a>,
    /// The catalog's entry.
    pub entry: &'a Entry,
    /// What the binary says.
    pub facts: &'a Facts<'a>,
    /// The entry's module and its version.
    pub owner: Owner,
    /// The database, where it may be asked at all.
    pub database: Option<&'static Database>,
    /// How much code has been decoded for this library.
    pub decoded_bytes: Cell<u64>,
}

impl<'a> Case<'a> {
    /// Nothing is judged yet.
    pub fn new(
        go: &'a GoImage<'a>,
        entry: &'a Entry,
        facts: &'a Facts<'a>,
        owner: Owner,
        database: Option<&'static Database>,
    ) -> Self {
        Case { go, entry, facts, owner, database, decoded_bytes: Cell::new(0) }
    }

    /// Why the database is not asked of a module in this program, if it is not.
    pub fn silenced(&self, module: &str) -> Option<String> {
        let settings = self.go.build.as_ref().map(|build| build.settings.as_slice()).unwrap_or_default();
        let listed = || self.go.build.as_ref()?.deps.iter().find(|dep| dep.path == module);
        settings::silence(module, self.go.go_version(), settings).or_else(|| settings::unchecked(listed()?))
    }
}
