//! `offsetgen diff OLD NEW`: what changed between two folders of data, in words.
//!
//! Deliberately not here: what is the same, and the order of runs or files.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use offsets::Version;
use offsets::database::format::{Document, Hole, Tested};

use crate::cli::DiffOptions;
use crate::data::folder;
use crate::output::{self, last_line};
use crate::probe::shape::{Layout, Shape};
use crate::record::observations::{Build, Observations};

/// Always true: a difference is no failure.
pub fn run(options: &DiffOptions) -> Result<bool> {
    let (old, new) = (folder::documents(&options.old)?, folder::documents(&options.new)?);
    let modules: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let mut lines = Vec::new();
    for module in modules {
        let empty = || Document::new(module);
        let (old, new) =
            (old.get(module).cloned().unwrap_or_else(empty), new.get(module).cloned().unwrap_or_else(empty));
        lines.extend(words(&old, &new));
    }
    if lines.is_empty() {
        lines.push("nothing changed".to_owned());
    }
    output::print(&(lines.join("\n") + "\n"))?;
    Ok(true)
}

/// What changed in one module.
pub fn words(old: &Document, new: &Document) -> Vec<String> {
    let module = &new.module;
    let mut lines: Vec<String> =
        forgotten(old, new).into_iter().map(|what| format!("{module}: {what}")).collect();
    let gone = |name: &str| !new.structs.contains_key(name) && !new.functions.contains_key(name);
    let (old, new) = (Observations::read(old), Observations::read(new));
    for (version, build) in new.builds() {
        let name = &build.tested.version;
        match old.build(version) {
            None => lines.push(format!("{module} {name}: new{}", neighbour(&new, version, build))),
            Some(before) => lines.extend(
                changed(before, build, &gone).into_iter().map(|what| format!("{module} {name}: {what}")),
            ),
        }
    }
    for (_, build) in old.builds().filter(|(version, _)| new.build(version).is_none()) {
        lines.push(format!("{module} {}: no longer recorded", build.tested.version));
    }
    lines.extend(holes(&old, &new).into_iter().map(|what| format!("{module} {what}")));
    lines
}

/// Structs and functions that no version is asked for any more.
fn forgotten(old: &Document, new: &Document) -> Vec<String> {
    // Of a module that is gone, so is each version: that is said of them.
    if new.versions.is_empty() {
        return Vec::new();
    }
    let structs = old.structs.keys().filter(|name| !new.structs.contains_key(*name));
    let functions = old.functions.keys().filter(|name| !new.functions.contains_key(*name));
    structs.chain(functions).map(|name| format!("{name} is no longer looked for")).collect()
}

/// Holes that are new or of another stage, and those that are gone without having been filled.
fn holes(old: &Observations, new: &Observations) -> Vec<String> {
    let by_key = |all: &Observations| -> BTreeMap<(Version, Option<String>), Hole> {
        all.holes().map(|(version, hole)| ((version.clone(), hole.axis.clone()), hole.clone())).collect()
    };
    let (before, after) = (by_key(old), by_key(new));
    let of = |axis: &Option<String>| axis.as_ref().map(|axis| format!(" for {axis}")).unwrap_or_default();
    let mut lines = Vec::new();
    for (key, Hole { version, axis, stage, reason }) in &after {
        if before.get(key).is_none_or(|hole| hole.stage != *stage) {
            lines.push(format!("{version}: a hole{} ({stage}): {}", of(axis), last_line(reason)));
        }
    }
    for (key, Hole { version, axis, stage, .. }) in before.iter().filter(|(key, _)| !after.contains_key(*key))
    {
        let build = new.build(&key.0);
        let filled = match axis {
            None => build.is_some(),
            Some(axis) => build.is_some_and(|build| all_axes(build).contains(axis.as_str())),
        };
        if !filled {
            lines.push(format!("{version}: the hole{} ({stage}) is gone, nothing has filled it", of(axis)));
        }
    }
    lines
}

/// What a version was compiled for, with whatever result.
fn all_axes(build: &Build) -> BTreeSet<&str> {
    build.axes.keys().chain(&build.tested.agrees).map(String::as_str).collect()
}

/// How a new version differs from the one before it.
fn neighbour(all: &Observations, version: &Version, build: &Build) -> String {
    let follows = build
        .tested
        .same_as
        .as_ref()
        .map(|other| format!(", its source is that of {other}"))
        .unwrap_or_default();
    let before = all.builds().take_while(|(known, _)| *known < version).last();
    let shape = |build: &Build| build.axes.get("amd64").cloned();
    let Some((before, old, new)) = before.and_then(|(_, b)| Some((b, shape(b)?, shape(build)?))) else {
        return follows;
    };
    let mut what = shapes(&old, &new);
    what.extend(unasked(&old, &new, &|_| false));
    let name = &before.tested.version;
    match (what.is_empty(), follows.is_empty()) {
        (true, true) => format!(", laid out as {name}"),
        (true, false) => follows,
        (false, _) => format!("{follows}; since {name}: {}", what.join("; ")),
    }
}

