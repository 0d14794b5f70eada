//! Go's releases: one row for each, and everywhere else in this crate what differs between them is asked of its row.
//!
//! A release that changes nothing that is read here is one row more in [`RELEASES`], the last one again with the next number.
//!
//! What the layouts mean is told where they are read: `pclntab`, `functions` and `inline` for [`Pclntab`], `moduledata` for
//! [`Layout`], `types::maps` for [`SwissMap`].

use std::fmt;

/// A minor release: 26 is Go 1.26.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Minor(pub u16);

impl fmt::Display for Minor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1.{}", self.0)
    }
}

impl Minor {
    /// The minor release of a version such as `go1.26.8` or `devel go1.24-abcdef`.
    pub fn of_version(version: &str) -> Option<Self> {
        let (_, rest) = version.split_once("go1.")?;
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok().map(Minor)
    }
}

/// What is particular to a release.
#[derive(Debug, PartialEq, Eq)]
pub struct Release {
    /// Its number.
    pub minor: Minor,
    /// The form of its function table.
    pub pclntab: &'static Pclntab,
    /// Whether that table's header names the start of the text; it is 0 since 1.26.
    pub text_start: bool,
    /// Where moduledata's words are.
    pub layout: &'static Layout,
    /// `funcID_wrapper`, by which `_func` records mark what the compiler made (`internal/abi/symtab.go`; up to 1.21
    /// `runtime/symtab.go`).
    pub wrapper: u8,
    /// Whether a field's offset is kept as `offset << 1 | embedded`.
    pub doubled_offsets: bool,
    /// How it describes maps of groups; before them, and without them by an experiment, there are maps of buckets.
    pub swiss_map: Option<SwissMap>,
}

/// The form of the function table.
#[derive(Debug, PartialEq, Eq)]
pub struct Pclntab {
    /// Its first word.
    pub magic: u32,
    /// Where funcID stands in a `_func` record: the start line is before it since 1.20.
    pub func_id_at: usize,
    /// Size of an entry of an inline tree.
    pub inline_size: u64,
    /// Where in it the name's offset is.
    pub inline_name_at: u64,
}

/// The descriptor of a map of groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SwissMap {
    /// It names the size of a slot, in which key and element lie together.
    Slots,
    /// It names strides of keys and of elements.
    Strides,
}

/// Where moduledata's words behind the common part are.
#[derive(Debug, PartialEq, Eq)]
pub struct Layout {
    /// Start of the type data.
    pub types: u64,
    /// Its end.
    pub etypes: u64,
    /// What funcdata offsets count from.
    pub gofunc: u64,
    /// The parts of a split text.
    pub textsectmap: u64,
    /// typelinks and itablinks, or typedesclen and itaboffset.
    pub roots: Roots<u64>,
    /// The string by which a plugin is known.
    pub pluginpath: u64,
    /// The modules that it is linked against.
    pub modulehashes: u64,
    /// Whether package main is in it, a byte.
    pub hasmain: u64,
}

/// How the first types are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Roots<T> {
    /// Up to 1.26: slices of type offsets and of itab pointers.
    Links {
        /// `[]int32`, offsets from `types`.
        types: T,
        /// `[]*itab`.
        itabs: T,
    },
    /// Since 1.27: type descriptors one after another, and a region of itabs.
    Linear {
        /// Bytes of the descriptors that follow one another.
        typedesclen: T,
        /// Offset of the itabs from `types`, followed by their size.
        itabs: T,
    },
}

/// `_func` without a start line, inline tree entries with file and line.
static PCLNTAB_118: Pclntab =
    Pclntab { magic: 0xffff_fff0, func_id_at: 36, inline_size: 20, inline_name_at: 12 };
static PCLNTAB_120: Pclntab =
    Pclntab { magic: 0xffff_fff1, func_id_at: 40, inline_size: 16, inline_name_at: 4 };

static LAYOUT_118: Layout = links([35, 36, 38, 39, 42, 45, 51, 58, 61]);
/// Two words more stand before `types`.
static LAYOUT_120: Layout = links([37, 38, 40, 41, 44, 47, 53, 60, 63]);
/// `inittasks` stands between `pluginpath` and `modulehashes`.
static LAYOUT_121: Layout = links([37, 38, 40, 41, 44, 47, 53, 63, 66]);
/// One word more stands behind `gofunc`.
static LAYOUT_126: Layout = links([37, 38, 40, 42, 45, 48, 54, 64, 67]);
/// `typedesclen`, `itaboffset` and `itabsize` stand in place of `typelinks` and `itablinks`.
static LAYOUT_127: Layout = Layout {
    types: 37,
    etypes: 39,
    gofunc: 43,
    textsectmap: 45,
    roots: Roots::Linear { typedesclen: 38, itabs: 40 },
    pluginpath: 51,
    modulehashes: 61,
    hasmain: 64,
};

