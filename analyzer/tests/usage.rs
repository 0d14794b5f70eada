//! What `analyze` says to a person who typed something else than was meant.

use std::process::{Command, Output};

use serde_json::Value;

fn analyze(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_analyze")).args(args).output().expect("analyze starts")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn without_arguments_either_a_file_or_a_process_is_asked_for() {
    let output = analyze(&[]);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(64));
    assert!(said.contains("name Go binaries or folders, or with --pid a process"), "{said}");
    assert!(!said.contains("<N> <FILE|FOLDER>"), "{said}");
}

#[test]
fn a_subcommand_behind_its_options_is_not_taken_for_a_file() {
    for command in ["libraries", "inspect"] {
        let output = analyze(&["--catalog", "/nowhere", command]);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(64), "{said}");
        assert!(said.contains(&format!("`{command}` is a subcommand: write it first")), "{said}");
    }
}

#[test]
fn what_the_system_says_is_said_once() {
    let output = analyze(&["inspect", "functions", "/nowhere/at/all"]);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(said.matches("No such file").count(), 1, "{said}");
    assert!(said.starts_with("analyze: /nowhere/at/all: "), "{said}");
}

#[test]
fn the_remedy_fits_what_the_system_says() {
    // The kernel has no process of a number above 4194304 (`PID_MAX_LIMIT`).
    for args in [&["--json", "/nowhere/at/all"][..], &["--json", "--pid", "4194305"]] {
        let output = analyze(args);
        assert_eq!(output.status.code(), Some(2));
        let object: Value = serde_json::from_slice(&output.stdout).expect("an object");
        let remedy = object["error"]["remedy"].as_str().expect("a remedy");
        assert!(remedy.starts_with("check the name"), "{args:?}: {remedy}");
    }
    let object: Value = serde_json::from_slice(&analyze(&["--json", "/dev/null"]).stdout).expect("an object");
    let remedy = object["error"]["remedy"].as_str().expect("a remedy");
    assert!(remedy.starts_with("name a Go executable: a regular file"), "{remedy}");
}
