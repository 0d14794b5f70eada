//! `offsetgen report`: how much of what exists is recorded, and why each hole is one.

use std::collections::BTreeMap;

use anyhow::Result;
use offsets::database::format::{Document, Hole};
use offsets::database::observations::Observations;
use serde::Serialize;

use crate::cli::ReportOptions;
use crate::data;

/// One module in numbers.
#[derive(Debug, Serialize)]
struct Coverage<'a> {
    module: &'a str,
    /// Versions that are known.
    known: usize,
    /// Of those, recorded.
    recorded: usize,
    /// Of the recorded, compiled themselves; the others follow one with the same source.
    built: usize,
    prereleases: usize,
    retracted: usize,
    /// By axis: versions that were compiled for it.
    axes: BTreeMap<String, usize>,
    structs: usize,
    functions: usize,
    holes: &'a [Hole],
}

/// True when at least 99 of 100 versions of every module are recorded, those apart that do not compile at all.
pub fn run(options: &ReportOptions) -> Result<bool> {
    let documents = data::documents(&options.data)?;
    let mut complete = true;
    for module in offsets::catalog::entries().iter().map(|entry| &entry.module) {
        if !documents.contains_key(module) {
            complete = false;
        }
    }
    for document in documents.values() {
        let coverage = coverage(document);
        let buildable = coverage.known - document.holes.iter().filter(|hole| hole.stage == "compile").count();
        complete &= coverage.recorded * 100 >= buildable * 99;
        if options.json {
            println!("{}", serde_json::to_string(&coverage)?);
        } else {
            show(&coverage);
        }
    }
    let missing = offsets::catalog::entries().iter().map(|entry| entry.module.as_str());
    let mut missing: Vec<&str> = missing.filter(|module| !documents.contains_key(*module)).collect();
    missing.sort_unstable();
    missing.dedup();
    for module in missing.iter().filter(|_| !options.json) {
        println!("{module}: nothing is recorded: not built yet");
    }
    Ok(complete)
}

fn coverage(document: &Document) -> Coverage<'_> {
    let all = Observations::read(document);
    let mut axes = BTreeMap::new();
    for (_, build) in all.builds().filter(|(_, build)| build.tested.same_as.is_none()) {
        for axis in build.tested.arch.iter().chain(&build.tested.agrees) {
            *axes.entry(axis.clone()).or_default() += 1;
        }
    }
    let versions = &document.versions;
    Coverage {
        module: &document.module,
        known: versions.len() + document.holes.len(),
        recorded: versions.len(),
        built: versions.iter().filter(|tested| tested.same_as.is_none()).count(),
        prereleases: versions.iter().filter(|tested| tested.prerelease).count(),
        retracted: versions.iter().filter(|tested| tested.retracted).count(),
        axes,
        structs: document.structs.values().filter(|record| !record.sizes.is_empty()).count(),
        functions: document.functions.values().filter(|record| !record.runs.is_empty()).count(),
        holes: &document.holes,
    }
}

fn show(coverage: &Coverage<'_>) {
    let Coverage { module, known, recorded, built, structs, functions, .. } = coverage;
    let share = *recorded as f64 / (*known).max(1) as f64 * 100.0;
    let follow = recorded - built;
    println!(
        "{module}: {recorded} of {known} known versions recorded ({share:.1} %): {built} compiled, {follow} follow"
    );
    let Coverage { prereleases, retracted, .. } = coverage;
    println!("  {structs} structs, {functions} functions; {prereleases} pre-releases, {retracted} retracted");
    let axes: Vec<String> = coverage.axes.iter().map(|(axis, count)| format!("{axis} {count}")).collect();
    println!("  compiled for: {}", axes.join(", "));
    let mut reasons: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for hole in coverage.holes {
        reasons
            .entry((&hole.stage, hole.reason.lines().next().unwrap_or_default()))
            .or_default()
            .push(&hole.version);
    }
    for ((stage, reason), versions) in reasons {
        println!("  hole, {stage}: {}: {reason}", versions.join(" "));
    }
}
