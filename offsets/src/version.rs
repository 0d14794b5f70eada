//! Versions as they are found in binaries, module lists and the catalog, and their order.
//!
//! | module | grammar | examples |
//! |---|---|---|
//! | `std` | `[go]N.N[.N][(alpha\|beta\|rc)N][suffix]` | `1.26.8`, `go1.27rc1`, `go1.25.5 X:noswissmap`, `go1.27.3-X:mapsplitgroup` |
//! | any other | semantic versions with a `v` | `v1.6.0`, `v0.0.0-20200102030405-abcdef012345`, `v2.0.0+incompatible` |
//!
//! `1.20.0` is `1.20`. A suffix of `std` is an experiment (`X:`) or a vendor's mark; it takes no part in the order, but
//! it keeps such a version from being taken for the tested one ([`Version::is_plain`]). `(devel)` is no version.
//!
//! Deliberately not here: version ranges of a dependency solver, and anything that compares two modules' versions.

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::names::STD;

/// The first release of Go whose name has a patch even where that is 0.
const FIRST_WITH_PATCH: [u64; 3] = [1, 21, 0];

/// A parsed version. Equality and order ignore a suffix or build metadata; compare [`Version::suffix`] where it matters.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Version {
    release: [u64; 3],
    pre: Pre,
    suffix: String,
    std: bool,
    /// Whether a third number was written.
    has_patch: bool,
}

/// What precedes a release. The order of the variants is the order of versions.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Pre {
    /// `alpha`, `beta`, `rc` of Go itself: the letters sort as they should.
    Go(String, u64),
    /// Dot-separated identifiers of a semantic version.
    Semantic(Vec<Identifier>),
    /// A release.
    Release,
}

/// One identifier of a semantic version's pre-release: numbers sort before words.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Identifier {
    Number(u64),
    Word(String),
}

impl Version {
    /// Parses a version of `module`; `None` where the text is no version (`(devel)`, `unknown`, an empty string).
    pub fn parse(module: &str, text: &str) -> Option<Self> {
        if module == STD { Self::parse_std(text.trim()) } else { Self::parse_semantic(text.trim()) }
    }

    fn parse_std(text: &str) -> Option<Self> {
        let mut rest = text.strip_prefix("go").unwrap_or(text);
        let mut release = [take_number(&mut rest)?, 0, 0];
        let mut numbers = 1;
        for part in release.iter_mut().skip(1) {
            if let Some(mut tail) = rest.strip_prefix('.') {
                *part = take_number(&mut tail)?;
                rest = tail;
                numbers += 1;
            }
        }
        let mut pre = Pre::Release;
        for word in ["alpha", "beta", "rc"] {
            if let Some(mut tail) = rest.strip_prefix(word) {
                pre = Pre::Go(word.to_owned(), take_number(&mut tail)?);
                rest = tail;
            }
        }
        Some(Self { release, pre, suffix: rest.trim().to_owned(), std: true, has_patch: numbers == 3 })
    }

    fn parse_semantic(text: &str) -> Option<Self> {
        let mut rest = text.strip_prefix('v')?;
        let mut release = [take_number(&mut rest)?, 0, 0];
        for part in release.iter_mut().skip(1) {
            if let Some(mut tail) = rest.strip_prefix('.') {
                *part = take_number(&mut tail)?;
                rest = tail;
            }
        }
        let (rest, suffix) = rest.split_once('+').unwrap_or((rest, ""));
        let pre = match rest.strip_prefix('-') {
            Some(words) if !words.is_empty() => Pre::Semantic(words.split('.').map(identifier).collect()),
            Some(_) => return None,
            None if rest.is_empty() => Pre::Release,
            None => return None,
        };
        Some(Self { release, pre, suffix: suffix.to_owned(), std: false, has_patch: true })
    }

    /// An experiment (`X:noswissmap`), a vendor's mark, or build metadata (`incompatible`); mostly empty.
    pub fn suffix(&self) -> &str {
        &self.suffix
    }

