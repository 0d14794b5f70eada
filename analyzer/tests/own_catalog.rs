//! `analyze --catalog DIR`: entries of the user's own are planned as strobe's are, and what is wrong with them is said by file,
//! line and key.

mod support;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use support::{SERVER, STRIPPED, build};
use tempfile::TempDir;

/// Neither a `status` nor a `target`.
const MINE: &str = r#"id = "example.com/mine"
title = "What net/http asks of us"
module = "std"
present = ["net/http.(*conn).serve"]

[[role]]
name = "start"
required = true
[[role.site]]
function = "net/http.serverHandler.ServeHTTP"
at = "entry"
args = "{8} {8 8} 8"

[[field]]
type = "net/http.Request"
name = "Method"
kind = "string"
required = true
"#;

fn analyze(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_analyze")).args(args).output().expect("analyze starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = TempDir::new().expect("a folder");
    for (name, text) in files {
        fs::write(folder.path().join(name), text).expect("written");
    }
    folder
}

fn name(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

#[test]
fn an_entry_of_ones_own_is_planned_listed_and_required() {
    let (own, place) = (folder(&[("mine.toml", MINE), ("notes.txt", "no entry")]), folder(&[]));
    let server = build(&place, "server", SERVER, STRIPPED);
    let (own, server) = (name(own.path()), name(&server));

    let output = analyze(&["--catalog", own, "--json", server]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let plan: analyzer::Plan = serde_json::from_slice(&output.stdout).expect("a Plan");
    let mine = plan.libraries.iter().find(|l| l.id == "example.com/mine").expect("it is planned");
    assert_eq!(serde_json::to_value(mine.status).expect("a word"), "custom");
    assert_eq!(serde_json::to_value(mine.verdict).expect("a word"), "ready");
    let theirs = plan.libraries.iter().find(|l| l.id == "net/http.server").expect("strobe's own");
    let start = |library: &analyzer::plan::Library| {
        library.functions.iter().find(|f| f.role == "start").map(|f| f.sites.clone())
    };
    assert_eq!(start(mine), start(theirs));
    let method = mine.fields.iter().find(|f| f.field == "Method").and_then(|f| f.offset);
    assert_eq!(method, Some(0));

    let output = analyze(&["--catalog", own, server]);
    let line = text(&output.stdout).lines().find(|l| l.contains("example.com/mine")).map(str::to_owned);
    assert!(line.is_some_and(|line| line.contains("custom")), "{}", text(&output.stdout));
    let output = analyze(&["libraries", "--catalog", own]);
    assert!(text(&output.stdout).contains("custom"), "{}", text(&output.stdout));
    let required = ["--catalog", own, "--require", "example.com/mine", server];
    assert_eq!(analyze(&required).status.code(), Some(0));
    // Without the folder nobody knows that id.
    assert_eq!(analyze(&["--require", "example.com/mine", server]).status.code(), Some(64));
}

#[test]
fn what_is_wrong_with_a_folder_is_a_usage_error_that_names_the_place() {
    let taken = MINE.replace("example.com/mine", "net/http.server");
    let traced = MINE.replace("module =", "status = \"instrumented\"\nmodule =");
    let unknown = MINE.replace("title =", "titel =");
    for (file, wanted) in [
        (taken.as_str(), "x.toml:1: id: \"net/http.server\" is the id of strobe's own net-http-server.toml"),
        (&traced, "x.toml:3: status: an entry of your own is \"custom\""),
        (&unknown, "x.toml:2: titel"),
    ] {
        let own = folder(&[("x.toml", file)]);
        let output = analyze(&["--catalog", name(own.path()), "/bin/true"]);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(64), "{said}");
        assert!(said.contains(wanted), "{said}");
    }
    let twice = folder(&[("a.toml", MINE), ("b.toml", MINE)]);
    let output = analyze(&["--catalog", name(twice.path()), "/bin/true"]);
    assert!(text(&output.stderr).contains("b.toml:1: id: \"example.com/mine\" is the id of"));
    let empty = folder(&[]);
    for (path, wanted) in
        [(name(empty.path()), "no .toml file in it"), ("/nowhere/at/all", "/nowhere/at/all")]
    {
        let output = analyze(&["--catalog", path, "/bin/true"]);
        assert_eq!(output.status.code(), Some(64));
        assert!(text(&output.stderr).contains(wanted), "{}", text(&output.stderr));
    }
}

/// A long catalog took up to 18 seconds for each binary that was planned with it.
#[test]
fn what_asks_for_too_much_is_refused_before_anything_is_planned() {
    let many = |table: &str| (0..2001).map(|n| table.replace('#', &n.to_string())).collect::<String>();
    for table in [
        "[[field]]\ntype = \"net/http.Request#\"\nname = \"f\"\nkind = \"int\"\ngives = \"x\"\n",
        "[[map]]\ntype = \"map[string]int#\"\ngives = \"x\"\n",
        "[[itab]]\ninterface = \"a.I#\"\ngives = \"x\"\n",
        "[[role]]\nname = \"r#\"\ngives = \"x\"\n[[role.site]]\nfunction = \"a.F\"\nat = \"entry\"\n",
    ] {
        let own = folder(&[("long.toml", &(MINE.to_owned() + &many(table)))]);
        let output = analyze(&["--catalog", name(own.path()), "/bin/true"]);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(64), "{said}");
        assert!(said.contains("long.toml:1: (file): more than 2000 roles, sites,"), "{said}");
    }
}

