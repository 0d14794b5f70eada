//! `scripts/bench`: what tracing costs, in figures of one interleaved run over one stripped service.
//!
//! Three copies of the service run at once: `bare`, nothing attached; `floor`, a program that returns at once at the two
//! sites of the hot path; `strobe`, the agent exporting to a collector. They get their requests in short turns. The services
//! have processor 0 for themselves, everything else shares processor 1. Ratios within a run are what counts. `http` does the same
//! for each version of HTTP, for the client, and for a service that calls another; `libraries` for each other library that is traced.

mod analyze;
mod drives;
mod figures;
mod http;
mod libraries;
mod measure;
mod modes;
mod propagation;
mod scale;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use strobe_tests::{
    calls,
    load::{self, Case, Load},
};

use modes::{Bench, Service, TURN};
use scale::service::{Built, PATH};

/// What a request of the hot path may cost its target beside what any agent pays.
const MOST_OVER_FLOOR_US: f64 = 2.5;

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The other program that `analyze --against` names.
fn against() -> Result<Option<PathBuf>> {
    match std::env::args_os().skip(2).collect::<Vec<_>>().as_slice() {
        [] => Ok(None),
        [flag, program] if flag == "--against" => Ok(Some(PathBuf::from(program))),
        other => bail!("analyze takes --against ANALYZE and nothing else, not {other:?}"),
    }
}

/// Whether fewer turns are asked for, by the only argument that `libraries` and `propagation` take.
fn is_quick() -> Result<bool> {
    match std::env::args().skip(2).collect::<Vec<_>>().as_slice() {
        [] => Ok(false),
        [flag] if flag == "--quick" => Ok(true),
        other => bail!("this takes --quick and nothing else, not {other:?}"),
    }
}

/// False: a target was missed.
fn run() -> Result<bool> {
    let quick = match std::env::args().nth(1).as_deref() {
        Some("--quick") => true,
        None => false,
        Some("analyze") => return analyze::run(against()?.as_deref()).map(|()| true),
        Some("http") => return http::run(),
        Some("libraries") => return libraries::run(is_quick()?),
        Some("propagation") => return propagation::run(is_quick()?).map(|()| true),
        Some("scale") => return scale::run(&std::env::args().nth(2).unwrap_or_default()),
        Some(other) => {
            eprintln!(
                "usage: scripts/bench [--quick | http | libraries [--quick] | propagation [--quick] | analyze [--against ANALYZE] | scale [CASE]], not {other}"
            );
            std::process::exit(64);
        }
    };
    strobe_tests::machine::require_probes()?;
    let turns = if quick { 240 } else { 1_200 };
    measure::pin(0, 1).context("pinning the bench to processor 1")?;
    let built = Built::app("bench")?;
    let service = Service {
        built: &built,
        args: &[],
        libraries: &["net/http.server"],
        roles: &["start", "end"],
        spans: 1,
        variables: &[],
    };
    let mut bench = Bench::<Load>::start(&service, &Case::HOT[0].requests(PATH))?;
    println!(
        "{turns} turns of {TURN} requests to each of three services, {} connections; {}",
        load::CONNECTIONS,
        bench.describe()
    );
    table::print_sites(&bench.sites);
    let mut met = true;
    for case in Case::HOT {
        let (results, agent) = bench.run(turns, None, &case.requests(PATH))?;
        table::print(case.name, &results, &agent);
        let (_, over, _) = table::spread(&results, table::over_floor);
        if over > MOST_OVER_FLOOR_US {
            println!("MISSED: the target is at most {MOST_OVER_FLOOR_US:+} µs over floor");
            met = false;
        }
    }
    println!("\nNot the hot path: no target.");
    for case in Case::SLOW {
        let (results, agent) = bench.run(turns / 6, None, &case.requests(PATH))?;
        table::print(case.name, &results, &agent);
    }
    println!();
    for case in Case::HOT.iter().chain(&Case::SLOW) {
        match bench.calls(1_000, &case.requests(PATH)) {
            Ok(calls) => calls::print(case.name, 1_000, &calls),
            Err(error) => {
                println!(
                    "helper calls cannot be counted here ({error:#}); `scripts/vm --case calls` counts them"
                );
                break;
            }
        }
    }
    println!("verified instructions of each program: {:?}", bench.verified()?);
    for case in Case::HOT.iter().chain(&Case::SLOW) {
        table::print_hits(case.name, &bench.hits(2_000, &case.requests(PATH))?);
    }
    table::print_hits("first requests of connections", &bench.first_hits(1_000)?);
    table::print_kernel(&bench.kernel(2_000)?);
    bench.finish().map(|_| met)
}
