//! Many operations at once: 64 callers whose requests make a query each, by the number of the request, in plain and in profile-guided
//! builds. Each query is there once, below its own request.
//!
//! 2,000 of them; `STROBE_SQL` says how many else, and `scripts/test --full` makes 100,000. Then no more than one in 10,000 may be missing, and
//! each is counted.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use strobe_tests::agent::losses;
use strobe_tests::golang::{self, Build};

use super::seen::{SCOPE, text};
use strobe_tests::stage::Stage;

const OPERATIONS: usize = 2_000;
/// For each of them: far more than the slowest machine needs.
const PATIENCE_EACH: Duration = Duration::from_millis(20);

fn exact(built: &std::path::Path) -> Result<()> {
    let wanted = std::env::var("STROBE_SQL").ok().and_then(|text| text.parse().ok());
    let operations: usize = wanted.unwrap_or(OPERATIONS);
    let own = [("SQL_OPERATIONS", operations.to_string())];
    let own: Vec<(&str, &str)> = own.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let mut stage = Stage::new(built, &own, &[])?;
    let limit = Duration::from_secs(30) + PATIENCE_EACH * u32::try_from(operations)?;
    // A request, the call that makes it, and the query; and the request to begin.
    let spans = stage.run_for(3 * operations + 1, limit)?;
    let lost = losses(&stage.agent);
    let served = spans.iter().filter(|span| span.span.kind() == SpanKind::Server);
    let requests: BTreeMap<&[u8], &str> =
        served.filter_map(|span| Some((span.span.span_id.as_slice(), text(span, "url.path")?))).collect();
    let mut seen = BTreeMap::new();
    for span in spans.iter().filter(|span| span.scope == SCOPE) {
        let table = span.span.name.strip_prefix("SELECT ").context("another operation")?;
        let below = requests.get(span.span.parent_span_id.as_slice()).copied().unwrap_or_default();
        ensure!(
            below == format!("/in/{table}") || below.is_empty() && !lost.is_empty(),
            "{table} below {below:?}"
        );
        *seen.entry(table).or_insert(0) += 1;
    }
    let twice: Vec<_> = seen.iter().filter(|(_, count)| **count != 1).collect();
    ensure!(twice.is_empty(), "more than once: {twice:?}");
    let missing = (0..operations).filter(|n| !seen.contains_key(format!("ok_load_{n}").as_str())).count();
    println!("{operations} operations, {missing} missing, lost {lost:?}");
    if wanted.is_none() {
        ensure!(missing == 0 && lost.is_empty(), "{missing} missing, {lost:?}\n{}", stage.agent.output());
    }
    ensure!(missing <= operations / 10_000, "{missing} missing\n{}", stage.agent.output());
    ensure!(lost.values().sum::<u64>() >= missing as u64, "{missing} missing, counted {lost:?}");
    stage.stop()
}

#[test]
fn many_at_once_are_each_their_own() -> Result<()> {
    exact(&golang::build("databasesql", golang::go(26), Build::Stripped)?)
}

/// The program is built with the profile of its own load, and is as ready as before.
#[test]
fn a_profile_changes_nothing() -> Result<()> {
    for minor in [23, 26, 27] {
        let version = golang::go(minor);
        let folder = tempfile::tempdir().context("a folder for the profile")?;
        let (profile, guided) = (folder.path().join("cpu.pprof"), folder.path().join("guided"));
        let built = golang::build("databasesql", version, Build::Stripped)?;
        let mut command = std::process::Command::new(&built);
        let out = command.env("SQL_PROFILE", &profile).output().context("run the program")?;
        ensure!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        golang::build_guided("databasesql", version, &profile, &guided)?;
        let mut analyze = std::process::Command::new(strobe_tests::programs::path("analyze")?);
        let out = analyze.args(["--require", "database/sql"]).arg(&guided).output().context("run analyze")?;
        let said = String::from_utf8_lossy(&out.stdout).into_owned();
        let line = said.lines().find(|line| line.contains("database/sql")).unwrap_or_default();
        ensure!(line.contains("ready") && !line.contains("stepped"), "Go {version}: {said}");
        exact(&guided).with_context(|| format!("Go {version}"))?;
        super::cases_of(&guided, version)?;
    }
    Ok(())
}
