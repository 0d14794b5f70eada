//! What a version is compiled for beside its first architecture, and where: the second architecture, the oldest Go and one
//! that has come since, newer dependencies, experiments. Each is tried where a run of equal layouts begins or ends, or more seldom.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Error, Result};
use offsets::database::format::{Hole, Tested};
use offsets::{STD, Version, names};

use super::recording::{Recording, compiler};
use super::surroundings::Surroundings;
use super::task::Task;
use crate::failure::Stage;
use crate::go::release::{OLDEST_MINOR, Release, release_of, spell};
use crate::go::{choice, experiments, listing};
use crate::net::Network;
use crate::probe::axis::FIRST;
use crate::probe::shape::Shape;
use crate::probe::wanted::Wanted;

/// Of a dependency, so many versions are looked at for one that goes with a module's version.
const DEPENDENCY_LIMIT: usize = 100;

impl<'a> Recording<'a> {
    /// The second architecture where a run of equal layouts begins and ends; among those versions, in the newest of each minor
    /// release, the oldest Go, the newest and the newest dependencies too; of the standard library the experiments.
    pub(super) fn edges(&mut self, around: &Surroundings<'_>) -> Result<()> {
        let edges = self.edge_versions();
        let first = edges.first().cloned();
        let newest: BTreeMap<[u64; 2], Version> = edges
            .iter()
            .map(|version| ([version.release()[0], version.release()[1]], version.clone()))
            .collect();
        let mut tasks = Vec::new();
        for version in edges {
            for arch in self.options.arch.iter().filter(|arch| *arch != FIRST) {
                tasks.extend(self.edge_task(&version, arch.clone(), None));
            }
            let is_chosen =
                first.as_ref() == Some(&version) || newest.values().any(|newest| *newest == version);
            if !self.is_std() && is_chosen {
                tasks.extend(self.oldest_go(&version));
                tasks.extend(self.newest_go(&version));
                tasks.extend(self.newest_dependencies(&version, around)?);
            }
        }
        if self.is_std() && !self.options.no_experiments {
            tasks.extend(self.experiments(around)?);
        }
        if self.options.versions.is_empty() {
            let (arch, no_experiments) = (&self.options.arch, self.options.no_experiments);
            self.all.forget_pending(|axis| {
                let own = axis.split('+').next().unwrap_or_default();
                arch.iter().any(|arch| arch == own) && !(no_experiments && is_experiment(axis))
            });
        }
        // By toolchain, so that each is used once and can go.
        tasks.sort_by(|a, b| b.toolchains.cmp(&a.toolchains).then_with(|| b.version.cmp(&a.version)));
        self.perform(tasks, around)?;
        // A go.mod may promise too much: then the next Go is tried.
        while !self.promised_too_much.is_empty() {
            let versions = std::mem::take(&mut self.promised_too_much);
            let again = versions.iter().filter_map(|version| self.oldest_go(version)).collect();
            self.perform(again, around)?;
        }
        Ok(())
    }

    /// First and last version of each run of equal layouts, among those that were compiled themselves.
    fn edge_versions(&self) -> Vec<Version> {
        let built: Vec<(&Version, &Shape)> = self
            .all
            .builds()
            .filter(|(_, build)| build.tested.same_as.is_none())
            .filter_map(|(version, build)| Some((version, build.axes.get(FIRST)?)))
            .collect();
        let differ = |a: Option<&(&Version, &Shape)>, b: &(&Version, &Shape)| {
            a.is_none_or(|a| !a.1.is_laid_out_as(b.1))
        };
        let edge = |index: usize| {
            let own = built.get(index)?;
            let before = index.checked_sub(1).and_then(|before| built.get(before));
            (differ(before, own) || differ(built.get(index + 1), own)).then(|| own.0.clone())
        };
        let edges = (0..built.len()).filter_map(edge);
        edges
            .filter(|version| self.versions.contains_key(version) || self.options.versions.is_empty())
            .collect()
    }

