//! `offsetgen verify`: builds recorded entries from nothing and compares. It writes no data.
//!
//! An entry is a version on an axis. One that follows another is built like any other, so that the claim of equal sources
//! is tried too. Nothing compiled is reused: the build cache is an empty folder that goes at the end.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};
use offsets::Version;
use offsets::catalog::Entry;
use offsets::database::observations::{Build, Observations, Shape};

use super::attempt::{Recipe, prepare};
use super::catalog;
use super::wanted::Wanted;
use crate::cli::VerifyOptions;
use crate::progress::Progress;
use crate::toolchain::Store;
use crate::versions::release_of;
use crate::{data, diff};

struct Candidate {
    module: String,
    version: Version,
    axis: String,
    build: Build,
}

/// True when every entry agrees.
pub fn run(options: &VerifyOptions) -> Result<bool> {
    let entries = catalog::read(options.catalog.as_deref(), &options.only)?;
    let progress = Progress::new();
    let store = Store::open(&options.cache)?;
    let fresh = store.scratch("verify-")?;
    let store = store.with_build_cache(fresh.path());
    let candidates = candidates(options, &entries)?;
    let chosen = sample(candidates, options);
    if chosen.is_empty() {
        bail!("nothing is recorded that could be verified");
    }
    let mut wrong = 0;
    for candidate in &chosen {
        let differences = match check(candidate, &entries, &store, &progress, options.trust_on_first_use) {
            Ok(differences) => differences,
            Err(error) => vec![format!("cannot be built again: {error:#}")],
        };
        let Candidate { module, axis, build, .. } = candidate;
        let verdict = if differences.is_empty() { "agrees".to_owned() } else { differences.join("; ") };
        println!("{module}\t{}\t{axis}\t{verdict}", build.tested.version);
        wrong += usize::from(!differences.is_empty());
    }
    println!("{} of {} entries agree", chosen.len() - wrong, chosen.len());
    Ok(wrong == 0)
}

fn candidates(options: &VerifyOptions, entries: &[Entry]) -> Result<Vec<Candidate>> {
    let modules: BTreeSet<&str> = entries.iter().map(|entry| entry.module.as_str()).collect();
    let mut all = Vec::new();
    for (module, document) in data::documents(&options.data)? {
        if !modules.contains(module.as_str()) {
            continue;
        }
        for (version, build) in Observations::read(&document).builds() {
            if !options.versions.is_empty() && !options.versions.contains(&build.tested.version) {
                continue;
            }
            for axis in build.axes.keys().filter(|axis| !axis.contains("+")) {
                let (module, axis) = (module.clone(), axis.clone());
                all.push(Candidate { module, version: version.clone(), axis, build: build.clone() });
            }
        }
    }
    Ok(all)
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
    entries: &[Entry],
    store: &Store,
    progress: &Progress,
    trust_on_first_use: bool,
) -> Result<Vec<String>> {
    let Candidate { module, version, axis, build } = candidate;
    let own: Vec<Entry> = entries.iter().filter(|entry| entry.module == *module).cloned().collect();
    let wanted = Wanted::new(&own, version).context("the catalog no longer covers it")?;
    let tested = &build.tested;
    let release =
        release_of(&tested.toolchain).with_context(|| format!("{} is no release", tested.toolchain))?;
    let toolchain = store.ensure(release, progress)?;
    let recipe = Recipe {
        wanted: &wanted,
        module: (module != offsets::STD).then_some((module.as_str(), tested.version.as_str())),
        with: None,
        arch: axis,
        known_hash: tested.hash.as_deref(),
        trust_on_first_use,
    };
    let ready = prepare(&recipe, &toolchain, store)?;
    let mut differences = Vec::new();
    if ready.hash != tested.hash {
        differences.push(format!("its hash is {:?}, recorded is {:?}", ready.hash, tested.hash));
    }
    let found = ready.build(&recipe, store)?;
    let recorded = build.axes.get(axis).cloned().unwrap_or_default();
    // What the catalog has come to name since is no part of the record.
    let seen = Shape {
        structs: found
            .shape
            .structs
            .into_iter()
            .filter(|(name, _)| recorded.structs.contains_key(name))
            .collect(),
        functions: found
            .shape
            .functions
            .into_iter()
            .filter(|(name, _)| recorded.functions.contains_key(name))
            .collect(),
        ..Shape::default()
    };
    differences.extend(diff::shapes(&recorded, &seen));
    let sizes = seen.structs.iter().filter(|(name, layout)| recorded.structs.get(*name) != Some(layout));
    differences.extend(sizes.map(|(name, _)| format!("{name} differs")));
    Ok(differences)
}
