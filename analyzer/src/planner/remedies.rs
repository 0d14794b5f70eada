//! What the owner of a binary can do about each kind of finding.

use offsets::catalog::{Entry, Status};

use crate::go_image::GoImage;
use crate::plan::Code;

const RELEASED: &str =
    "use a released version of the library: this one takes other arguments than every version known";
const REACHABLE: &str = "nothing in the program can reach that function, or another package of the same name replaced it; check that the \
     library is used the way its documentation shows";
const FOR_REFLECTION: &str =
    "the program never makes that type reachable for reflection: update strobe, whose database may know it";
const AS_LINKED: &str =
    "deploy the file as the Go linker wrote it; stripping is fine, other post-processing is not";
const OTHER_SOURCE: &str = "the program has another struct than the released version of that name: build from the library's source as it was \
     released, without changes of your own (in `vendor/`, behind `replace` or by `-overlay`), and with Go as its makers release it; \
     if both are, the offset database is wrong for this version: report it";
const OTHER_BUILD: &str = "deploy the file as the Go linker wrote it, with the DWARF of the very same build or with none (`strip -g` is fine)";
const SMALL: &str = "the compiler inlines small functions: build with `-gcflags=PACKAGE=-l` for the package of that function, so that it stays \
     a function of its own";
const OWN_SMALL: &str = "the compiler inlines small functions: write `//go:noinline` above it, build with `-gcflags=PACKAGE=-l` for its package, or \
     take a site that is found in copies too (`inlined = true`, at \"call\" or \"after_call\")";
const REPORT: &str = "report the binary: no real one is known to pass this limit";
const REPORT_SITE: &str = "report the function and the Go version: no site is known in code of this form";

/// What decides between remedies of one kind of finding.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Circumstances {
    /// The entry is the user's own: what does not fit may be the entry itself.
    own: bool,
    /// The build information shows that no profile guided the compiler.
    no_profile: bool,
}

impl Circumstances {
    /// Those of an entry before a binary.
    pub fn of(go: &GoImage<'_>, entry: &Entry) -> Self {
        let settings = go.build.as_ref().map(|build| build.settings.as_slice()).unwrap_or_default();
        Circumstances { own: entry.status == Status::Custom, no_profile: has_no_profile(settings) }
    }
}

/// The go command notes a profile as `-pgo`; one may be handed to the compiler behind its back, too.
fn has_no_profile(settings: &[(String, String)]) -> bool {
    let guides = |(key, value): &(String, String)| {
        (key == "-pgo" && value != "off") || (key == "-gcflags" && value.contains("-pgoprofile"))
    };
    !settings.is_empty() && !settings.iter().any(guides)
}

/// What helps against a dispute, by what the binary's own witnesses say: where they are of one mind, the program was built from
/// other source than the database was.
pub(super) fn of_dispute<T: PartialEq>(mut of_binary: impl Iterator<Item = T>) -> &'static str {
    let first = of_binary.next();
    if of_binary.all(|other| Some(other) == first) { OTHER_SOURCE } else { OTHER_BUILD }
}

/// The remedy, where there is one.
pub(super) fn remedy(code: Code, circumstances: Circumstances) -> Option<&'static str> {
    let own = circumstances.own.then(|| of_own(code)).flatten();
    match code {
        Code::Inlined if circumstances.no_profile => Some(if circumstances.own { OWN_SMALL } else { SMALL }),
        _ => own.or_else(|| of_kind(code)),
    }
}

/// What helps where the entry is the user's own.
fn of_own(code: Code) -> Option<&'static str> {
    Some(match code {
        Code::NoFunction | Code::NoCaller => {
            "correct the name in your entry: `analyze inspect functions FILE --filter NAME` lists what the program has; what nothing \
             in the program can reach is not linked in"
        }
        Code::OtherArguments | Code::NoPlace | Code::PlacesDisagree => {
            "correct `args`, `returns` or `values` in your entry: `analyze inspect sites FILE --filter FUNCTION` prints the argument \
             words of the function"
        }
        Code::OtherKind | Code::NoSuchField => {
            "correct the field in your entry: `analyze inspect types FILE --filter TYPE` prints its fields and their kinds"
        }
        Code::NoWitness | Code::NoType => {
            "correct the name in your entry: `analyze inspect types FILE --filter TYPE` lists what type data has; a type that the \
             program never makes reachable for reflection is not there, and DWARF may have it"
        }
        Code::NoItab => {
            "correct the names in your entry: `analyze inspect itabs FILE --filter TYPE` lists the pairs that the program has"
        }
        Code::NoMap => {
            "correct the map's type in your entry, or make it reachable for reflection in the program"
        }
        Code::VersionOutsideCatalog | Code::NoAlternative => {
            "widen `since` and `until` in your entry, if it is right for this version too"
        }
        Code::NoSiteAfterCall => {
            "take another site in your entry, or with `stepped = true` an instruction that the kernel steps, if the message says that \
             there is one"
        }
        Code::NoEntrySite | Code::NoExitSite | Code::NoCallSite | Code::NoResultSlots | Code::NoVariable => {
            "take another site in your entry: no sound one is known in code of this form"
        }
        Code::TooMuchCode | Code::TooManyCopies => "name smaller functions, or fewer of them, in your entry",
        _ => return None,
    })
}

