//! `offsetgen diff OLD NEW`: what changed between two folders of data, in words.
//!
//! Deliberately not here: what is the same, and the order of runs or files.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use offsets::Version;
use offsets::database::format::Document;
use offsets::database::observations::{Build, Layout, Observations, Shape};

use crate::cli::DiffOptions;
use crate::data;

/// Always true: a difference is no failure.
pub fn run(options: &DiffOptions) -> Result<bool> {
    let (old, new) = (data::documents(&options.old)?, data::documents(&options.new)?);
    let modules: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let mut lines = Vec::new();
    for module in modules {
        let empty = || Document::new(module);
        let (old, new) =
            (old.get(module).cloned().unwrap_or_else(empty), new.get(module).cloned().unwrap_or_else(empty));
        lines.extend(words(&old, &new));
    }
    for line in &lines {
        println!("{line}");
    }
    if lines.is_empty() {
        println!("nothing changed");
    }
    Ok(true)
}

/// What changed in one module.
pub fn words(old: &Document, new: &Document) -> Vec<String> {
    let module = &new.module;
    let (old, new) = (Observations::read(old), Observations::read(new));
    let mut lines = Vec::new();
    for (version, build) in new.builds() {
        let name = &build.tested.version;
        match old.build(version) {
            None => lines.push(format!("{module} {name}: new{}", neighbour(&new, version, build))),
            Some(before) => lines
                .extend(changed(before, build).into_iter().map(|what| format!("{module} {name}: {what}"))),
        }
    }
    for (_, build) in old.builds().filter(|(version, _)| new.build(version).is_none()) {
        lines.push(format!("{module} {}: no longer recorded", build.tested.version));
    }
    let known: BTreeMap<&Version, &str> =
        old.holes().map(|(version, hole)| (version, hole.stage.as_str())).collect();
    for (_, hole) in new.holes().filter(|(version, hole)| known.get(version) != Some(&hole.stage.as_str())) {
        lines.push(format!(
            "{module} {}: a hole ({}): {}",
            hole.version,
            hole.stage,
            hole.reason.lines().next().unwrap_or_default()
        ));
    }
    lines
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
    let (what, name) = (shapes(&old, &new), &before.tested.version);
    match (what.is_empty(), follows.is_empty()) {
        (true, true) => format!(", laid out as {name}"),
        (true, false) => follows,
        (false, _) => format!("{follows}; since {name}: {}", what.join("; ")),
    }
}

fn changed(old: &Build, new: &Build) -> Vec<String> {
    let mut lines = Vec::new();
    if old.tested.hash != new.tested.hash {
        lines.push(format!("its hash was {:?} and is {:?}", old.tested.hash, new.tested.hash));
    }
    for (axis, shape) in &new.axes {
        match old.axes.get(axis) {
            None => lines.push(format!("built for {axis} too")),
            Some(before) => {
                lines.extend(shapes(before, shape).into_iter().map(|what| format!("{axis}: {what}")))
            }
        }
    }
    lines
}

/// What is different from one shape to the next.
pub fn shapes(old: &Shape, new: &Shape) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, layout) in &new.structs {
        match (old.structs.get(name).and_then(Option::as_ref), layout) {
            (None, Some(_)) => lines.push(format!("{name} exists")),
            (Some(_), None) => lines.push(format!("{name} is gone")),
            (Some(before), Some(layout)) => lines.extend(fields(name, before, layout)),
            (None, None) => {}
        }
    }
    for (name, signature) in &new.functions {
        match (old.functions.get(name).and_then(Option::as_ref), signature) {
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
