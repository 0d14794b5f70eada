//! Downloads and compilations side by side.
//!
//! One thread makes toolchains ready in order and hands each, once per architecture, to the compiling threads. A failure
//! is kept and the others go on, so that one run tells all that is wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Error, Result};
use offsets::catalog::Entry;
use offsets::database::format::Tested;
use offsets::database::observations::Layout;
use offsets::{STD, Version};

use super::{compile, dwarf};
use crate::progress::Progress;
use crate::toolchain::{Store, Toolchain};
use crate::versions::{Release, spell};

/// What to do.
pub struct Plan<'a> {
    /// Whose targets to compile.
    pub entries: &'a [Entry],
    /// With which toolchains.
    pub releases: &'a [Release],
    /// For what.
    pub arch: &'a [String],
    /// How many compilations at a time.
    pub jobs: usize,
}

/// One version on one architecture.
pub struct Found {
    /// The version.
    pub version: Version,
    /// Where it came from.
    pub tested: Tested,
    /// The architecture.
    pub arch: String,
    /// Every wanted struct; those that do not exist have no fields.
    pub structs: BTreeMap<String, Layout>,
}

type Job = (Release, Toolchain, String);

/// Runs the plan: what was found, and what failed.
pub fn run(plan: &Plan<'_>, store: &Store, progress: &Progress) -> (Vec<Found>, Vec<Error>) {
    let (jobs, queue) = channel::<Job>();
    let queue = Mutex::new(queue);
    let results: Mutex<(Vec<Found>, Vec<Error>)> = Mutex::default();
    let keep = |result: Result<Option<Found>>| {
        let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
        match result {
            Ok(found) => results.0.extend(found),
            Err(error) => results.1.push(error),
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..plan.jobs.min(plan.releases.len().saturating_mul(plan.arch.len())) {
            scope.spawn(|| {
                while let Some(job) = next(&queue) {
                    keep(observe(plan, store, progress, &job).map(Some));
                }
            });
        }
        for release in plan.releases {
            keep(enqueue(plan, store, progress, *release, &jobs).map(|()| None));
        }
        drop(jobs);
    });
    results.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn enqueue(
    plan: &Plan<'_>,
    store: &Store,
    progress: &Progress,
    release: Release,
    jobs: &Sender<Job>,
) -> Result<()> {
    let toolchain = store.ensure(release, progress)?;
    for arch in plan.arch {
        jobs.send((release, toolchain.clone(), arch.clone())).context("the compiling threads are gone")?;
    }
    Ok(())
}

fn next(queue: &Mutex<Receiver<Job>>) -> Option<Job> {
    queue.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}

fn observe(plan: &Plan<'_>, store: &Store, progress: &Progress, job: &Job) -> Result<Found> {
    let (release, toolchain, arch) = job;
    let name = spell(*release);
    let step = progress.step(&format!("compile std {name} {arch}"), None);
    let result = observe_quietly(plan, store, job);
    drop(step);
    result.with_context(|| format!("std {name} {arch}, built with {}", toolchain.provenance.version))
}

fn observe_quietly(plan: &Plan<'_>, store: &Store, (release, toolchain, arch): &Job) -> Result<Found> {
    let name = spell(*release);
    let version = Version::parse(STD, &name).with_context(|| format!("{name} is no version"))?;
    let covering = plan.entries.iter().filter(|entry| entry.versions.contains(&version));
    let wanted: BTreeSet<&str> = covering.flat_map(Entry::structs).collect();
    let programs = compile::compile(plan.entries, &version, toolchain, arch, store.cache())?;
    let mut structs: BTreeMap<String, Layout> =
        wanted.iter().map(|name| ((*name).to_owned(), Layout::new())).collect();
    for file in &programs.files {
        for (name, layout) in dwarf::read(file, &wanted)? {
            let known = structs.insert(name.clone(), layout.clone()).unwrap_or_default();
            anyhow::ensure!(known.is_empty() || known == layout, "{name} has two layouts in two programs");
        }
    }
    let tested =
        Tested { version: name, arch: Vec::new(), toolchain: toolchain.provenance.clone(), hash: None };
    Ok(Found { version, tested, arch: arch.clone(), structs })
}
