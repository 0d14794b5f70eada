//! The tests that Go and gRPC have of their own, as far as they go into a virtual machine: the program, and the sources and test data that they
//! read, where they lie on this machine.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use strobe_tests::golang::go;
use strobe_tests::gotest::suite::{GRPC, NET_HTTP, Package, Suite};

use crate::initramfs::Initramfs;

/// Their cases (`guest/cases.rs`).
pub const CASES: [&str; 2] = ["own-tests-net-http", "own-tests-grpc"];

/// Puts in what the case needs; whether it is one of these.
pub fn put(archive: &mut Initramfs, case: &str) -> Result<bool> {
    let package = match case {
        "own-tests-net-http" => NET_HTTP,
        "own-tests-grpc" => GRPC,
        _ => return Ok(false),
    };
    let folder = tempfile::tempdir().context("a folder for the tests")?;
    let suite = Suite::build(package, go(27), folder.path(), Duration::ZERO)?;
    archive.program(&format!("own-tests/{case}"), &suite.program)?;
    archive.file(&format!("own-tests/{case}.source"), suite.source.to_string_lossy().as_bytes())?;
    tree(archive, &suite.source)?;
    if let Package { module: Some(_), .. } = package
        && let Some(data) = suite.source.parent().map(|module| module.join("testdata"))
    {
        tree(archive, &data)?;
    }
    Ok(true)
}

/// A folder with all that is below it, at the same path.
fn tree(archive: &mut Initramfs, folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            tree(archive, &path)?;
        } else {
            let to = path.to_string_lossy();
            archive.file(to.trim_start_matches('/'), &fs::read(&path)?)?;
        }
    }
    Ok(())
}
