//! Witnesses held against each other on real builds: type data against DWARF, stripped against its unstripped twin, with
//! and without section headers, and what becomes of a file whose witnesses have been made to disagree.

mod support;

use std::collections::{BTreeMap, HashSet};

use analyzer::go::types::closure;
use analyzer::go::types::{Field, Kind};
use analyzer::plan::{Cost, Library, Plan, Verdict, Witness};
use analyzer::{GoImage, Options};
use support::{Build, SERVER, STRIPPED, build};
use tempfile::TempDir;

fn types_alone() -> Options {
    Options { dwarf: false, database: false, ..Options::default() }
}

fn dwarf_alone() -> Options {
    Options { types: false, database: false, ..Options::default() }
}

fn plan(bytes: &[u8], options: &Options) -> Plan {
    analyzer::plan(bytes, "test", options).expect("a Plan")
}

fn server(plan: &Plan) -> &Library {
    plan.libraries.iter().find(|l| l.id == "net/http.server").expect("net/http.server is there")
}

fn read(folder: &TempDir, name: &str, how: Build<'_>) -> Vec<u8> {
    std::fs::read(build(folder, name, SERVER, how)).expect("the build")
}

fn offsets(plan: &Plan) -> Vec<(String, Option<u64>)> {
    server(plan).fields.iter().map(|f| (format!("{}.{}", f.type_name, f.field), f.offset)).collect()
}

#[test]
fn type_data_alone_finds_what_the_dwarf_of_the_twin_says() {
    let folder = TempDir::new().expect("a folder");
    for arch in ["amd64", "arm64"] {
        for mode in ["exe", "pie"] {
            let how = Build { arch, mode, ldflags: "" };
            let twin = read(&folder, &format!("twin-{arch}-{mode}"), how);
            let stripped =
                read(&folder, &format!("stripped-{arch}-{mode}"), Build { ldflags: "-s -w", ..how });
            let (by_types, by_dwarf) = (plan(&stripped, &types_alone()), plan(&twin, &dwarf_alone()));
            assert_eq!(offsets(&by_types), offsets(&by_dwarf), "{arch} {mode}");
            let library = server(&by_types);
            assert_eq!(library.verdict, Verdict::Ready, "{arch} {mode}: {:?}", library.reason);
            assert!(library.fields.iter().all(|f| f.witnesses == [Witness::Types]));
            let sites = library.functions.iter().flat_map(|f| &f.sites);
            assert!(sites.into_iter().all(|s| s.cost == Cost::Emulated), "{arch} {mode}");
        }
    }
}

#[test]
fn nothing_changes_without_section_headers() {
    let folder = TempDir::new().expect("a folder");
    for mode in ["exe", "pie"] {
        let mut bytes = read(&folder, mode, Build { mode, ..STRIPPED });
        let with = plan(&bytes, &types_alone());
        bytes[40..48].fill(0); // e_shoff
        bytes[58..64].fill(0); // e_shentsize, e_shnum, e_shstrndx
        let mut without = plan(&bytes, &types_alone());
        // Go's linker puts GNU's build id (since 1.24) where no segment of notes reaches.
        without.build_id.gnu.clone_from(&with.build_id.gnu);
        assert_eq!(without, with, "{mode}");
    }
}

#[test]
fn a_future_go_is_listed_and_refused() {
    let folder = TempDir::new().expect("a folder");
    let mut bytes = read(&folder, "stripped", STRIPPED);
    let version = plan(&bytes, &types_alone()).go_version.expect("a version");
    let future = version.replacen(&version[..6], "go1.31", 1);
    let at: Vec<usize> =
        (0..bytes.len() - version.len()).filter(|&i| bytes[i..].starts_with(version.as_bytes())).collect();
    at.into_iter().for_each(|i| bytes[i..i + future.len()].copy_from_slice(future.as_bytes()));
    let plan = plan(&bytes, &Options::default());
    assert_eq!(plan.go_version, Some(future));
    let library = server(&plan);
    assert_eq!(library.verdict, Verdict::Refused);
    let reason = library.reason.as_deref().expect("a reason");
    assert!(
        reason.contains("built with Go 1.31, the newest that this strobe is tested with is Go 1.27"),
        "{reason}"
    );
    assert!(library.fields.iter().any(|f| f.offset.is_some()) && !library.functions.is_empty());
}

#[test]
fn no_witness_no_instrumentation() {
    let folder = TempDir::new().expect("a folder");
    let bytes = read(&folder, "stripped", STRIPPED);
    let none = plan(&bytes, &dwarf_alone());
    let library = server(&none);
    assert_eq!(library.verdict, Verdict::Refused);
    let reason = library.reason.as_deref().expect("a reason");
    assert!(reason.contains("net/http.Request.Method") && reason.contains("type data"), "{reason}");
    assert!(library.fields.iter().all(|f| f.offset.is_none() && f.witnesses.is_empty()));
}

