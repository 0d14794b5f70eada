//! What is said of a library that is not traced yet, in the JSON that people script against; and of one that is traced.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use support::{SERVER, STRIPPED, build};

/// A package by the name of one whose layouts are recorded, and that no agent traces yet: with the function that it is told by.
const RECORDED: &str = r#"package pq

type conn struct{}

//go:noinline
func (c *conn) simpleQuery() { println(c) }

func Ask() { new(conn).simpleQuery() }
"#;

/// A program that uses it.
const QUERIES: &str = r#"package main

import "github.com/lib/pq"

func main() { pq.Ask() }
"#;

#[test]
fn a_finding_has_the_documented_keys() {
    let folder = tempfile::tempdir().expect("a folder");
    let recorded = planned(&recorded(&folder), "github.com/lib/pq");
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

/// Builds the program that uses what is recorded.
fn recorded(folder: &tempfile::TempDir) -> PathBuf {
    let module = folder.path().join("src");
    fs::create_dir_all(module.join("pq")).expect("a folder for the package");
    fs::write(module.join("go.mod"), "module github.com/lib\n\ngo 1.21\n").expect("go.mod");
    fs::write(module.join("main.go"), QUERIES).expect("main.go");
    fs::write(module.join("pq/pq.go"), RECORDED).expect("pq.go");
    let out = folder.path().join("program");
    let mut go = Command::new("go");
    go.args(["build", "-buildvcs=false", "-ldflags=-s -w", "-o"]).arg(&out).arg(".").current_dir(&module);
    go.env("CGO_ENABLED", "0").env("GOTOOLCHAIN", "local").env("GOFLAGS", "");
    assert!(go.status().expect("go on PATH").success());
    out
}

/// What the Plan of a program of this source has of a library.
fn library(source: &str, id: &str) -> Value {
    let folder = tempfile::tempdir().expect("a folder");
    planned(&build(&folder, "program", source, STRIPPED), id)
}

fn planned(program: &Path, id: &str) -> Value {
    let analyze = Command::new(env!("CARGO_BIN_EXE_analyze")).arg("--json").arg(program).output();
    let plan: Value = serde_json::from_slice(&analyze.expect("analyze starts").stdout).expect("JSON");
    let libraries = plan["libraries"].as_array().expect("libraries");
    libraries.iter().find(|l| l["id"] == id).expect("the library").clone()
}
