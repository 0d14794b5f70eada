//! `offsetgen report`: numbers, holes in words, and the exit status.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::folder::{CATALOG, MODULE, command, document, folder, run, version};
use crate::support::write_catalog;

/// A folder with `catalog/`, `data/` and a file of versions.
fn place(versions: usize, holes: &Value, file: &str) -> TempDir {
    let versions: Vec<Value> = (0..versions).map(recorded).collect();
    let last = versions.len().saturating_sub(1);
    let span = |from: usize| json!({"from": format!("v1.0.{from}"), "to": format!("v1.0.{last}"), "arch": ["amd64"]});
    let mut size = span(0);
    size["size"] = json!(8);
    let structs = json!({
        "example.org/m.T": {"tested": [span(0)], "sizes": [size], "fields": {}},
        "example.org/m.U": {"tested": [], "unreached": [span(1)], "sizes": [], "fields": {}},
        "example.org/m.None": {"tested": [span(0)], "sizes": [], "fields": {}},
        "example.org/m.Old": {"tested": [], "unreached": [span(1)], "sizes": [], "fields": {}},
    });
    let data = document(&json!(versions), holes, &structs, &json!({}));
    let place = tempfile::tempdir().expect("a folder");
    for name in ["catalog", "data"] {
        fs::create_dir(place.path().join(name)).expect("a folder");
    }
    crate::folder::write(&place.path().join("data"), &data);
    write_catalog(&place.path().join("catalog"), CATALOG);
    fs::write(place.path().join("versions.txt"), file).expect("written");
    place
}

/// One of three follows the one before it; the others are compiled.
fn recorded(n: usize) -> Value {
    let more = if n % 3 == 2 { json!({"same_as": format!("v1.0.{}", n - 1)}) } else { json!({}) };
    version(&format!("v1.0.{n}"), &more)
}

fn hole(version: &str, stage: &str, reason: &str) -> Value {
    json!({"version": version, "stage": stage, "reason": reason})
}

fn report(place: &TempDir, more: &[&str]) -> (Option<i32>, String) {
    let (catalog, data, file) =
        (place.path().join("catalog"), place.path().join("data"), place.path().join("versions.txt"));
    let [catalog, data, file] = [&catalog, &data, &file].map(|path| path.display().to_string());
    let words = ["report", "--catalog", &catalog, "--data", &data, "--versions-from", &file];
    run(&[&words[..], more].concat(), &[])
}

fn json_of(place: &TempDir) -> Value {
    serde_json::from_str(&report(place, &["--json"]).1).expect("JSON")
}

#[test]
fn holes_alike_stand_together_and_say_the_last_line() {
    let holes = json!([
        hole("v1.0.1-rc.1", "pending", "not tried yet"),
        hole("v1.1.0", "compile", "# example.org/m\n./m.go:1:2: undefined: v1.1.0\n\n"),
        hole("v1.1.1", "compile", "# example.org/m\n./m.go:1:2: undefined: v1.1.1\n"),
        hole("v1.1.2", "withheld", &format!("reading {}: 404", "x".repeat(300))),
        {"version": "v1.0.2", "axis": "arm64", "stage": "compile", "reason": "internal compiler error"},
    ]);
    let (code, said) = report(&place(6, &holes, ""), &[]);
    let cut = format!("  withheld (1): reading {}…{}: 404\n      v1.1.2\n", "x".repeat(71), "x".repeat(75));
    for expected in [
        "  compile (2): ./m.go:1:2: undefined: VERSION\n      v1.1.0, v1.1.1\n",
        "  arm64, compile (1): internal compiler error\n      v1.0.2\n",
        "  pending (1): not tried yet\n      v1.0.1-rc.1\n",
        "  unreached (5): example.org/m.U\n      v1.0.1 … v1.0.5 (5)\n",
        "  not looked for yet (1): example.org/m.U\n      v1.0.0\n",
        "  named by the catalog, in no recorded version:\n      example.org/m.None\n",
        "total: 1 modules; 10 versions known, 7 buildable, 6 recorded (85.7 %)\n",
        "of recorded versions 1 axes are holes\n",
        &cut,
    ] {
        assert!(said.contains(expected), "no {expected:?} in\n{said}");
    }
    // What the catalog no longer names is nobody's loss.
    assert!(!said.contains("m.Old"), "{said}");
    assert_eq!(code, Some(1));
    let row = said.lines().find(|line| line.starts_with(MODULE)).expect("a row");
    let numbers: Vec<&str> = row.split_whitespace().skip(1).collect();
    assert_eq!(numbers, ["10", "1/2", "7", "6", "85.7", "4", "2", "0", "0", "1", "0", "1"]);
    assert!(said.lines().take(4).all(|line| line.chars().count() <= 100), "{said}");
}