    /// Whether this is a version as its maker released it. `+incompatible` is part of how Go names such a release.
    pub fn is_plain(&self) -> bool {
        self.suffix.is_empty() || (!self.std && self.suffix == "incompatible")
    }

    /// Whether it was built from a work tree with changes of its own: Go 1.24 and newer stamp a main module `v1.2.3+dirty`, and
    /// who builds a Go of their own may call it `go1.26.8+dirty` or `go1.26.8-dirty`.
    pub fn is_modified(&self) -> bool {
        self.suffix.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| word == "dirty")
    }

    /// Whether Go experiments are named in it: any layout may differ from the release's.
    pub fn has_experiments(&self) -> bool {
        self.std && self.suffix.contains("X:")
    }

    /// Whether it is a snapshot of Go's development (`go1.27-devel_0a1b2c3d`, `go1.27-20260301-RC00`) or a Go of somebody's own
    /// (`go1.25-custom`): it may differ from that release by any amount. Since 1.21 every release names its patch (`go1.21.0`),
    /// so a label behind a version without one is no vendor's mark on a release (`go1.25.5 (Red Hat 1.25.5-1.el9)`).
    pub fn is_development(&self) -> bool {
        let names_no_release = self.release >= FIRST_WITH_PATCH
            && !self.has_patch
            && self.pre == Pre::Release
            && !self.suffix.is_empty();
        self.std && (names_no_release || self.suffix.contains("devel"))
    }

    /// Whether it is made of a commit's time and hash (`v0.0.0-20200102030405-abcdef012345`, `v1.2.4-0.2020…`).
    pub fn is_pseudo(&self) -> bool {
        let Pre::Semantic(words) = &self.pre else { return false };
        let Some(Identifier::Word(last)) = words.last() else { return false };
        let Some((time, hash)) = last.rsplit_once('-') else { return false };
        // Behind the identifier of the tag that came before it (`rc1.0`), or alone.
        let time = time.rsplit('-').next().unwrap_or_default();
        time.len() == 14
            && time.bytes().all(|byte| byte.is_ascii_digit())
            && hash.len() == 12
            && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
    }

    /// Whether it is a release candidate, beta or other pre-release.
    pub fn is_prerelease(&self) -> bool {
        self.pre != Pre::Release
    }

    /// The release that a pre-release of Go leads to; any other version as it is.
    pub fn as_released(&self) -> Self {
        let pre = if self.std { Pre::Release } else { self.pre.clone() };
        Self { pre, ..self.clone() }
    }

    /// Major, minor, patch.
    pub fn release(&self) -> [u64; 3] {
        self.release
    }
}

fn take_number(rest: &mut &str) -> Option<u64> {
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (digits, tail) = rest.split_at(end);
    *rest = tail;
    digits.parse().ok()
}

