//! Which Go releases there are: a union, since no single list is complete.
//!
//! A mirror's `@v/list` may hold a part of what it serves by exact name. So the candidates come from that list, from what
//! the database records and from a file that the user has, and then patch numbers above the highest known one are asked
//! for one by one until one does not exist.
//!
//! Deliberately not here: pre-releases (they are never the newest patch), and modules other than the toolchain's.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};
use offsets::{STD, Version};

use crate::net::{Client, Proxies};

/// The module whose versions are Go toolchains.
pub const TOOLCHAIN_MODULE: &str = "golang.org/toolchain";
/// The oldest minor release that strobe supports.
pub const OLDEST_MINOR: u64 = 19;
/// Go 1 has a new minor release every half year; a mirror that claims thousands is broken.
const MINOR_LIMIT: u64 = 200;
/// No minor release ever had 20 patches.
const PATCH_LIMIT: u64 = 100;

/// A Go release: minor and patch (the major is 1).
pub type Release = (u64, u64);

/// As Go spells it: without patch 0 up to Go 1.20 (`1.20`, `1.21.0`).
pub fn spell((minor, patch): Release) -> String {
    if patch == 0 && minor < 21 { format!("1.{minor}") } else { format!("1.{minor}.{patch}") }
}

/// The version of [`TOOLCHAIN_MODULE`] that is a release for one host.
pub fn toolchain_version(release: Release, host: &str) -> String {
    format!("v0.0.1-go{}.linux-{host}", spell(release))
}

/// A release of Go 1 that is no pre-release.
pub fn release_of(text: &str) -> Option<Release> {
    let version = Version::parse(STD, text)?;
    match version.release() {
        [1, minor, patch] if version.is_plain() && !version.is_prerelease() => Some((minor, patch)),
        _ => None,
    }
}

/// What the user asked for with one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// `1.22`: the newest patch.
    Newest(u64),
    /// `1.22.0`: that one.
    Exactly(Release),
}

/// Reads `1.22` or `1.22.12`, with or without `go` before it.
pub fn asked(text: &str) -> Result<Asked> {
    let release =
        release_of(text).with_context(|| format!("{text:?} is no release of Go, as 1.22 or 1.22.12 are"))?;
    let (minor, _) = release;
    if minor < OLDEST_MINOR {
        bail!("Go {text} is older than 1.{OLDEST_MINOR}, the oldest that strobe supports");
    }
    Ok(if text.matches('.').count() == 1 { Asked::Newest(minor) } else { Asked::Exactly(release) })
}

/// Known releases, by minor.
#[derive(Debug, Default, Clone)]
pub struct Known {
    patches: BTreeMap<u64, BTreeSet<u64>>,
}

impl Known {
    /// Adds what is a supported release; the rest (pre-releases, old ones) is passed over.
    pub fn add(&mut self, texts: impl IntoIterator<Item = impl AsRef<str>>) {
        for (minor, patch) in texts.into_iter().filter_map(|text| release_of(text.as_ref())) {
            if (OLDEST_MINOR..MINOR_LIMIT).contains(&minor) {
                self.patches.entry(minor).or_default().insert(patch);
            }
        }
    }

    /// Adds the proxy's own list for one host.
    pub fn add_listed(&mut self, list: &[String], host: &str) {
        let suffix = format!(".linux-{host}");
        self.add(list.iter().filter_map(|version| version.strip_prefix("v0.0.1-go")?.strip_suffix(&suffix)));
    }

    /// All of them, ascending.
    pub fn all(&self) -> Vec<Release> {
        self.patches
            .iter()
            .flat_map(|(minor, patches)| patches.iter().map(|patch| (*minor, *patch)))
            .collect()
    }

    /// Asks for every patch that is missing below the newest one, and for those above.
    pub fn complete(&mut self, exists: &mut dyn FnMut(Release) -> Result<bool>) -> Result<()> {
        for (minor, newest) in self.newest_of_all(exists)? {
            for patch in 0..=newest {
                let known = self.patches.get(&minor).is_some_and(|patches| patches.contains(&patch));
                if known || patch == newest || exists((minor, patch))? {
                    self.patches.entry(minor).or_default().insert(patch);
                }
            }
        }
        Ok(())
    }

    /// The newest patch of a minor release, the proxy asked for what lies above the highest known.
    pub fn newest(
        &self,
        minor: u64,
        exists: &mut dyn FnMut(Release) -> Result<bool>,
    ) -> Result<Option<Release>> {
        let mut newest = self.patches.get(&minor).and_then(|patches| patches.last().copied());
        for patch in newest.map_or(0, |patch| patch + 1)..PATCH_LIMIT {
            if !exists((minor, patch))? {
                break;
            }
            newest = Some(patch);
        }
        Ok(newest.map(|patch| (minor, patch)))
    }

    /// The newest patch of every supported minor release, until one does not exist.
    pub fn newest_of_all(&self, exists: &mut dyn FnMut(Release) -> Result<bool>) -> Result<Vec<Release>> {
        let mut all = Vec::new();
        let last_known = self.patches.keys().last().copied().unwrap_or(OLDEST_MINOR);
        for minor in OLDEST_MINOR..MINOR_LIMIT {
            match self.newest(minor, exists)? {
                Some(release) => all.push(release),
                None if minor > last_known => break,
                None => {}
            }
        }
        Ok(all)
    }
}

/// A question to the proxies: does that toolchain exist for this host?
pub fn prober<'a>(
    client: &'a Client,
    proxies: &'a Proxies,
    host: &'a str,
) -> impl FnMut(Release) -> Result<bool> + 'a {
    move |release| Ok(proxies.exists(client, TOOLCHAIN_MODULE, &toolchain_version(release, host))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spelling() {
        let spelled = [(20, 0), (20, 14), (21, 0), (27, 4)].map(spell);
        assert_eq!(spelled, ["1.20", "1.20.14", "1.21.0", "1.27.4"]);
        assert_eq!(toolchain_version((19, 13), "amd64"), "v0.0.1-go1.19.13.linux-amd64");
    }

    #[test]
    fn what_the_user_asks_for() {
        assert_eq!(asked("1.22").expect("minor"), Asked::Newest(22));
        assert_eq!(asked("go1.22.0").expect("patch"), Asked::Exactly((22, 0)));
        for text in ["1.18.10", "1.27rc1", "2.0", "latest", "1.25.5 X:noswissmap"] {
            assert!(asked(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_partial_list_is_completed() {
        let mut known = Known::default();
        let list =
            ["v0.0.1-go1.19.11.linux-amd64", "v0.0.1-go1.21rc2.linux-amd64", "v0.0.1-go1.27.9.linux-arm64"];
        known.add_listed(&list.map(str::to_owned), "amd64");
        known.add(["1.20.14", "1.18"]);
        let mut asked = Vec::new();
        let mut exists = |release| {
            asked.push(release);
            Ok(matches!(release, (19, ..=13) | (20, ..=14) | (21, ..=2)))
        };
        let all = known.newest_of_all(&mut exists).expect("answers");
        assert_eq!(all, [(19, 13), (20, 14), (21, 2)]);
        assert_eq!(asked.len(), 3 + 1 + 4 + 1);
    }
}
