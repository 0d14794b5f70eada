//! `offsetgen build` and `offsetgen update`: from versions to the database, module by module ([`crate::record`]).

use std::collections::BTreeSet;
use std::fs;
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::catalog::Catalog;
use crate::cli::BuildOptions;
use crate::data::folder::lock;
use crate::effort;
use crate::go::cache::Store;
use crate::go::choice;
use crate::memory::Bounds;
use crate::progress::Progress;
use crate::record::run;
use crate::record::surroundings::{Surroundings, lock_cache};

/// True when the database was written (or is the same as before) and all versions that were asked for by name are in it.
pub fn run(options: &BuildOptions) -> Result<bool> {
    let begun = Instant::now();
    let catalog = Catalog::read(options.catalog.as_deref(), &options.only)?;
    let progress = Progress::new();
    let bounds = Bounds::new(options.jobs.map(NonZeroUsize::get), options.memory);
    let store = Store::open(&options.cache)?.with_bounds(bounds);
    fs::create_dir_all(&options.out).with_context(|| format!("cannot create {}", options.out.display()))?;
    let out = options.out.canonicalize();
    if out.with_context(|| format!("cannot find {}", options.out.display()))? == store.cache() {
        bail!("--out and the cache are both {}: each needs a folder of its own", options.out.display());
    }
    let _locks = [lock(&options.out, &progress)?, lock_cache(&store, &progress)?];
    let modules: BTreeSet<&str> = catalog.entries.iter().map(|entry| entry.module.as_str()).collect();
    let deadline = options.stop_after.map(|minutes| begun + Duration::from_secs(minutes * 60));
    let mut around = Surroundings {
        store: &store,
        progress: &progress,
        jobs: bounds.jobs,
        deadline,
        prune: options.prune,
        kept: BTreeSet::new(),
        trust_on_first_use: options.trust_on_first_use,
    };
    if options.prune && modules.len() > 1 {
        let newest = choice::newest(options, &store, &progress)?;
        around.kept.extend(choice::candidates(&newest, 0));
    }
    let mut complete = true;
    let mut failures = Vec::new();
    // The standard library first: what it compiles is what the modules need.
    let ordered =
        modules.iter().filter(|m| **m == offsets::STD).chain(modules.iter().filter(|m| **m != offsets::STD));
    for module in ordered {
        match run::build(module, &catalog.of_module(module), options, &mut around) {
            Ok(all) => complete &= all,
            Err(error) => failures.push(error.context((*module).to_owned())),
        }
        if options.prune && *module != offsets::STD {
            store.forget_modules()?;
        }
    }
    progress.say(&effort::summary(begun));
    for failure in failures.iter().skip(1) {
        progress.say(&format!("offsetgen: {failure:#}"));
    }
    failures.into_iter().next().map_or(Ok(complete), Err)
}
