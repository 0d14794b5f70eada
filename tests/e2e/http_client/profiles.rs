//! Builds guided by profiles, which inline what the probes are usually at.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use analyzer::plan::{Cost, Library, Verdict};
use anyhow::{Context, Result, ensure};
use strobe_tests::golang::{self, Build, go};
use strobe_tests::process::Running;
use strobe_tests::profile::missing;

use super::everything;

fn client(built: &Path) -> Result<Library> {
    let plan = analyzer::plan_file(built, &analyzer::Options::default(), &[])?;
    let client = plan.libraries.into_iter().find(|l| l.id == "net/http.client").context("net/http.client")?;
    let is_traced = client.verdict != Verdict::Refused;
    ensure!(is_traced && missing(&client).is_empty(), "{:?}", client.reason);
    let mut sites = client.functions.iter().flat_map(|f| &f.sites);
    ensure!(sites.all(|site| site.cost == Cost::Emulated), "{:?}", client.functions);
    Ok(client)
}

/// A build in which `RoundTripOpt` is inlined: a round trip over HTTP/2 ends behind the same call in each copy of its body.
#[test]
fn a_profiled_build_without_round_trip_opt() -> Result<()> {
    for version in golang::few([go(26), go(27), go(24)]) {
        let built = golang::build("httpclient", version, Build::Calling)?;
        let client = client(&built).with_context(|| format!("Go {version}"))?;
        let mut ends = client.functions.iter().filter(|f| f.role == "h2_end");
        let is_copy = |of: &str| of.ends_with("Transport).RoundTripOpt");
        ensure!(ends.any(|f| f.inlined.as_deref().is_some_and(is_copy)), "{:?}", client.functions);
        everything(version, &built)?;
    }
    Ok(())
}

/// A build with the profile of a load, as people make them. Where its samples fall is chance: what is inlined is not the same each
/// time, and everything is traced each time.
#[test]
fn a_build_with_the_profile_of_a_load() -> Result<()> {
    for version in golang::few([go(26), go(27), go(24)]) {
        let folder = tempfile::tempdir().context("a folder for the test")?;
        let (profile, built) = (folder.path().join("cpu.pprof"), folder.path().join("guided"));
        let plain = golang::build("httpclient", version, Build::Plain)?;
        let mut loaded = Running::start(Command::new(plain).arg("-cpuprofile").arg(&profile))?;
        let status = loaded.wait(Duration::from_secs(60))?;
        ensure!(status.success(), "{status}: {}", loaded.output());
        ensure!(fs::metadata(&profile).context("the profile")?.len() > 1_000, "nothing was sampled");
        golang::build_guided("httpclient", version, &profile, &built)?;
        client(&built).with_context(|| format!("Go {version}"))?;
        everything(version, &built)?;
    }
    Ok(())
}
