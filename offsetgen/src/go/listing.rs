//! Which versions of a module there are: a union, since no single list is complete.
//!
//! The proxy's `@v/list`, what the database records (holes included), a file that the user has; then patch numbers and minor
//! releases that are missing below known ones, the next patch of each minor release and the next minor release are asked
//! for one by one.
//! Pseudo-versions count only for a module that has never been tagged.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use offsets::Version;

use crate::net::{Network, escape};
use crate::progress::Progress;

/// No release has so many patches, and no module so many releases in a row that nobody has heard of.
const PROBE_LIMIT: u64 = 50;
/// So many minor releases that no list has are asked for, of each major.
const MISSING_LIMIT: usize = 100;

/// Versions by order, with the text that names them.
pub type Versions = BTreeMap<Version, String>;

/// Parses what is a version.
pub fn parse<'a>(module: &str, texts: impl IntoIterator<Item = &'a str>) -> Versions {
    let pairs = texts.into_iter().filter_map(|text| Some((Version::parse(module, text)?, text.to_owned())));
    pairs.collect()
}

/// The lines of a versions file (`MODULE VERSION`) that are about a module.
pub fn of_file<'a>(text: &'a str, module: &'a str) -> impl Iterator<Item = &'a str> {
    text.lines().filter_map(move |line| match line.split_whitespace().collect::<Vec<_>>()[..] {
        [own, version] if own == module => Some(version),
        _ => None,
    })
}

/// The proxy's own list. A proxy without one is no error, one that cannot be reached is.
pub fn listed(network: &Network, module: &str, progress: &Progress) -> Result<Vec<String>> {
    match network.proxies.list(&network.client, module) {
        Ok(list) => Ok(list),
        Err(error) if error.is_not_found() => {
            progress.say(&format!("note: {module}: no version list: {error}"));
            Ok(Vec::new())
        }
        Err(error) => Err(error).with_context(|| format!("cannot list the versions of {module}")),
    }
}

/// Leaves pseudo-versions out where there are tags.
pub fn without_pseudo(versions: &mut Versions) {
    if versions.keys().any(|version| !version.is_pseudo()) {
        versions.retain(|version, _| !version.is_pseudo());
    }
}

/// Asks for what may lie between and beyond the known versions.
pub fn complete(
    module: &str,
    versions: &mut Versions,
    mut exists: impl FnMut(&str) -> Result<bool>,
) -> Result<()> {
    let mut releases: BTreeMap<(u64, u64), BTreeSet<u64>> = BTreeMap::new();
    for (version, text) in versions.iter().filter(|(version, _)| !version.is_pseudo()) {
        let [major, minor, patch] = version.release();
        let patches = releases.entry((major, minor)).or_default();
        if !version.is_prerelease() && !text.contains('+') {
            patches.insert(patch);
        }
    }
    let Some((&(major, minor), _)) = releases.last_key_value() else { return Ok(()) };
    let mut found = Vec::new();
    for (&(major, minor), patches) in &releases {
        probe(major, minor, patches, &mut exists, &mut found)?;
    }
    for (major, minor) in missing(&releases) {
        probe(major, minor, &BTreeSet::new(), &mut exists, &mut found)?;
    }
    for minor in minor + 1..minor + PROBE_LIMIT {
        let before = found.len();
        probe(major, minor, &BTreeSet::new(), &mut exists, &mut found)?;
        if found.len() == before {
            break;
        }
    }
    versions.extend(parse(module, found.iter().map(String::as_str)));
    Ok(())
}

/// The minor releases below the newest of each major that no list has, the newest first, since there is a limit. A major
/// without a release that could be asked for by its plain name (`+incompatible` ones alone) has none.
fn missing(releases: &BTreeMap<(u64, u64), BTreeSet<u64>>) -> Vec<(u64, u64)> {
    let plain = releases.iter().filter(|(_, patches)| !patches.is_empty());
    let newest: BTreeMap<u64, u64> = plain.map(|(&release, _)| release).collect();
    let below = newest.into_iter().flat_map(|(major, newest)| {
        let unknown = move |minor: &u64| !releases.contains_key(&(major, *minor));
        (0..newest).rev().filter(unknown).take(MISSING_LIMIT).map(move |minor| (major, minor))
    });
    below.collect()
}

fn probe(
    major: u64,
    minor: u64,
    patches: &BTreeSet<u64>,
    exists: &mut impl FnMut(&str) -> Result<bool>,
    found: &mut Vec<String>,
) -> Result<()> {
    let last = patches.last().copied();
    for patch in (0..PROBE_LIMIT).filter(|patch| !patches.contains(patch)) {
        let text = format!("v{major}.{minor}.{patch}");
        if exists(&text)? {
            found.push(text);
        } else if last.is_none_or(|last| patch > last) {
            break;
        }
    }
    Ok(())
}

/// The go.mod of a version, as the proxy has it.
pub fn go_mod(network: &Network, module: &str, version: &str) -> Result<String, crate::net::FetchError> {
    network.proxies.file(&network.client, &format!("{}/@v/{}.mod", escape(module), escape(version)))
}

