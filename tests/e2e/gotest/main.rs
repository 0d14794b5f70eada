//! The tests that Go and gRPC have of their own, under the agent: what passes without it passes with it. Needs root and BPF;
//! `scripts/test --full` runs it, one test at a time: many of theirs measure time.

use std::time::Duration;

use anyhow::{Result, ensure};
use strobe_tests::agent::strobe;
use strobe_tests::golang::go;
use strobe_tests::gotest::suite::{GRPC, GRPC_TRANSPORT, NET_HTTP, Package, Suite};
use strobe_tests::gotest::verdicts::{self, Runs};
use strobe_tests::machine;

/// gRPC's take 80 seconds on a machine that has other things to do.
const PATIENCE: Duration = Duration::from_secs(600);
/// How often they are run in either way.
const RUNS: usize = 2;
/// How often they are run once more without the agent, where a result was another with it: tests that measure time fail now and then.
const MORE: usize = 3;

#[test]
fn net_http_s_own_tests_do_not_see_the_agent() -> Result<()> {
    are_unchanged(NET_HTTP)
}

#[test]
fn database_sql_s_own_tests_do_not_see_the_agent() -> Result<()> {
    let (path, scope) = ("database/sql", "strobe/database/sql");
    are_unchanged(Package { path, module: None, tests: 100, scope, spans: 1_000 })
}

#[test]
fn grpc_s_own_tests_do_not_see_the_agent() -> Result<()> {
    are_unchanged(GRPC)
}

#[test]
fn the_tests_of_grpc_s_transport_do_not_see_the_agent() -> Result<()> {
    are_unchanged(GRPC_TRANSPORT)
}

fn are_unchanged(package: Package) -> Result<()> {
    machine::require_probes()?;
    for version in [go(26), go(27)] {
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
        for again in 0..=MORE {
            let others: Vec<String> =
                traced.iter().flat_map(|found| without.others(&found.run.verdicts)).collect();
            if others.is_empty() {
                break;
            }
            println!(
                "{name}: other results under the agent than in all {} runs without: {others:?}",
                RUNS + again
            );
            let logs = || traced.iter().map(|found| found.log.as_str()).collect::<Vec<_>>().join("\n");
            ensure!(again < MORE, "{name}: other results under the agent: {others:?}\n{}", logs());
            add(&mut without, &suite, &name)?;
        }
        let unstable = without.unstable();
        println!("{name}: not the same in all runs without the agent: {unstable:?}");
        // Else what is compared is too little to be called that.
        ensure!(unstable.len() * 20 <= package.tests, "{name}: {} unstable tests", unstable.len());
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
