//! Modules as their makers publish them, behind a proxy; and what is recorded of them.

use std::collections::BTreeMap;
use std::process::{Command, Output};

use crate::modules::{Place, json};
use crate::support::{Answer, Proxy, outcome, zip};

pub const CATALOG: &str = r#"-- m.go --
package main

import "example.org/m"

var t m.T

func main() { println(&t) }
-- m.toml --
id = "m"
title = "m"
module = "example.org/m"
status = "recorded"
structs = ["example.org/m.T"]
[target]
file = "m.go"
"#;

/// Modules' files by `MODULE@VERSION`, as their makers have published them; each has a go.mod.
pub type Published = BTreeMap<String, Vec<(&'static str, String)>>;

/// A module with one file.
pub fn publish(all: &mut Published, module: &str, version: &str, require: &str, source: &str) {
    let go_mod = format!("module {module}\n\ngo 1.19\n\n{require}\n");
    all.insert(format!("{module}@{version}"), vec![("go.mod", go_mod), ("m.go", source.to_owned())]);
}

/// `T` has a field more in each version.
pub fn growing(versions: &[&str]) -> Published {
    let mut all = Published::new();
    for (count, version) in versions.iter().enumerate() {
        let fields: String = (0..=count).map(|field| format!("\tF{field} int\n")).collect();
        publish(
            &mut all,
            "example.org/m",
            version,
            "",
            &format!("package m\n\ntype T struct {{\n{fields}}}\n"),
        );
    }
    all
}

pub fn answer(all: &Published, path: &str) -> Answer {
    let none = || Answer::Whole(404, b"not found".to_vec());
    // The checksum database is asked through the proxy, and knows nothing.
    if path.starts_with("/sumdb/") && path.ends_with("/supported") {
        return Answer::Whole(200, Vec::new());
    }
    let Some((module, rest)) = path.trim_start_matches('/').split_once("/@v/") else { return none() };
    if rest == "list" {
        let own = all.keys().filter_map(|name| name.strip_prefix(&format!("{module}@")));
        return Answer::Whole(200, own.collect::<Vec<_>>().join("\n").into_bytes());
    }
    let (version, what) = rest.rsplit_once('.').unwrap_or_default();
    let Some(files) = all.get(&format!("{module}@{version}")) else { return none() };
    let named: Vec<(String, &[u8])> =
        files.iter().map(|(name, text)| (format!("{module}@{version}/{name}"), text.as_bytes())).collect();
    let named: Vec<(&str, &[u8])> = named.iter().map(|(name, bytes)| (name.as_str(), *bytes)).collect();
    Answer::Whole(
        200,
        match what {
            "info" => format!("{{\"Version\":\"{version}\",\"Time\":\"2024-01-01T00:00:00Z\"}}").into_bytes(),
            "mod" => files[0].1.clone().into_bytes(),
            _ => zip(&named),
        },
    )
}

pub fn serve(all: Published) -> Proxy {
    Proxy::start(move |path, _| answer(&all, path))
}

pub fn holes(place: &Place) -> Vec<(String, String, String)> {
    let value = json(&place.text());
    let text = |hole: &serde_json::Value, key: &str| hole[key].as_str().unwrap_or_default().to_owned();
    let holes = value["holes"].as_array().expect("a list");
    holes.iter().map(|hole| (text(hole, "version"), text(hole, "axis"), text(hole, "stage"))).collect()
}

pub fn versions(place: &Place) -> Vec<String> {
    let value = json(&place.text());
    let versions = value["versions"].as_array().expect("a list").iter();
    versions.map(|tested| tested["version"].as_str().unwrap_or_default().to_owned()).collect()
}

pub fn lookup(place: &Place, version: &str, field: &str) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_offsetgen"));
    command.args(["lookup", "example.org/m", version, field, "--data"]).arg(place.path("data"));
    let output = command.output().expect("runs");
    String::from_utf8(output.stdout).expect("text").trim_end().to_owned()
}

pub fn success(output: &Output) {
    assert!(output.status.success(), "{}", outcome(output).1);
}
