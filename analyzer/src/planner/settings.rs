//! Whether the database may speak of a program at all: it was recorded with released Gos as they come, without experiments,
//! build tags or sanitizers, and a version says nothing of those.
//!
//! | the program was built | silent for | because |
//! |---|---|---|
//! | by a snapshot or a Go of somebody's own (`go1.27-20260301-RC00`, `devel …`, `unknown`) | every module | structs hold the standard library's by value (`sync.Mutex`), and the compiler lays them out |
//! | with experiments (`X:…` in the version) | every module | they replace maps, locks and timers |
//! | with `-race`, `-msan`, `-asan` | every module | each sets a build tag of its name, which any package may ask about, and adds words to the run time's |
//! | with `-tags` | every module but the standard library | what a tag selects is its module's own affair; those that only the standard library asks about select none ([`STD_TAGS`]) |
//! | with `-mod=vendor` | what is vendored | the sources may have been changed, and the build information has no hash of them |
//! | with one of the few tags that change the standard library's structs ([`STD_LAYOUT_TAGS`]) | the standard library | |
//!
//! Silent, not qualified: a figure for another layout must neither be used alone nor outvote type data that is right. The
//! setting GOEXPERIMENT is not asked: it may repeat a release's defaults, and what differs from those is in the version.
//! A vendor's mark on a release (`go1.26.3 (Red Hat 1.26.3-1.el9)`) changes nothing here.

use offsets::{STD, Version};

use crate::go::buildinfo::BuiltModule;

/// Settings that instrument all code.
const INSTRUMENTED: [&str; 3] = ["-race", "-msan", "-asan"];
/// Tags that the standard library asks about and no recorded module does.
const STD_TAGS: [&str; 6] = ["faketime", "netcgo", "netgo", "nethttpomithttp2", "osusergo", "timetzdata"];
/// Those of them that change structs which the catalog names: timers, and HTTP/2 in net/http.
const STD_LAYOUT_TAGS: [&str; 2] = ["faketime", "nethttpomithttp2"];

/// Why the database says nothing of a module in this program.
pub(super) fn silence(
    module: &str,
    go_version: Option<&str>,
    settings: &[(String, String)],
) -> Option<String> {
    by_compiler(module, go_version).or_else(|| settings.iter().find_map(|s| by_setting(module, s)))
}

/// Whether nothing vouches for a dependency's sources: go.sum is not asked about what lies in a vendor folder, whoever changed it there,
/// and the build information then has the version without a hash.
pub(super) fn unchecked(dependency: &BuiltModule) -> Option<String> {
    let taken = dependency.replaced_by.as_deref().unwrap_or(dependency);
    taken.sum.is_empty().then(|| "built with -mod=vendor, whose sources no hash vouches for".to_owned())
}

/// The standard library's own version says it for that one.
fn by_compiler(module: &str, go_version: Option<&str>) -> Option<String> {
    let text = go_version.filter(|_| module != STD)?;
    let is_released = |v: &Version| !v.is_development() && !v.has_experiments();
    let released = Version::parse(STD, text).is_some_and(|v| is_released(&v));
    (!released).then(|| format!("compiled by {text}, which is no Go release as it comes"))
}

fn by_setting(module: &str, (key, value): &(String, String)) -> Option<String> {
    if INSTRUMENTED.contains(&key.as_str()) && value == "true" {
        return Some(format!("built with {key}"));
    }
    let mut tags = value.split([',', ' ']).filter(|tag| key == "-tags" && !tag.is_empty());
    let tag = tags.find(|tag| match module {
        STD => STD_LAYOUT_TAGS.contains(tag),
        _ => !STD_TAGS.contains(tag),
    })?;
    Some(format!("built with -tags {tag}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRPC: &str = "google.golang.org/grpc";

    #[test]
    fn what_no_hash_vouches_for_is_not_known() {
        let module = |sum: &str| BuiltModule { path: GRPC.into(), sum: sum.into(), ..BuiltModule::default() };
        assert_eq!(unchecked(&module("h1:x=")), None);
        assert!(unchecked(&module("")).is_some_and(|why| why.contains("-mod=vendor")));
        let replaced = |by: &str| BuiltModule { replaced_by: Some(Box::new(module(by))), ..module("") };
        assert_eq!(unchecked(&replaced("h1:y=")), None);
        assert!(unchecked(&replaced("")).is_some());
    }

    fn is_silent(module: &str, go_version: &str, settings: &[(&str, &str)]) -> bool {
        let settings: Vec<_> = settings.iter().map(|&(k, v)| (k.to_owned(), v.to_owned())).collect();
        silence(module, Some(go_version), &settings).is_some()
    }

    #[test]
    fn what_no_release_compiled_is_not_vouched_for() {
        for (text, silent) in [
            ("go1.26.8", false),
            ("go1.27rc1", false),
            ("go1.26.3 (Red Hat 1.26.3-1.el9)", false),
            ("go1.24.4-X:nodwarf5", true),
            ("go1.25.5 X:noswissmap", true),
            ("go1.27-20260301-RC00", true),
            ("go1.25-custom", true),
            ("devel go1.24-abcdef", true),
            ("unknown", true),
        ] {
            assert_eq!(is_silent(GRPC, text, &[]), silent, "{text}");
            assert!(!is_silent(STD, text, &[]), "{text}: its version says it");
        }
        assert_eq!(silence(GRPC, None, &[]), None);
    }

    #[test]
    fn settings_that_change_layouts_silence_it() {
        for (key, value, grpc, std) in [
            ("-race", "true", true, true),
            ("-asan", "true", true, true),
            ("-msan", "true", true, true),
            ("-race", "false", false, false),
            ("-tags", "netgo,osusergo", false, false),
            ("-tags", "netgo,mine", true, false),
            ("-tags", "mine netgo", true, false),
            ("-tags", "nethttpomithttp2", false, true),
            ("-tags", "", false, false),
            ("GOEXPERIMENT", "swissmap", false, false),
            ("-ldflags", "-s -w", false, false),
        ] {
            let silent = |module| is_silent(module, "go1.26.8", &[(key, value)]);
            assert_eq!((silent(GRPC), silent(STD)), (grpc, std), "{key}={value}");
        }
    }
}
