//! `/init` of the virtual machine: sets the machine up, runs each case in a process of its own, says what came of it on the
//! console, and powers off. It is the only program in there beside strobe and the Go services.
//!
//! As process 1 it does nothing that a case could break; each case is this same program again, `/init case NAME`.

#[path = "../verdict.rs"]
mod verdict;

mod bench;
mod boot;
mod by_hand;
mod carried;
mod cases;
mod chain;
mod clients;
mod databases;
mod features;
mod grpc;
mod kafka;
mod lives;
mod loading;
mod machines;
mod messages;
mod namespaces;
mod own;
mod own_tests;
mod privileges;
mod states;

use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use strobe_tests::process::Running;

use verdict::{Message, Verdict};

/// How long a case may take. On a busy host the emulated processors are a hundred times slower than real ones.
const LIMIT: Duration = Duration::from_secs(300);
/// And the tests that Go and gRPC have of their own, or a quarter of a million messages.
const LIMIT_OF_LONG_ONES: Duration = Duration::from_secs(7_200);
/// How much of a failed case's output is shown from its beginning, and twice as much from its end.
const SHOWN_BYTES: usize = 3 * 1024;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        ["case", name] => cases::run(name).map(|detail| println!("{detail}")),
        ["nested", command @ ..] => namespaces::nested(command),
        ["contained", lower, command @ ..] => namespaces::contained(lower, command),
        _ if std::process::id() == 1 => return machine(),
        _ => Err(anyhow::anyhow!("this is the virtual machine's /init (scripts/vm)")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The life of process 1. It must not end: the kernel would panic.
fn machine() -> ExitCode {
    if let Err(error) = boot::set_up().and_then(|()| all_cases()) {
        let detail = format!("{error:#}");
        let failed = Verdict { case: "boot".to_owned(), passed: false, seconds: 0.0, detail };
        // What cannot be said cannot be said elsewhere either: the host sees a machine that ended too early.
        let _ = boot::say(&Message::End(failed));
    }
    let _ = boot::say(&Message::Done);
    boot::power_off()
}

fn all_cases() -> Result<()> {
    let (release, version) = boot::kernel()?;
    boot::say(&Message::Booted { release, version })?;
    for name in boot::wanted_cases()? {
        one(&name, || run_case_where_pages_move(&name))?;
    }
    one("kernel log", boot::complaints)
}

/// Runs a case and gives its verdict.
fn one(name: &str, case: impl FnOnce() -> Result<String>) -> Result<()> {
    boot::say(&Message::Begin(name.to_owned()))?;
    let begin = Instant::now();
    let result = case();
    let (passed, detail) = match result {
        Ok(detail) => (true, detail),
        Err(error) => (false, shortened(&format!("{error:#}"))),
    };
    let seconds = begin.elapsed().as_secs_f64();
    boot::say(&Message::End(Verdict { case: name.to_owned(), passed, seconds, detail }))
}

/// Runs a case, and once more where a read of a program's memory failed while the kernel moved pages. A read from a probe may not wait, so
/// it finds nothing while a page is being moved (compaction, huge pages), and a small machine moves many; the agent counts it and
/// leaves the attribute out, which the case rightly takes for a fault. A read that fails for another reason fails again.
fn run_case_where_pages_move(name: &str) -> Result<String> {
    let before = boot::pages_moved()?;
    let failed = match run_case(name) {
        Err(error) if format!("{error:#}").contains("reads.failed +") => error,
        result => return result,
    };
    let moved = boot::pages_moved()?.saturating_sub(before);
    if moved == 0 {
        return Err(failed.context("reads failed, and the kernel moved no page meanwhile"));
    }
    let detail = run_case(name).with_context(|| format!("the second time; the first: {failed:#}"))?;
    Ok(format!("{detail}; the second time: a read failed in the first, while the kernel moved {moved} pages"))
}

/// Runs it in a process of its own, and leaves nothing of it behind.
fn run_case(name: &str) -> Result<String> {
    let mut running = Running::start(Command::new("/init").args(["case", name]))?;
    let is_long = name.starts_with("own-tests") || name.starts_with("messages");
    let limit = if is_long { LIMIT_OF_LONG_ONES } else { LIMIT };
    let status = running.wait(limit);
    boot::end_everything();
    let status = status?;
    ensure!(status.success(), "{status}: {}", running.stderr.text());
    running.stdout.all().pop().context("the case said nothing")
}

/// Both ends of a text: what failed is at its beginning, and what happened last at its end.
fn shortened(text: &str) -> String {
    let boundary = |at: usize| (at..=text.len()).find(|i| text.is_char_boundary(*i)).unwrap_or(text.len());
    let (head, tail) = (boundary(SHOWN_BYTES), boundary(text.len().saturating_sub(2 * SHOWN_BYTES)));
    match (text.get(..head), text.get(tail..)) {
        (Some(first), Some(last)) if head < tail => format!("{first}\n[…]\n{last}"),
        _ => text.to_owned(),
    }
}
