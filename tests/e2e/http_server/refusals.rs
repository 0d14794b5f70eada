//! What `strobe run` says when it cannot do what it was asked: one line, the right status, and nothing left behind.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use strobe_tests::golang::{Build, go};
use strobe_tests::process::{PATIENCE, Running};
use strobe_tests::{machine, programs};

use super::harness::{Bench, strobe};

/// Runs it; its status and what it said, the log of what went well aside.
fn refused(command: &mut Command) -> Result<(Option<i32>, Vec<String>)> {
    let mut running = Running::start(command)?;
    let status = running.wait(PATIENCE)?;
    let said = running.stderr.all().into_iter().filter(|line| !line.contains(" INFO ")).collect();
    Ok((status.code(), said))
}

fn one_line_about(lines: &[String], words: &[&str]) -> Result<()> {
    ensure!(lines.len() == 1, "expected one line, got {lines:#?}");
    for word in words {
        ensure!(lines.iter().all(|l| l.contains(word)), "nothing about {word:?} in {lines:?}");
    }
    Ok(())
}

#[test]
fn a_process_that_is_gone() -> Result<()> {
    machine::require_probes()?;
    let mut gone = Running::start(&mut Command::new("true"))?;
    let pid = gone.pid().to_string();
    gone.wait(Duration::from_secs(10))?;
    let (status, lines) = refused(&mut strobe(&["run", "--pid", &pid])?)?;
    ensure!(status == Some(1), "status {status:?}: {lines:?}");
    one_line_about(&lines, &[&pid])
}

#[test]
fn a_process_that_is_not_go() -> Result<()> {
    machine::require_probes()?;
    let sleeper = Running::start(Command::new("sleep").arg("60"))?;
    let pid = sleeper.pid().to_string();
    let (status, lines) = refused(&mut strobe(&["run", "--pid", &pid])?)?;
    ensure!(status == Some(1), "status {status:?}: {lines:?}");
    one_line_about(&lines, &["Go"])
}

#[test]
fn missing_privileges() -> Result<()> {
    let bench = Bench::new(go(26), Build::Stripped)?;
    // A place that nobody may read.
    let program = bench.folder.path().join("strobe");
    machine::copy_program(&programs::path("strobe")?, &program)?;
    for path in [bench.folder.path(), &program, &bench.app] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    }
    let service = bench.service()?;
    let pid = service.running.pid().to_string();
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]);
    let (status, lines) = refused(command.arg(&program).args(["run", "--pid", &pid]))?;
    ensure!(status == Some(3), "status {status:?}: {lines:?}");
    one_line_about(&lines, &["CAP_"])
}

#[test]
fn a_usage_error() -> Result<()> {
    for args in
        [&["run"][..], &["run", "--pid", "x"], &["no-such-command"], &["run", "--pid", "1", "--exe", "/x"]]
    {
        let (status, lines) = refused(&mut strobe(args)?)?;
        ensure!(status == Some(64), "{args:?}: status {status:?}: {lines:?}");
    }
    Ok(())
}

/// Nothing is traced, nothing is attached, and the variable that says so is named.
#[test]
fn everything_switched_off() -> Result<()> {
    const VARIABLE: &str = "OTEL_GO_AUTO_INSTRUMENTATION_ENABLED";
    let bench = Bench::new(go(26), Build::Stripped)?;
    let service = bench.service()?;
    let pid = service.running.pid().to_string();
    let (status, lines) = refused(strobe(&["run", "--pid", &pid])?.env(VARIABLE, "false"))?;
    ensure!(status == Some(0), "status {status:?}: {lines:?}");
    one_line_about(&lines, &[VARIABLE, "nothing is traced"])
}
