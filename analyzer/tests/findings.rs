//! What is said of a library that is not traced yet, in the JSON that people script against.

mod support;

use std::process::Command;

use serde_json::Value;
use support::{STRIPPED, build};

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
    let folder = tempfile::tempdir().expect("a folder");
    let program = build(&folder, "queries", QUERIES, STRIPPED);
    let analyze = Command::new(env!("CARGO_BIN_EXE_analyze")).arg("--json").arg(program).output();
    let plan: Value = serde_json::from_slice(&analyze.expect("analyze starts").stdout).expect("JSON");
    let libraries = plan["libraries"].as_array().expect("libraries");
    let recorded = libraries.iter().find(|l| l["id"] == "database/sql").expect("database/sql");
    assert_eq!(recorded["status"], "recorded");
    let finding = recorded["findings"][0].as_object().expect("a finding");
    let mut keys: Vec<&str> = finding.keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["code", "loses", "message", "remedy", "severity", "subject"]);
    assert_eq!((&finding["code"], &finding["severity"]), (&"not-traced-yet".into(), &"refusal".into()));
}
