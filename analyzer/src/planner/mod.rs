//! Makes the [`Plan`] of a file: what the catalog asks for, held against what the binary and the database say.
//!
//! Each table of the binary is gone through once for all catalog entries together ([`facts`]); then each entry is judged by
//! itself ([`fields`], [`roles`]), so that none takes another down.

mod facts;
mod fields;
pub mod remedies;
mod roles;
mod settings;
mod verdict;

use std::cell::Cell;

use offsets::catalog::{self, Entry};
use offsets::{Database, Version};

use crate::Options;
use crate::debug_file::Search;
use crate::error::ErrorKind;
use crate::go::buildinfo::{BuiltModule, Minor};
use crate::go::notes;
use crate::go_image::{GoImage, Kind};
use crate::plan::{Library, Plan, SCHEMA_VERSION, Status, VersionMatch};
use facts::Facts;
use verdict::Findings;

/// The newest minor release that the tests cover. A later one may lay out its tables in the same way and yet call functions
/// or keep maps in another, which nothing in the binary says: type data vouches for fields alone.
const NEWEST: Minor = Minor(27);

/// Makes the Plan.
pub(crate) fn make(
    go: &GoImage<'_>,
    file_name: &str,
    options: &Options,
    debug: &Search<'_>,
) -> crate::error::Result<Plan> {
    must_be_a_program(go.kind)?;
    let database = Database::embedded();
    let facts = Facts::gather(go, catalog::entries(), options, debug)?;
    let present = catalog::entries().iter().filter(|e| facts.is_present(e));
    let build = go.build.as_ref();
    Ok(Plan {
        schema_version: SCHEMA_VERSION,
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        database: database.digest().to_owned(),
        file: file_name.to_owned(),
        arch: go.image.arch,
        go_version: go.go_version().map(ToOwned::to_owned),
        build_id: notes::build_id(&go.image),
        debug_file: facts.debug_file.as_ref().map(|p| p.to_string_lossy().into_owned()),
        modules: build.map(|b| b.modules().map(BuiltModule::to_plan).collect()).unwrap_or_default(),
        libraries: present.map(|e| library(go, e, &facts, options)).collect(),
    })
}

/// What is loaded into a program can be looked into, but the agent attaches to programs.
fn must_be_a_program(kind: Kind) -> crate::error::Result<()> {
    match kind {
        // A C program's Go functions are called, compiled and laid out as a Go program's are.
        Kind::Program | Kind::Archive => Ok(()),
        Kind::NeedsOthers => Err(ErrorKind::NeedsOthers),
        Kind::Plugin => Err(ErrorKind::Library { what: "a Go plugin (`-buildmode=plugin`)" }),
        Kind::Library => {
            Err(ErrorKind::Library { what: "a Go shared library (`-buildmode=c-shared` or `shared`)" })
        }
    }
}

/// What a judgement of one entry needs.
struct Case<'a> {
    go: &'a GoImage<'a>,
    entry: &'a Entry,
    facts: &'a Facts<'a>,
    /// The version's text, without `go` for the standard library.
    version_text: Option<String>,
    version: Option<Version>,
    database: Option<&'static Database>,
    /// Why the database is not asked of this program.
    silenced: Option<String>,
    /// How much code has been decoded for this library.
    decoded_bytes: Cell<u64>,
}

fn library(go: &GoImage<'_>, entry: &Entry, facts: &Facts<'_>, options: &Options) -> Library {
    let (version_text, unknown) = match version_of(go, entry) {
        Ok(text) => (Some(text), None),
        Err(why) => (None, Some(why)),
    };
    let version = version_text.as_deref().and_then(|v| Version::parse(&entry.module, v));
    let settings = go.build.as_ref().map(|b| b.settings.as_slice()).unwrap_or_default();
    let silenced = settings::silence(&entry.module, go.go_version(), settings);
    let database = (options.database && silenced.is_none()).then(Database::embedded);
    let version_match = match &version_text {
        Some(text) => version_match(Database::embedded().version_match(&entry.module, text)),
        None => VersionMatch::Unknown,
    };
    let decoded_bytes = Cell::new(0);
    let case = Case {
        go,
        entry,
        facts,
        version_text: version_text.clone(),
        version,
        database,
        silenced,
        decoded_bytes,
    };
    let mut findings = Findings::default();
    findings.refuse_if(too_new(go.minor()));
    case.judge_version(unknown.as_deref(), &mut findings);
    if let Some(error) = &facts.dwarf_error {
        findings.note(format!("{}: {error}", remedies::NO_DWARF));
    }
    if facts.loads_plugins() {
        findings.note(format!("the program {}", remedies::LOADS_PLUGINS));
    }
    let functions = case.roles(&mut findings);
    let fields = case.fields(&mut findings);
    let itabs = case.itabs(&mut findings);
    let maps = case.maps(&mut findings);
    let status = match entry.status {
        catalog::Status::Instrumented => Status::Instrumented,
        catalog::Status::Recorded => Status::Recorded,
    };
    let (verdict, reason) = findings.verdict(status);
    Library {
        id: entry.id.clone(),
        module: entry.module.clone(),
        version: version_text,
        version_match,
        status,
        verdict,
        reason,
        functions,
        fields,
        itabs,
        maps,
    }
}

