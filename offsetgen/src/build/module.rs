//! One module, from its list of versions to its file.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result, bail};
use offsets::catalog::Entry;
use offsets::database::format::{Hole, Tested};
use offsets::database::observations::{Observations, Shape};
use offsets::{STD, Version};

use super::journal::{Built, Journal};
use super::listing::{self, Versions};
use super::pipeline::{Outcome, Phase, Task};
use super::wanted::Wanted;
use super::{Surroundings, catalog, file_name, read_document, toolchains, write_document};
use crate::cli::BuildOptions;
use crate::versions::{OLDEST_MINOR, Release, spell};

/// The architecture on which every version is built.
const FIRST: &str = "amd64";

/// True when every version that was asked for by name is recorded.
pub fn build(
    module: &str,
    entries: &[Entry],
    options: &BuildOptions,
    around: &mut Surroundings<'_>,
) -> Result<bool> {
    let path = options.out.join(file_name(module));
    let before = read_document(&path, module)?;
    let all = Observations::read(&before);
    let mut run = Run::new(module, entries, options, all)?;
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
    let complete = options.versions.is_empty() || run.versions.keys().all(recorded);
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
    /// The `go` line of each version's go.mod.
    go_lines: BTreeMap<Version, u64>,
    /// What each version was found to be made of, in this run.
    built: BTreeMap<Version, Built>,
}

