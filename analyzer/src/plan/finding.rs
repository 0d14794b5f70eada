//! What there is to say of a library in one binary: one finding per matter, each with a word that programs can compare.
//!
//! Prose is made from findings ([`Library::reason`](super::Library::reason)) and never searched: whoever wants to know what
//! kind of matter it is asks for its [`Code`].

use std::fmt;

use serde::{Deserialize, Serialize};

/// One matter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What kind of matter it is.
    pub code: Code,
    /// What follows from it.
    pub severity: Severity,
    /// What it is about: a function, a field (`net/http.Request.Method`), a pair of types, a module, a file.
    pub subject: String,
    /// The matter in words.
    pub message: String,
    /// What spans will be without, when that is less than everything (`http.route`).
    pub loses: Option<String>,
    /// What the owner of the binary can do about it; null where there is nothing to do.
    pub remedy: Option<String>,
}

/// What follows from a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The library is not touched.
    Refusal,
    /// The library is traced without some part.
    Loss,
    /// Nothing, but it is worth knowing.
    Note,
}

/// Makes the enum, its words and the list of all codes from one table, so that none can be forgotten in the others.
macro_rules! codes {
    ($($(#[$doc:meta])+ $name:ident = $word:literal,)+) => {
        /// What kind of matter a finding is about. The words are stable; later versions add to them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum Code {
            $($(#[$doc])+ #[serde(rename = $word)] $name,)+
            /// A word that this version of the program does not know, in a Plan that a later one made.
            #[serde(rename = "unknown", other)]
            Unknown,
        }

        impl Code {
            /// Every code that this version gives.
            pub const ALL: &[Code] = &[$(Code::$name,)+];

            /// The word that stands for it in JSON.
            pub fn word(self) -> &'static str {
                match self {
                    $(Code::$name => $word,)+
                    Code::Unknown => "unknown",
                }
            }
        }
    };
}

codes! {
    /// The catalog has the library with status `recorded`.
    NotTracedYet = "not-traced-yet",
    /// The binary was built with a Go newer than all that strobe is tested with.
    NewerGo = "newer-go",
    /// The binary does not say which version of the library's module it has.
    UnknownVersion = "unknown-version",
    /// The library's version lies outside of the catalog's range.
    VersionOutsideCatalog = "version-outside-catalog",
    /// There is DWARF, and it could not be read or does not belong to the binary.
    DwarfNotHeard = "dwarf-not-heard",
    /// The program can load Go plugins.
    LoadsPlugins = "loads-plugins",
    /// The catalog says what the site that was taken cannot see.
    SiteNote = "site-note",
    /// A probe on a hot path is single-stepped.
    SingleStepped = "single-stepped",
    /// The catalog names no site that holds for this version.
    NoAlternative = "no-alternative",
    /// The function, or the callee that a site stands behind, was inlined somewhere.
    Inlined = "inlined",
    /// The function table has no such function.
    NoFunction = "no-function",
    /// The function takes other argument words than the catalog says.
    OtherArguments = "other-arguments",
    /// There are too many functions of one name.
    TooManyCopies = "too-many-copies",
    /// The roles' code is more than is decoded for one file.
    TooMuchCode = "too-much-code",
    /// The function's code is not in the file, or too long.
    NoCode = "no-code",
    /// No instruction at the function's beginning is reached once per call.
    NoEntrySite = "no-entry-site",
    /// The function's returns cannot all be found.
    NoExitSite = "no-exit-site",
    /// No instruction is reached behind each call of the callee, and only there.
    NoSiteAfterCall = "no-site-after-call",
    /// Nobody says where a parameter or result lies that is read there.
    NoPlace = "no-place",
    /// Witnesses give different places of a parameter or result.
    PlacesDisagree = "places-disagree",
    /// The callee is called in ways that the site does not see: by defer, in a closure, through a variable.
    OtherCalls = "other-calls",
    /// No call of the callee can be probed.
    NoCallSite = "no-call-site",
    /// A call through an interface or a function value is mostly made by name (profile-guided optimisation).
    Devirtualised = "devirtualised",
    /// It cannot be told where a function with deferred calls keeps its results.
    NoResultSlots = "no-result-slots",
    /// A function that the return address would be compared with is not there, or was inlined.
    NoCaller = "no-caller",
    /// Two types in the binary have the same name and other fields.
    AmbiguousType = "ambiguous-type",
    /// Witnesses give different offsets for a field.
    WitnessesDisagree = "witnesses-disagree",
    /// The field has another type than the catalog says.
    OtherKind = "other-kind",
    /// A witness knows the struct, and it has no such field.
    NoSuchField = "no-such-field",
    /// Nobody knows the field.
    NoWitness = "no-witness",
    /// There is no static itab for the pair of types.
    NoItab = "no-itab",
    /// There is no descriptor of the map type.
    NoMap = "no-map",
    /// There is no descriptor of the type.
    NoType = "no-type",
    /// There are more concrete types of an interface than are listed.
    TooManyTypes = "too-many-types",
    /// It cannot be told which variable a call is given.
    NoVariable = "no-variable",
    /// The program does by itself what strobe would do for it.
    LeftAlone = "left-alone",
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_their_words_in_json_and_a_later_one_can_be_read() {
        for &code in Code::ALL {
            assert_eq!(serde_json::to_value(code).expect("JSON"), code.word());
            assert_eq!(serde_json::from_value::<Code>(code.word().into()).expect("a code"), code);
            assert!(code.word().chars().all(|c| c.is_ascii_lowercase() || c == '-'), "{code}");
        }
        assert_eq!(serde_json::from_value::<Code>("of-next-year".into()).expect("read"), Code::Unknown);
    }

    /// The table of docs/plan-json.md has a row for each code, and for nothing else.
    #[test]
    fn every_code_is_documented() {
        let docs = include_str!("../../../docs/plan-json.md");
        let table = docs.split("## Codes of findings").nth(1).expect("the section");
        let table = table.split("\n## ").next().expect("its end");
        let rows = table.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
        let documented: Vec<&str> = rows.collect();
        let words: Vec<&str> = Code::ALL.iter().map(|code| code.word()).collect();
        assert_eq!(documented, words);
    }
}
