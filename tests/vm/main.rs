//! `scripts/vm`: boots real kernels in QEMU, without acceleration and without privileges, and runs the cases of
//! `guest/cases.rs` in each. No disk image, no network, no sleep: an initramfs, and one line per verdict on the serial
//! console.

mod apt;
mod arch;
mod artifacts;
mod initramfs;
mod kernels;
mod machine;
mod options;
mod runs;
mod table;
mod verdict;

use std::process::ExitCode;
use std::sync::Mutex;

use anyhow::{Context as _, Result};

use options::Options;
use runs::{Outcome, Run};

/// Usage errors, as everywhere in strobe.
const STATUS_USAGE: u8 = 64;
/// As many machines run at once.
const AT_ONCE: usize = 2;

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(message) => {
            eprintln!("vm: {message}\n{}", options::USAGE);
            return ExitCode::from(STATUS_USAGE);
        }
    };
    match run(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("vm: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether every case of every run passed.
fn run(options: &Options) -> Result<bool> {
    let runs = options.runs()?;
    let mut architectures: Vec<_> = runs.iter().map(|run| run.arch).collect();
    architectures.sort_unstable();
    architectures.dedup();
    let artifacts = architectures
        .into_iter()
        .map(|arch| artifacts::build(arch).with_context(|| format!("build for {}", arch.name())))
        .collect::<Result<Vec<_>>>()?;
    let outcomes = all(&runs, &artifacts, options)?;
    if !options.json {
        print!("{}", table::render(&outcomes));
    }
    Ok(outcomes.iter().all(Outcome::passed))
}

/// Two at a time; the outcomes are in the order of the runs.
fn all(runs: &[Run], artifacts: &[artifacts::Artifacts], options: &Options) -> Result<Vec<Outcome>> {
    let next = Mutex::new(runs.iter().enumerate());
    let work = || -> Result<Vec<(usize, Outcome)>> {
        let mut done = Vec::new();
        loop {
            let taken = next.lock().map_err(|_| anyhow::anyhow!("another machine's thread panicked"))?.next();
            let Some((index, run)) = taken else { return Ok(done) };
            let artifacts =
                artifacts.iter().find(|a| a.arch == run.arch).context("an architecture's programs")?;
            let outcome = run.outcome(artifacts);
            table::progress(&outcome, options.json)?;
            done.push((index, outcome));
        }
    };
    let mut outcomes = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        let join = |thread: std::thread::ScopedJoinHandle<'_, Result<Vec<(usize, Outcome)>>>| {
            thread.join().map_err(|_| anyhow::anyhow!("a machine's thread panicked"))?
        };
        threads.into_iter().map(join).collect::<Result<Vec<_>>>()
    })?
    .concat();
    outcomes.sort_by_key(|(index, _)| *index);
    Ok(outcomes.into_iter().map(|(_, outcome)| outcome).collect())
}