impl<'a> Run<'a> {
    fn new(
        module: &'a str,
        entries: &'a [Entry],
        options: &'a BuildOptions,
        all: Observations,
    ) -> Result<Self> {
        Ok(Self {
            module,
            entries,
            options,
            journal: None,
            all,
            versions: Versions::new(),
            newest: Vec::new(),
            retracted: Vec::new(),
            go_lines: BTreeMap::new(),
            built: BTreeMap::new(),
        })
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
            let named: Vec<&str> =
                options.versions.iter().map(String::as_str).filter(|text| text.starts_with('v')).collect();
            self.versions = if named.is_empty() {
                self.list(before, around)?
            } else {
                listing::parse(self.module, named)
            };
            self.newest = toolchains::newest(options, store, progress)?;
            around.kept.extend(toolchains::candidates(&self.newest, 0));
            self.find_retractions(around);
        }
        let versions = std::mem::take(&mut self.versions);
        self.versions = versions.into_iter().filter(|(version, _)| self.covered(version)).collect();
        if let Some((number, count)) = options.shard {
            self.versions = shard(std::mem::take(&mut self.versions), number, count);
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
                    self.retracted = listing::retractions(self.module, &text);
                    return;
                }
                Err(error) => failure = Some(error),
            }
        }
        if let Some(error) = failure {
            around.progress.say(&format!("{}: what is retracted is not known: {error:#}", self.module));
        }
    }

    /// Says why a version is not recorded.
    fn miss(&mut self, version: Version, mut hole: Hole, around: &Surroundings<'_>) {
        if let Ok(network) = around.store.network() {
            hole.reason = network.proxies.hide(&hole.reason);
        }
        self.all.miss(version, hole);
    }

    /// Every version that is not recorded, the newest first.
    fn first_architecture(&mut self, around: &Surroundings<'_>) -> Result<()> {
        let versions: Vec<(Version, String)> =
            self.versions.iter().rev().map(|(v, t)| (v.clone(), t.clone())).collect();
        let mut tasks = Vec::new();
        for (version, text) in versions {
            let Some(wanted) = Wanted::new(self.entries, &version) else { continue };
            let recorded = self.is_recorded(&version, FIRST, &wanted)
                || (self.options.new_only && self.is_known(&version));
            let hole =
                |stage: &str, reason: String| Hole { version: text.clone(), axis: None, stage: stage.to_owned(), reason };
            let toolchains = match self.toolchains(&version, &text, recorded, around) {
                Ok(toolchains) => toolchains,
                Err(error) => {
                    around.progress.say(&format!("failed: {} {text}: {error:#}", self.module));
                    self.miss(version, hole("fetch", format!("{error:#}")), around);
                    continue;
                }
            };
            if !recorded {
                self.all.miss(version.clone(), hole("pending", "not tried yet".to_owned()));
            }
            let tested = self.tested(&version, &text);
            let (axis, arch) = (FIRST.to_owned(), FIRST.to_owned());
            tasks.push(Task {
                version,
                text,
                axis,
                arch,
                toolchains,
                with: None,
                wanted,
                tested,
                may_follow: true,
                recorded,
            });
        }
        self.perform(tasks, around)
    }

    fn is_recorded(&self, version: &Version, axis: &str, wanted: &Wanted<'_>) -> bool {
        let shape = self.all.build(version).and_then(|build| build.axes.get(axis));
        shape.is_some_and(|shape| {
            wanted.structs.iter().all(|name| shape.structs.contains_key(*name))
                && wanted.functions.iter().all(|name| shape.functions.contains_key(*name))
        })
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
            prerelease: version.is_prerelease() && !listing::is_pseudo(text),
            retracted: self.retracted.iter().any(|(low, high)| low <= version && version <= high),
            ..Tested::default()
        }
    }

    fn toolchains(
        &mut self,
        version: &Version,
        text: &str,
        recorded: bool,
        around: &Surroundings<'_>,
    ) -> Result<Vec<Release>> {
        if self.is_std() {
            let [_, minor, patch] = version.release();
            return Ok(vec![(minor, patch)]);
        }
        if recorded {
            return Ok(Vec::new());
        }
        let network = around.store.network()?;
        let text = listing::go_mod(network, self.module, text)?;
        let oldest = listing::go_line(&text).unwrap_or(0);
        self.go_lines.insert(version.clone(), oldest);
        let found = toolchains::candidates(&self.newest, oldest);
        if found.is_empty() {
            bail!("its go.mod needs Go 1.{oldest}, and no such release is known");
        }
        Ok(found)
    }

    fn perform(&mut self, tasks: Vec<Task<'_>>, around: &Surroundings<'_>) -> Result<()> {
        let journal = self.journal.as_ref().context("no journal")?;
        let outcomes = Phase { around, module: self.module, tasks: &tasks, journal }.run();
        let mut followers = Vec::new();
        for (task, outcome) in tasks.into_iter().zip(outcomes) {
            match outcome {
                None => {}
                Some(Outcome::Failed(hole)) => self.miss(task.version, hole, around),
                Some(Outcome::Built(built)) => {
                    self.all.add_toolchain(&built.toolchain);
                    if built.tested.same_as.is_some() {
                        followers.push((task.version, built.tested.clone()));
                    } else if task.axis == FIRST {
                        self.all.record(task.version.clone(), &built.tested, FIRST, built.shape.clone());
                        self.built.insert(task.version, *built);
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

    /// The second architecture, the oldest Go and the newest dependencies, where a run of equal layouts begins and ends.
    fn edges(&mut self, around: &Surroundings<'_>) -> Result<()> {
        let edges = self.edge_versions();
        let mut tasks = Vec::new();
        for version in edges {
            for arch in self.options.arch.iter().filter(|arch| *arch != FIRST) {
                tasks.extend(self.edge_task(&version, arch.clone(), arch.clone(), None, None));
            }
            if !self.is_std() {
                tasks.extend(self.oldest_go(&version));
            }
        }
        // By toolchain, so that each is used once and can go.
        tasks.sort_by(|a, b| b.toolchains.cmp(&a.toolchains).then_with(|| b.version.cmp(&a.version)));
        self.perform(tasks, around)
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

    fn edge_task(
        &self,
        version: &Version,
        axis: String,
        arch: String,
        go: Option<Release>,
        with: Option<(String, String)>,
    ) -> Option<Task<'a>> {
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
            arch,
            toolchains: vec![release],
            with,
            wanted,
            tested,
            may_follow: false,
            recorded: false,
        })
    }

    /// The oldest Go that can build a version and all that it needs, unless that is the one that has.
    fn oldest_go(&self, version: &Version) -> Option<Task<'a>> {
        let build = self.all.build(version)?;
        let known = self.built.get(version)?;
        let lines = known.modules.iter().filter_map(|(_, go)| Some(Version::parse(STD, go)?.release()[1]));
        let oldest = lines.max().unwrap_or(0).max(OLDEST_MINOR);
        let release = *self.newest.iter().find(|release| release.0 >= oldest)?;
        let own = crate::versions::release_of(&build.tested.toolchain)?;
        let axis = format!("{FIRST}+go{}", spell(release));
        if release.0 >= own.0 {
            None
        } else {
            self.edge_task(version, axis, FIRST.to_owned(), Some(release), None)
        }
    }
}

/// Whether two builds have the same structs, and functions called in the same way.
fn same_layout(a: &Shape, b: &Shape) -> bool {
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
