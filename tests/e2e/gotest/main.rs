//! The tests that Go and gRPC have of their own, under the agent: what passes without it passes with it. Needs root and BPF;
//! `scripts/test --full` runs it, one test at a time: many of theirs measure time.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, ensure};
use strobe_tests::agent::strobe;
use strobe_tests::golang::go;
use strobe_tests::gotest::suite::{ALONE, GRPC, GRPC_TRANSPORT, NET_HTTP, Package, Suite, Traced};
use strobe_tests::gotest::verdicts::{self, Runs};
use strobe_tests::machine;

/// gRPC's take 80 seconds on a machine that has other things to do.
const PATIENCE: Duration = Duration::from_secs(600);
/// How often they are run in either way.
const RUNS: usize = 2;
/// How often all are run once more without the agent, where a result was another with it and stays so.
const MORE: usize = 3;
/// Go's own of database/sql.
const DATABASE_SQL: Package =
    Package { path: "database/sql", module: None, tests: 100, scope: "strobe/database/sql", spans: 1_000 };

#[test]
fn net_http_s_own_tests_do_not_see_the_agent_go1_26() -> Result<()> {
    are_unchanged(NET_HTTP, 26)
}

#[test]
fn net_http_s_own_tests_do_not_see_the_agent_go1_27() -> Result<()> {
    are_unchanged(NET_HTTP, 27)
}

#[test]
fn database_sql_s_own_tests_do_not_see_the_agent_go1_26() -> Result<()> {
    are_unchanged(DATABASE_SQL, 26)
}

#[test]
fn database_sql_s_own_tests_do_not_see_the_agent_go1_27() -> Result<()> {
    are_unchanged(DATABASE_SQL, 27)
}

#[test]
fn grpc_s_own_tests_do_not_see_the_agent_go1_26() -> Result<()> {
    are_unchanged(GRPC, 26)
}

#[test]
fn grpc_s_own_tests_do_not_see_the_agent_go1_27() -> Result<()> {
    are_unchanged(GRPC, 27)
}

#[test]
fn the_tests_of_grpc_s_transport_do_not_see_the_agent_go1_26() -> Result<()> {
    are_unchanged(GRPC_TRANSPORT, 26)
}

#[test]
fn the_tests_of_grpc_s_transport_do_not_see_the_agent_go1_27() -> Result<()> {
    are_unchanged(GRPC_TRANSPORT, 27)
}

/// The results under the agent are those without, with this minor version of Go.
fn are_unchanged(package: Package, minor: usize) -> Result<()> {
    machine::require_probes()?;
    let version = go(minor);
    let name = format!("{} of Go {version}", package.path);
    let folder = tempfile::tempdir()?;
    let suite = Suite::build(package, version, folder.path(), PATIENCE)?;
    let mut without = Runs::default();
    for _ in 0..RUNS {
        add(&mut without, &suite, &name)?;
    }
    let mut traced = Vec::new();
    for _ in 0..RUNS {
        let found = suite.run_traced(strobe(&[])?)?;
        let (tests, took, lost) = (found.run.verdicts.len(), found.run.took, &found.lost);
        println!(
            "{name}: {tests} tests under the agent in {took:.1?}; {} spans, {} of {}; lost: {lost:?}",
            found.all, found.spans, package.scope
        );
        traced.push(found);
    }
    let others = |without: &Runs| -> Vec<String> {
        traced.iter().flat_map(|found| without.others(&found.run.verdicts)).collect()
    };
    if !others(&without).is_empty() {
        alone(&mut without, &suite, &traced, &name)?;
    }
    for again in 0..=MORE {
        let others = others(&without);
        if others.is_empty() {
            break;
        }
        println!("{name}: other results under the agent than without: {others:?}");
        let logs = || traced.iter().map(|found| found.log.as_str()).collect::<Vec<_>>().join("\n");
        ensure!(again < MORE, "{name}: other results under the agent: {others:?}\n{}", logs());
        add(&mut without, &suite, &name)?;
    }
    let unstable = without.unstable();
    println!("{name}: not the same in all runs without the agent: {unstable:?}");
    // Else what is compared is too little to be called that.
    ensure!(unstable.len() * 20 <= package.tests, "{name}: {} unstable tests", unstable.len());
    Ok(())
}

/// Runs each test that failed under the agent alone and over and over without it: one that measures time, or counts what may or may not happen,
/// fails there now and then, and seldom enough for all other runs to pass it.
fn alone(runs: &mut Runs, suite: &Suite, traced: &[Traced], name: &str) -> Result<()> {
    let failed: BTreeSet<&String> =
        traced.iter().flat_map(|found| verdicts::failed(&found.run.verdicts)).collect();
    // `Test` fails with `Test/PeerForClientStatsHandler`.
    let holds_another = |test: &&String| failed.iter().any(|other| other.starts_with(&format!("{test}/")));
    for test in failed.iter().filter(|test| !holds_another(test)) {
        let fails = suite.fails_alone(test)?;
        println!("{name}: {test} alone and {ALONE} times without the agent: fails: {fails}");
        if fails {
            runs.add_failed(test);
        }
    }
    Ok(())
}

/// Runs them once more without the agent.
fn add(runs: &mut Runs, suite: &Suite, name: &str) -> Result<()> {
    let run = suite.run()?;
    let failed = verdicts::failed(&run.verdicts);
    println!(
        "{name}: {} tests without the agent in {:.1?}; failed: {failed:?}",
        run.verdicts.len(),
        run.took
    );
    runs.add(run.verdicts);
    Ok(())
}