#[test]
fn what_is_no_regular_file_is_not_read() {
    let own = folder(&[]);
    std::os::unix::fs::symlink("/dev/zero", own.path().join("x.toml")).expect("linked");
    let output = analyze(&["--catalog", name(own.path()), "/bin/true"]);
    assert_eq!(output.status.code(), Some(64));
    assert!(text(&output.stderr).contains("x.toml: not a regular file"), "{}", text(&output.stderr));
}

#[test]
fn nothing_of_a_catalog_acts_on_the_terminal() {
    let title = "title = \"What net/http asks of us\"";
    for odd in ["title = \"a\\u001b[2J\"", "title = \"a\\nb\"", "\"\\u001b[31m\" = 1", "title = \"a "] {
        let own = folder(&[("mi\u{1b}ne.toml", &MINE.replace(title, odd))]);
        let output = analyze(&["--catalog", name(own.path()), "/bin/true"]);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(64), "{said}");
        let first = said.lines().next().unwrap_or_default();
        assert!(first.contains("mi\\u{1b}ne.toml:2: ") && !said.contains('\u{1b}'), "{said:?}");
    }
}

/// One program and one entry with which most is wrong that can be: each finding is to name what its writer can do.
const FAULTY: &str = r#"package main

import "os"

type Loc struct{ A, B int }

func small(n int) int { return n + 1 }

//go:noinline
func Leaf(a, b int) (int, error) { return a * b, nil }

//go:noinline
func Last(n int) (int, error) {
	a, err := Leaf(n, n)
	sink = a
	return a, err
}

var sink int

func main() {
	l := Loc{small(len(os.Args)), 2}
	n, _ := Last(l.A)
	println(n, l.B)
}
"#;

const FAULTS: &str = r#"id = "faults"
title = "faults"
module = "example.com/app"
present = ["main.main"]
[[role]]
name = "small"
gives = "small"
[[role.site]]
function = "main.small"
at = "entry"
[[role]]
name = "args"
gives = "args"
[[role.site]]
function = "main.Leaf"
at = "entry"
args = "8 8 8"
[[role]]
name = "gone"
gives = "gone"
[[role.site]]
function = "main.Leave"
at = "entry"
[[field]]
type = "main.Loc"
name = "B"
kind = "int"
gives = "B"
"#;

#[test]
fn what_is_wrong_with_an_entry_is_not_blamed_on_the_library() {
    let (own, place) = (folder(&[("faults.toml", FAULTS)]), folder(&[]));
    let program = build(&place, "faulty", FAULTY, STRIPPED);
    let output = analyze(&["--catalog", name(own.path()), "--json", name(&program)]);
    let plan: analyzer::Plan = serde_json::from_slice(&output.stdout).expect("a Plan");
    let library = plan.libraries.iter().find(|l| l.id == "faults").expect("it is planned");
    let finding = |code: &str| {
        let found = library.findings.iter().find(|f| f.code.word() == code);
        found.unwrap_or_else(|| panic!("no {code} in {:?}", library.findings))
    };
    for (code, wanted) in [
        ("inlined", "`//go:noinline`"),
        ("other-arguments", "`args`"),
        ("no-function", "inspect functions"),
        ("no-witness", "inspect types"),
    ] {
        let remedy = finding(code).remedy.as_deref().unwrap_or_default();
        assert!(remedy.contains(wanted) && !remedy.contains("pgo"), "{code}: {remedy}");
    }
    // Package main is the program's own module's.
    let message = &finding("no-witness").message;
    assert!(message.contains("does not vouch for example.com/app "), "{message}");
}

