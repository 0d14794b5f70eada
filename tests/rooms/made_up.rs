//! The checks on crates that are made up: each fault is found, and what is no fault is not.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::{attributes, circles, sizes, tree};

/// The circles of a crate whose root is `lib.rs`.
fn circles_of(files: &[(&str, &str)]) -> Vec<String> {
    let files: BTreeMap<&str, &str> = files.iter().copied().collect();
    let read = |path: &Path| files.get(path.to_str()?).map(|text| (*text).to_owned());
    circles::of(&tree::Crate::read(Path::new("lib.rs"), &read).expect("a crate"))
}

#[test]
fn two_files() {
    let said = circles_of(&[
        ("lib.rs", "mod a;\nmod b;"),
        ("a.rs", "use crate::b::B; pub struct A(B);"),
        ("b.rs", "pub struct B; fn f(_: super::a::A) {}"),
    ]);
    assert_eq!(said, ["  a.rs uses crate::b::B of b.rs\n  b.rs uses super::a::A of a.rs"]);
}

#[test]
fn three_files_of_three_folders_and_an_import_in_a_function() {
    let said = circles_of(&[
        ("lib.rs", "mod a;\nmod b;\nmod c;"),
        ("a/mod.rs", "pub mod x;"),
        ("a/x.rs", "use crate::b::y; pub fn f() { y::f() }"),
        ("b.rs", "pub mod y;"),
        ("b/y.rs", "pub fn f() { use crate::c::z::g; g() }"),
        ("c.rs", "pub mod z;"),
        ("c/z.rs", "pub fn g() { let _ = vec![crate::a::x::f()]; }"),
    ]);
    assert_eq!(said.len(), 1, "{said:?}");
    assert_eq!(said[0].lines().count(), 3, "{said:?}");
    assert!(said[0].contains("c/z.rs uses crate::a::x::f of a/x.rs"), "the macro's argument: {said:?}");
}

#[test]
fn modules_of_another_folder_within_a_module() {
    let said = circles_of(&[
        ("lib.rs", "#[path = \"src/x\"] mod x { mod a; mod b; }"),
        ("src/x/a.rs", "use super::b::B; pub struct A(B);"),
        ("src/x/b.rs", "pub struct B; fn f(_: super::a::A) {}"),
    ]);
    assert_eq!(
        said,
        ["  src/x/a.rs uses super::b::B of src/x/b.rs\n  src/x/b.rs uses super::a::A of src/x/a.rs"]
    );
}

#[test]
fn a_child_and_its_parent() {
    let parent = ("lib.rs", "mod a;\npub struct Shared;\npub fn f() { a::g() }");
    let said = circles_of(&[parent, ("a.rs", "use super::Shared; pub fn g() { Shared; }")]);
    assert_eq!(said.len(), 1, "{said:?}");
    assert_eq!(circles_of(&[parent, ("a.rs", "pub fn g() {}")]), [""; 0], "a parent may import its child");
}

#[test]
fn what_a_parent_re_exports_is_its_childs() {
    let files = [("lib.rs", "mod a;\nmod b;\npub use a::A;\npub use b::*;"), ("a.rs", "pub struct A;")];
    let [root, a] = files;
    assert_eq!(circles_of(&[root, a, ("b.rs", "use crate::A; pub struct B(A);")]), [""; 0]);
    let said = circles_of(&[
        root,
        ("a.rs", "use super::B; pub struct A(B);"),
        ("b.rs", "use crate::A as Other; pub struct B(Other);"),
    ]);
    assert_eq!(said, ["  a.rs uses super::B of b.rs\n  b.rs uses crate::A of a.rs"]);
}

#[test]
fn modules_that_a_macro_declares() {
    let table = "macro_rules! table { ($($m:ident::$t:ident),*) => { $(mod $m;)* } }\ntable! { a::A }\npub trait T {}";
    let said = circles_of(&[("lib.rs", table), ("a.rs", "pub struct A; impl crate::T for A {}")]);
    assert_eq!(said.len(), 1, "{said:?}");
}

