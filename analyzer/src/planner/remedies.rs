//! What the owner of a binary can do about each reason of a Plan. A reason is recognised by the phrase that it was made
//! with, so the phrases live here.

pub(super) const INLINED: &str = "was inlined into";
pub(super) const NO_FUNCTION: &str = "no such function in pclntab";
pub(super) const OTHER_ARGUMENTS: &str = "its argument words are";
pub(super) const DISAGREE: &str = "witnesses disagree about";
pub(super) const OTHER_KIND: &str = "is another type than the catalog's";
pub(super) const UNKNOWN_VERSION: &str = "its version is unknown";
pub(super) const OUTSIDE_CATALOG: &str = "lies outside what the catalog covers";

pub(super) const NEWER_GO: &str = "the newest that this strobe is tested with";

pub(super) const NO_DWARF: &str = "the DWARF was not heard";
pub(super) const LOADS_PLUGINS: &str =
    "can load plugins (it has plugin.open), whose own copies of the library's functions no probe sees";

const REMEDIES: [(&str, &str); 12] = [
    (
        NEWER_GO,
        "upgrade strobe to a version that supports this Go release; until then build with an older Go. How functions are called and \
         maps are kept may have changed, and no binary says so",
    ),
    (
        INLINED,
        "build without profile-guided optimisation (`-pgo=off`), or with `-gcflags=PACKAGE=-l` for the package of that \
         function, so that it stays a function of its own",
    ),
    (
        NO_FUNCTION,
        "nothing in the program can reach that function, or another package of the same name replaced it; check that the \
         library is used the way its documentation shows",
    ),
    (
        OTHER_ARGUMENTS,
        "use a released version of the library: this one takes other arguments than every version known",
    ),
    (
        DISAGREE,
        "deploy the file as the Go linker wrote it, with the DWARF of the very same build or with none (`strip -g` is fine); \
         if it is unchanged, the offset database is wrong for this version: report it",
    ),
    (
        OTHER_KIND,
        "use a released version of the library: in this one the field is of another type than in every version known",
    ),
    (
        UNKNOWN_VERSION,
        "build in module mode and without overriding `runtime.buildVersion`, so that the binary names its versions; as long as the \
         type data knows every field it is not needed",
    ),
    (
        LOADS_PLUGINS,
        "start servers and clients in the program itself: what a plugin only handles is traced, what it serves by itself is not",
    ),
    (
        NO_DWARF,
        "install the debug file of this very build, or remove the one that is of another; as long as the type data knows every \
         field it is not needed",
    ),
    (OUTSIDE_CATALOG, "build with a version that the catalog covers, or update strobe"),
    (
        "in the type data",
        "the program never makes that type reachable for reflection: update strobe, whose database may know it",
    ),
    ("does not trace it", "nothing to do: a later version of strobe will"),
];

/// The remedies for a Plan's reason, in the order of the reason.
pub fn remedies(reason: &str) -> Vec<&'static str> {
    let mut found: Vec<(usize, &str)> =
        REMEDIES.iter().filter_map(|(phrase, remedy)| Some((reason.find(phrase)?, *remedy))).collect();
    found.sort_unstable();
    found.into_iter().map(|(_, remedy)| remedy).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_phrase_has_its_own_remedy() {
        for (phrase, remedy) in REMEDIES {
            assert_eq!(remedies(&format!("net/http.x: {phrase} y")), [remedy]);
        }
        assert!(remedies("all is well").is_empty());
    }
}