    fn edge_task(&self, version: &Version, axis: String, go: Option<Release>) -> Option<Task<'a>> {
        let build = self.all.build(version)?;
        let wanted = Wanted::new(self.catalog, version)?;
        let settled = |(known, hole): (&Version, &Hole)| {
            known == version && hole.axis.as_deref() == Some(&axis) && hole.stage == Stage::Compile.word()
        };
        let done = self.is_recorded(version, &axis, &wanted)
            || build.tested.agrees.contains(&axis)
            || (self.options.new_only && self.all.holes().any(settled));
        let release = go.or_else(|| release_of(&build.tested.toolchain))?;
        let tested = Tested { arch: Vec::new(), agrees: Vec::new(), ..build.tested.clone() };
        let text = tested.version.clone();
        (!done).then(|| Task {
            version: version.clone(),
            text,
            axis,
            toolchains: vec![release],
            wanted,
            tested,
            may_follow: false,
            recorded: false,
        })
    }

    /// The oldest Go that can build a version and all that it needs, unless that is the one that has.
    fn oldest_go(&self, version: &Version) -> Option<Task<'a>> {
        let build = self.all.build(version)?;
        let line = build.tested.go.as_ref().and_then(|go| Some(Version::parse(STD, go)?.release()[1]));
        let oldest = line.unwrap_or(0).max(OLDEST_MINOR);
        let release = *self.newest.iter().find(|release| release.0 >= oldest)?;
        let own = release_of(&build.tested.toolchain)?;
        let axis = format!("{FIRST}+go{}", spell(release));
        if release.0 >= own.0 { None } else { self.edge_task(version, axis, Some(release)) }
    }

    /// A minor release of Go that has come since a version was recorded with what was the newest then: layouts may depend on it.
    fn newest_go(&self, version: &Version) -> Option<Task<'a>> {
        let own = compiler(&self.all.build(version)?.tested);
        let release = *self.newest.last()?;
        let begin = format!("{FIRST}+go1.{}.", release.0);
        let is_due = release.0 > own && !choice::is_older(own);
        if !is_due || self.is_tried(version, |axis| axis.starts_with(&begin)) {
            return None;
        }
        self.edge_task(version, format!("{FIRST}+go{}", spell(release)), Some(release))
    }

    /// The dependencies of which a type lies by value in what is recorded, together, each in the newest version that goes with
    /// this one.
    fn newest_dependencies(
        &mut self,
        version: &Version,
        around: &Surroundings<'_>,
    ) -> Result<Option<Task<'a>>> {
        let Some(Tested { embeds, modules, .. }) = self.all.build(version).map(|build| build.tested.clone())
        else {
            return Ok(None);
        };
        let mut all = Vec::new();
        for dependency in embeds {
            // One that was tried before, with what was newest then, is not tried again with each new one.
            let begin = format!("{dependency}@");
            if self.is_tried(version, |axis| axis.split(['+', ',']).any(|part| part.starts_with(&begin))) {
                continue;
            }
            let newest = match self.newest_with(&dependency, version, around) {
                Ok(newest) => newest,
                Err(error) => {
                    self.pass_over(error, around)?;
                    continue;
                }
            };
            let newest = newest.map(|newest| format!("{dependency}@{newest}"));
            all.extend(newest.filter(|newest| !modules.contains(newest)));
        }
        let axis = format!("{FIRST}+{}", all.join(","));
        Ok(if all.is_empty() { None } else { self.edge_task(version, axis, None) })
    }

    /// The newest release of a dependency that does not itself ask for a newer version of this module.
    fn newest_with(
        &mut self,
        dependency: &str,
        version: &Version,
        around: &Surroundings<'_>,
    ) -> Result<Option<String>> {
        let network = around.store.network()?;
        if !self.dependencies.contains_key(dependency) {
            let listed = listing::listed(network, dependency, around.progress)?;
            let mut versions = listing::parse(dependency, listed.iter().map(String::as_str));
            versions.retain(|version, _| !version.is_prerelease());
            self.dependencies.insert(dependency.to_owned(), versions.into_values().rev().collect());
        }
        let versions = self.dependencies.get(dependency).cloned().unwrap_or_default();
        for text in versions.into_iter().take(DEPENDENCY_LIMIT) {
            if self.goes_with((dependency, &text), version, network)? {
                return Ok(Some(text));
            }
        }
        Ok(None)
    }

    /// Whether neither a dependency nor what it asks for asks for a newer version of this module.
    fn goes_with(&mut self, dependency: (&str, &str), version: &Version, network: &Network) -> Result<bool> {
        let Some(own) = self.go_mod(dependency, network)? else { return Ok(false) };
        let mut texts = vec![own.clone()];
        for asked in listing::requirements(&own) {
            if asked.0 != self.module {
                texts.extend(self.go_mod(asked, network)?);
            }
        }
        let asked = texts.iter().flat_map(|text| listing::requirements(text));
        let mut asked = asked.filter(|(module, _)| *module == self.module);
        Ok(asked.all(|(module, asked)| Version::parse(module, asked).is_none_or(|asked| asked <= *version)))
    }

    /// The go.mod of some module's version, if there is one.
    fn go_mod(&mut self, (module, version): (&str, &str), network: &Network) -> Result<Option<String>> {
        let key = format!("{module}@{version}");
        if let Some(text) = self.go_mods.get(&key) {
            return Ok(text.clone());
        }
        let text = match listing::go_mod(network, module, version) {
            Ok(text) => Some(text),
            Err(error) if error.is_not_found() => None,
            Err(error) => return Err(error).with_context(|| format!("cannot read the go.mod of {key}")),
        };
        self.go_mods.insert(key, text.clone());
        Ok(text)
    }

    /// The newest patch of each minor release with each of Go's experiments that its source asks about.
    fn experiments(&mut self, around: &Surroundings<'_>) -> Result<Vec<Task<'a>>> {
        let versions = self.all.versions().filter(|version| self.versions.contains_key(version));
        let newest: BTreeMap<u64, Version> =
            versions.map(|version| (version.release()[1], version.clone())).collect();
        let mut tasks = Vec::new();
        for version in newest.into_values() {
            // A nightly run has no reason to fetch toolchains only to find that there is nothing to be done.
            let is_left = |hole: &Hole| {
                hole.stage != Stage::Compile.word() && hole.axis.as_deref().is_some_and(is_experiment)
            };
            let is_cut_off = self.all.holes().any(|(known, hole)| *known == version && is_left(hole));
            if self.options.new_only && !is_cut_off && self.is_tried(&version, is_experiment) {
                continue;
            }
            let [_, minor, patch] = version.release();
            let toolchain = match around.store.ensure((minor, patch), around.progress) {
                Ok(toolchain) => toolchain,
                Err(error) => {
                    self.pass_over(error, around)?;
                    continue;
                }
            };
            let before = tasks.len();
            let experiments = match experiments::of(&toolchain.goroot, &self.packages(&version)) {
                Ok(experiments) => experiments,
                Err(error) => {
                    // Its files are not as they were in all releases before it: the layouts themselves are recorded all the same.
                    self.interrupted = true;
                    around.progress.say(&format!("failed: the experiments of Go {version}: {error:#}"));
                    continue;
                }
            };
            for experiment in experiments {
                tasks.extend(self.edge_task(&version, format!("{FIRST}+X:{experiment}"), None));
            }
            if around.prune && tasks.len() == before {
                around.forget((minor, patch));
            }
        }
        Ok(tasks)
    }

    /// The packages of what the catalog names in a version, and of the types that lie in it by value.
    fn packages(&self, version: &Version) -> BTreeSet<String> {
        let mut packages =
            Wanted::new(self.catalog, version).map(|wanted| wanted.packages()).unwrap_or_default();
        let shape = self.all.build(version).and_then(|build| build.axes.get(FIRST));
        let layouts = shape.into_iter().flat_map(|shape| shape.structs.values().flatten());
        let kinds = layouts.flat_map(|layout| layout.fields.values().map(|(_, kind)| kind));
        packages.extend(kinds.filter_map(|kind| names::package(kind)).map(str::to_owned));
        packages
    }

    /// Whether a version was compiled, or could not be, for such an axis.
    fn is_tried(&self, version: &Version, is_such: impl Fn(&str) -> bool) -> bool {
        let build = self.all.build(version);
        let axes = build.into_iter().flat_map(|build| build.axes.keys().chain(&build.tested.agrees));
        let holes =
            self.all.holes().filter(|(known, hole)| *known == version && hole.stage == Stage::Compile.word());
        let mut all = axes.chain(holes.filter_map(|(_, hole)| hole.axis.as_ref()));
        all.any(|axis| is_such(axis))
    }

    /// Something beside the versions themselves cannot be had: that is said, and the rest goes on. What is this machine's ends it.
    fn pass_over(&mut self, error: Error, around: &Surroundings<'_>) -> Result<()> {
        match Stage::of(&error) {
            Stage::Machine => Err(error),
            stage => {
                self.interrupted |= stage == Stage::Fetch;
                around.progress.say(&format!("note: {}: {error:#}", self.module));
                Ok(())
            }
        }
    }
}

/// Whether an axis is one with a Go experiment.
fn is_experiment(axis: &str) -> bool {
    axis.contains("+X:")
}
