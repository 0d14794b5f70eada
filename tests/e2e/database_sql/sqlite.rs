//! SQLite in pure Go (modernc.org/sqlite), which comes with the program.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use strobe_tests::agent::losses;
use strobe_tests::built::Recipe;
use strobe_tests::golang::go;

use super::seen::{SCOPE, text};
use strobe_tests::stage::Stage;

macro_rules! sources {
    ($($name:literal)+) => { &[$(($name, include_str!(concat!("../../apps/databasesql/", $name)))),+] };
}

/// The program of all these tests, without a file of real drivers.
pub const SOURCES: &[(&str, &str)] = sources!("main.go" "fake.go" "cases.go" "parents.go");
const SQLITE: &[(&str, &str)] = sources!("drivers/sqlite.go");

const HOST: &str = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };

/// A build with real drivers, stripped.
pub fn build(
    version: &str,
    more: &[(&'static str, &'static str)],
    modules: &[(&str, &str)],
) -> Result<PathBuf> {
    let more = more.iter().map(|(name, text)| (name.trim_start_matches("drivers/"), *text));
    let files: Vec<(&str, &str)> = SOURCES.iter().copied().chain(more).collect();
    let args = &["-ldflags=-s -w"];
    Recipe { version, arch: HOST, mode: "exe", args, files: &files, modules }.build()
}

/// Name, `db.response.status_code`.
const DUE: &[(&str, &str)] = &[
    ("CREATE TABLE people", ""),
    ("INSERT people", ""),
    // A value that is there already: SQLITE_CONSTRAINT_PRIMARYKEY.
    ("INSERT people", "1555"),
    ("SELECT people", ""),
    ("SELECT missing", "1"),
    ("PREPARE", ""),
    ("SELECT people", ""),
    ("BEGIN", ""),
    ("UPDATE people", ""),
    ("ROLLBACK", ""),
    ("BEGIN", ""),
    ("DELETE people", ""),
    ("COMMIT", ""),
    ("PING", ""),
    ("DROP TABLE people", ""),
];

fn operations(version: &str, sqlite: &str, libc: &str) -> Result<()> {
    let modules = [("modernc.org/sqlite", sqlite), ("modernc.org/libc", libc)];
    let mut stage = Stage::new(&build(version, SQLITE, &modules)?, &[], &[])?;
    let mut spans = stage.run(DUE.len())?;
    spans.retain(|span| span.scope == SCOPE);
    spans.sort_by_key(|span| span.span.start_time_unix_nano);
    let got: Vec<(&str, &str)> = spans
        .iter()
        .map(|span| (span.span.name.as_str(), text(span, "db.response.status_code").unwrap_or_default()))
        .collect();
    ensure!(got == DUE, "{got:#?}\n{}", stage.agent.output());
    for span in &spans {
        let code = text(span, "db.response.status_code");
        ensure!(text(span, "error.type") == code, "{span:?}");
        ensure!(text(span, "db.system.name") == Some("sqlite"), "{span:?}");
    }
    let lost = losses(&stage.agent);
    ensure!(lost.is_empty(), "{lost:?}");
    stage.stop()
}

#[test]
fn go1_22() -> Result<()> {
    operations(go(22), "v1.34.5", "v1.55.3")
}

#[test]
fn go1_27() -> Result<()> {
    operations(go(27), "v1.46.1", "v1.67.6")
}
