//! `offsetgen verify`: builds recorded entries from nothing and compares. It writes no data.
//!
//! An entry is a version on an axis, those on which it agrees with its first one included. One that follows another is built
//! like any other, so that the claim of equal sources is tried too. Nothing compiled before the run is reused: the build
//! cache is an empty folder that goes at the end, and with it what each toolchain compiled as soon as it has served.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};
use offsets::Version;
use offsets::catalog::Entry;

use super::diff;
use crate::catalog::Catalog;
use crate::cli::VerifyOptions;
use crate::data::folder;
use crate::failure::Stage;
use crate::go::cache::Store;
use crate::go::release::{Release, release_of};
use crate::memory::Bounds;
use crate::output::print;
use crate::probe::axis::{Axis, FIRST, Other};
use crate::probe::compile::prepare;
use crate::probe::recipe::Recipe;
use crate::probe::wanted::Wanted;
use crate::progress::Progress;
use crate::record::observations::{Build, Observations};
use crate::record::surroundings::lock_cache;

struct Candidate {
    module: String,
    version: Version,
    axis: String,
    build: Build,
}

/// True when every entry that is still served agrees, and most are.
pub fn run(options: &VerifyOptions) -> Result<bool> {
    let catalog = Catalog::read(options.catalog.as_deref(), &options.only)?;
    let progress = Progress::new();
    let store = Store::open(&options.cache)?.with_bounds(Bounds::new(Some(1), None));
    // A build beside it could take toolchains away.
    let _lock = lock_cache(&store, &progress)?;
    let fresh = store.scratch("verify-")?;
    let store = store.with_build_cache(fresh.path());
    let candidates = candidates(options, &catalog.entries)?;
    let chosen = sample(candidates, options);
    if chosen.is_empty() {
        bail!("nothing is recorded that could be verified");
    }
    let (mut agree, mut withheld) = (0, 0);
    for (position, candidate) in chosen.iter().enumerate() {
        let verdict = match check(candidate, &catalog, &store, &progress, options.trust_on_first_use) {
            Ok(differences) if differences.is_empty() => {
                agree += 1;
                "agrees".to_owned()
            }
            Ok(differences) => differences.join("; "),
            // What upstream has deleted stays recorded, and says nothing against the record.
            Err(error) if Stage::of(&error) == Stage::Withheld => {
                withheld += 1;
                format!("is no longer served: {error:#}")
            }
            Err(error) => format!("cannot be built again: {error:#}"),
        };
        let Candidate { module, axis, build, .. } = candidate;
        print(&format!("{module}\t{}\t{axis}\t{verdict}\n", build.tested.version))?;
        let release = candidate.release()?;
        let again = chosen.iter().skip(position + 1).any(|later| later.release().is_ok_and(|r| r == release));
        if !again && options.prune {
            store.forget(release)?;
        }
    }
    let gone = if withheld == 0 { String::new() } else { format!(", {withheld} are no longer served") };
    print(&format!("{agree} of {} entries agree{gone}\n", chosen.len()))?;
    // A proxy that serves next to nothing any more lets nothing be verified.
    Ok(agree > 0 && agree >= withheld && agree + withheld == chosen.len())
}

fn candidates(options: &VerifyOptions, entries: &[Entry]) -> Result<Vec<Candidate>> {
    let modules: BTreeSet<&str> = entries.iter().map(|entry| entry.module.as_str()).collect();
    let mut all = Vec::new();
    for (module, document) in folder::documents(&options.data)? {
        if !modules.contains(module.as_str()) {
            continue;
        }
        for (version, build) in Observations::read(&document).builds() {
            if !options.versions.is_empty() && !options.versions.contains(&build.tested.version) {
                continue;
            }
            for axis in build.axes.keys().chain(&build.tested.agrees) {
                let (module, axis) = (module.clone(), axis.clone());
                all.push(Candidate { module, version: version.clone(), axis, build: build.clone() });
            }
        }
    }
    Ok(all)
}

impl Candidate {
    /// What compiles it.
    fn release(&self) -> Result<Release> {
        let usual = &self.build.tested.toolchain;
        match Axis::parse(&self.axis)?.other {
            Other::Go(release) => Ok(release),
            _ => release_of(usual).with_context(|| format!("{usual} is no release")),
        }
    }
}

/// So many of them, chosen by the seed; in the order of the data, so that toolchains are used one after the other.
fn sample(mut all: Vec<Candidate>, options: &VerifyOptions) -> Vec<Candidate> {
    let Some(count) = options.sample else { return all };
    let mut state = options.seed.unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        now.map_or(1, |now| u64::from(now.subsec_nanos()) ^ now.as_secs())
    });
    eprintln!("seed {state}");
    while all.len() > count {
        // SplitMix64: any even choice will do.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let place = usize::try_from((z ^ (z >> 31)) % all.len() as u64).unwrap_or(0);
        all.remove(place);
    }
    all
}

/// What is different.
fn check(
    candidate: &Candidate,
    catalog: &Catalog,
    store: &Store,
    progress: &Progress,
    trust_on_first_use: bool,
) -> Result<Vec<String>> {
    let Candidate { module, version, axis, build } = candidate;
    let own = catalog.of_module(module);
    let wanted = Wanted::new(&own, version).context("the catalog no longer covers it")?;
    let tested = &build.tested;
    let toolchain = store.ensure(candidate.release()?, progress)?;
    let recipe = Recipe {
        wanted: &wanted,
        module: (module != offsets::STD).then_some((module.as_str(), tested.version.as_str())),
        axis: Axis::parse(axis)?,
        known: tested,
        trust_on_first_use,
    };
    let ready = prepare(&recipe, &toolchain, store)?;
    let mut differences = Vec::new();
    if ready.modules.hash != tested.hash {
        differences.push(format!("its hash is {:?}, recorded is {:?}", ready.modules.hash, tested.hash));
    }
    let found = ready.build(&recipe, store)?;
    // What agrees has the first one's record.
    let recorded = build.axes.get(axis).or_else(|| build.axes.get(FIRST)).cloned().unwrap_or_default();
    // What the catalog has come to name since is no part of the record.
    let seen = found.shape.filtered(|name| recorded.names().any(|known| known == name));
    let is_other = !build.axes.contains_key(axis);
    if is_other && !recorded.is_laid_out_as(&seen) || !is_other && recorded != seen {
        differences.extend(diff::shapes(&recorded, &seen));
        let sizes = seen.structs.iter().filter(|(name, layout)| recorded.structs.get(*name) != Some(layout));
        differences.extend(sizes.map(|(name, _)| format!("{name} differs")));
        if differences.is_empty() {
            differences.push("something else is found, or not found".to_owned());
        }
    }
    Ok(differences)
}