/// File position of a word of the record of `net/http.Request`'s field: 0 name, 1 type, 2 offset.
fn field_word(bytes: &[u8], field: &str, word: u64) -> usize {
    let go = GoImage::parse(bytes).expect("a Go binary");
    let types = go.types();
    let structs = closure::structs(&types).expect("types");
    let (_, vaddr) = structs.iter().find(|(name, _)| name == "net/http.Request").expect("Request");
    let request = types.get(*vaddr).expect("its descriptor");
    let index = types.fields(&request).position(|f| f.name == field.as_bytes()).expect("the field");
    let fields = go.image.pointer(vaddr + 56).expect("its fields");
    let at = go.image.file_offset(fields + index as u64 * 24 + word * 8).expect("in the file");
    usize::try_from(at).expect("fits")
}

#[test]
fn disagreeing_witnesses_are_refused_by_name() {
    let folder = TempDir::new().expect("a folder");
    let mut bytes = read(&folder, "twin", Build { ldflags: "", ..STRIPPED });
    let at = field_word(&bytes, "Host", 2);
    bytes[at] ^= 0x20;
    let plan = plan(&bytes, &Options { database: false, ..Options::default() });
    let library = server(&plan);
    assert_eq!(library.verdict, Verdict::Refused);
    let reason = library.reason.as_deref().expect("a reason");
    for word in ["witnesses disagree", "net/http.Request.Host", "by type data", "by DWARF"] {
        assert!(reason.contains(word), "{word:?} is not in {reason:?}");
    }
}

#[test]
fn a_field_of_another_kind_is_not_read() {
    let folder = TempDir::new().expect("a folder");
    let bytes = read(&folder, "stripped", STRIPPED);
    for (field, verdict) in [("Method", Verdict::Refused), ("Host", Verdict::Partial)] {
        let mut bytes = bytes.clone();
        let (to, from) = (field_word(&bytes, field, 1), field_word(&bytes, "ProtoMajor", 1));
        bytes.copy_within(from..from + 8, to);
        let plan = plan(&bytes, &types_alone());
        let library = server(&plan);
        assert_eq!(library.verdict, verdict);
        let reason = library.reason.as_deref().expect("a reason");
        assert!(reason.contains("another type") && reason.contains(field), "{reason}");
        let field = library.fields.iter().find(|f| f.field == field).expect("it is listed");
        assert_eq!((field.offset, field.witnesses.len()), (None, 0));
    }
}

/// Kinds without a name of their own in every place that they can have.
const UNNAMED: &str = r#"package main

import (
	"fmt"
	"io"
	"net/http"
)

type local int

type generic[T any] struct{ V T }

type All struct {
	Empty  struct{}
	Any    interface{}
	Plain  struct{ A, B int }
	Tagged struct {
		H http.Header `json:"h,omitempty" x:"a\tb"`
		c local
	}
	Embed struct {
		http.Request
		*http.Server
		local
		io.Reader
	}
	Methods interface {
		Do(r *http.Request, xs ...local) (n int, err error)
		hidden(http.Header)
	}
	Mixed interface {
		io.Reader
		fmt.Stringer
	}
	Pointer  *struct{ X []struct{ y map[string]interface{ M() } } }
	Function func(struct{ Z http.Dir }, ...interface{}) interface{ Error() string }
	Channel  chan struct{ Q local }
	Blank    struct{ _ int }
	Generic  generic[struct{ h http.Header }]
}

var sink any

func main() {
	sink = All{}
	fmt.Printf("%+v\n", sink)
}
"#;

#[test]
fn every_kind_is_spelled_as_dwarf_spells_it() {
    let folder = TempDir::new().expect("a folder");
    for arch in ["amd64", "arm64"] {
        let how = Build { arch, mode: "exe", ldflags: "" };
        let bytes = std::fs::read(build(&folder, arch, UNNAMED, how)).expect("the build");
        let go = GoImage::parse(&bytes).expect("Go");
        let types = go.types();
        let mut by_types = BTreeMap::new();
        closure::walk(&types, |t| {
            if let Some(name) = types.full_name(t.vaddr).filter(|_| t.is_named() && t.kind == Kind::Struct) {
                let kind = |f: Field<'_>| {
                    let name = String::from_utf8_lossy(f.name).into_owned();
                    (name, f.offset, types.full_name(f.type_vaddr).unwrap_or_default())
                };
                by_types.insert(name, types.fields(t).map(kind).collect::<Vec<_>>());
            }
        })
        .expect("within the limits");
        let wanted: HashSet<&str> = by_types.keys().map(String::as_str).collect();
        let by_dwarf = analyzer::dwarf::structs(&bytes, &wanted).expect("DWARF");
        assert_eq!(by_dwarf.ambiguous, HashSet::new(), "{arch}");
        assert!(by_dwarf.fields.contains_key("main.All") && by_dwarf.fields.len() > 100, "{arch}");
        // The shapes of type arguments are the compiler's own, and no catalog can name them.
        for (name, fields) in by_dwarf.fields.iter().filter(|(name, _)| !name.contains("go.shape.")) {
            assert_eq!(by_types.get(name), Some(fields), "{arch}: {name}");
        }
    }
}
