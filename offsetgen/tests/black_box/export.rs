//! `offsetgen export` and `compare`: other programs' tables, written from a small database and held against it.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::folder;

const HASH: &str = "h1:BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB=";

/// std, where `ctx` lies elsewhere on arm64 up to 1.22, and example.org/m, of which v1.2.0 could not be had and in which `b`
/// has moved by v1.3.0.
fn data() -> TempDir {
    let both = json!(["amd64", "arm64"]);
    let run = |from: &str, to: &str, offset: u64| json!({"from": from, "to": to, "arch": both, "offset": offset, "type": "int"});
    let versions = ["v1.0.0", "v1.1.0", "v1.3.0", "v1.4.0-rc.1", "v1.4.0"];
    let version = |v: &str| folder::version(v, &json!({"arch": both, "hash": HASH}));
    let versions: Vec<Value> = versions.iter().map(|text| version(text)).collect();
    let holes = json!([{"version": "v1.2.0", "stage": "fetch", "reason": "gone"}]);
    let structs = json!({"example.org/m.T": {
        "tested": [{"from": "v1.0.0", "to": "v1.4.0", "arch": both}],
        "sizes": [{"from": "v1.0.0", "to": "v1.4.0", "arch": both, "size": 32}],
        "fields": {
            "a": [run("v1.0.0", "v1.4.0", 8)],
            "b": [run("v1.0.0", "v1.1.0", 16), run("v1.3.0", "v1.4.0", 24)],
            "old": [run("v1.0.0", "v1.1.0", 0)],
        },
    }});
    let document = folder::document(&json!(versions), &holes, &structs, &json!({}));
    let folder = folder::folder(&document);
    std::fs::write(folder.path().join("std.json"), include_str!("std.json")).expect("written");
    folder
}

