//! The tests that Go and gRPC have of their own, under the agent: what passes without it passes with it. Needs root and BPF;
//! `scripts/test --full` runs it, one test at a time: many of theirs measure time.

mod suite;
mod verdicts;

use anyhow::{Result, ensure};
use strobe_tests::golang::go;
use strobe_tests::machine;

use suite::{Package, Suite};
use verdicts::Runs;

/// How often they are run in either way.
const RUNS: usize = 2;
/// How often they are run once more without the agent, where a result was another with it: tests that measure time fail now and then.
const MORE: usize = 3;
/// gRPC, in the newest version that the other tests have.
const GRPC: Option<(&str, &str)> = Some(("google.golang.org/grpc", "v1.85.0"));

#[test]
fn net_http_s_own_tests_do_not_see_the_agent() -> Result<()> {
    let (path, scope) = ("net/http", "strobe/net/http");
    are_unchanged(Package { path, module: None, tests: 1_000, scope, spans: 1_000 })
}

#[test]
fn database_sql_s_own_tests_do_not_see_the_agent() -> Result<()> {
    let (path, scope) = ("database/sql", "strobe/database/sql");
    are_unchanged(Package { path, module: None, tests: 100, scope, spans: 1_000 })
}

#[test]
fn grpc_s_own_tests_do_not_see_the_agent() -> Result<()> {
    let (path, scope) = ("google.golang.org/grpc/test", "strobe/google.golang.org/grpc");
    are_unchanged(Package { path, module: GRPC, tests: 400, scope, spans: 1_000 })
}

/// Most of them use a transport without a client or a server above it, and make no span.
#[test]
fn the_tests_of_grpc_s_transport_do_not_see_the_agent() -> Result<()> {
    let (path, scope) = ("google.golang.org/grpc/internal/transport", "strobe/google.golang.org/grpc");
    are_unchanged(Package { path, module: GRPC, tests: 150, scope, spans: 5 })
}

fn are_unchanged(package: Package) -> Result<()> {
    machine::require_probes()?;
    for version in [go(26), go(27)] {
        let name = format!("{} of Go {version}", package.path);
        let suite = Suite::build(package, version)?;
        let mut without = Runs::default();
        for _ in 0..RUNS {
            add(&mut without, &suite, &name)?;
        }
        let mut traced = Vec::new();
        for _ in 0..RUNS {
            let found = suite.run_traced()?;
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
