//! The checks on crates that are made up: each fault is found, and what is no fault is not.

use std::collections::BTreeMap;
use std::path::Path;

use super::{circles, sizes, tree};

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
