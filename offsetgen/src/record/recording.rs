//! One module's recording under way: what is known of it, and what of it is done.

use std::collections::{BTreeMap, BTreeSet};

use offsets::database::format::{Hole, Tested};
use offsets::{STD, Version};

use super::journal::Journal;
use super::observations::Observations;
use crate::catalog::Catalog;
use crate::cli::BuildOptions;
use crate::failure::Stage;
use crate::go::listing::Versions;
use crate::go::release::{Release, release_of};
use crate::probe::axis::FIRST;
use crate::probe::wanted::Wanted;

/// All of it.
pub(super) struct Recording<'a> {
    pub(super) module: &'a str,
    pub(super) catalog: &'a Catalog,
    pub(super) options: &'a BuildOptions,
    pub(super) journal: Journal,
    pub(super) all: Observations,
    pub(super) versions: Versions,
    /// The newest patch of every minor release of Go.
    pub(super) newest: Vec<Release>,
    pub(super) retracted: Vec<(Version, Version)>,
    /// The go.mod of dependencies' versions, by `path@version`.
    pub(super) go_mods: BTreeMap<String, Option<String>>,
    /// The versions of dependencies, the newest first.
    pub(super) dependencies: BTreeMap<String, Vec<String>>,
    /// Versions that the oldest Go of their go.mod does not compile.
    pub(super) promised_too_much: BTreeSet<Version>,
    /// Versions that the data had before.
    pub(super) before: BTreeSet<Version>,
    /// Whether the proxy has failed in a way that may pass.
    pub(super) interrupted: bool,
}

impl<'a> Recording<'a> {
    pub(super) fn new(
        module: &'a str,
        catalog: &'a Catalog,
        options: &'a BuildOptions,
        all: Observations,
        journal: Journal,
    ) -> Self {
        let before = all.versions().chain(all.holes().map(|(version, _)| version)).cloned().collect();
        Self {
            module,
            catalog,
            options,
            journal,
            all,
            versions: Versions::new(),
            newest: Vec::new(),
            retracted: Vec::new(),
            go_mods: BTreeMap::new(),
            dependencies: BTreeMap::new(),
            promised_too_much: BTreeSet::new(),
            before,
            interrupted: false,
        }
    }

    pub(super) fn is_std(&self) -> bool {
        self.module == STD
    }

    pub(super) fn covered(&self, version: &Version) -> bool {
        self.catalog.entries.iter().any(|entry| !entry.is_borrowed() && entry.versions.contains(version))
    }

    /// Whether all that the catalog names was looked for. What the target did not reach, `build` tries again: the catalog may
    /// have another target now.
    pub(super) fn is_recorded(&self, version: &Version, axis: &str, wanted: &Wanted<'_>) -> bool {
        let build = self.all.build(version);
        // Reached on the first axis and not on this one: then it is this axis that has no use for it.
        let is_reached = |name: &str| {
            let first = build.and_then(|build| build.axes.get(FIRST));
            axis != FIRST && first.is_some_and(|shape| shape.knows(name))
        };
        let is_settled = |name: &str| self.options.new_only || is_reached(name);
        let shape = build.and_then(|build| build.axes.get(axis));
        shape.is_some_and(|shape| {
            let mut names = wanted.structs.iter().chain(&wanted.functions);
            names.all(|name| shape.knows(name) || shape.lacks(name) && is_settled(name))
        })
    }

    /// Whether there is nothing to be done for a version on the first architecture.
    pub(super) fn is_done(&self, version: &Version) -> bool {
        let wanted = Wanted::new(self.catalog, version);
        wanted.is_some_and(|wanted| self.is_recorded(version, FIRST, &wanted))
            || (self.options.new_only && self.is_known(version))
    }

    /// Whether an earlier run has settled that version: what could not be had then may be had now, what did not compile
    /// stays as it is.
    pub(super) fn is_known(&self, version: &Version) -> bool {
        // On the first axis only what was named later can be missing.
        let is_whole = |hole: &Hole| hole.axis.as_ref().is_none_or(|axis| axis == FIRST);
        let mut holes = self.all.holes().filter(|(known, hole)| *known == version && is_whole(hole));
        let first = holes.next().map(|(_, hole)| hole.stage == Stage::Compile.word());
        first.unwrap_or_else(|| self.all.build(version).is_some())
    }
}

/// The minor release of Go that a record was compiled with.
pub(super) fn compiler(tested: &Tested) -> u64 {
    release_of(&tested.toolchain).map_or(0, |release| release.0)
}
