//! Which Go compiles what: for the standard library each release itself, for any other module the newest release, and
//! where that fails older ones.

use std::fs;

use anyhow::{Context, Result, bail};
use offsets::STD;
use offsets::database::format::Document;

use super::cache::Store;
use super::listing;
use super::release::{Asked, Known, Release, asked, prober, release_of, spell};
use crate::cli::BuildOptions;
use crate::failure::{Failure, Stage};
use crate::progress::Progress;

/// Minor releases that are tried after the newest one: between them the compiler, the linker or the vetting of old code
/// became stricter (1.19 the oldest supported; 1.21 before loop variables; 1.24 before DWARF 5).
const OLDER: [u64; 3] = [24, 21, 19];

/// The newest patch of every minor release, ascending.
pub fn newest(options: &BuildOptions, store: &Store, progress: &Progress) -> Result<Vec<Release>> {
    if !options.go.is_empty() {
        let mut releases = exactly(&options.go)?;
        releases.sort_unstable();
        return Ok(releases);
    }
    let known = known(options, store, [].into_iter(), progress)?;
    known.newest_of_all(&mut |release| {
        let network = store.network()?;
        prober(&network.client, &network.proxies, store.host())(release)
    })
}

fn exactly(texts: &[String]) -> Result<Vec<Release>> {
    let one = |text: &String| release_of(text).with_context(|| format!("--go {text}: is no release of Go"));
    texts.iter().map(one).collect()
}

/// What to try for a module whose go.mod asks for `oldest`, the best first.
pub fn candidates(newest: &[Release], oldest: u64) -> Vec<Release> {
    let mut all: Vec<Release> = newest.last().copied().into_iter().collect();
    for minor in OLDER {
        let found = newest.iter().find(|release| release.0 == minor).copied();
        all.extend(found.filter(|release| !all.contains(release)));
    }
    all.retain(|release| release.0 >= oldest);
    all
}

/// Whether a module that this minor release compiled may have been given to it since the newest did not compile it.
pub fn is_older(minor: u64) -> bool {
    OLDER.contains(&minor)
}

/// The releases of the standard library to build, ascending: those asked for, else all.
pub fn of_std(
    options: &BuildOptions,
    store: &Store,
    before: &Document,
    progress: &Progress,
) -> Result<Vec<Release>> {
    let words: Vec<Asked> = options.versions.iter().map(|text| asked(text)).collect::<Result<_>>()?;
    let mut exists = |release| {
        let network = store.network()?;
        prober(&network.client, &network.proxies, store.host())(release)
    };
    let recorded = before.versions.iter().map(|tested| tested.version.as_str());
    let recorded = recorded.chain(before.holes.iter().map(|hole| hole.version.as_str()));
    // Exact versions that are in the cache need no proxy.
    let needs_list = words.is_empty() || words.iter().any(|asked| matches!(asked, Asked::Newest(_)));
    let mut known = if needs_list { known(options, store, recorded, progress)? } else { Known::default() };
    if words.is_empty() {
        let newest = before.versions.last().and_then(|tested| release_of(&tested.version));
        if let Some(newest) = newest
            && !exists(newest)?
            && store.known(progress)?.all().is_empty()
        {
            let text = format!(
                "the proxy has neither a list of Go toolchains nor Go {}, which is recorded: whether there are new ones is not known",
                spell(newest)
            );
            return Err(Failure::new(Stage::Fetch, text).into());
        }
        known.complete(&mut exists)?;
        return Ok(known.all());
    }
    let mut releases = Vec::new();
    for word in words {
        releases.push(match word {
            Asked::Exactly(release) => release,
            Asked::Newest(minor) => match known.newest(minor, &mut exists)? {
                Some(release) => release,
                None => bail!("the proxy has no Go 1.{minor}"),
            },
        });
    }
    releases.sort_unstable();
    releases.dedup();
    Ok(releases)
}

/// The union of the proxy's list, the database and the user's file.
fn known<'a>(
    options: &BuildOptions,
    store: &Store,
    recorded: impl Iterator<Item = &'a str>,
    progress: &Progress,
) -> Result<Known> {
    let mut known = store.known(progress)?;
    known.add(recorded);
    if let Some(file) = &options.versions_from {
        let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        known.add(listing::of_file(&text, STD));
    }
    Ok(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_first_and_none_that_is_too_old() {
        let newest = [(19, 13), (20, 14), (21, 13), (24, 13), (27, 4)];
        assert_eq!(candidates(&newest, 0), [(27, 4), (24, 13), (21, 13), (19, 13)]);
        assert_eq!(candidates(&newest, 22), [(27, 4), (24, 13)]);
        assert_eq!(candidates(&newest, 28), []);
    }
}
