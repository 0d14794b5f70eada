//! What was observed, folded, merged and spread out again; and what the database answers from it.

use std::collections::BTreeMap;

use offsets::database::format::{Document, Hole, Inlined, Parameter, Tested, Toolchain};
use offsets::{Database, Lookup, STD, Version};

use super::observations::Observations;
use crate::data::text::json;
use crate::probe::shape::{Layout, Shape, Signature};

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

fn version(text: &str) -> Version {
    Version::parse(STD, text).expect("a version")
}

#[test]
fn folding_is_canonical_and_reversible() {
    let document = document();
    let runs = &document.structs["net/http.Request"].fields["ctx"];
    assert_eq!(runs.len(), 2);
    assert_eq!((runs[0].from.as_str(), runs[0].to.as_str(), runs[0].arch.len()), ("1.21.13", "1.22.12", 2));
    assert_eq!(Observations::read(&document).into_document(STD), document);
    let text = json(&document);
    assert_eq!(json(&Document::parse("x", &text).expect("reads")), text);
    let empty = json(&Document::new(STD));
    assert_eq!(json(&Document::parse("x", &empty).expect("reads")), empty);
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
    let database = Database::from_json([("std.json", json(&document).as_str())]).expect("a database");
    let ask = |arch| database.lookup(STD, "1.21.1", arch, "net/http.Request", "Method");
    assert_eq!(ask("amd64"), Lookup::Exact { offset: 0, kind: "string" });
    let (below, above) = ("1.21.0", "1.21.2");
    assert_eq!(ask("arm64"), Lookup::Between { offset: 0, kind: "string", below, above });
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
    let database = Database::from_json([("std.json", json(&document).as_str())]).expect("a database");
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
    assert_eq!(Document::parse("f", &json(&document)), Ok(document.clone()));
    let database = Database::from_json([("std.json", json(&document).as_str())]).expect("a database");
    let ask = |version| database.lookup(STD, version, "amd64", "net/http.Request", "Method");
    assert_eq!(ask("1.21.1"), Lookup::Unknown);
    assert_eq!(ask("1.21.0"), Lookup::Exact { offset: 0, kind: "string" });
    assert_eq!(ask("1.21.3"), Lookup::Unknown, "at the end of all");
    assert_eq!(ask("1.21.4"), Lookup::Outside);
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
