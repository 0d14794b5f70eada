//! One module, from its list of versions to its file.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Context, Result, bail};
use offsets::catalog::Entry;
use offsets::database::format::{Hole, Tested};
use offsets::database::observations::{Observations, Shape};
use offsets::{STD, Version};

use super::axis::{Axis, FIRST, Other};
use super::failure::Stage;
use super::journal::{Built, Journal};
use super::listing::{self, Versions};
use super::pipeline::{Done, Outcome, Phase, Task};
use super::wanted::Wanted;
use super::{
    Surroundings, catalog, dwarf, experiments, file_name, read_document, toolchains, write_document,
};
use crate::cli::BuildOptions;
use crate::net::Network;
use crate::versions::{OLDEST_MINOR, Release, spell};

/// So many questions that a proxy does not answer, one after the other, are enough.
const PROXY_FAILURES: usize = 3;
/// Of a dependency, so many versions are looked at for one that goes with a module's version.
const DEPENDENCY_LIMIT: usize = 100;

/// True when every version that was asked for by name is recorded, and nothing failed that may pass.
pub fn build(
    module: &str,
    entries: &[Entry],
    options: &BuildOptions,
    around: &mut Surroundings<'_>,
) -> Result<bool> {
    let path = options.out.join(file_name(module));
    let before = read_document(&path, module)?;
    let all = Observations::read(&before);
    let mut run = Run::new(module, entries, options, all);
    run.find_versions(&before, around)?;
    if run.versions.is_empty() {
        return Ok(true);
    }
    let shown = run.versions.len();
    around.progress.say(&format!("{module}: {shown} versions are known"));
    run.first_architecture(around)?;
    if options.shard.is_none() {
        run.edges(around)?;
    }
    run.all.refresh_followers();
    let errors = catalog::check(entries, &run.all);
    if !errors.is_empty() {
        let errors = errors.join("\n");
        bail!("the catalog does not agree with what was built; {} is as it was\n{errors}", path.display());
    }
    let recorded = |version: &Version| run.all.build(version).is_some();
    let complete = (options.versions.is_empty() || run.versions.keys().all(recorded)) && !run.interrupted;
    run.all.add_settings(super::GENERATOR, super::SETTINGS);
    write_document(&path, &run.all.into_document(module))?;
    Ok(complete)
}

/// One module's build under way.
struct Run<'a> {
    module: &'a str,
    entries: &'a [Entry],
    options: &'a BuildOptions,
    journal: Option<Journal>,
    all: Observations,
    versions: Versions,
    /// The newest patch of every minor release of Go.
    newest: Vec<Release>,
    retracted: Vec<(Version, Version)>,
    /// The go.mod of dependencies' versions, by `path@version`.
    go_mods: BTreeMap<String, Option<String>>,
    /// The versions of dependencies, the newest first.
    dependencies: BTreeMap<String, Vec<String>>,
    /// Versions that the oldest Go of their go.mod does not compile.
    promised_too_much: BTreeSet<Version>,
    /// Versions that the data had before.
    before: BTreeSet<Version>,
    /// Whether the proxy has failed in a way that may pass.
    interrupted: bool,
}

