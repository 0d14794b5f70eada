//! Every kind of answer, and every contradiction that a document can hold.

use std::collections::BTreeMap;

use super::format::{Hole, Inlined, Parameter, Tested, Toolchain};
use super::observations::{Layout, Observations, Shape, Signature};
use super::*;
use crate::STD;

fn toolchain(version: &str) -> Toolchain {
    Toolchain {
        version: format!("go{version}"),
        module: format!("golang.org/toolchain@v0.0.1-go{version}.linux-amd64"),
        hash: "h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=".to_owned(),
    }
}

fn tested(version: &str) -> Tested {
    let toolchain = format!("go{version}");
    Tested { version: version.to_owned(), toolchain, generator: "1".to_owned(), ..Tested::default() }
}

fn layout(fields: &[(&str, u64, &str)]) -> Option<Layout> {
    let fields = fields
        .iter()
        .map(|(name, offset, kind)| ((*name).to_owned(), (*offset, (*kind).to_owned())))
        .collect();
    Some(Layout { size: 264, fields })
}

fn shape(fields: &[(&str, u64, &str)]) -> Shape {
    let structs = BTreeMap::from([("net/http.Request".to_owned(), layout(fields))]);
    let functions = BTreeMap::from([("net/http.serve".to_owned(), Some(signature("rax")))]);
    Shape { structs, functions, ..Shape::default() }
}

