//! `scripts/bench scale`: what the agent does at the edges of a busy node. Each case is one line: what was asked for, what
//! came of it, what the agent used meanwhile and what it lost. A target that is missed makes the exit status 1.
//!
//! Every case is bounded in count and time and has an agent, a collector and services of its own, so that one that goes
//! wrong says nothing about the next. Not here: what a request costs the target (`modes`).

mod agent;
mod crash_loop;
mod execs;
mod export;
mod files;
mod in_flight;
mod outcome;
mod ring;
pub mod service;
mod stop;
mod threads;

use std::time::Instant;

use anyhow::Result;

use outcome::Outcome;

type Case = (&'static str, fn() -> Result<Outcome>);

/// All cases, in the order in which they run.
const CASES: &[Case] = &[
    ("500 processes of 500 files", files::run),
    ("50,000 execs a minute", execs::run),
    ("10,000 requests in flight", in_flight::run),
    ("crash loop beside a busy service", crash_loop::run),
    ("5,000 threads", threads::run),
    ("ring over half full", ring::run),
    ("stopping under load", stop::run),
    ("export at 100 ms a round trip", export::run),
];

/// Runs the cases whose names contain `only` (all, if it is empty) and prints them; true if all of them met their targets.
pub fn run(only: &str) -> Result<bool> {
    strobe_tests::machine::require_probes()?;
    service::raise_descriptor_limit()?;
    let mut all_met = true;
    let mut ran = 0;
    for (name, case) in CASES.iter().filter(|(name, _)| name.contains(only)) {
        let begin = Instant::now();
        let outcome = case();
        ran += 1;
        all_met &= print(name, &outcome, begin.elapsed().as_secs_f64());
    }
    if ran == 0 {
        let names: Vec<_> = CASES.iter().map(|(name, _)| *name).collect();
        anyhow::bail!("no case contains {only:?}; there are: {}", names.join("; "));
    }
    Ok(all_met)
}

/// Prints one case; whether it met its target.
fn print(name: &str, outcome: &Result<Outcome>, seconds: f64) -> bool {
    match outcome {
        Ok(outcome) => {
            let verdict = if outcome.met { "met" } else { "MISSED" };
            println!("{name} ({seconds:.0} s)");
            println!("  target  {}", outcome.target);
            println!("  figure  {}   {verdict}", outcome.figure);
            println!("  agent   {}", outcome.used);
            outcome.met
        }
        Err(error) => {
            println!("{name} ({seconds:.0} s)\n  FAILED  {error:#}");
            false
        }
    }
}
