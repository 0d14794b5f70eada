//! Go programs for the tests, built once per test run with the Go on PATH.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use tempfile::TempDir;

/// A server: everything that the entry of `net/http.server` names is reachable.
pub const SERVER: &str = r#"package main

import "net/http"

func main() {
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(204) })
	panic(http.ListenAndServe("127.0.0.1:0", nil))
}
"#;

/// How to build.
#[derive(Debug, Clone, Copy)]
pub struct Build<'a> {
    pub arch: &'a str,
    pub mode: &'a str,
    pub ldflags: &'a str,
}

/// A stripped executable for amd64.
pub const STRIPPED: Build<'_> = Build { arch: "amd64", mode: "exe", ldflags: "-s -w" };

/// Builds a program in a folder.
pub fn build(folder: &TempDir, name: &str, source: &str, how: Build<'_>) -> PathBuf {
    let module = folder.path().join(format!("src-{name}"));
    fs::create_dir_all(&module).expect("a folder for the source");
    fs::write(module.join("go.mod"), "module example.com/app\n\ngo 1.21\n").expect("go.mod");
    fs::write(module.join("main.go"), source).expect("main.go");
    let out = folder.path().join(name);
    let status = Command::new("go")
        .current_dir(&module)
        .args([
            "build",
            "-trimpath",
            "-buildvcs=false",
            "-buildmode",
            how.mode,
            "-ldflags",
            how.ldflags,
            "-o",
        ])
        .args([out.as_path(), Path::new(".")])
        .env("GOARCH", how.arch)
        .env("CGO_ENABLED", "0")
        .env("GOTOOLCHAIN", "local")
        .env("GOFLAGS", "")
        .env("GOCACHE", cache())
        .status()
        .expect("go on PATH");
    assert!(status.success(), "go build of {name}: {status}");
    out
}

/// The user's build cache if there is one, else one beside the tests.
fn cache() -> PathBuf {
    match (env::var_os("GOCACHE"), env::var_os("HOME")) {
        (Some(cache), _) => cache.into(),
        (None, Some(home)) => Path::new(&home).join(".cache/go-build"),
        (None, None) => Path::new(env!("CARGO_TARGET_TMPDIR")).join("go-build"),
    }
}
