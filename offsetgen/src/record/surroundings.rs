//! Where and how a run builds.

use std::collections::BTreeSet;
use std::fs::File;
use std::time::Instant;

use anyhow::Result;

use crate::data::folder::lock;
use crate::go::cache::Store;
use crate::go::release::Release;
use crate::progress::Progress;

/// Where and how a run builds.
pub struct Surroundings<'a> {
    /// Toolchains and modules.
    pub store: &'a Store,
    /// For a person.
    pub progress: &'a Progress,
    /// Compilations at a time.
    pub jobs: usize,
    /// When to begin nothing more.
    pub deadline: Option<Instant>,
    /// Whether toolchains go when they are no longer needed.
    pub prune: bool,
    /// Toolchains that modules are built with: they stay.
    pub kept: BTreeSet<Release>,
    /// Whether hashes that no checksum database vouches for are taken.
    pub trust_on_first_use: bool,
}

impl Surroundings<'_> {
    /// A toolchain goes, unless modules need it; that it stays does no harm.
    pub fn forget(&self, release: Release) {
        if self.kept.contains(&release) {
            return;
        }
        if let Err(error) = self.store.forget(release) {
            self.progress.say(&format!("note: {error:#}"));
        }
    }
}

/// The cache for one run alone. What a killed run was compiling there goes.
pub fn lock_cache(store: &Store, progress: &Progress) -> Result<File> {
    let file = lock(store.cache(), progress)?;
    store.sweep()?;
    Ok(file)
}