impl<'a> Run<'a> {
    fn new(module: &'a str, entries: &'a [Entry], options: &'a BuildOptions, all: Observations) -> Self {
        let before = all.versions().chain(all.holes().map(|(version, _)| version)).cloned().collect();
        Self {
            module,
            entries,
            options,
            journal: None,
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

    fn is_std(&self) -> bool {
        self.module == STD
    }

    fn covered(&self, version: &Version) -> bool {
        self.entries.iter().any(|entry| entry.versions.contains(version))
    }

    fn find_versions(
        &mut self,
        before: &offsets::database::format::Document,
        around: &mut Surroundings<'_>,
    ) -> Result<()> {
        let (options, store, progress) = (self.options, around.store, around.progress);
        self.journal = Some(Journal::new(store.cache(), self.module));
        if self.is_std() {
            let releases = toolchains::of_std(options, store, before, progress)?;
            let texts: Vec<String> = releases.into_iter().map(spell).collect();
            self.versions = listing::parse(STD, texts.iter().map(String::as_str));
        } else {
            self.versions = if options.versions.is_empty() {
                self.list(before, around)?
            } else {
                listing::parse(self.module, options.versions.iter().map(String::as_str))
            };
            self.newest = toolchains::newest(options, store, progress)?;
            around.kept.extend(toolchains::candidates(&self.newest, 0));
            self.find_retractions(around);
        }
        let versions = std::mem::take(&mut self.versions);
        self.versions = versions.into_iter().filter(|(version, _)| self.covered(version)).collect();
        if let Some((number, count)) = options.shard {
            // Of what is to be done: what is new lies at the end of the whole, and would be one machine's work.
            let mut rest = std::mem::take(&mut self.versions);
            rest.retain(|version, _| !self.is_done(version));
            self.versions = shard(rest, number, count);
        }
        Ok(())
    }

    fn list(
        &self,
        before: &offsets::database::format::Document,
        around: &Surroundings<'_>,
    ) -> Result<Versions> {
        let network = around.store.network()?;
        let mut versions = listing::parse(
            self.module,
            listing::listed(network, self.module, around.progress)?.iter().map(String::as_str),
        );
        let recorded = before.versions.iter().map(|tested| tested.version.as_str());
        versions.extend(listing::parse(
            self.module,
            recorded.chain(before.holes.iter().map(|hole| hole.version.as_str())),
        ));
        if let Some(file) = &self.options.versions_from {
            let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
            versions.extend(listing::parse(self.module, listing::of_file(&text, self.module)));
        }
        listing::without_pseudo(&mut versions);
        // What no entry covers is not asked for either.
        versions.retain(|version, _| self.covered(version));
        listing::complete(self.module, &mut versions, |text| {
            Ok(network.proxies.exists(&network.client, self.module, text)?)
        })?;
        Ok(versions)
    }

    /// The newest release's go.mod says what was taken back; of those that the proxy serves, since one may be listed and
    /// withheld.
    fn find_retractions(&mut self, around: &Surroundings<'_>) {
        let releases = self.versions.iter().rev().filter(|(version, _)| !version.is_prerelease());
        let mut failure = None;
        for (_, text) in releases.take(5) {
            let asked =
                around.store.network().and_then(|network| Ok(listing::go_mod(network, self.module, text)?));
            match asked {
                Ok(text) => {
                    let retracted = listing::retractions(self.module, &text);
                    self.all.retract(|v| retracted.iter().any(|(low, high)| low <= v && v <= high));
                    self.retracted = retracted;
                    return;
                }
                Err(error) => failure = Some(error),
            }
        }
        if let Some(error) = failure {
            around.progress.say(&format!("{}: what is retracted is not known: {error:#}", self.module));
        }
    }

    /// Says why a version is not recorded. That a name that somebody has typed names nothing is no fact about the module.
    fn miss(&mut self, version: Version, mut hole: Hole, around: &Surroundings<'_>) {
        self.interrupted |= hole.stage == Stage::Fetch.word();
        let is_typed = !self.options.versions.is_empty() && !self.before.contains(&version);
        if is_typed && hole.axis.is_none() && hole.stage == Stage::Withheld.word() {
            return;
        }
        if let Ok(network) = around.store.network() {
            hole.reason = network.proxies.hide(&hole.reason);
        }
        hole.reason = hole.reason.replace(&around.store.cache().display().to_string(), "CACHE");
        self.all.miss(version, hole);
    }

    /// Every version that is not recorded, the newest first.
    fn first_architecture(&mut self, around: &Surroundings<'_>) -> Result<()> {
        let versions: Vec<(Version, String)> =
            self.versions.iter().rev().map(|(v, t)| (v.clone(), t.clone())).collect();
        let (mut tasks, mut in_a_row) = (Vec::new(), 0);
        for (version, text) in versions {
            let Some(wanted) = Wanted::new(self.entries, &version) else { continue };
            let recorded = self.is_done(&version);
            let hole = |stage: &str, reason: String| {
                let (version, stage) = (text.clone(), stage.to_owned());
                Hole { version, axis: None, stage, reason }
            };
            if !recorded && self.options.versions.is_empty() {
                self.all.miss(version.clone(), hole("pending", "not tried yet".to_owned()));
            }
            if in_a_row == PROXY_FAILURES {
                continue;
            }
            let in_journal =
                self.journal.as_ref().is_some_and(|j| j.read(&text, FIRST, &wanted.key()).is_some());
            let toolchains = match self.toolchains(&version, &text, recorded || in_journal, around) {
                Ok(toolchains) => toolchains,
                Err(error) => {
                    let stage = Stage::of(&error);
                    in_a_row = if stage == Stage::Fetch { in_a_row + 1 } else { 0 };
                    around.progress.say(&format!("failed: {} {text}: {error:#}", self.module));
                    self.miss(version, hole(stage.word(), format!("{error:#}")), around);
                    continue;
                }
            };
            in_a_row = 0;
            let (axis, tested) = (FIRST.to_owned(), self.tested(&version, &text));
            tasks.push(Task { version, text, axis, toolchains, wanted, tested, may_follow: true, recorded });
        }
        self.perform(tasks, around)
    }

    fn is_recorded(&self, version: &Version, axis: &str, wanted: &Wanted<'_>) -> bool {
        let shape = self.all.build(version).and_then(|build| build.axes.get(axis));
        shape.is_some_and(|shape| {
            wanted
                .structs
                .iter()
                .all(|name| shape.structs.contains_key(*name) || shape.unreached.contains(*name))
                && wanted.functions.iter().all(|name| shape.functions.contains_key(*name))
        })
    }

    /// Whether there is nothing to be done for a version on the first architecture.
    fn is_done(&self, version: &Version) -> bool {
        let wanted = Wanted::new(self.entries, version);
        wanted.is_some_and(|wanted| self.is_recorded(version, FIRST, &wanted))
            || (self.options.new_only && self.is_known(version))
    }

    /// Whether an earlier run has settled that version: what could not be had then may be had now, what did not compile
    /// stays as it is.
    fn is_known(&self, version: &Version) -> bool {
        self.all.build(version).is_some()
            || self.all.holes().any(|(known, hole)| known == version && hole.stage == "compile")
    }

    fn tested(&self, version: &Version, text: &str) -> Tested {
        let known = self.all.build(version).map(|build| build.tested.clone()).unwrap_or_default();
        Tested {
            version: text.to_owned(),
            hash: known.hash,
            trust: known.trust,
            prerelease: version.is_prerelease() && !version.is_pseudo(),
            retracted: self.retracted.iter().any(|(low, high)| low <= version && version <= high),
            ..Tested::default()
        }
    }

    fn toolchains(
        &self,
        version: &Version,
        text: &str,
        built: bool,
        around: &Surroundings<'_>,
    ) -> Result<Vec<Release>> {
        if self.is_std() {
            let [_, minor, patch] = version.release();
            return Ok(vec![(minor, patch)]);
        }
        if built {
            return Ok(Vec::new());
        }
        let network = around.store.network()?;
        let text = listing::go_mod(network, self.module, text)?;
        let oldest = listing::go_line(&text).unwrap_or(0);
        let found = toolchains::candidates(&self.newest, oldest);
        if found.is_empty() {
            bail!("its go.mod needs Go 1.{oldest}, and no such release is known");
        }
        Ok(found)
    }

    fn perform(&mut self, tasks: Vec<Task<'_>>, around: &Surroundings<'_>) -> Result<()> {
        let journal = self.journal.as_ref().context("no journal")?;
        let Done { outcomes, interrupted } = Phase::new(around, self.module, &tasks, journal).run()?;
        self.interrupted |= interrupted;
        let mut followers = Vec::new();
        for (task, outcome) in tasks.into_iter().zip(outcomes) {
            match outcome {
                None => {}
                Some(Outcome::Failed(hole)) => match Axis::parse(&task.axis)?.other {
                    Other::Go((minor, _)) if hole.stage == Stage::Compile.word() => {
                        self.all.needs_go(&task.version, format!("1.{}", minor + 1));
                        self.promised_too_much.insert(task.version);
                    }
                    _ => self.miss(task.version, hole, around),
                },
                Some(Outcome::Built(built)) => {
                    self.all.add_toolchain(&built.toolchain);
                    if built.tested.same_as.is_some() {
                        followers.push((task.version, built.tested.clone()));
                    } else if task.axis == FIRST {
                        self.all.record(task.version, &built.tested, FIRST, built.shape);
                    } else {
                        self.record_other(&task, &built);
                    }
                }
            }
        }
        for (version, tested) in followers {
            self.all.follow(version, &tested);
        }
        Ok(())
    }

    /// A build beside the first: another architecture is recorded, another Go or dependency only where it matters.
    fn record_other(&mut self, task: &Task<'_>, built: &Built) {
        let Some(build) = self.all.build(&task.version) else { return };
        let tested = build.tested.clone();
        let base = build.axes.get(FIRST).cloned().unwrap_or_default();
        if task.axis.contains('+') && same_layout(&base, &built.shape) {
            self.all.agree(&task.version, &task.axis);
        } else {
            self.all.record(task.version.clone(), &tested, &task.axis, built.shape.clone());
        }
    }

    /// The second architecture where a run of equal layouts begins and ends; among those versions, in the newest of each minor
    /// release, the oldest Go and the newest dependencies too; of the standard library the experiments.
    fn edges(&mut self, around: &Surroundings<'_>) -> Result<()> {
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
                tasks.extend(self.newest_dependencies(&version, around)?);
            }
        }
        if self.is_std() && !self.options.no_experiments {
            tasks.extend(self.experiments(around)?);
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
        let differ =
            |a: Option<&(&Version, &Shape)>, b: &(&Version, &Shape)| a.is_none_or(|a| !same_layout(a.1, b.1));
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
        let wanted = Wanted::new(self.entries, version)?;
        let done = self.is_recorded(version, &axis, &wanted) || build.tested.agrees.contains(&axis);
        let release = go.or_else(|| crate::versions::release_of(&build.tested.toolchain))?;
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
        let own = crate::versions::release_of(&build.tested.toolchain)?;
        let axis = format!("{FIRST}+go{}", spell(release));
        if release.0 >= own.0 { None } else { self.edge_task(version, axis, Some(release)) }
    }

    /// Each dependency of which a type lies by value in what is recorded, in the newest version that goes with this one.
    fn newest_dependencies(&mut self, version: &Version, around: &Surroundings<'_>) -> Result<Vec<Task<'a>>> {
        let Some(Tested { embeds, modules, .. }) = self.all.build(version).map(|build| build.tested.clone())
        else {
            return Ok(Vec::new());
        };
        let mut tasks = Vec::new();
        for dependency in embeds {
            // One that was tried before, with what was newest then, is not tried again with each new one.
            let begin = format!("{FIRST}+{dependency}@");
            let known = self.all.build(version).is_some_and(|build| {
                build.axes.keys().chain(&build.tested.agrees).any(|axis| axis.starts_with(&begin))
            });
            let newest = if known { None } else { self.newest_with(&dependency, version, around)? };
            let newest = newest.filter(|newest| !modules.contains(&format!("{dependency}@{newest}")));
            tasks.extend(newest.and_then(|newest| self.edge_task(version, begin + &newest, None)));
        }
        Ok(tasks)
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
    fn experiments(&self, around: &Surroundings<'_>) -> Result<Vec<Task<'a>>> {
        let mut newest: BTreeMap<u64, &Version> = BTreeMap::new();
        for version in self.all.versions().filter(|version| self.versions.contains_key(version)) {
            newest.insert(version.release()[1], version);
        }
        let mut tasks = Vec::new();
        for version in newest.into_values() {
            let (Some(build), Some(wanted)) = (self.all.build(version), Wanted::new(self.entries, version))
            else {
                continue;
            };
            let [_, minor, patch] = version.release();
            let toolchain = around.store.ensure((minor, patch), around.progress)?;
            let layouts =
                build.axes.get(FIRST).into_iter().flat_map(|shape| shape.structs.values().flatten());
            let kinds = layouts.flat_map(|layout| layout.fields.values().map(|(_, kind)| kind));
            let mut packages = wanted.packages();
            packages.extend(kinds.filter_map(|kind| dwarf::package(kind)).map(str::to_owned));
            for experiment in experiments::of(&toolchain.goroot, &packages)? {
                tasks.extend(self.edge_task(version, format!("{FIRST}+X:{experiment}"), None));
            }
        }
        Ok(tasks)
    }
}

/// Whether two builds have the same structs, and functions called in the same way.
pub fn same_layout(a: &Shape, b: &Shape) -> bool {
    let calls = |shape: &Shape| -> BTreeMap<String, _> {
        let functions = shape.functions.iter();
        functions
            .map(|(name, s)| (name.clone(), s.as_ref().map(|s| (s.params.clone(), s.results.clone()))))
            .collect()
    };
    a.structs == b.structs && calls(a) == calls(b)
}

/// One of several equal parts of a list; neighbours stay together.
fn shard(versions: Versions, number: usize, count: usize) -> Versions {
    let all = versions.len();
    let bounds = (all * (number - 1) / count, all * number / count);
    versions
        .into_iter()
        .enumerate()
        .filter(|(i, _)| (bounds.0..bounds.1).contains(i))
        .map(|(_, pair)| pair)
        .collect()
}
