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