/// The words in the order of the fields of [`Layout`].
const fn links(w: [u64; 9]) -> Layout {
    let roots = Roots::Links { types: w[4], itabs: w[5] };
    Layout {
        types: w[0],
        etypes: w[1],
        gofunc: w[2],
        textsectmap: w[3],
        roots,
        pluginpath: w[6],
        modulehashes: w[7],
        hasmain: w[8],
    }
}

/// The releases whose tables can be read, the oldest first, without gaps. The last is the newest that the tests cover: a later
/// one may lay out its tables in the same way and yet call functions or keep maps in another, so that nothing is probed in it.
#[rustfmt::skip]
pub static RELEASES: &[Release] = &[
    Release { minor: Minor(18), pclntab: &PCLNTAB_118, text_start: true,  layout: &LAYOUT_118, wrapper: 21, doubled_offsets: true,  swiss_map: None },
    Release { minor: Minor(19), pclntab: &PCLNTAB_118, text_start: true,  layout: &LAYOUT_118, wrapper: 21, doubled_offsets: false, swiss_map: None },
    Release { minor: Minor(20), pclntab: &PCLNTAB_120, text_start: true,  layout: &LAYOUT_120, wrapper: 21, doubled_offsets: false, swiss_map: None },
    Release { minor: Minor(21), pclntab: &PCLNTAB_120, text_start: true,  layout: &LAYOUT_121, wrapper: 21, doubled_offsets: false, swiss_map: None },
    Release { minor: Minor(22), pclntab: &PCLNTAB_120, text_start: true,  layout: &LAYOUT_121, wrapper: 22, doubled_offsets: false, swiss_map: None },
    Release { minor: Minor(23), pclntab: &PCLNTAB_120, text_start: true,  layout: &LAYOUT_121, wrapper: 22, doubled_offsets: false, swiss_map: None },
    Release { minor: Minor(24), pclntab: &PCLNTAB_120, text_start: true,  layout: &LAYOUT_121, wrapper: 22, doubled_offsets: false, swiss_map: Some(SwissMap::Slots) },
    Release { minor: Minor(25), pclntab: &PCLNTAB_120, text_start: true,  layout: &LAYOUT_121, wrapper: 23, doubled_offsets: false, swiss_map: Some(SwissMap::Slots) },
    Release { minor: Minor(26), pclntab: &PCLNTAB_120, text_start: false, layout: &LAYOUT_126, wrapper: 23, doubled_offsets: false, swiss_map: Some(SwissMap::Slots) },
    Release { minor: Minor(27), pclntab: &PCLNTAB_120, text_start: false, layout: &LAYOUT_127, wrapper: 23, doubled_offsets: false, swiss_map: Some(SwissMap::Strides) },
];

/// The oldest release whose tables can be read.
pub fn oldest() -> Minor {
    RELEASES.first().map_or(Minor(0), |release| release.minor)
}

/// The newest release that the tests cover.
pub fn newest() -> Minor {
    RELEASES.last().map_or(Minor(0), |release| release.minor)
}

/// The row of a release. One that is newer than all is read as the newest; what is older than all has none.
pub fn of(minor: Minor) -> Option<&'static Release> {
    RELEASES.iter().rfind(|release| release.minor <= minor)
}

/// The releases whose moduledata is laid out so, the oldest first.
pub fn with_layout(layout: &Layout) -> impl Iterator<Item = &'static Release> + Clone {
    RELEASES.iter().filter(move |release| release.layout == layout)
}

impl Pclntab {
    /// The form with this magic.
    pub fn of_magic(magic: u32) -> Option<&'static Pclntab> {
        RELEASES.iter().map(|release| release.pclntab).find(|form| form.magic == magic)
    }

    /// The form that a table is read in whose magic somebody has changed.
    pub fn disguised() -> &'static Pclntab {
        &PCLNTAB_118
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_release_has_one_row_and_they_are_in_order() {
        for (row, minor) in RELEASES.iter().zip(18..) {
            assert_eq!(row.minor, Minor(minor));
            assert_eq!(of(row.minor), Some(row));
        }
        assert_eq!(of(Minor(17)), None);
        assert_eq!(of(Minor(99)).map(|row| row.minor), Some(newest()));
    }

    #[test]
    fn releases_of_one_layout_follow_one_another() {
        for row in RELEASES {
            let same: Vec<u16> = with_layout(row.layout).map(|r| r.minor.0).collect();
            let (first, last) = (same[0], same[same.len() - 1]);
            assert_eq!(same, (first..=last).collect::<Vec<_>>());
        }
    }

    #[test]
    fn finds_the_minor_in_every_spelling() {
        for (text, want) in [
            ("go1.26.8", Some(26)),
            ("go1.25.5 X:noswissmap", Some(25)),
            ("go1.27.3-X:mapsplitgroup", Some(27)),
            ("devel go1.24-abcdef", Some(24)),
            ("unknown", None),
        ] {
            assert_eq!(Minor::of_version(text), want.map(Minor), "{text}");
        }
    }
}
