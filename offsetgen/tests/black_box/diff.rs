//! `offsetgen diff` and `merge`: what changed in words, what vanished too; and who waits for whom.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::folder::{command, document, folder, run, version};

const AMD64: [&str; 1] = ["amd64"];

/// A struct that was looked for in a version, with one field.
fn known(version: &str, offset: u64) -> Value {
    let span = |more: Value| {
        let mut span = json!({"from": version, "to": version, "arch": AMD64});
        for (key, value) in more.as_object().expect("an object") {
            span[key] = value.clone();
        }
        span
    };
    json!({
        "tested": [span(json!({}))],
        "sizes": [span(json!({"size": 16}))],
        "fields": {"A": [span(json!({"offset": offset, "type": "int"}))]},
    })
}

fn unreached(version: &str) -> Value {
    json!({"tested": [], "unreached": [{"from": version, "to": version, "arch": AMD64}], "sizes": [], "fields": {}})
}

fn hole(version: &str, stage: &str, reason: &str) -> Value {
    json!({"version": version, "stage": stage, "reason": reason})
}

fn old() -> Value {
    let versions = json!([
        version(
            "v1.0.0",
            &json!({"arch": ["amd64", "amd64+go1.24.13", "arm64"], "agrees": ["amd64+X:a"], "go": "1.21"})
        ),
        version("v1.0.1", &json!({})),
    ]);
    let holes = json!([
        hole("v1.1.0", "fetch", "429"),
        hole("v1.1.1", "fetch", "429"),
        hole("v1.1.2", "pending", "not tried yet"),
        {"version": "v1.0.1", "axis": "arm64", "stage": "compile", "reason": "no"},
    ]);
    let structs = json!({
        "example.org/m.Both": known("v1.0.0", 0),
        "example.org/m.Gone": known("v1.0.0", 0),
        "example.org/m.Hidden": known("v1.0.0", 0),
        "example.org/m.Found": unreached("v1.0.0"),
    });
    let tested = json!([{"from": "v1.0.0", "to": "v1.0.0", "arch": AMD64}]);
    document(&versions, &holes, &structs, &json!({"example.org/m.F": {"tested": tested, "runs": []}}))
}

fn new() -> Value {
    let more = json!({"arch": ["amd64", "amd64+X:a"], "agrees": ["amd64+go1.24.13", "amd64+X:b"], "go": "1.22",
        "trust": "first-use", "retracted": true, "toolchain": "go1.24.13"});
    let versions = json!([version("v1.0.0", &more), version("v1.1.0", &json!({}))]);
    let holes = json!([
        hole("v1.1.2", "compile", "# m\n./m.go:1:2: undefined: T\n"),
        {"version": "v1.1.0", "axis": "arm64", "stage": "compile", "reason": "internal compiler error"},
    ]);
    let structs = json!({
        "example.org/m.Both": known("v1.0.0", 8),
        "example.org/m.Hidden": unreached("v1.0.0"),
        "example.org/m.Found": known("v1.0.0", 0),
    });
    document(&versions, &holes, &structs, &json!({}))
}

#[test]
fn what_changed_and_what_vanished() {
    let (old, new) = (folder(&old()), folder(&new()));
    let (code, said) = run(&["diff"], &[old.path(), new.path()]);
    let expected = "\
example.org/m: example.org/m.Gone is no longer looked for
example.org/m: example.org/m.F is no longer looked for
example.org/m v1.0.0: was compiled by go1.27.4 and is by go1.24.13
example.org/m v1.0.0: the oldest Go for it was 1.21 and is 1.22
example.org/m v1.0.0: its hash was vouched for by the checksum database and is by first-use
example.org/m v1.0.0: retracted
example.org/m v1.0.0: amd64: example.org/m.Both.A moves from 0 to 8
example.org/m v1.0.0: amd64: example.org/m.Found is reached
example.org/m v1.0.0: amd64: example.org/m.Hidden is declared and not reached: nothing is known of it
example.org/m v1.0.0: amd64+X:a no longer has the layouts of amd64
example.org/m v1.0.0: built for amd64+X:b too, with the layouts of amd64
example.org/m v1.0.0: amd64+go1.24.13 has the layouts of amd64 now
example.org/m v1.0.0: no longer built for arm64
example.org/m v1.1.0: new; since v1.0.0: example.org/m.Both is no longer looked for; \
example.org/m.Found is no longer looked for; example.org/m.Hidden is no longer looked for
example.org/m v1.0.1: no longer recorded
example.org/m v1.1.0: a hole for arm64 (compile): internal compiler error
example.org/m v1.1.2: a hole (compile): ./m.go:1:2: undefined: T
example.org/m v1.0.1: the hole for arm64 (compile) is gone, nothing has filled it
example.org/m v1.1.1: the hole (fetch) is gone, nothing has filled it
";
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(lines(&said), lines(expected), "{said}");
    assert_eq!(code, Some(0));
    assert_eq!(run(&["diff"], &[new.path(), new.path()]), (Some(0), "nothing changed\n".to_owned()));
}

#[test]
fn a_struct_that_one_version_is_no_longer_asked_for() {
    let versions = json!([version("v1.0.0", &json!({})), version("v1.1.0", &json!({}))]);
    let both = json!([{"from": "v1.0.0", "to": "v1.1.0", "arch": AMD64}]);
    let of = |tested: &Value| {
        let structs = json!({"example.org/m.T": {"tested": tested, "sizes": [], "fields": {}}});
        folder(&document(&versions, &json!([]), &structs, &json!({})))
    };
    let (old, new) = (of(&both), of(&json!([{"from": "v1.1.0", "to": "v1.1.0", "arch": AMD64}])));
    let (_, said) = run(&["diff"], &[old.path(), new.path()]);
    assert_eq!(said, "example.org/m v1.0.0: amd64: example.org/m.T is no longer looked for\n");
}

#[test]
fn merge_of_a_folder_with_itself_changes_nothing() {
    let data = folder(&old());
    let text = || fs::read_to_string(data.path().join("example.org_m.json")).expect("the data");
    let words = ["merge", "--out"];
    let first = run(&words, &[data.path(), data.path()]);
    assert_eq!(first.0, Some(0), "{}", first.1);
    let (before, (code, said)) = (text(), run(&words, &[data.path(), data.path()]));
    assert!(code == Some(0) && said.ends_with("example.org_m.json: unchanged\n"), "{said}");
    assert_eq!(before, text());
    let same = folder(&old());
    assert_eq!(run(&["diff"], &[same.path(), data.path()]), (Some(0), "nothing changed\n".to_owned()));
}

#[test]
fn merge_waits_for_whoever_works_in_the_folder() {
    let (data, part) = (folder(&old()), folder(&old()));
    let lock = fs::File::open(data.path()).expect("the folder");
    lock.lock().expect("locked");
    let mut child = command(&["merge", "--out"], &[data.path(), part.path()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("runs");
    let mut said = String::new();
    let stderr = child.stderr.take().expect("piped");
    BufReader::new(stderr).read_line(&mut said).expect("a line");
    assert!(said.starts_with("note: another offsetgen works in "), "{said}");
    assert!(child.try_wait().expect("asked").is_none(), "it did not wait");
    lock.unlock().expect("unlocked");
    assert!(child.wait().expect("ends").success());
    let mut printed = String::new();
    child.stdout.take().expect("piped").read_to_string(&mut printed).expect("text");
    assert!(printed.contains("example.org_m.json: "), "{printed}");
}
