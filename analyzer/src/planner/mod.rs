//! Makes the [`Plan`] of a file: what the catalog asks for, held against what the binary and the database say.
//!
//! Each table of the binary is gone through once for all catalog entries together ([`facts`]); then each entry is judged by
//! itself ([`fields`], [`roles`]), so that none takes another down.

mod case;
mod closures;
mod described;
mod descriptors;
mod facts;
mod failure;
mod fields;
mod implementers;
mod names;
mod owners;
mod places;
mod remedies;
mod roles;
mod settings;
mod unseen;
mod values;
mod variables;
mod verdict;

use offsets::Database;
use offsets::catalog::{self, Entry};

use crate::debug_file::Search;
use crate::error::ErrorKind;
use crate::go::notes;
use crate::go::release::{self, Minor};
use crate::go_image::{GoImage, Kind};
use crate::options::Options;
use crate::plan::{Closures, Code, Library, Plan, SCHEMA_VERSION, Status, Verdict, VersionMatch};
use case::Case;
use facts::Facts;
use owners::Owner;
use remedies::Circumstances;
use verdict::{Findings, Matter};

/// Makes the Plan.
pub(crate) fn make(
    go: &GoImage<'_>,
    file_name: &str,
    options: &Options,
    debug: &Search<'_>,
) -> crate::error::Result<Plan> {
    must_be_a_program(go.kind)?;
    let database = Database::embedded();
    let facts = Facts::gather(go, options.entries, options, debug)?;
    let present = options.entries.iter().filter(|e| facts.is_present(e));
    let build = go.build.as_ref();
    Ok(Plan {
        schema_version: SCHEMA_VERSION,
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        database: database.digest().to_owned(),
        file: file_name.to_owned(),
        arch: go.image.arch,
        go_version: go.go_version().map(ToOwned::to_owned),
        build_id: notes::build_id(&go.image).into(),
        debug_file: facts.debug_file.as_ref().map(|p| p.to_string_lossy().into_owned()),
        types_vaddr: Some(go.types().start()),
        modules: build.map(|b| b.modules().map(Into::into).collect()).unwrap_or_default(),
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

fn library(go: &GoImage<'_>, entry: &Entry, facts: &Facts<'_>, options: &Options) -> Library {
    let owner = Owner::of_module(go, &entry.module);
    let version_text = owner.version_text.clone();
    let database = options.database.then(Database::embedded);
    let version_match = match &version_text {
        Some(text) => version_match(Database::embedded().version_match(&entry.module, text)),
        None => VersionMatch::Unknown,
    };
    let case = Case::new(go, entry, facts, owner, database);
    let mut findings = Findings::under(Circumstances::of(go, entry));
    findings.refuse_if(go.minor().and_then(too_new));
    case.judge_version(&mut findings);
    facts.remarks().into_iter().for_each(|matter| findings.note(matter));
    let status = match entry.status {
        catalog::Status::Instrumented => Status::Instrumented,
        catalog::Status::Recorded => Status::Recorded,
        catalog::Status::Custom => Status::Custom,
    };
    let mut out = Library {
        id: entry.id.clone(),
        module: entry.module.clone(),
        version: version_text,
        version_match,
        status,
        verdict: Verdict::Ready,
        reason: None,
        findings: Vec::new(),
        functions: Vec::new(),
        fields: Vec::new(),
        itabs: Vec::new(),
        maps: Vec::new(),
        sizes: Vec::new(),
        types: Vec::new(),
        variables: Vec::new(),
        closures: Vec::new(),
    };
    if !case.is_left_alone(&mut findings) {
        out.functions = case.roles(&mut findings);
        out.fields = case.fields(&mut findings);
        out.itabs = case.itabs(&mut findings);
        out.maps = case.maps(&mut findings);
        out.sizes = case.sizes(&mut findings);
        out.types = case.descriptors(&mut findings);
        out.variables = case.variables(&mut findings);
        out.closures = case.closures();
    }
    (out.verdict, out.reason, out.findings) = findings.verdict(&entry.id, status);
    out
}

/// Why a program of that release is not touched, when it is not. What is found is listed all the same.
fn too_new(minor: Minor) -> Option<Matter> {
    let newest = release::newest();
    let why = || {
        format!(
            "it was built with Go {minor}, the newest that this strobe is tested with is Go {newest}: upgrade strobe"
        )
    };
    (minor > newest).then(|| Matter::new(Code::NewerGo, format!("go{minor}"), why()))
}

impl Facts<'_> {
    /// What is worth knowing of the whole program, whichever library is asked for.
    fn remarks(&self) -> Vec<Matter> {
        let dwarf = self.dwarf_error.as_ref().map(|error| {
            Matter::new(Code::DwarfNotHeard, "DWARF", format!("the DWARF was not heard: {error}"))
        });
        let plugins = "the program can load plugins (it has plugin.open), whose own copies of the library's functions no probe \
                       sees";
        let plugins = self.loads_plugins().then(|| Matter::new(Code::LoadsPlugins, "plugin.open", plugins));
        dwarf.into_iter().chain(plugins).collect()
    }
}

fn version_match(found: offsets::VersionMatch) -> VersionMatch {
    match found {
        offsets::VersionMatch::Exact => VersionMatch::Exact,
        offsets::VersionMatch::Between => VersionMatch::Between,
        offsets::VersionMatch::Outside => VersionMatch::Outside,
        offsets::VersionMatch::Unknown => VersionMatch::Unknown,
    }
}

impl Case<'_> {
    /// The closures that the entry asks for.
    fn closures(&self) -> Vec<Closures> {
        let found = |of: &String| self.facts.closures.get(of.as_str()).cloned().unwrap_or_default();
        self.entry.closures.iter().map(|of| Closures { of: of.clone(), vaddrs: found(of) }).collect()
    }

    fn judge_version(&self, findings: &mut Findings) {
        if let Some(why) = &self.owner.unknown {
            let why = format!("its version is unknown ({why}), so the binary's own type data decides");
            findings.note(Matter::new(Code::UnknownVersion, &self.entry.module, why));
        }
        if let Some(version) = &self.owner.version
            && !self.entry.versions.contains(version)
        {
            let text = self.owner.version_text.as_deref().unwrap_or_default();
            let covered = &self.entry.versions;
            let why = match (&covered.since, &covered.until) {
                (Some(since), _) if version < since => {
                    format!("version {text} is older than {since}, the first that the catalog covers")
                }
                (_, Some(until)) => {
                    format!(
                        "version {text} is not older than {until}, from which on the catalog does not cover it"
                    )
                }
                _ => format!("version {text} lies outside what the catalog covers"),
            };
            findings.refuse(Matter::new(Code::VersionOutsideCatalog, &self.entry.module, why));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_go_that_no_test_has_seen_is_refused_by_name() {
        let (newest, oldest) = (release::newest(), release::oldest());
        assert_eq!((too_new(newest), too_new(oldest)), (None, None));
        let next = Minor(newest.0 + 1);
        let matter = too_new(next).expect("it is newer");
        assert_eq!((matter.code, matter.subject), (Code::NewerGo, format!("go{next}")));
        let why = matter.message;
        assert!(why.contains(&format!("Go {next},")) && why.contains(&format!("is Go {newest}")), "{why}");
        assert!(why.contains("upgrade strobe"), "{why}");
    }
}
