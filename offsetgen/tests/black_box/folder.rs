//! Folders of data that are made here, and the commands that read them: `report`, `diff`, `merge`.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::TempDir;

/// The module of the catalog that is made here.
pub const MODULE: &str = "example.org/m";

/// The catalog's one entry.
pub const CATALOG: &str = r#"-- m.go --
package main

import "example.org/m"

func main() { println(m.F(&m.T{})) }
-- m.toml --
id = "m"
title = "m"
module = "example.org/m"
since = "v1.0.0"
status = "recorded"
structs = ["example.org/m.T", "example.org/m.U", "example.org/m.None"]
functions = ["example.org/m.F"]
[target]
file = "m.go"
"#;

/// A document with these versions, holes, structs and functions.
pub fn document(versions: &Value, holes: &Value, structs: &Value, functions: &Value) -> Value {
    let hash = format!("h1:{}=", "A".repeat(43));
    let toolchain = |version: &str| json!({"version": version, "module": format!("golang.org/toolchain@v0.0.1-{version}.linux-amd64"), "hash": hash});
    json!({
        "schema_version": 3,
        "module": MODULE,
        "settings": {"0": "by hand"},
        "toolchains": [toolchain("go1.24.13"), toolchain("go1.27.4")],
        "versions": versions,
        "holes": holes,
        "structs": structs,
        "functions": functions,
    })
}

/// A recorded version, with more said of it.
pub fn version(text: &str, more: &Value) -> Value {
    let mut version = json!({"version": text, "arch": ["amd64"], "toolchain": "go1.27.4", "generator": "0",
        "hash": format!("h1:{}=", "B".repeat(43))});
    for (key, value) in more.as_object().expect("an object") {
        version[key] = value.clone();
    }
    version
}

/// A folder with a document in it.
pub fn folder(document: &Value) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), document);
    folder
}

/// Puts a document into a folder.
pub fn write(folder: &Path, document: &Value) {
    fs::write(folder.join("example.org_m.json"), document.to_string()).expect("written");
}

/// The command.
pub fn command(arguments: &[&str], folders: &[&Path]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_offsetgen"));
    command.args(arguments).args(folders);
    command
}

/// Exit status and stdout.
pub fn run(arguments: &[&str], folders: &[&Path]) -> (Option<i32>, String) {
    let output = command(arguments, folders).output().expect("runs");
    (output.status.code(), text(&output))
}

fn text(output: &Output) -> String {
    let said = String::from_utf8(output.stdout.clone()).expect("text");
    said + &String::from_utf8_lossy(&output.stderr)
}
