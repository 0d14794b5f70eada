//! `scripts/bench`: what tracing costs, in figures of one interleaved run over one stripped service.
//!
//! Three modes in turn, round by round: `bare`, nothing attached; `floor`, a program that returns at once at the two sites
//! of the hot path; `strobe`, the agent exporting to a collector. The target has processor 0 for itself, everything else
//! shares processor 1. Medians over the rounds are printed; ratios within a run are what counts, machines are noisy.

mod analyze;
mod load;
mod measure;
mod modes;
mod table;

use std::process::ExitCode;

use anyhow::{Context as _, Result};

use modes::{Bench, Mode, Round};

/// Headers beside Host, as a browser sends few and a mesh many.
const HEADERS: [usize; 2] = [3, 15];

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let quick = match std::env::args().nth(1).as_deref() {
        Some("--quick") => true,
        None => false,
        Some("analyze") => return analyze::run(),
        Some(other) => {
            eprintln!("usage: scripts/bench [--quick | analyze], not {other}");
            std::process::exit(64);
        }
    };
    strobe_tests::machine::require_probes()?;
    let (rounds, requests) = if quick { (5, 20_000) } else { (15, 50_000) };
    measure::pin(0, 1).context("pinning the bench to processor 1")?;
    let bench = Bench::start()?;
    println!("{rounds} rounds of {requests} requests each, 8 connections; {}", bench.describe());
    for headers in HEADERS {
        let mut results: Vec<(Mode, Round)> = Vec::new();
        for round in 0..rounds {
            for mode in Mode::rotated(round) {
                results.push((mode, bench.round(mode, requests, headers)?));
            }
        }
        table::print(headers, &results);
    }
    let hits = bench.hits(2_000, 3)?;
    table::print_hits(&hits);
    Ok(())
}