fn changed(old: &Build, new: &Build, gone: &impl Fn(&str) -> bool) -> Vec<String> {
    let mut lines = provenance(&old.tested, &new.tested);
    let (before, after) = (all_axes(old), all_axes(new));
    for (axis, shape) in &new.axes {
        match old.axes.get(axis) {
            Some(before) => {
                let what = shapes(before, shape).into_iter().chain(unasked(before, shape, gone));
                lines.extend(what.map(|what| format!("{axis}: {what}")));
            }
            None if before.contains(axis.as_str()) => {
                lines.push(format!("{axis} no longer has the layouts of amd64"));
            }
            None => lines.push(format!("built for {axis} too")),
        }
    }
    for axis in after.iter().filter(|axis| !new.axes.contains_key(**axis)) {
        if old.axes.contains_key(*axis) {
            lines.push(format!("{axis} has the layouts of amd64 now"));
        } else if !before.contains(axis) {
            lines.push(format!("built for {axis} too, with the layouts of amd64"));
        }
    }
    let no_longer = before.difference(&after).map(|axis| format!("no longer built for {axis}"));
    lines.extend(no_longer);
    lines
}

/// What is said of a version beside its layouts.
fn provenance(old: &Tested, new: &Tested) -> Vec<String> {
    let mut lines = Vec::new();
    if old.hash != new.hash {
        lines.push(format!("its hash was {:?} and is {:?}", old.hash, new.hash));
    }
    if old.toolchain != new.toolchain {
        lines.push(format!("was compiled by {} and is by {}", old.toolchain, new.toolchain));
    }
    let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "not recorded".to_owned());
    if old.go != new.go {
        lines.push(format!("the oldest Go for it was {} and is {}", or_none(&old.go), or_none(&new.go)));
    }
    if old.trust != new.trust {
        let trust =
            |text: &Option<String>| text.clone().unwrap_or_else(|| "the checksum database".to_owned());
        lines.push(format!(
            "its hash was vouched for by {} and is by {}",
            trust(&old.trust),
            trust(&new.trust)
        ));
    }
    if old.retracted != new.retracted {
        lines.push(if new.retracted { "retracted" } else { "no longer retracted" }.to_owned());
    }
    lines
}

/// What one version is no longer asked for, where others are.
fn unasked(old: &Shape, new: &Shape, gone: &impl Fn(&str) -> bool) -> Vec<String> {
    let known: BTreeSet<&String> = new.names().collect();
    let names = old.names().filter(|name| !known.contains(name) && !gone(name));
    names.map(|name| format!("{name} is no longer looked for")).collect()
}

/// What is different from one shape to the next.
pub fn shapes(old: &Shape, new: &Shape) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, layout) in &new.structs {
        match (old.structs.get(name).and_then(Option::as_ref), layout) {
            (None, Some(_)) if old.unreached.contains(name) => lines.push(format!("{name} is reached")),
            (None, Some(_)) => lines.push(format!("{name} exists")),
            (Some(_), None) => lines.push(format!("{name} is gone")),
            (Some(before), Some(layout)) => lines.extend(fields(name, before, layout)),
            (None, None) => {}
        }
    }
    let is_absent = |name: &String| new.structs.get(name) == Some(&None);
    lines.extend(unreached(&old.unreached, &new.unreached, is_absent));
    lines.extend(functions(old, new));
    lines
}

/// What is reached no more, or was not reached and does not exist now.
fn unreached(
    old: &BTreeSet<String>,
    new: &BTreeSet<String>,
    is_absent: impl Fn(&String) -> bool,
) -> Vec<String> {
    let lost = new.difference(old);
    let lost = lost.map(|name| format!("{name} is declared and not reached: nothing is known of it"));
    let gone = old.iter().filter(|name| is_absent(name));
    lost.chain(gone.map(|name| format!("{name} is gone; it was not reached"))).collect()
}

fn functions(old: &Shape, new: &Shape) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, signature) in &new.functions {
        match (old.functions.get(name).and_then(Option::as_ref), signature) {
            (None, Some(_)) if old.unreached_functions.contains(name) => {
                lines.push(format!("{name} is reached"));
            }
            (None, Some(_)) => lines.push(format!("{name} is called")),
            (Some(_), None) => lines.push(format!("{name} is called no more")),
            (Some(a), Some(b)) if (&a.params, &a.results) != (&b.params, &b.results) => {
                lines.push(format!("{name} takes or gives something else"));
            }
            (Some(a), Some(b)) if a.inlined != b.inlined => {
                lines.push(format!("{name} is inlined: {:?}, was {:?}", b.inlined, a.inlined));
            }
            _ => {}
        }
    }
    let is_absent = |name: &String| new.functions.get(name) == Some(&None);
    lines.extend(unreached(&old.unreached_functions, &new.unreached_functions, is_absent));
    lines
}

fn fields(name: &str, old: &Layout, new: &Layout) -> Vec<String> {
    let mut lines = Vec::new();
    for (field, (offset, kind)) in &new.fields {
        match old.fields.get(field) {
            None => lines.push(format!("{name}.{field} is new, at {offset}")),
            Some((_, before)) if before != kind => {
                lines.push(format!("{name}.{field} was {before} and is {kind}, at {offset}"))
            }
            Some((before, _)) if before != offset => {
                lines.push(format!("{name}.{field} moves from {before} to {offset}"))
            }
            Some(_) => {}
        }
    }
    for field in old.fields.keys().filter(|field| !new.fields.contains_key(*field)) {
        lines.push(format!("{name}.{field} is gone"));
    }
    lines
}
