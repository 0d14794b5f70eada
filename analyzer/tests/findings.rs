//! What is said of a library that is not traced yet, in the JSON that people script against; and of one that is traced.

mod support;

use std::process::Command;

use serde_json::Value;
use support::{SERVER, STRIPPED, build};

/// Queries: that library's layouts are recorded, and no agent traces it yet.
const QUERIES: &str = r#"package main

import "database/sql"

func main() {
	db, err := sql.Open("none", "")
	println(db, err)
	rows, err := db.Query("SELECT 1")
	println(rows, err)
	_, err = db.Exec("DELETE")
	println(err)
}
"#;

#[test]
fn a_finding_has_the_documented_keys() {
    let recorded = library(QUERIES, "database/sql");
    assert_eq!(recorded["status"], "recorded");
    let finding = recorded["findings"][0].as_object().expect("a finding");
    let mut keys: Vec<&str> = finding.keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["code", "loses", "message", "remedy", "severity", "subject"]);
    assert_eq!((&finding["code"], &finding["severity"]), (&"not-traced-yet".into(), &"refusal".into()));
}

#[test]
fn nothing_is_said_of_a_library_that_is_traced_in_full() {
    let server = library(SERVER, "net/http.server");
    assert_eq!((&server["verdict"], &server["findings"]), (&"ready".into(), &Value::Array(Vec::new())));
}

/// What the Plan of a program has of a library.
fn library(source: &str, id: &str) -> Value {
    let folder = tempfile::tempdir().expect("a folder");
    let program = build(&folder, "program", source, STRIPPED);
    let analyze = Command::new(env!("CARGO_BIN_EXE_analyze")).arg("--json").arg(program).output();
    let plan: Value = serde_json::from_slice(&analyze.expect("analyze starts").stdout).expect("JSON");
    let libraries = plan["libraries"].as_array().expect("libraries");
    libraries.iter().find(|l| l["id"] == id).expect("the library").clone()
}
