//! `scripts/bench analyze`: what a Plan costs, for files of the corpus from small to large. Time is that of the whole
//! process, from start to exit, warm; memory is what the process has for itself (anonymous pages), at its peak.

mod memory;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use strobe_tests::corpus::{self, Entry, Fetched};
use strobe_tests::{machine, programs};

/// Runs for each file; the median counts.
const RUNS: usize = 21;
/// Runs over the folder, one thread and two in turn.
const FOLDER_RUNS: usize = 9;
const FOLDER_FILES: usize = 100;
/// Files above this are left out of the folder, so that one of them is not half of the work.
const FOLDER_MAX_BYTES: u64 = 50_000_000;

/// Prints both tables; with another `analyze`, what this one takes of that one's time and memory, both measured in turn.
pub fn run(against: Option<&Path>) -> Result<()> {
    let analyze = programs::path("analyze")?;
    let mut files: Vec<(Entry, PathBuf)> = Vec::new();
    for (entry, fetched) in corpus::all()? {
        if let Fetched::File(path) = fetched {
            files.push((entry, path));
        }
    }
    files.sort_by_key(|(entry, _)| entry.size);
    if let Some(old) = against {
        return compare(&analyze, old, &files);
    }
    println!("| file | MB | median ms | µs per MB | private MiB, peak |\n|---|---|---|---|---|");
    for (entry, path) in &files {
        one(&analyze, entry, path)?;
    }
    folder(&analyze, &files)
}

/// Time and memory of one program over another's.
fn compare(new: &Path, old: &Path, files: &[(Entry, PathBuf)]) -> Result<()> {
    println!(
        "| file | MB | ms, old | ms, new | new/old | MiB, old | MiB, new |\n|---|---|---|---|---|---|---|"
    );
    let mut ratios = Vec::new();
    for (entry, path) in files {
        let (mut before, mut after) = (Vec::new(), Vec::new());
        for _ in 0..RUNS {
            before.push(time(old, entry, path)?);
            after.push(time(new, entry, path)?);
        }
        let (before, after) = (median_ms(&mut before), median_ms(&mut after));
        let mib = |program| Ok::<_, anyhow::Error>(memory::private_peak_kib(program, path)? as f64 / 1024.0);
        let ratio = after / before;
        println!(
            "| {} | {:.1} | {before:.1} | {after:.1} | {ratio:.2} | {:.1} | {:.1} |",
            entry.name(),
            entry.size as f64 / 1e6,
            mib(old)?,
            mib(new)?
        );
        ratios.push(ratio);
    }
    ratios.sort_unstable_by(f64::total_cmp);
    let median = ratios.get(ratios.len() / 2).copied().unwrap_or(f64::NAN);
    println!("\n{} files, new/old: median {median:.2}", ratios.len());
    Ok(())
}

fn time(analyze: &Path, entry: &Entry, path: &Path) -> Result<Duration> {
    let start = Instant::now();
    let status = start_analyze(analyze, &[path], None)?.wait()?;
    let took = start.elapsed();
    ensure!(status.code().is_some_and(|c| c != 2), "{}: {status}", entry.name());
    Ok(took)
}

fn one(analyze: &Path, entry: &Entry, path: &Path) -> Result<()> {
    let mut times = Vec::new();
    for _ in 0..RUNS {
        times.push(time(analyze, entry, path)?);
    }
    let (ms, mb) = (median_ms(&mut times), entry.size as f64 / 1e6);
    let peak_mib = memory::private_peak_kib(analyze, path)? as f64 / 1024.0;
    println!("| {} | {mb:.1} | {ms:.1} | {:.0} | {peak_mib:.1} |", entry.name(), ms * 1000.0 / mb);
    Ok(())
}

fn start_analyze(analyze: &Path, paths: &[&Path], threads: Option<usize>) -> Result<Child> {
    let mut command = Command::new(analyze);
    command.arg("--json").args(paths).stdout(Stdio::null()).stderr(Stdio::null());
    if let Some(threads) = threads {
        command.env("RAYON_NUM_THREADS", threads.to_string());
    }
    command.spawn().context("start analyze")
}

fn median_ms(times: &mut [Duration]) -> f64 {
    times.sort_unstable();
    times.get(times.len() / 2).map_or(f64::NAN, |t| t.as_secs_f64() * 1000.0)
}

/// A folder of 100 files, with one thread and with two.
fn folder(analyze: &Path, files: &[(Entry, PathBuf)]) -> Result<()> {
    let folder = tempfile::tempdir_in(machine::cache_dir("corpus")?)?;
    let small: Vec<_> = files.iter().filter(|(e, _)| e.size < FOLDER_MAX_BYTES).collect();
    ensure!(!small.is_empty(), "no files");
    let mut bytes = 0;
    for (i, (entry, path)) in small.iter().cycle().take(FOLDER_FILES).enumerate() {
        fs::hard_link(path, folder.path().join(format!("{i:03}"))).context("link into the folder")?;
        bytes += entry.size;
    }
    let (mut one, mut two) = (Vec::new(), Vec::new());
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    for _ in 0..FOLDER_RUNS {
        alone.push(spin(1));
        beside.push(spin(2));
        for (threads, times) in [(1, &mut one), (2, &mut two)] {
            let start = Instant::now();
            start_analyze(analyze, &[folder.path()], Some(threads))?.wait()?;
            times.push(start.elapsed());
        }
    }
    let (one, two) = (median_ms(&mut one), median_ms(&mut two));
    println!(
        "\n{FOLDER_FILES} files, {:.0} MB: {one:.0} ms on one core, {two:.0} ms on two, {:.2} times as fast",
        bytes as f64 / 1e6,
        one / two
    );
    // A virtual machine's second processor need not be a whole one.
    println!(
        "the machine's own: two loops that share nothing do {:.2} times the work of one",
        2.0 * median_ms(&mut alone) / median_ms(&mut beside)
    );
    Ok(())
}

/// How long so many threads take that count, each for itself.
fn spin(threads: usize) -> Duration {
    let start = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| (0..50_000_000_u64).fold(0, |sum: u64, n| std::hint::black_box(sum ^ n)));
        }
    });
    start.elapsed()
}