/// Calls of `Leaf` of every kind, and a function that is deferred by one of two.
const CALLS: &str = r#"package main

import "os"

//go:noinline
func Leaf(n int) (int, error) { return n + len(os.Args), nil }

//go:noinline
func Plain(n int) (int, error) {
	a, err := Leaf(n)
	if err != nil {
		return 0, err
	}
	return a * 2, nil
}

//go:noinline
func Deferring(n int) (int, error) {
	defer Leaf(n)
	return Plain2(n)
}

//go:noinline
func Plain2(n int) (int, error) {
	f := Leaf
	if n > 100 {
		f = Plain
	}
	a, err := Leaf(n)
	if err != nil {
		return 0, err
	}
	b, err := f(a)
	return a + b, err
}

//go:noinline
func Both(n int) (a int, err error) {
	defer Leaf(n)
	a, err = Leaf(n)
	return a + 1, err
}

//go:noinline
func Blank() { println("blank") }

//go:noinline
func Caller(n int) (m int, err error) {
	defer Blank()
	m, err = Leaf(n)
	if m == 7 {
		m = 8
	}
	return m, err
}

//go:noinline
func Stranger(n int) (m int, err error) {
	defer println("stranger")
	m, err = Leaf(n)
	if m == 7 {
		m = 8
	}
	return m, err
}

func main() {
	for _, f := range []func(int) (int, error){Plain, Plain2, Deferring, Both, Caller, Stranger} {
		println(f(len(os.Args)))
	}
}
"#;

#[test]
fn what_a_site_cannot_see_and_who_never_defers_is_said() {
    let site = |name: &str, keys: &str| {
        format!("[[role]]\nname = \"{name}\"\ngives = \"{name}\"\n[[role.site]]\n{keys}\n")
    };
    let behind = |name: &str| {
        site(
            name,
            &format!(
                "function = \"main.{name}\"\nat = \"after_call\"\ncallee = \"main.Leaf\"\nstepped = true"
            ),
        )
    };
    let deferred = |name: &str, by: &str| {
        let keys = "function = \"main.Blank\"\nat = \"entry\"\nreturns = \"8 {8 8}\"";
        site(name, &format!("{keys}\nresults_of = \"main.{by}\""))
    };
    let head = "id = \"calls\"\ntitle = \"calls\"\nmodule = \"example.com/app\"\npresent = [\"main.main\"]\n";
    let roles = [
        behind("Plain"),
        behind("Plain2"),
        behind("Both"),
        deferred("own", "Caller"),
        deferred("other", "Stranger"),
    ];
    let (own, place) = (folder(&[("calls.toml", &(head.to_owned() + &roles.concat()))]), folder(&[]));
    for arch in ["amd64", "arm64"] {
        let program = build(&place, arch, CALLS, support::Build { arch, ..STRIPPED });
        let output = analyze(&["--catalog", name(own.path()), "--json", name(&program)]);
        let plan: analyzer::Plan = serde_json::from_slice(&output.stdout).expect("a Plan");
        let library = plan.libraries.iter().find(|l| l.id == "calls").expect("it is planned");
        let of = |code: &str| {
            let found = library.findings.iter().filter(|f| f.code.word() == code);
            found.map(|f| (f.subject.clone(), f.message.clone())).collect::<Vec<_>>()
        };
        let other: Vec<String> = of("other-calls").into_iter().map(|(subject, _)| subject).collect();
        assert_eq!(other, ["main.Plain2", "main.Both"], "{arch}: {:?}", library.findings);
        let slots = of("no-result-slots");
        assert!(
            slots.len() == 1
                && slots[0].1.contains("role other in main.Blank: main.Stranger does not defer it"),
            "{arch}: {slots:?}"
        );
        assert!(library.functions.iter().any(|f| f.role == "own"), "{arch}: {:?}", library.findings);
    }
}