/// The minor number of the `go` line of a go.mod (`go 1.23.4`): the oldest Go that builds it. None where it has no such line.
pub fn go_line(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.trim().strip_prefix("go "))?;
    Some(Version::parse(offsets::STD, line.trim())?.release()[1])
}

/// What a go.mod asks for: modules and versions.
pub fn requirements(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().filter_map(|line| {
        let line = line.trim();
        let mut words = line.strip_prefix("require ").unwrap_or(line).split_whitespace();
        Some((words.next()?, words.next().filter(|version| version.starts_with('v'))?))
    })
}

/// What the `retract` lines of a go.mod take back: single versions and ranges, both ends included.
pub fn retractions(module: &str, text: &str) -> Vec<(Version, Version)> {
    let mut all = Vec::new();
    let mut block = false;
    for line in text.lines().map(|line| line.split("//").next().unwrap_or_default().trim()) {
        let rest = match line.strip_prefix("retract") {
            Some(rest) if rest.trim() == "(" => {
                block = true;
                continue;
            }
            Some(rest) => rest,
            None if block && line == ")" => {
                block = false;
                continue;
            }
            None if block => line,
            None => continue,
        };
        let words: Vec<&str> =
            rest.split(['[', ',', ']', ' ', '\t']).filter(|word| !word.is_empty()).collect();
        let versions: Option<Vec<Version>> = words.iter().map(|word| Version::parse(module, word)).collect();
        match versions.unwrap_or_default().as_slice() {
            [one] => all.push((one.clone(), one.clone())),
            [low, high] => all.push((low.clone(), high.clone())),
            _ => {}
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODULE: &str = "example.org/m";

    #[test]
    fn a_list_with_gaps_is_completed() {
        let mut versions = parse(MODULE, ["v1.0.0", "v1.0.3", "v1.1.0-rc1", "nonsense"]);
        let real = ["v1.0.0", "v1.0.1", "v1.0.3", "v1.0.4", "v1.1.0", "v1.2.0"];
        complete(MODULE, &mut versions, |text| Ok(real.contains(&text))).expect("answers");
        let texts: Vec<&str> = versions.values().map(String::as_str).collect();
        assert_eq!(texts, ["v1.0.0", "v1.0.1", "v1.0.3", "v1.0.4", "v1.1.0-rc1", "v1.1.0", "v1.2.0"]);
    }

    #[test]
    fn a_minor_release_that_no_list_has_is_asked_for() {
        let mut versions = parse(MODULE, ["v0.2.0", "v1.1.0", "v1.4.0", "v2.7.0+incompatible"]);
        let real = ["v0.0.0", "v0.2.0", "v1.1.0", "v1.3.0", "v1.3.1", "v1.4.0"];
        let mut asked = Vec::new();
        let exists = |text: &str| {
            asked.push(text.to_owned());
            Ok(real.contains(&text))
        };
        complete(MODULE, &mut versions, exists).expect("answers");
        let texts: Vec<&str> = versions.values().map(String::as_str).collect();
        assert_eq!(
            texts,
            ["v0.0.0", "v0.2.0", "v1.1.0", "v1.3.0", "v1.3.1", "v1.4.0", "v2.7.0+incompatible"]
        );
        assert!(asked.contains(&"v1.0.0".to_owned()) && !asked.contains(&"v2.0.0".to_owned()));
    }

    #[test]
    fn the_questions_are_bounded() {
        let mut versions = parse(MODULE, ["v1.20200101.0"]);
        let mut asked = 0;
        complete(MODULE, &mut versions, |_| {
            asked += 1;
            Ok(false)
        })
        .expect("answers");
        assert!(asked < 110, "{asked}");
    }

    #[test]
    fn pseudo_versions() {
        let mut tagged = parse(MODULE, ["v0.0.0-20200102030405-abcdef012345", "v0.1.0"]);
        without_pseudo(&mut tagged);
        assert_eq!(tagged.len(), 1);
    }

    #[test]
    fn go_mod_lines() {
        let text =
            "module m\n\ngo 1.23.4\n\nretract v1.0.1 // bad\nretract (\n\t[v1.1.0, v1.1.3]\n\tv1.2.0\n)\n";
        assert_eq!(go_line(text), Some(23));
        assert_eq!(go_line("module m\n"), None);
        let asking = "module m\n\nrequire a/b v1.0.0\n\nrequire (\n\ta/c v1.2.0 // indirect\n)\n\nreplace a/d => a/e v1.0.0\n";
        assert!(requirements(asking).eq([("a/b", "v1.0.0"), ("a/c", "v1.2.0")]));
        let spelled: Vec<String> =
            retractions(MODULE, text).iter().map(|(a, b)| format!("{a}-{b}")).collect();
        assert_eq!(spelled, ["v1.0.1-v1.0.1", "v1.1.0-v1.1.3", "v1.2.0-v1.2.0"]);
    }
}
