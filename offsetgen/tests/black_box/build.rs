//! `offsetgen build` with the Go on PATH and a catalog of one struct: what it writes, and that nothing that goes wrong
//! touches what was there.
//!
//! The Go on PATH is put into the cache as if it had been downloaded (the marker that offsetgen writes last), so that no
//! network is needed; the compiler and the DWARF are real.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::support::{host, offsetgen, outcome, write_catalog};

const CATALOG: &str = r#"-- t.go --
package main

import "unsafe"

type T struct {
	a byte
	b string
	c map[string][]*T
	E
	e func(int) error
}

type E struct{ p unsafe.Pointer }

func main() { println(&T{}) }
-- t.toml --
id = "t"
title = "t"
module = "std"
status = "recorded"
present = ["main.main"]
[target]
file = "t.go"
[[field]]
type = "main.T"
name = "b"
kind = "string"
required = true
"#;

/// A cache that all tests of this file share, and the Go that is in it.
pub struct Ready {
    pub cache: tempfile::TempDir,
    pub version: String,
}

pub fn ready() -> &'static Ready {
    static READY: OnceLock<Ready> = OnceLock::new();
    READY.get_or_init(|| {
        let env = |name| {
            let output = Command::new("go").args(["env", name]).env("GOTOOLCHAIN", "local").output().expect("go on PATH");
            String::from_utf8(output.stdout).expect("text").trim().to_owned()
        };
        let (goroot, name) = (env("GOROOT"), env("GOVERSION"));
        let cache = tempfile::tempdir().expect("a folder");
        let marker = serde_json::json!({"goroot": goroot, "provenance": {"version": name,
            "module": format!("golang.org/toolchain@v0.0.1-{name}.linux-{}", host()), "hash": "h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}});
        fs::create_dir(cache.path().join("toolchains")).expect("a folder");
        let file = cache.path().join(format!("toolchains/{name}.linux-{}.json", host()));
        fs::write(file, marker.to_string()).expect("written");
        Ready { cache, version: name.trim_start_matches("go").to_owned() }
    })
}

/// A folder with a catalog, and a database to be.
struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    fn new(catalog: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        write_catalog(&folder.path().join("catalog"), catalog);
        Self { folder }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data/std.json")
    }

    fn command(&self, more: &[&str]) -> Command {
        let ready = ready();
        let mut command =
            offsetgen("off", ready.cache.path(), &["build", "--only", "std", "--versions", &ready.version]);
        command.arg("--catalog").arg(self.folder.path().join("catalog"));
        command.arg("--out").arg(self.folder.path().join("data")).args(more);
        command.env("HOME", self.folder.path());
        command
    }

    fn run(&self, more: &[&str]) -> Output {
        self.command(more).output().expect("runs")
    }
}

fn good() -> String {
    let bench = Bench::new(CATALOG);
    let output = bench.run(&["--jobs", "2"]);
    assert_eq!(outcome(&output).0, Some(0), "{}", outcome(&output).1);
    fs::read_to_string(bench.data()).expect("the database")
}

#[test]
fn every_field_of_a_struct_is_recorded_and_bytes_do_not_depend_on_jobs() {
    let text = good();
    let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let fields = &value["structs"]["main.T"]["fields"];
    for (name, offset, kind) in [
        ("a", 0, "uint8"),
        ("b", 8, "string"),
        ("c", 24, "map[string][]*main.T"),
        ("E", 32, "main.E"),
        ("e", 40, "func(int) error"),
    ] {
        let run = &fields[name][0];
        assert_eq!(
            (run["offset"].as_u64(), run["type"].as_str()),
            (Some(offset), Some(kind)),
            "{name}: {fields}"
        );
        assert_eq!(run["arch"], serde_json::json!(["amd64", "arm64"]), "{name}");
    }
    let bench = Bench::new(CATALOG);
    let first = bench.run(&["--jobs", "1", "--arch", "arm64"]);
    assert!(first.status.success(), "{}", outcome(&first).1);
    let second = bench.run(&["--jobs", "1", "--arch", "amd64"]);
    assert!(second.status.success(), "{}", outcome(&second).1);
    assert_eq!(fs::read_to_string(bench.data()).expect("the database"), text, "built one after the other");
    let third = bench.run(&["--jobs", "7"]);
    assert!(String::from_utf8_lossy(&third.stdout).contains("unchanged"));
}

#[test]
fn a_field_that_no_version_has() {
    for (from, to, expected) in [
        ("name = \"b\"", "name = \"bb\"", "field.name: no tested version"),
        ("kind = \"string\"", "kind = \"int\"", "field.kind: main.T.b is string in"),
    ] {
        let bench = Bench::new(&CATALOG.replace(from, to));
        let (code, message) = outcome(&bench.run(&[]));
        assert_eq!(code, Some(1), "{message}");
        let toml = CATALOG.lines().skip_while(|line| *line != "-- t.toml --");
        let line = toml.skip(1).position(|line| line == "[[field]]").expect("a field") + 1;
        assert!(message.contains(&format!("catalog/t.toml:{line}: {expected}")), "{message}");
        assert!(!bench.data().exists(), "a database was written");
    }
}

#[test]
fn what_does_not_compile() {
    let bench = Bench::new(&CATALOG.replace("println(&T{})", "nonsense()"));
    let (code, message) = outcome(&bench.run(&["--arch", "amd64"]));
    assert_eq!(code, Some(1));
    assert!(message.contains("main.go:") && message.contains("undefined: nonsense"), "{message}");
    let text = fs::read_to_string(bench.data()).expect("the database");
    let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let hole = &value["holes"][0];
    assert_eq!(
        (hole["version"].as_str(), hole["stage"].as_str()),
        (Some(ready().version.as_str()), Some("compile"))
    );
    assert!(hole["reason"].as_str().is_some_and(|reason| reason.contains("undefined: nonsense")), "{hole}");
    assert!(!text.contains("/tmp"), "a path of this machine is in the data: {text}");
}

#[test]
fn a_full_disk_leaves_the_database() {
    let bench = Bench::new(CATALOG);
    fs::create_dir(bench.folder.path().join("data")).expect("a folder");
    let inner = bench.command(&[]);
    // The database's folder becomes a file system with room for the previous database, and for little more.
    let script = "mount -t tmpfs -o size=8k,nr_inodes=9 none \"$DATA\" && cp \"$OLD\" \"$DATA/std.json\" && \
                  head -c 4096 /dev/zero > \"$DATA/full\" || exit 99; \"$@\"; code=$?; \
                  cmp \"$OLD\" \"$DATA/std.json\" || code=98; ls -A \"$DATA\"; exit $code";
    let old = bench.folder.path().join("old.json");
    let empty = "{\n  \"schema_version\": 3,\n  \"module\": \"std\",\n  \"settings\": {},\n  \"toolchains\": [],\n  \
                 \"versions\": [],\n  \"holes\": [],\n  \"structs\": {},\n  \"functions\": {}\n}\n";
    fs::write(&old, empty).expect("written");
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--mount", "sh", "-c", script, "sh"]).arg(inner.get_program());
    command.args(inner.get_args()).env("OLD", &old).env("DATA", bench.folder.path().join("data"));
    let output = command.output().expect("unshare runs");
    let (code, message) = outcome(&output);
    assert_eq!(code, Some(1), "{message}");
    assert!(
        message.contains("data/std.json; the previous one is as it was: No space left on device"),
        "{message}"
    );
    assert_eq!(String::from_utf8_lossy(&output.stdout), "full\nstd.json\n", "a temporary file stayed");
}

#[test]
fn killed_at_any_moment_it_leaves_the_old_or_the_new() {
    let new = good();
    let old = Bench::new(CATALOG);
    assert!(old.run(&["--arch", "amd64"]).status.success());
    let old = fs::read_to_string(old.data()).expect("the database");
    assert_ne!(old, new);
    let (mut seen_old, begun) = (false, Instant::now());
    for step in 0..12 {
        let bench = Bench::new(CATALOG);
        fs::create_dir(bench.folder.path().join("data")).expect("a folder");
        fs::write(bench.data(), &old).expect("written");
        let mut child = bench.command(&[]).spawn().expect("runs");
        std::thread::sleep(Duration::from_millis(40 * step * step));
        child.kill().expect("SIGKILL");
        child.wait().expect("ends");
        let text = fs::read_to_string(bench.data()).expect("the database");
        assert!(text == old || text == new, "after {step}:\n{text}");
        seen_old |= text == old;
        assert!(check(&bench.data()), "a reader refuses it");
    }
    assert!(seen_old, "no run was ended early ({:?})", begun.elapsed());
}

/// Whether offsetgen itself reads that database.
fn check(data: &Path) -> bool {
    let folder = data.parent().expect("a folder");
    let mut command = Command::new(env!("CARGO_BIN_EXE_offsetgen"));
    command.args(["lookup", "std", &ready().version, "main.T.b", "--data"]).arg(folder);
    command.status().expect("runs").success()
}
