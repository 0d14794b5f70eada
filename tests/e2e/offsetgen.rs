//! The committed database can be built again by anybody: the newest patch of every minor release of Go, from nothing and
//! with nothing compiled reused, compared figure by figure with the committed data. The toolchains' verified downloads are
//! reused: their hashes vouch for them. (That the bytes do not depend on the number of jobs, on kills or on sharing the
//! work is what offsetgen's own tests say.)

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