/// Why a program of that release is not touched, when it is not. What is found is listed all the same.
fn too_new(minor: Minor) -> Option<String> {
    let why =
        || format!("it was built with Go {minor}, {} is Go {NEWEST}: upgrade strobe", remedies::NEWER_GO);
    (minor > NEWEST).then(why)
}

fn version_match(found: offsets::VersionMatch) -> VersionMatch {
    match found {
        offsets::VersionMatch::Exact => VersionMatch::Exact,
        offsets::VersionMatch::Between => VersionMatch::Between,
        offsets::VersionMatch::Outside => VersionMatch::Outside,
        offsets::VersionMatch::Unknown => VersionMatch::Unknown,
    }
}

/// The version of the module that owns the library, after replacement; else why there is none.
fn version_of(go: &GoImage<'_>, entry: &Entry) -> Result<String, String> {
    if entry.module == offsets::STD {
        let text = go.go_version().ok_or("there is no build information, and no variable of that form")?;
        return match Version::parse(offsets::STD, text) {
            Some(_) => Ok(text.strip_prefix("go").unwrap_or(text).to_owned()),
            None => Err(format!("the binary calls its Go version {text:?}")),
        };
    }
    let build = go.build.as_ref().ok_or("there is no build information")?;
    let module = build.modules().find(|m| m.path == entry.module);
    owner(module.ok_or("the build information does not list its module")?)
}

/// Whose version counts for the structs of a module.
fn owner(module: &BuiltModule) -> Result<String, String> {
    match module.replaced_by.as_deref() {
        // Another module's versions say nothing of this one's layouts.
        Some(other) if other.path != module.path => {
            Err(format!("{} is replaced by {} {}", module.path, other.path, other.version)
                .trim_end()
                .to_owned())
        }
        Some(same) => Ok(same.version.clone()),
        None => Ok(module.version.clone()),
    }
}

impl Case<'_> {
    fn judge_version(&self, unknown: Option<&str>, findings: &mut Findings) {
        if let Some(why) = unknown {
            findings.note(format!(
                "{} ({why}), so the binary's own type data decides",
                remedies::UNKNOWN_VERSION
            ));
        }
        if let Some(version) = &self.version
            && !self.entry.versions.contains(version)
        {
            let text = self.version_text.as_deref().unwrap_or_default();
            findings.refuse(format!("version {text} {}", remedies::OUTSIDE_CATALOG));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(path: &str, version: &str) -> BuiltModule {
        BuiltModule { path: path.into(), version: version.into(), ..BuiltModule::default() }
    }

    #[test]
    fn a_go_that_no_test_has_seen_is_refused_by_name() {
        assert_eq!(too_new(Minor(27)), None);
        assert_eq!(too_new(Minor(18)), None);
        let why = too_new(Minor(28)).expect("it is newer");
        assert!(
            why.contains("Go 1.28,") && why.contains("is Go 1.27") && why.contains("upgrade strobe"),
            "{why}"
        );
        assert_eq!(remedies::remedies(&why).len(), 1);
    }

    #[test]
    fn the_module_that_really_owns_a_struct_has_the_version() {
        let plain = module("google.golang.org/grpc", "v1.60.0");
        assert_eq!(owner(&plain).as_deref(), Ok("v1.60.0"));
        let replaced = |by| BuiltModule { replaced_by: Some(Box::new(by)), ..plain.clone() };
        assert_eq!(owner(&replaced(module("google.golang.org/grpc", "v1.58.3"))).as_deref(), Ok("v1.58.3"));
        let fork =
            owner(&replaced(module("example.com/grpc", "v1.60.1"))).expect_err("a fork is another module");
        assert!(fork.contains("replaced by example.com/grpc v1.60.1"), "{fork}");
        let folder = owner(&replaced(module("../grpc", ""))).expect_err("a folder has no version");
        assert!(folder.ends_with("replaced by ../grpc"), "{folder}");
    }
}