fn run(arguments: &[&str], data: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_offsetgen"));
    command.args(arguments).arg("--data").arg(data).output().expect("runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

fn export(arguments: &[&str], data: &Path) -> (String, String) {
    let output = run(&[&["export", "--format"], arguments].concat(), data);
    let said = text(&output.stderr);
    assert!(output.status.success(), "{said}");
    (text(&output.stdout), said)
}

#[test]
fn the_table_of_otel_auto_names_every_version() {
    let data = data();
    let (table, said) = export(&["otel-auto"], data.path());
    let table: Value = serde_json::from_str(&table).expect("JSON");
    let all = ["1.0.0", "1.1.0", "1.3.0", "1.4.0-rc.1", "1.4.0"];
    let expected = json!({"module": "example.org/m", "packages": [{"package": "example.org/m", "structs": [{
        "struct": "T", "fields": [
            {"field": "a", "offsets": [{"offset": 8, "versions": all}]},
            {"field": "b", "offsets": [{"offset": 16, "versions": all[..2]}, {"offset": 24, "versions": all[2..]}]},
            {"field": "old", "offsets": [{"offset": 0, "versions": all[..2]}, {"offset": null, "versions": all[2..]}]},
        ],
    }]}]});
    assert_eq!(table[0], expected);
    let request = &table[1]["packages"][0]["structs"][0];
    assert_eq!((&table[1]["module"], &request["struct"]), (&json!("std"), &json!("Request")));
    let ctx = request["fields"].as_array().expect("fields").iter().find(|field| field["field"] == "ctx");
    // What the architectures disagree on is no figure of a table without architectures.
    assert_eq!(ctx.expect("it")["offsets"], json!([{"offset": 248, "versions": ["1.23.12"]}]));
    let line = "left out: std net/http.Request.ctx: 232 on amd64, 236 on arm64 (1.21.13 … 1.22.12 (2))\n";
    assert_eq!(said, line);
}

#[test]
fn the_table_of_obi_is_one_unbroken_stretch() {
    let data = data();
    let (table, said) = export(&["obi", "--only", "example.org/m"], data.path());
    let table: Value = serde_json::from_str(&table).expect("JSON");
    let record = |oldest: &str, newest: &str, offset: u64| json!({"versions": {"oldest": oldest, "newest": newest}, "offsets": [{"offset": offset, "since": oldest}]});
    // Nobody knows on which side of it v1.2.0 is, so `b` begins behind it; `a` is on both sides alike.
    let expected = json!({"data": {"example.org/m.T": {
        "a": record("1.0.0", "1.4.0", 8), "b": record("1.3.0", "1.4.0", 24), "old": record("1.0.0", "1.1.0", 0),
    }}});
    assert_eq!(table, expected);
    assert!(said.contains("left out: 2 figures of example.org/m: beyond a release"), "{said}");
}

#[test]
fn the_flat_table_has_a_line_for_each_architecture() {
    let data = data();
    let (lines, _) = export(&["flat", "--only", "std"], data.path());
    let line = |arch: &str, offset: u64| {
        format!(
            r#"{{"module":"std","version":"1.22.12","arch":"{arch}","type":"net/http.Request","field":"ctx","offset":{offset},"kind":"context.Context"}}"#
        )
    };
    assert!(lines.contains(&(line("amd64", 232) + "\n" + &line("arm64", 236) + "\n")), "{lines}");
    let absent = r#""version":"1.22.12","arch":"arm64","type":"net/http.Request","field":"Pattern","offset":null,"kind":null}"#;
    assert!(lines.contains(absent), "{lines}");
    assert_eq!(lines.lines().count(), 3 * 3 * 2);
}

#[test]
fn a_table_is_compared_and_what_differs_is_named() {
    let data = data();
    let output = run(&["compare", "tests/black_box/otel-auto.json"], data.path());
    let expected = "\
differs   std net/http.Request.Pattern 1.21.13 … 1.22.12 (2): theirs 232, ours none
differs   std net/http.Request.ctx 1.22.12: theirs 232, ours 232 on amd64, 236 on arm64
not ours  example.org/gone v1.0.0: the module is not recorded: example.org/gone.T.f
not ours  example.org/m v1.2.0: the version is not recorded: example.org/m.T.a
not ours  std 1.23.12: the struct is not recorded: net/http.Response.Body
8 figures: 2 equal, 3 differ, 3 not ours
ours, from DWARF: offsetgen verify --only std --versions 1.21.13,1.22.12
";
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(1), expected.to_owned()));
}

/// What was exported says the same as the database: on its own, and held against it.
#[test]
fn what_was_exported_is_equal() {
    let data = data();
    for (format, counted) in [("otel-auto", "22 figures: 22 equal"), ("obi", "15 figures: 15 equal")] {
        let file = data.path().join("table");
        std::fs::write(&file, export(&[format], data.path()).0).expect("written");
        let output = run(&["compare", file.to_str().expect("UTF-8")], data.path());
        let said = text(&output.stdout);
        assert!(output.status.success() && said.starts_with(counted), "{format}: {said}");
        let like = file.to_str().expect("UTF-8");
        assert_eq!(
            export(&[format, "--like", like], data.path()).0,
            std::fs::read_to_string(&file).expect("it")
        );
    }
}

#[test]
fn what_cannot_be_compared_or_exported_is_said() {
    let data = data();
    let file = data.path().join("table");
    let name = file.to_str().expect("UTF-8");
    for (table, expected) in [
        ("x", "neither a JSON array (otel-auto) nor an object (obi)"),
        ("[{}]", "not the form of offset_results.json (otel-auto)"),
        ("{}", "not the form of offsets.json (obi)"),
        ("[]", "no figure of it is in the database"),
    ] {
        std::fs::write(&file, table).expect("written");
        let output = run(&["compare", name], data.path());
        let said = text(&output.stderr);
        assert!(output.status.code() == Some(1) && said.contains(expected), "{table}: {said}");
    }
    let output = run(&["export", "--format", "flat", "--only", "example.org/none"], data.path());
    assert_eq!(text(&output.stderr), "offsetgen: --only example.org/none: nothing of it is recorded\n");
    let output = run(&["export"], data.path());
    assert_eq!(output.status.code(), Some(64));
}
