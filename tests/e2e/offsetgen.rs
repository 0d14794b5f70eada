//! The committed database can be built again by anybody: the newest patch of every minor release of Go, from nothing and
//! with nothing compiled reused, compared figure by figure with the committed data. The toolchains' verified downloads are
//! reused: their hashes vouch for them. (That the bytes do not depend on the number of jobs, on kills or on sharing the
//! work is what offsetgen's own tests say.)

use std::fs;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use strobe_tests::{machine, programs};

/// The newest patch of every minor release that is recorded.
const NEWEST: &str = "1.19.13,1.20.14,1.21.13,1.22.12,1.23.12,1.24.13,1.25.14,1.26.11,1.27.4";

#[test]
fn the_newest_releases_built_again_agree_with_the_committed_data() -> Result<()> {
    let start = Instant::now();
    let mut verify = Command::new(programs::path("offsetgen")?);
    verify.args(["verify", "--only", "std", "--versions", NEWEST, "--cache"]).arg(machine::cache()?);
    let ran = verify.current_dir(machine::workspace()).output().context("run offsetgen")?;
    let (said, log) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    ensure!(ran.status.success(), "offsetgen verify: {}\n{said}\n{log}", ran.status);
    let agreed = said.lines().filter(|line| line.ends_with("\tagrees")).count();
    ensure!(agreed >= NEWEST.split(',').count(), "only {agreed} entries were compared:\n{said}");
    println!("{said}with nothing compiled reused: {:.0} s", start.elapsed().as_secs_f64());
    Ok(())
}

/// The walk through of `offsets/catalog/README.md`, with its own text: one TOML file, no Rust.
#[test]
fn a_newcomer_adds_a_library() -> Result<()> {
    const MODULE: &str = "github.com/julienschmidt/httprouter";
    let readme = fs::read_to_string(machine::workspace().join("offsets/catalog/README.md"))?;
    let toml = readme
        .split("   ```toml\n")
        .nth(1)
        .and_then(|rest| rest.split("   ```\n").next())
        .context("the TOML of the README")?;
    let toml: String =
        toml.lines().map(|line| format!("{}\n", line.strip_prefix("   ").unwrap_or(line))).collect();
    let folder = tempfile::tempdir()?;
    let (catalog, data) = (folder.path().join("catalog"), folder.path().join("data"));
    fs::create_dir(&catalog)?;
    fs::write(catalog.join("httprouter.toml"), toml)?;
    let newest = NEWEST.rsplit(',').next().context("a version")?;
    let offsetgen = programs::path("offsetgen")?;
    let mut build = Command::new(&offsetgen);
    build
        .args(["build", "--only", MODULE, "--versions", "v1.3.0", "--go", newest, "--cache"])
        .arg(machine::cache()?);
    let ran =
        build.arg("--catalog").arg(&catalog).arg("--out").arg(&data).output().context("run offsetgen")?;
    ensure!(ran.status.success(), "offsetgen build: {}", String::from_utf8_lossy(&ran.stderr));
    let field = format!("{MODULE}.Param.Value");
    let mut lookup = Command::new(&offsetgen);
    let ran = lookup
        .args(["lookup", MODULE, "v1.3.0", &field, "--data"])
        .arg(&data)
        .output()
        .context("run offsetgen")?;
    let said = String::from_utf8_lossy(&ran.stdout);
    ensure!(said == format!("{field}\t16\texact\n"), "lookup said {said:?}");
    Ok(())
}