#[test]
fn all_numbers_are_in_the_json() {
    let holes = json!([
        hole("v1.1.0", "fetch", "429"),
        {"version": "v1.0.2", "axis": "arm64", "stage": "pending", "reason": "not tried yet"},
    ]);
    let value = json_of(&place(3, &holes, "example.org/m v1.2.0\n"));
    for (key, expected) in [
        ("module", json!(MODULE)),
        ("known", json!(5)),
        ("withheld", json!(0)),
        ("compile", json!(0)),
        ("fetch", json!(1)),
        ("pending", json!(1)),
        ("buildable", json!(5)),
        ("recorded", json!(3)),
        ("percent", json!(60.0)),
        ("built", json!(2)),
        ("follow", json!(1)),
        ("arm64", json!(0)),
        ("axis_holes", json!(1)),
        ("structs", json!(1)),
        ("nowhere", json!(["example.org/m.None"])),
        ("unreached", json!({"example.org/m.U": ["v1.0.1", "v1.0.2"]})),
        (
            "unasked",
            json!({"example.org/m.F": ["v1.0.0", "v1.0.1", "v1.0.2"], "example.org/m.U": ["v1.0.0"]}),
        ),
    ] {
        assert_eq!(value[key], expected, "{key}");
    }
    assert_eq!(value["holes"].as_array().map(Vec::len), Some(3));
}

#[test]
fn what_a_file_knows_and_the_data_does_not_is_a_hole() {
    // v0.9.0 is not the catalog's, a pseudo-version of a tagged module is none.
    let file = "# known\nexample.org/m v1.0.0\nexample.org/m v1.2.0\nexample.org/m v0.9.0\n\
                example.org/m v1.2.1-0.20200102030405-abcdef012345\nother v1.0.0\nexample.org/m nonsense\n";
    let (code, said) = report(&place(3, &json!([]), file), &[]);
    assert!(said.contains("  pending (1): no run has tried it\n      v1.2.0\n"), "{said}");
    assert!(said.contains("4 versions known, 4 buildable, 3 recorded (75.0 %)"), "{said}");
    assert_eq!(code, Some(1));
    let place = place(1, &json!([]), "");
    fs::remove_file(place.path().join("versions.txt")).expect("removed");
    let (code, said) = report(&place, &[]);
    assert!(code == Some(1) && said.contains("versions.txt: No such file"), "{said}");
}

#[test]
fn a_file_adds_nothing_to_a_module_that_no_catalog_entry_covers() {
    let place = place(3, &json!([]), "example.org/m v1.2.0\n");
    let other = CATALOG.replace(MODULE, "example.org/other").replace("id = \"m\"", "id = \"other\"");
    write_catalog(&place.path().join("catalog"), &other);
    let (_, said) = report(&place, &["--json"]);
    let values = said.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let counts: Vec<_> =
        values.map(|v| (v["module"].clone(), v["known"].clone(), v["pending"].clone())).collect();
    assert_eq!(
        counts,
        [(json!(MODULE), json!(3), json!(0)), (json!("example.org/other"), json!(0), json!(0))],
        "{said}"
    );
}

#[test]
fn ninety_nine_of_a_hundred_are_enough_and_no_share_is_rounded_up() {
    let file = |n: usize| (0..n).map(|n| format!("example.org/m v1.1.{n}\n")).collect::<String>();
    for (recorded, missing, code, share) in
        [(99, 1, 0, "99.0"), (98, 1, 1, "98.9"), (3, 0, 0, "100.0"), (190, 2, 1, "98.9"), (0, 0, 1, "-")]
    {
        let place = match recorded {
            0 => empty(),
            _ => place(recorded, &json!([]), &file(missing)),
        };
        let (status, said) = report(&place, &[]);
        assert_eq!(status, Some(code), "{said}");
        assert!(said.contains(&format!("{recorded} recorded ({share} %)")), "{said}");
    }
}

/// No data at all.
fn empty() -> TempDir {
    let place = place(1, &json!([]), "");
    fs::remove_file(place.path().join("data/example.org_m.json")).expect("removed");
    fs::remove_file(place.path().join("data/index.json")).ok();
    place
}

#[test]
fn a_module_without_data_is_named() {
    let (code, said) = report(&empty(), &[]);
    assert!(said.contains("nothing is recorded, not built yet (1):\n      example.org/m\n"), "{said}");
    assert_eq!(code, Some(1));
    assert_eq!(json_of(&empty())["recorded"], json!(0));
}

#[test]
fn a_reader_that_goes_away_changes_nothing_and_a_full_disk_does() {
    let data = folder(&document(&json!([version("v1.0.0", &json!({}))]), &json!([]), &json!({}), &json!({})));
    let [empty, out] = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
    let field = ["lookup", MODULE, "v1.0.0", "example.org/m.T.A", "--data"];
    let cases: [(&[&str], Vec<&Path>, i32); 4] = [
        (&["report", "--data"], vec![data.path()], 1),
        (&["diff"], vec![empty.path(), data.path()], 0),
        (&["merge", "--out"], vec![out.path(), data.path()], 0),
        (&field, vec![data.path()], 1),
    ];
    for (words, folders, code) in cases {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let output = command(words, &folders)
            .stdout(writer)
            .stderr(Stdio::piped())
            .spawn()
            .and_then(|child| child.wait_with_output())
            .expect("runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), said.as_str()), (Some(code), ""), "{words:?}");
        let full = fs::OpenOptions::new().write(true).open("/dev/full").expect("/dev/full");
        let output = command(words, &folders).stdout(full).output().expect("runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{words:?}");
        assert!(said.starts_with("offsetgen: cannot write to standard output: "), "{said}");
    }
}
