//! One module, from its list of versions to its file.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Context, Result, bail};
use offsets::catalog::Entry;
use offsets::database::format::{Hole, Tested};
use offsets::database::observations::{Observations, Shape};
use offsets::{STD, Version};

use super::axis::{Axis, FIRST, Other};
use super::journal::{Built, Journal};
use super::listing::{self, Versions};
use super::pipeline::{Done, Outcome, PROXY_FAILURES, Phase, Task};
use super::wanted::Wanted;
use super::{Surroundings, catalog, document_path, read_document, toolchains, write_document};
use crate::cli::BuildOptions;
use crate::failure::{Failure, Stage};
use crate::versions::{Release, release_of, spell};

/// True when every version that was asked for by name is recorded, and nothing failed that may pass.
pub fn build(
    module: &str,
    entries: &[Entry],
    options: &BuildOptions,
    around: &mut Surroundings<'_>,
) -> Result<bool> {
    let path = document_path(&options.out, module);
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
    let agrees = errors.is_empty();
    if !agrees {
        let (disagree, errors) = ("the catalog does not agree with what was built", errors.join("\n"));
        if !options.new_only {
            bail!("{disagree}; {} is as it was\n{errors}", path.display());
        }
        // That one field has another type in a new release is no reason to keep nothing of it: whoever reads the data refuses a
        // field of another type by itself.
        around.progress.say(&format!("failed: {module}: {disagree}; it is recorded all the same\n{errors}"));
    }
    let recorded = |version: &Version| run.all.build(version).is_some();
    let all_there = options.versions.is_empty() || run.versions.keys().all(recorded);
    let complete = all_there && agrees && !run.interrupted;
    run.all.add_settings(super::GENERATOR, super::SETTINGS);
    write_document(&path, &run.all.into_document(module))?;
    Ok(complete)
}

/// One module's build under way.
pub(super) struct Run<'a> {
    pub(super) module: &'a str,
    pub(super) entries: &'a [Entry],
    pub(super) options: &'a BuildOptions,
    pub(super) journal: Option<Journal>,
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

    pub(super) fn is_std(&self) -> bool {
        self.module == STD
    }

    fn covered(&self, version: &Version) -> bool {
        self.entries.iter().any(|entry| !entry.is_borrowed() && entry.versions.contains(version))
    }

    fn find_versions(
        &mut self,
        before: &offsets::database::format::Document,
        around: &mut Surroundings<'_>,
    ) -> Result<()> {
        let (options, store, progress) = (self.options, around.store, around.progress);
        self.journal = Some(Journal::new(store.cache(), self.module, options));
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
        let listed = listing::listed(network, self.module, around.progress)?;
        let exists = |text: &str| network.proxies.exists(&network.client, self.module, text);
        if let Some(newest) = before.versions.last()
            && listed.is_empty()
            && !exists(&newest.version)?
        {
            let text = format!(
                "the proxy has neither a list of its versions nor {}, which is recorded: whether there are new ones is not known",
                newest.version
            );
            return Err(Failure::new(Stage::Fetch, text).into());
        }
        let mut versions = listing::parse(self.module, listed.iter().map(String::as_str));
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
        listing::complete(self.module, &mut versions, |text| Ok(exists(text)?))?;
        Ok(versions)
    }

    /// The newest release's go.mod says what was taken back; of those that the proxy serves, since one may be listed and
    /// withheld.
    fn find_retractions(&mut self, around: &Surroundings<'_>) {
        let releases = self.versions.iter().rev().filter(|(version, _)| !version.is_prerelease());
        let releases: Vec<String> = releases.take(5).map(|(_, text)| text.clone()).collect();
        let mut failure = None;
        for text in &releases {
            let asked =
                around.store.network().and_then(|network| Ok(listing::go_mod(network, self.module, text)?));
            match asked {
                Ok(text) => {
                    let retracted = listing::retractions(self.module, &text);
                    self.all.retract(|v| retracted.iter().any(|(low, high)| low <= v && v <= high));
                    self.retracted = retracted;
                    return;
                }
                Err(error) if Stage::of(&error) == Stage::Withheld => failure = Some(error),
                Err(error) => {
                    self.interrupted = true;
                    failure = Some(error);
                    break;
                }
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
        match hole.axis {
            None if self.all.build(&version).is_some() => self.all.miss_again(version, hole, FIRST),
            _ => self.all.miss(version, hole),
        }
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
            if !recorded && self.options.versions.is_empty() && !self.before.contains(&version) {
                self.all.miss(version.clone(), hole("pending", "not tried yet".to_owned()));
            }
            if in_a_row == PROXY_FAILURES {
                continue;
            }
            // One that follows another is not taken from the journal where that one is no part of this run.
            let journal = self.journal.as_ref().and_then(|journal| journal.read(&text, FIRST, &wanted.key()));
            let built = recorded || journal.is_some_and(|built| built.tested.same_as.is_none());
            let toolchains = match self.toolchains(&version, &text, built, around) {
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
    fn is_done(&self, version: &Version) -> bool {
        let wanted = Wanted::new(self.entries, version);
        wanted.is_some_and(|wanted| self.is_recorded(version, FIRST, &wanted))
            || (self.options.new_only && self.is_known(version))
    }

    /// Whether an earlier run has settled that version: what could not be had then may be had now, what did not compile
    /// stays as it is.
    fn is_known(&self, version: &Version) -> bool {
        // On the first axis only what was named later can be missing.
        let is_whole = |hole: &Hole| hole.axis.as_ref().is_none_or(|axis| axis == FIRST);
        let mut holes = self.all.holes().filter(|(known, hole)| *known == version && is_whole(hole));
        let first = holes.next().map(|(_, hole)| hole.stage == Stage::Compile.word());
        first.unwrap_or_else(|| self.all.build(version).is_some())
    }

    fn tested(&self, version: &Version, text: &str) -> Tested {
        let known = self.all.build(version).map(|build| build.tested.clone()).unwrap_or_default();
        Tested {
            version: text.to_owned(),
            hash: known.hash,
            trust: known.trust,
            prerelease: version.is_prerelease() && !version.is_pseudo(),
            retracted: known.retracted
                || self.retracted.iter().any(|(low, high)| low <= version && version <= high),
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
            let text = format!("its go.mod needs Go 1.{oldest}, and no such release is known");
            return Err(Failure::new(Stage::Withheld, text).into());
        }
        Ok(found)
    }

    pub(super) fn perform(&mut self, tasks: Vec<Task<'_>>, around: &Surroundings<'_>) -> Result<()> {
        let journal = self.journal.as_ref().context("no journal")?;
        let Done { outcomes, interrupted } = Phase::new(around, self.module, &tasks, journal).run()?;
        self.interrupted |= interrupted;
        let mut followers = Vec::new();
        for (task, outcome) in tasks.into_iter().zip(outcomes) {
            match outcome {
                None if task.axis == FIRST => {}
                None => {
                    let (stage, reason) = ("pending".to_owned(), "not tried yet".to_owned());
                    let hole = Hole { version: task.text, axis: Some(task.axis), stage, reason };
                    self.all.miss(task.version, hole);
                }
                Some(Outcome::Failed(hole)) => match Axis::parse(&task.axis)?.other {
                    Other::Go((minor, _))
                        if hole.stage == Stage::Compile.word() && minor < compiler(&task.tested) =>
                    {
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
}

/// The minor release of Go that a record was compiled with.
pub(super) fn compiler(tested: &Tested) -> u64 {
    release_of(&tested.toolchain).map_or(0, |release| release.0)
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