fn identifier(text: &str) -> Identifier {
    text.parse().map_or_else(|_| Identifier::Word(text.to_owned()), Identifier::Number)
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Version {}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        self.release.cmp(&other.release).then_with(|| self.pre.cmp(&other.pre))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.release;
        if !self.std {
            f.write_str("v")?;
        }
        write!(f, "{major}.{minor}")?;
        match &self.pre {
            Pre::Go(word, number) => write!(f, "{word}{number}"),
            Pre::Release => write!(f, ".{patch}"),
            Pre::Semantic(words) => {
                write!(f, ".{patch}")?;
                for (index, word) in words.iter().enumerate() {
                    f.write_str(if index == 0 { "-" } else { "." })?;
                    match word {
                        Identifier::Number(number) => write!(f, "{number}")?,
                        Identifier::Word(word) => f.write_str(word)?,
                    }
                }
                Ok(())
            }
        }?;
        if self.std || self.suffix.is_empty() { Ok(()) } else { write!(f, "+{}", self.suffix) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn go(text: &str) -> Version {
        Version::parse(STD, text).unwrap_or_else(|| panic!("{text} is a version"))
    }

    #[test]
    fn go_versions_in_order() {
        let texts = [
            "go1.19.13",
            "1.20",
            "1.21rc2",
            "1.21.0",
            "1.21.13",
            "1.22beta1",
            "go1.22rc1",
            "1.22",
            "1.22.12",
        ];
        for pair in texts.windows(2) {
            assert!(go(pair[0]) < go(pair[1]), "{pair:?}");
        }
        assert_eq!(go("1.20.0"), go("go1.20"));
        assert!(go("1.22") <= go("1.22.3"));
    }

    #[test]
    fn suffixes_are_kept_apart() {
        for (text, suffix, experiments) in [
            ("go1.25.5 X:noswissmap", "X:noswissmap", true),
            ("go1.27.3-X:mapsplitgroup", "-X:mapsplitgroup", true),
            ("go1.22.9 (Red Hat 1.22.9-2.el9_5)", "(Red Hat 1.22.9-2.el9_5)", false),
            ("go1.26.8", "", false),
        ] {
            let version = go(text);
            assert_eq!((version.suffix(), version.has_experiments()), (suffix, experiments), "{text}");
            assert_eq!(version.is_plain(), suffix.is_empty(), "{text}");
        }
    }

    #[test]
    fn a_label_without_a_patch_is_a_snapshot_since_1_21() {
        for (text, snapshot) in [
            ("go1.27-20260301-RC00", true),
            ("go1.25-custom", true),
            ("go1.21 (mine)", true),
            ("go1.27-devel_0a1b2c3d", true),
            ("go1.27.1-devel_0a1b2c3d", true),
            ("go1.25", false),
            ("go1.25.0-custom", false),
            ("go1.26.3 (Red Hat 1.26.3-1.el9)", false),
            ("go1.24.4-X:nodwarf5", false),
            ("go1.27rc1-custom", false),
            ("go1.20-custom", false),
        ] {
            assert_eq!(go(text).is_development(), snapshot, "{text}");
        }
    }

    #[test]
    fn module_versions_in_order() {
        let parse = |text| Version::parse("example.org/m", text).unwrap_or_else(|| panic!("{text}"));
        let texts = [
            "v0.0.0-20200102030405-abcdef012345",
            "v0.1.0",
            "v1.0.0-alpha",
            "v1.0.0-alpha.1",
            "v1.0.0-rc.2",
            "v1.0.0",
        ];
        for pair in texts.windows(2) {
            assert!(parse(pair[0]) < parse(pair[1]), "{pair:?}");
            assert_eq!(parse(pair[0]).to_string(), pair[0]);
        }
        assert_eq!(parse("v2.0.0+incompatible"), parse("v2.0.0"));
        for (text, plain, modified) in [
            ("v2.0.0", true, false),
            ("v2.0.0+incompatible", true, false),
            ("v1.2.3+dirty", false, true),
            ("v2.0.0+incompatible.dirty", false, true),
        ] {
            assert_eq!((parse(text).is_plain(), parse(text).is_modified()), (plain, modified), "{text}");
        }
    }

    #[test]
    fn what_is_no_version() {
        for text in ["", "(devel)", "unknown", "go", "1.x", "1.99999999999999999999999", "devel go1.27-abc"] {
            assert!(Version::parse(STD, text).is_none(), "{text}");
        }
        for text in ["1.2.3", "v", "vX", "v1.2.3-", "v1.2.3x"] {
            assert!(Version::parse("example.org/m", text).is_none(), "{text}");
        }
    }

    #[test]
    fn display_is_canonical() {
        for (text, canonical) in [("go1.20", "1.20.0"), ("1.26.8", "1.26.8"), ("go1.27rc1", "1.27rc1")] {
            assert_eq!(go(text).to_string(), canonical);
        }
    }
}