#[test]
fn what_is_no_import() {
    let none = circles_of(&[
        ("lib.rs", "mod a;\nmod b;\nmod other { pub use std::fmt; pub struct Here; fn f(_: self::Here) {} }"),
        // A module's name, an item of another crate, a visibility, and unit tests.
        (
            "a.rs",
            "use crate::b; use a::B; pub(in crate::a) struct A; #[cfg(test)] mod tests { use crate::b::B; }",
        ),
        ("b.rs", "use crate::a::A; pub struct B; #[cfg(test)] mod tests;"),
    ]);
    assert_eq!(none, [""; 0]);
}

#[test]
fn long_files() {
    let text = |name: &str| Some("line\n".repeat(if name == "short.rs" { 400 } else { 401 }));
    let said = |tables: &[(&str, &str)]| sizes::over(["short.rs", "long.rs"].into_iter(), &text, tables);
    assert_eq!(said(&[]), ["long.rs: 401 lines, more than 400, and it is no table"]);
    assert_eq!(said(&[("long.rs", "x")]), [""; 0]);
    assert_eq!(said(&[("long.rs", "x"), ("short.rs", "a list")]).len(), 1, "a table that need not be one");
}

#[test]
fn a_module_imported_under_another_name() {
    let said = circles_of(&[
        ("lib.rs", "mod a;\nmod b;"),
        ("a.rs", "use crate::b::{self as other, C}; pub struct A(other::B, C);"),
        ("b.rs", "pub struct B; pub struct C(crate::a::A);"),
    ]);
    assert_eq!(said.len(), 1, "{said:?}");
    let alone = circles_of(&[
        ("lib.rs", "mod a;\nmod b;"),
        ("a.rs", "use crate::b::{self as other}; pub struct A(other::B);"),
        ("b.rs", "pub struct B(crate::a::A);"),
    ]);
    assert_eq!(alone.len(), 1, "{alone:?}");
}

/// An agent of two libraries that share their span's source, and one with its own.
const AGENT: [(&str, &str); 8] = [
    ("lib.rs", "mod libraries;\nmod spans;"),
    ("libraries/mod.rs", "mod one; mod two; mod three; mod shared;"),
    ("libraries/one.rs", "use super::shared::span; pub fn one() { span() }"),
    ("libraries/two.rs", "pub fn two() { super::shared::span() }"),
    (
        "libraries/three.rs",
        "use crate::spans::semconv::KEY_C; fn f() { g((KEY_C, 1), (\"d.e\", Value::Int(1)), (\"no\", 1)) }",
    ),
    (
        "libraries/shared.rs",
        "use crate::spans::semconv::{self as key, OTHER}; pub fn span() { put(key::KEY_A, OTHER) }
         #[cfg(test)] mod tests { fn f() { put(crate::spans::semconv::KEY_C, (\"x.y\", Value::Int(1))) } }",
    ),
    ("spans/mod.rs", "pub mod semconv;"),
    (
        "spans/semconv.rs",
        "pub const OTHER: &str = \"_OTHER\"; macro_rules! names { () => {} } names! { KEY_A = \"a.a\", KEY_C = \"c.c\", }",
    ),
];

#[test]
fn attributes_of_the_source_and_of_the_catalog() {
    let files: BTreeMap<&str, &str> = AGENT.into_iter().collect();
    let read = |path: &Path| files.get(path.to_str()?).map(|text| (*text).to_owned());
    let source = attributes::of(Path::new("lib.rs"), &["one", "two", "three"], &read).expect("an agent");
    let set = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<BTreeSet<_>>();
    assert_eq!((&source["one"].keys, &source["two"].keys), (&set(&["a.a"]), &set(&["a.a"])));
    assert_eq!(source["three"].keys, set(&["c.c", "d.e"]));
    let differences = |one: &[&str], three: &[&str]| {
        let said = [("one", one), ("two", &[]), ("three", three)];
        let said = said.into_iter().map(|(module, keys)| (module.to_owned(), set(keys))).collect();
        attributes::differences(&source, &said)
    };
    assert_eq!(differences(&["a.a"], &["c.c", "d.e"]), [""; 0], "one of those that share a source names it");
    let said = differences(&[], &["c.c", "d.e"]);
    assert!(said.len() == 2 && said[0].contains("one: a.a is set in"), "{said:?}");
    assert_eq!(
        differences(&["a.a"], &["a.a", "c.c", "d.e"]),
        ["three: the catalog names a.a, which its source does not set"]
    );
    assert_eq!(differences(&["a.a"], &["c.c"]).len(), 1);
}
