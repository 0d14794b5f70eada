//! `scripts/vm`: boots real kernels in QEMU, without acceleration and without privileges, and runs the cases of
//! `guest/cases.rs` in each. No disk image, no network, no sleep: an initramfs, and one line per verdict on the serial
//! console.

mod apt;
mod arch;
mod artifacts;
mod initramfs;
mod kernels;
mod machine;
mod messages;
mod options;
mod own_tests;
mod queue;
mod runs;
mod table;
mod verdict;

use std::process::ExitCode;

use anyhow::Result;

use options::Options;
use queue::{Queue, Ready};
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
    let outcomes = all(&runs, options)?;
    if !options.json {
        print!("{}", table::render(&outcomes));
    }
    Ok(outcomes.iter().all(Outcome::passed))
}

/// Two at a time, those with most to do first, so that none is left to end alone; what goes into a machine is built meanwhile. The outcomes are
/// in the order of the runs.
fn all(runs: &[Run], options: &Options) -> Result<Vec<Outcome>> {
    let queue = Queue::of(runs);
    let work = || -> Result<Vec<(usize, Outcome)>> {
        let mut done = Vec::new();
        while let Some(Ready { index, run, artifacts }) = queue.next()? {
            let outcome = run.outcome(&artifacts);
            table::progress(&outcome, options.json)?;
            done.push((index, outcome));
        }
        Ok(done)
    };
    let mut outcomes = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        queue.build()?;
        let join = |thread: std::thread::ScopedJoinHandle<'_, Result<Vec<(usize, Outcome)>>>| {
            thread.join().map_err(|_| anyhow::anyhow!("a machine's thread panicked"))?
        };
        threads.into_iter().map(join).collect::<Result<Vec<_>>>()
    })?
    .concat();
    outcomes.sort_by_key(|(index, _)| *index);
    Ok(outcomes.into_iter().map(|(_, outcome)| outcome).collect())
}
