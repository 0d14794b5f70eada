//! The committed database can be built again, byte for byte, by anybody: `offsetgen build --only std` with cold build
//! caches and another number of jobs. The toolchains' verified downloads are reused: their hashes vouch for them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use strobe_tests::{machine, programs};

/// Not what a build takes by itself on any usual machine.
const JOBS: &str = "3";

fn files(folder: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))? {
        let entry = entry?;
        files.insert(entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path())?);
    }
    Ok(files)
}

/// A cache that has the downloads of the real one, and nothing that was compiled.
fn cold_cache(folder: &Path) -> Result<()> {
    let warm = machine::cache()?;
    for name in ["mod", "toolchains", "bootstrap"] {
        let from = warm.join(name);
        fs::create_dir_all(&from).with_context(|| format!("create {}", from.display()))?;
        std::os::unix::fs::symlink(&from, folder.join(name)).with_context(|| format!("link {name}"))?;
    }
    Ok(())
}

#[test]
fn a_second_build_gives_the_same_bytes() -> Result<()> {
    let cache = tempfile::tempdir()?;
    cold_cache(cache.path())?;
    let out = tempfile::tempdir()?;
    let committed = machine::workspace().join("offsets/data");
    for (name, bytes) in files(&committed)? {
        // Its versions are the ones to build: what the database records is part of every version list.
        fs::write(out.path().join(name), bytes)?;
    }
    let start = Instant::now();
    let mut build = Command::new(programs::path("offsetgen")?);
    build.args(["build", "--only", "std", "--jobs", JOBS, "--cache"]).arg(cache.path());
    build.arg("--out").arg(out.path()).current_dir(machine::workspace());
    let ran = build.output().context("run offsetgen")?;
    ensure!(
        ran.status.success(),
        "offsetgen build: {}\n{}",
        ran.status,
        String::from_utf8_lossy(&ran.stderr)
    );
    println!("offsetgen build --only std with cold build caches took {:.0} s", start.elapsed().as_secs_f64());
    let (want, got) = (files(&committed)?, files(out.path())?);
    ensure!(want.keys().eq(got.keys()), "files {:?}, not {:?}", got.keys(), want.keys());
    for (name, bytes) in &want {
        ensure!(got.get(name) == Some(bytes), "offsets/data/{name} differs from the second build");
    }
    Ok(())
}
