//! What the owner of a binary can do about each kind of finding.

use crate::plan::Code;

const RELEASED: &str =
    "use a released version of the library: this one takes other arguments than every version known";
const REACHABLE: &str = "nothing in the program can reach that function, or another package of the same name replaced it; check that the \
     library is used the way its documentation shows";
const FOR_REFLECTION: &str =
    "the program never makes that type reachable for reflection: update strobe, whose database may know it";
const AS_LINKED: &str =
    "deploy the file as the Go linker wrote it; stripping is fine, other post-processing is not";
const REPORT: &str = "report the binary: no real one is known to pass this limit";
const REPORT_SITE: &str = "report the function and the Go version: no site is known in code of this form";

/// The remedy, where there is one.
pub(super) fn remedy(code: Code) -> Option<&'static str> {
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
            "use a released version of the library and Go as its makers release it; if both are, the offset database is wrong for \
             this version: report it"
        }
        Code::WitnessesDisagree => {
            "deploy the file as the Go linker wrote it, with the DWARF of the very same build or with none (`strip -g` is fine); \
             if it is unchanged, the offset database is wrong for this version: report it"
        }
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
        | Code::NoResultSlots => REPORT_SITE,
        Code::Devirtualised => "build without profile-guided optimisation (`-pgo=off`)",
        Code::SiteNote | Code::SingleStepped | Code::TooManyTypes | Code::Unknown => return None,
    })
}