/// What helps against any finding of a kind.
fn of_kind(code: Code) -> Option<&'static str> {
    Some(match code {
        Code::NotTracedYet => "nothing to do: a later version of strobe will",
        Code::NewerGo => {
            "upgrade strobe to a version that supports this Go release; until then build with an older Go. How functions are \
             called and maps are kept may have changed, and no binary says so"
        }
        Code::UnknownVersion => {
            "build in module mode and without overriding `runtime.buildVersion`, so that the binary names its versions; as long \
             as the type data knows every field it is not needed"
        }
        Code::VersionOutsideCatalog | Code::NoAlternative => {
            "build with a version that the catalog covers, or update strobe"
        }
        Code::DwarfNotHeard => {
            "install the debug file of this very build, or remove the one that is of another; as long as the type data knows \
             every field it is not needed"
        }
        Code::LoadsPlugins => {
            "start servers and clients in the program itself: what a plugin only handles is traced, what it serves by itself is \
             not"
        }
        Code::Inlined => {
            "build without profile-guided optimisation (`-pgo=off`), or with `-gcflags=PACKAGE=-l` for the package of that \
             function, so that it stays a function of its own"
        }
        Code::NoFunction | Code::NoCaller => REACHABLE,
        Code::OtherArguments | Code::NoPlace => RELEASED,
        Code::PlacesDisagree => {
            "use a released version of the library, without changes of your own (in `vendor/`, behind `replace` or by `-overlay`), and \
             Go as its makers release it; if both are, the offset database is wrong for this version: report it"
        }
        Code::WitnessesDisagree => OTHER_BUILD,
        Code::OtherKind | Code::NoSuchField => {
            "use a released version of the library: in this one the field is of another type than in every version known, or it \
             is not there"
        }
        Code::AmbiguousType => {
            "build with one version of that package: two structs of the same name cannot be told apart"
        }
        Code::NoWitness | Code::NoItab | Code::NoMap | Code::NoType => FOR_REFLECTION,
        Code::TooManyCopies | Code::TooMuchCode => REPORT,
        Code::NoCode => AS_LINKED,
        Code::NoEntrySite
        | Code::NoExitSite
        | Code::NoSiteAfterCall
        | Code::NoCallSite
        | Code::NoResultSlots
        | Code::NoVariable => REPORT_SITE,
        Code::Devirtualised => "build without profile-guided optimisation (`-pgo=off`)",
        Code::OtherCalls => {
            "if those calls matter, add roles for them: a deferred call and a closure are functions of their own (`F.deferwrap1`, \
             `F.func1`)"
        }
        Code::SiteNote | Code::SingleStepped | Code::TooManyTypes | Code::LeftAlone | Code::Unknown => {
            return None;
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
    }

    #[test]
    fn no_profile_is_blamed_where_there_was_none() {
        let plain = settings(&[("-compiler", "gc")]);
        assert!(has_no_profile(&plain) && has_no_profile(&settings(&[("-pgo", "off")])));
        assert!(!has_no_profile(&settings(&[("-pgo", "/src/default.pgo")])));
        assert!(!has_no_profile(&settings(&[("-gcflags", "net/http=-pgoprofile=x")])));
        // Nothing is known of such a build.
        assert!(!has_no_profile(&[]));
        let said = |own, no_profile| remedy(Code::Inlined, Circumstances { own, no_profile }).expect("one");
        assert!(said(false, false).contains("-pgo=off") && said(true, false).contains("-pgo=off"));
        assert!(!said(false, true).contains("pgo") && !said(false, true).contains("inlined = true"));
        assert!(!said(true, true).contains("pgo") && said(true, true).contains("//go:noinline"));
    }

    #[test]
    fn who_disagrees_decides_what_helps() {
        assert!(of_dispute([Some(8), Some(8)].into_iter()).contains("`vendor/`"));
        assert!(of_dispute([Some(8)].into_iter()).contains("`vendor/`"));
        let by_dwarf = of_dispute([Some(8), None].into_iter());
        assert!(by_dwarf.contains("DWARF") && !by_dwarf.contains("report it"));
    }

    #[test]
    fn an_entry_of_ones_own_is_not_blamed_on_the_library() {
        let own = Circumstances { own: true, no_profile: true };
        for &code in Code::ALL {
            let text = remedy(code, own).unwrap_or_default();
            assert!(!text.contains("released version of the library"), "{code}: {text}");
            assert!(!text.contains("report the function"), "{code}: {text}");
        }
        assert!(remedy(Code::NoSiteAfterCall, own).expect("one").contains("`stepped = true`"));
        assert!(!remedy(Code::NoSiteAfterCall, Circumstances::default()).expect("one").contains("stepped"));
    }
}