fn signature(at: &str) -> Signature {
    let parameter =
        Parameter { name: "c".to_owned(), r#type: "*net/http.conn".to_owned(), at: at.to_owned() };
    Signature { inlined: Inlined::No, params: vec![parameter], results: Vec::new() }
}

/// Versions 1.21.13, 1.22.12, 1.23.12 and 1.24.13; `pat` in 1.22 only, `ctx` moves at 1.23, on arm64 a field less.
fn document() -> Document {
    let mut all = Observations::default();
    for (version, fields) in [
        (
            "1.24.13",
            &[("Method", 0, "string"), ("ctx", 248, "context.Context"), ("Pattern", 232, "string")][..],
        ),
        ("1.21.13", &[("Method", 0, "string"), ("ctx", 232, "context.Context")]),
        ("1.23.12", &[("Method", 0, "string"), ("ctx", 248, "context.Context"), ("Pattern", 232, "string")]),
        (
            "1.22.12",
            &[("Method", 0, "string"), ("ctx", 232, "context.Context"), ("pat", 248, "*net/http.pattern")],
        ),
    ] {
        for arch in ["arm64", "amd64"] {
            all.record(Version::parse(STD, version).expect("version"), &tested(version), arch, shape(fields));
            all.add_toolchain(&toolchain(version));
        }
    }
    all.into_document(STD)
}

fn database() -> Database {
    Database::from_json([("std.json", document().to_json().as_str())]).expect("a database")
}

#[test]
fn answers() {
    let database = database();
    let ask = |version, field| database.lookup(STD, version, "amd64", "net/http.Request", field);
    let (below, above) = ("1.21.13", "1.22.12");
    assert_eq!(ask("go1.22.12", "Method"), Lookup::Exact { offset: 0, kind: "string" });
    assert_eq!(ask("1.22.3", "Method"), Lookup::Between { offset: 0, kind: "string", below, above });
    assert_eq!(ask("1.22.12", "Pattern"), Lookup::Absent(Basis::Exact));
    assert_eq!(ask("1.22.3", "Pattern"), Lookup::Absent(Basis::Between { below, above }));
    assert_eq!(ask("1.23.3", "ctx"), Lookup::Differs { below: "1.22.12", above: "1.23.12" });
    assert_eq!(ask("1.23rc1", "Pattern"), Lookup::Differs { below: "1.22.12", above: "1.23.12" });
    for version in [
        "1.21.12",
        "1.24.14",
        "1.25",
        "go1.22.12 X:rangefunc",
        "go1.24.13-X:noswissmap",
        "go1.24-devel_0a1b2c",
    ] {
        assert_eq!(ask(version, "Method"), Lookup::Outside, "{version}");
    }
    let vendor = Lookup::Between { offset: 232, kind: "context.Context", below: above, above };
    assert_eq!(ask("go1.22.12 (Red Hat 1.22.12-2.el9_5)", "ctx"), vendor);
    assert_eq!(ask("(devel)", "Method"), Lookup::Unknown);
    assert_eq!(ask("1.22.12", "Nonsense"), Lookup::Unknown);
    assert_eq!(database.lookup(STD, "1.22.12", "riscv64", "net/http.Request", "Method"), Lookup::Unknown);
    assert_eq!(database.lookup("a/b", "v1.0.0", "amd64", "a/b.T", "F"), Lookup::Unknown);
    assert_eq!(
        Database::empty().lookup(STD, "1.22.12", "amd64", "net/http.Request", "Method"),
        Lookup::Unknown
    );
}

#[test]
fn version_matches() {
    let database = database();
    for (version, expected) in [
        ("1.22.12", VersionMatch::Exact),
        ("go1.22.12", VersionMatch::Exact),
        ("1.23", VersionMatch::Between),
        ("1.20.14", VersionMatch::Outside),
        ("1.24.13 X:nocoverageredesign", VersionMatch::Outside),
        ("1.24.13-vendor", VersionMatch::Between),
        ("go1.23-custom", VersionMatch::Outside),
        ("go1.24-20250301-RC00", VersionMatch::Outside),
        ("unknown", VersionMatch::Unknown),
    ] {
        assert_eq!(database.version_match(STD, version), expected, "{version}");
    }
    assert_eq!(database.version_match("a/b", "v1.0.0"), VersionMatch::Unknown);
}

#[test]
fn folding_is_canonical_and_reversible() {
    let document = document();
    let runs = &document.structs["net/http.Request"].fields["ctx"];
    assert_eq!(runs.len(), 2);
    assert_eq!((runs[0].from.as_str(), runs[0].to.as_str(), runs[0].arch.len()), ("1.21.13", "1.22.12", 2));
    assert_eq!(Observations::read(&document).into_document(STD), document);
    let text = document.to_json();
    assert_eq!(Document::parse("x", &text).expect("reads").to_json(), text);
    assert_eq!(
        Document::new("std").to_json(),
        Document::parse("x", &Document::new("std").to_json()).unwrap().to_json()
    );
}

#[test]
fn architectures_that_differ_stay_apart() {
    let mut all = Observations::read(&document());
    all.record(version("1.23.12"), &tested("1.23.12"), "arm64", shape(&[("Method", 8, "string")]));
    let document = all.into_document(STD);
    let database = Database::from_json([("std.json", document.to_json().as_str())]).expect("a database");
    let ask = |arch, field| database.lookup(STD, "1.23.12", arch, "net/http.Request", field);
    assert_eq!(ask("amd64", "Method").offset(), Some(0));
    assert_eq!(ask("arm64", "Method").offset(), Some(8));
    assert_eq!(ask("arm64", "ctx"), Lookup::Absent(Basis::Exact));
}

#[test]
fn contradictions_are_told() {
    let good = document().to_json();
    for (from, to, expected) in [
        ("\"schema_version\": 3", "\"schema_version\": 4", "f: schema_version is 4, this program reads 3"),
        ("\"from\":\"1.21.13\"", "\"from\":\"1.21.1\"", "1.21.1 is not among the tested versions"),
        ("{\"version\":\"1.22.12\"", "{\"version\":\"1.20\"", "f: versions[1].version: 1.20 does not follow"),
        ("{\"version\":\"1.22.12\"", "{\"version\":\"x\"", "f: versions[1].version: \"x\" is no version"),
        ("\"offset\":0", "\"offset\":-1", "f: line "),
        ("\"offset\"", "\"ofset\"", "f: line "),
        ("{\"from\":\"1.23.12\"", "{\"from\":\"1.22.12\"", "two runs claim"),
    ] {
        let text = good.replace(from, to);
        assert_ne!(text, good, "{from}");
        let message = Database::from_json([("f", text.as_str())]).expect_err(to).to_string();
        assert!(message.contains(expected), "{message}\n  lacks\n{expected}");
    }
    let twice = Database::from_json([("f", good.as_str()), ("g", good.as_str())]).expect_err("twice");
    assert_eq!(twice.to_string(), "g: module: another file has module std too");
}

#[test]
fn the_digest_depends_on_every_byte() {
    let database = database();
    assert!(database.digest().starts_with("sha256:") && database.digest().len() == 71);
    assert_ne!(database.digest(), Database::empty().digest());
    assert_eq!(database.digest(), self::database().digest());
    assert!(Database::embedded().digest().starts_with("sha256:"));
}

/// `offsetgen --data offsets/data` and the programs speak of one database.
#[test]
fn the_digest_does_not_depend_on_the_folder_or_the_order() {
    let (std, mut other) = (document().to_json(), document());
    other.module = "example.org/m".to_owned();
    other.versions.clear();
    other.structs.clear();
    other.functions.clear();
    let other = other.to_json();
    let digest = |files: [(&str, &str); 2]| Database::from_json(files).expect("a database").digest;
    let here = digest([("b.json", &std), ("a.json", &other)]);
    assert_eq!(here, digest([("/data/a.json", &other), ("/data/b.json", &std)]));
    assert_ne!(here, digest([("a.json", &std), ("b.json", &other)]));
}

/// What is read late, and what build.rs has worked out, is what reading everything gives.
#[test]
fn the_embedded_database_is_that_of_its_files() {
    let whole = Database::from_json(Database::embedded_files().iter().copied()).expect("a database");
    let embedded = Database::embedded();
    assert_eq!(embedded.digest(), whole.digest());
    assert!(embedded.modules().eq(whole.modules()), "{:?}", embedded.modules().collect::<Vec<_>>());
    for module in whole.modules() {
        let document = whole.document(module).expect("it is there");
        assert_eq!(embedded.document(module), Some(document));
        for (name, record) in &document.structs {
            for (field, version) in
                record.fields.keys().flat_map(|f| document.versions.iter().map(move |v| (f, v)))
            {
                for arch in crate::ARCHITECTURES {
                    let ask = |of: &'static Database| of.lookup(module, &version.version, arch, name, field);
                    let expected = whole.lookup(module, &version.version, arch, name, field);
                    assert_eq!(ask(embedded), expected, "{name}.{field} in {}", version.version);
                }
            }
        }
    }
}

fn version(text: &str) -> Version {
    Version::parse(STD, text).expect("a version")
}

/// arm64 was built where a run begins and ends: what lies between rests on both ends, and the text shares the runs.
#[test]
fn a_second_architecture_at_the_ends_of_a_run() {
    let mut all = Observations::default();
    for text in ["1.21.0", "1.21.1", "1.21.2"] {
        for arch in ["amd64", "arm64"].iter().filter(|arch| **arch == "amd64" || text != "1.21.1") {
            all.record(version(text), &tested(text), arch, shape(&[("Method", 0, "string")]));
            all.add_toolchain(&toolchain(text));
        }
    }
    let document = all.into_document(STD);
    assert_eq!(document.structs["net/http.Request"].fields["Method"].len(), 1);
    assert_eq!(document.versions[1].arch, ["amd64"]);
    assert_eq!(Observations::read(&document).into_document(STD), document);
    let database = Database::from_json([("std.json", document.to_json().as_str())]).expect("a database");
    let ask = |arch| database.lookup(STD, "1.21.1", arch, "net/http.Request", "Method");
    assert_eq!(ask("amd64"), Lookup::Exact { offset: 0, kind: "string" });
    let (below, above) = ("1.21.0", "1.21.2");
    assert_eq!(ask("arm64"), Lookup::Between { offset: 0, kind: "string", below, above });
}

/// arm64 could not be built for the one version in which amd64 saw the field elsewhere: its neighbours agree, and say nothing.
#[test]
fn neighbours_of_a_second_architecture_that_agree_by_chance() {
    let mut all = Observations::default();
    for (text, offset) in [("1.21.0", 0), ("1.21.1", 8), ("1.21.2", 0)] {
        for arch in ["amd64", "arm64"].iter().filter(|arch| **arch == "amd64" || text != "1.21.1") {
            all.record(version(text), &tested(text), arch, shape(&[("Method", offset, "string")]));
            all.add_toolchain(&toolchain(text));
        }
    }
    let text = all.into_document(STD).to_json();
    let database = Database::from_json([("std.json", text.as_str())]).expect("a database");
    let ask = |version, arch| database.lookup(STD, version, arch, "net/http.Request", "Method");
    assert_eq!(ask("1.21.1", "amd64"), Lookup::Exact { offset: 8, kind: "string" });
    assert_eq!(ask("1.21.1", "arm64"), Lookup::Differs { below: "1.21.0", above: "1.21.2" });
    assert_eq!(ask("1.21.2", "arm64"), Lookup::Exact { offset: 0, kind: "string" });
}

/// Another Go puts a field elsewhere: then the module's version alone says nothing of that field, and all of the others.
#[test]
fn what_depends_on_something_else_is_not_vouched_for() {
    let mut all = Observations::default();
    let both = |second| shape(&[("Method", 0, "string"), ("ctx", second, "context.Context")]);
    for text in ["1.21.0", "1.21.1", "1.21.2"] {
        all.record(version(text), &tested(text), "amd64", both(16));
        all.record(version(text), &tested(text), "arm64", both(16));
        all.add_toolchain(&toolchain(text));
    }
    all.record(version("1.21.0"), &tested("1.21.0"), "amd64+go1.19.13", both(24));
    all.agree(&version("1.21.2"), "amd64+go1.19.13");
    let document = all.into_document(STD);
    assert_eq!(document.versions[2].agrees, ["amd64+go1.19.13"]);
    assert_eq!(Observations::read(&document).into_document(STD), document);
    let database = Database::from_json([("std.json", document.to_json().as_str())]).expect("a database");
    let ask = |version, field| database.lookup(STD, version, "amd64", "net/http.Request", field);
    assert_eq!(ask("1.21.0", "Method").offset(), Some(0));
    assert_eq!(ask("1.21.0", "ctx"), Lookup::Differs { below: "1.21.0", above: "1.21.0" });
    assert_eq!(ask("1.21.1", "ctx"), Lookup::Differs { below: "1.21.1", above: "1.21.1" });
    // What was tried there and found alike speaks for itself.
    assert_eq!(ask("1.21.2", "ctx"), Lookup::Exact { offset: 16, kind: "context.Context" });
    // Tried on one architecture, it counts for the other.
    let arm64 = database.lookup(STD, "1.21.0", "arm64", "net/http.Request", "ctx");
    assert_eq!(arm64, Lookup::Differs { below: "1.21.0", above: "1.21.0" });
}

#[test]
fn followers_holes_and_merging() {
    let mut all = Observations::default();
    let hole = |text: &str| Hole {
        version: text.to_owned(),
        axis: None,
        stage: "compile".to_owned(),
        reason: "x".to_owned(),
    };
    all.record(version("1.21.0"), &tested("1.21.0"), "amd64", shape(&[("Method", 0, "string")]));
    all.miss(version("1.21.2"), hole("1.21.2"));
    all.follow(version("1.21.1"), &Tested { same_as: Some("1.21.0".to_owned()), ..tested("1.21.1") });
    all.record(version("1.21.0"), &tested("1.21.0"), "arm64", shape(&[("Method", 0, "string")]));
    all.refresh_followers();
    for text in ["1.21.0", "1.21.1", "1.21.2"] {
        all.add_toolchain(&toolchain(text));
    }
    let document = all.clone().into_document(STD);
    assert_eq!(document.versions[1].arch, ["amd64", "arm64"]);
    assert_eq!(document.holes.len(), 1);
    let mut other = Observations::default();
    other.record(version("1.21.2"), &tested("1.21.2"), "amd64", shape(&[("Method", 0, "string")]));
    other.add_toolchain(&toolchain("1.21.2"));
    let mut joined = Observations::read(&document);
    joined.merge(other.clone()).expect("no conflict");
    other.merge(all).expect("no conflict");
    let joined = joined.into_document(STD);
    assert_eq!((joined.versions.len(), joined.holes.len()), (3, 0));
    assert_eq!(other.into_document(STD), joined, "in either order");
}

/// What the catalog names since a follower was compared with its original is known of the original alone, and nothing is lost.
#[test]
fn a_follower_has_nothing_that_was_not_compared() {
    let mut all = Observations::default();
    let layouts = shape(&[("Method", 0, "string")]);
    all.record(version("1.21.0"), &tested("1.21.0"), "amd64", layouts.clone());
    let same = Some("1.21.0".to_owned());
    all.follow(version("1.21.1"), &Tested { same_as: same, ..tested("1.21.1") });
    let mut more = layouts.clone();
    more.structs.insert("net/url.URL".to_owned(), layout(&[("Scheme", 0, "string")]));
    for arch in ["amd64", "arm64"] {
        all.record(version("1.21.0"), &tested("1.21.0"), arch, more.clone());
    }
    let (stage, reason) = ("fetch".to_owned(), "x".to_owned());
    all.miss_again(
        version("1.21.1"),
        Hole { version: "1.21.1".to_owned(), axis: None, stage, reason },
        "amd64",
    );
    all.refresh_followers();
    let axes = &all.build(&version("1.21.1")).expect("it is recorded").axes;
    assert_eq!(axes["amd64"], layouts);
    assert_eq!(axes["arm64"], layouts);
    assert_eq!(all.holes().count(), 1);
}

/// One looked for more, and reached what the other did not: that is no contradiction.
#[test]
fn what_was_looked_for_more_closely_is_merged() {
    let one = |shape: Shape| {
        let mut all = Observations::default();
        all.record(version("1.21.0"), &tested("1.21.0"), "amd64", shape);
        all.add_toolchain(&toolchain("1.21.0"));
        all
    };
    let mut less = shape(&[("Method", 0, "string")]);
    less.unreached.insert("net/url.URL".to_owned());
    let mut more = shape(&[("Method", 0, "string")]);
    more.structs.insert("net/url.URL".to_owned(), layout(&[("Scheme", 0, "string")]));
    more.structs.insert("bufio.Reader".to_owned(), layout(&[]));
    for (mut own, other) in [(one(less.clone()), one(more.clone())), (one(more.clone()), one(less.clone()))] {
        assert_eq!(own.merge(other), Ok(()));
        assert_eq!(own.build(&version("1.21.0")).expect("it is recorded").axes["amd64"], more);
    }
}

/// An axis that could not be compiled is a hole of a recorded version, until it is recorded.
#[test]
fn holes_of_recorded_versions() {
    let mut all = Observations::default();
    let axis = |axis: &str| Hole {
        version: "1.21.0".to_owned(),
        axis: Some(axis.to_owned()),
        stage: "compile".to_owned(),
        reason: "x".to_owned(),
    };
    all.miss(version("1.21.0"), axis("arm64"));
    assert_eq!(all.holes().count(), 0, "there is no such version yet");
    all.record(version("1.21.0"), &tested("1.21.0"), "amd64", shape(&[("Method", 0, "string")]));
    for name in ["amd64", "arm64", "amd64+go1.19.13"] {
        all.miss(version("1.21.0"), axis(name));
    }
    assert_eq!(all.holes().count(), 2);
    all.add_toolchain(&toolchain("1.21.0"));
    let document = all.clone().into_document(STD);
    assert_eq!(Observations::read(&document).into_document(STD), document);
    all.record(version("1.21.0"), &tested("1.21.0"), "arm64", shape(&[("Method", 0, "string")]));
    all.agree(&version("1.21.0"), "amd64+go1.19.13");
    assert_eq!(all.holes().count(), 0);
}

/// Declared in the source and not in the program: that is no absence, and neither is what lies beside it.
#[test]
fn what_the_target_does_not_reach_is_unknown() {
    let mut all = Observations::default();
    for text in ["1.21.0", "1.21.1", "1.21.2", "1.21.3"] {
        let mut shape = shape(&[("Method", 0, "string")]);
        if ["1.21.1", "1.21.3"].contains(&text) {
            shape.structs.clear();
            shape.unreached.insert("net/http.Request".to_owned());
        }
        all.record(version(text), &tested(text), "amd64", shape);
        all.add_toolchain(&toolchain(text));
    }
    let document = all.into_document(STD);
    assert_eq!(document.structs["net/http.Request"].unreached[0].from, "1.21.1");
    assert_eq!(Observations::read(&document).into_document(STD), document);
    assert_eq!(Document::parse("f", &document.to_json()), Ok(document.clone()));
    let database = Database::from_json([("std.json", document.to_json().as_str())]).expect("a database");
    let ask = |version| database.lookup(STD, version, "amd64", "net/http.Request", "Method");
    assert_eq!(ask("1.21.1"), Lookup::Unknown);
    assert_eq!(ask("1.21.0"), Lookup::Exact { offset: 0, kind: "string" });
    assert_eq!(ask("1.21.3"), Lookup::Unknown, "at the end of all");
    assert_eq!(ask("1.21.4"), Lookup::Outside);
}

/// A work tree with changes may have any layout.
#[test]
fn a_modified_module() {
    let mut all = Observations::default();
    let own = |text: &str| Version::parse("a/b", text).expect("a version");
    let recorded = Tested { version: "v1.0.0".to_owned(), ..tested("1.21.0") };
    all.record(own("v1.0.0"), &recorded, "amd64", shape(&[("Method", 0, "string")]));
    all.add_toolchain(&toolchain("1.21.0"));
    let text = all.into_document("a/b").to_json();
    let database = Database::from_json([("b.json", text.as_str())]).expect("a database");
    let ask = |version| database.lookup("a/b", version, "amd64", "net/http.Request", "Method");
    assert_eq!(ask("v1.0.0"), Lookup::Exact { offset: 0, kind: "string" });
    assert_eq!(ask("v1.0.0+dirty"), Lookup::Outside);
}

/// A commit behind v1.2.3 may be of any branch; of a module without releases there are only commits.
#[test]
fn commits_of_a_module_that_has_releases_are_outside() {
    let commit = "v1.1.1-0.20240102030405-abcdef012345";
    let ask = |versions: [&str; 2]| {
        let mut all = Observations::default();
        for text in versions {
            let version = Version::parse("a/b", text).expect("a version");
            let tested = Tested { toolchain: "go1.21.0".to_owned(), ..tested(text) };
            all.record(version, &tested, "amd64", shape(&[("Method", 0, "string")]));
        }
        all.add_toolchain(&toolchain("1.21.0"));
        let text = all.into_document("a/b").to_json();
        let database = Database::from_json([("a.json", text.as_str())]).expect("a database");
        database.lookup("a/b", commit, "amd64", "net/http.Request", "Method").word()
    };
    assert_eq!(ask(["v1.1.0", "v1.2.0"]), "outside");
    let commits = ["v1.1.0-20200102030405-abcdef012345", "v1.2.0-20250102030405-abcdef012345"];
    assert_eq!(ask(commits), "between");
}

#[test]
fn what_contradicts_is_not_merged() {
    let one = |offset, hash: &str| {
        let mut all = Observations::default();
        let tested = Tested { hash: Some(hash.to_owned()), ..tested("1.21.0") };
        all.record(version("1.21.0"), &tested, "amd64", shape(&[("Method", offset, "string")]));
        all
    };
    assert_eq!(one(0, "h1:a").merge(one(0, "h1:a")), Ok(()));
    let said = |other| one(0, "h1:a").merge(other).expect_err("a conflict").to_string();
    assert!(said(one(8, "h1:a")).contains("1.21.0: what was compiled for amd64 differs"));
    assert!(said(one(0, "h1:b")).contains("1.21.0: the module's hash differs"));
}

/// A module that many Gos, dependencies or experiments were tried with has more axes than a word has bits.
#[test]
fn more_axes_than_a_word_has_bits() {
    let mut all = Observations::default();
    let both = |second| shape(&[("Method", 0, "string"), ("ctx", second, "context.Context")]);
    let text = "1.21.0";
    all.add_toolchain(&toolchain(text));
    all.record(version(text), &tested(text), "amd64", both(16));
    for other in 100..200 {
        let second = if other == 199 { 24 } else { 16 };
        all.record(version(text), &tested(text), &format!("amd64+go1.{other}.0"), both(second));
    }
    let json = all.into_document(STD).to_json();
    let database = Database::from_json([("std.json", json.as_str())]).expect("a database");
    let ask = |field| database.lookup(STD, text, "amd64", "net/http.Request", field);
    assert_eq!(ask("Method"), Lookup::Exact { offset: 0, kind: "string" });
    assert_eq!(ask("ctx"), Lookup::Differs { below: text, above: text }, "the last axis says otherwise");
}
