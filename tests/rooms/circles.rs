//! Files that import one another.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;

use super::names::Meaning;
use super::tree::Crate;

/// By importing and imported file: one of the paths that say so.
pub type Imports<'c> = BTreeMap<&'c Path, BTreeMap<&'c Path, String>>;

/// One text for each set of files that import one another, with the shortest circle in it.
pub fn of(all: &Crate) -> Vec<String> {
    let imports = imports(all);
    let mut seen = BTreeSet::new();
    let mut circles = Vec::new();
    for file in imports.keys() {
        if seen.contains(file) {
            continue;
        }
        let Some(circle) = circle(&imports, file) else { continue };
        seen.extend(circle.iter().map(|(from, ..)| *from));
        let steps = circle
            .iter()
            .map(|(from, to, path)| format!("  {} uses {path} of {}", from.display(), to.display()));
        circles.push(steps.collect::<Vec<_>>().join("\n"));
    }
    circles
}

/// Which file imports which.
pub fn imports(all: &Crate) -> Imports<'_> {
    let mut imports = Imports::new();
    for (id, module) in all.modules.iter().enumerate() {
        let words = &module.words;
        let paths = words.aliases.iter().map(|(path, _)| path).chain(&words.paths);
        let found = paths.filter_map(|path| match all.meaning(id, path)? {
            Meaning::Item(file) => Some((path, file)),
            Meaning::Module(_) => None,
        });
        // All of a module is what that module's file defines; what it re-exports is not followed.
        let globs = words.globs.iter().filter_map(|path| match all.meaning(id, path)? {
            Meaning::Item(file) => Some((path, file)),
            Meaning::Module(from) => Some((path, all.modules.get(from)?.file.as_path())),
        });
        for (path, file) in found.chain(globs).filter(|(_, file)| *file != module.file) {
            imports.entry(&module.file).or_default().entry(file).or_insert_with(|| path.join("::"));
        }
    }
    imports
}

/// The shortest way from a file back to itself.
fn circle<'c>(imports: &Imports<'c>, start: &'c Path) -> Option<Vec<(&'c Path, &'c Path, String)>> {
    let mut from: BTreeMap<&Path, &'c Path> = BTreeMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(file) = queue.pop_front() {
        for next in imports.get(file).into_iter().flat_map(BTreeMap::keys) {
            if *next == start {
                return Some(steps(imports, &from, start, file));
            }
            if !from.contains_key(next) {
                from.insert(next, file);
                queue.push_back(next);
            }
        }
    }
    None
}

/// From the start to the last file, and back to the start.
fn steps<'c>(
    imports: &Imports<'c>,
    from: &BTreeMap<&Path, &'c Path>,
    start: &'c Path,
    last: &'c Path,
) -> Vec<(&'c Path, &'c Path, String)> {
    let mut files = vec![start, last];
    let mut at = last;
    while at != start {
        let Some(before) = from.get(at) else { break };
        files.push(before);
        at = before;
    }
    files.dedup();
    files.reverse();
    let path = |a: &Path, b: &Path| imports.get(a).and_then(|own| own.get(b)).cloned().unwrap_or_default();
    files
        .windows(2)
        .filter_map(|pair| match pair {
            [a, b] => Some((*a, *b, path(a, b))),
            _ => None,
        })
        .collect()
}
