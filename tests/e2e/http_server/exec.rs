//! `strobe exec`: the service is traced from its first request, and its life is its own: status, signals, descriptors.

use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use strobe_tests::golang::{Build, go};
use strobe_tests::process::{PATIENCE, Running, shell_status};

use super::drive::drive;
use super::harness::{Bench, SERVICE, Service, strobe};
use super::kinds;

/// The first request already has its span; SIGTERM reaches the service; its status comes back; no span is lost.
pub fn from_the_first_request(version: &'static str) -> Result<()> {
    let bench = Bench::new(version, Build::Stripped)?;
    let app = bench.app.to_str().context("path")?;
    let mut command = bench.strobe(&["exec", "--", app, "-tls", "-exit", "7"])?;
    let mut service = Service::started(Running::start(command.env("OTEL_SERVICE_NAME", SERVICE))?, 0)?;
    let due = drive(service.http, kinds::all(bench.minor(), 0), 2)?;
    let status = service.running.terminate()?;
    ensure!(
        status.code() == Some(7),
        "expected the service's own status 7, got {status}: {}",
        service.running.output()
    );
    bench.compare(&service.running, &due).context("exec")?;
    Ok(())
}

fn status_of(args: &[&str]) -> Result<(i32, Running)> {
    let mut running = Running::start(strobe(args)?.env("OTEL_TRACES_EXPORTER", "none"))?;
    let status = running.wait(PATIENCE)?;
    Ok((shell_status(status), running))
}

#[test]
fn the_status_of_a_go_program_passes_through() -> Result<()> {
    let bench = Bench::new(go(26), Build::Stripped)?;
    let app = bench.app.to_str().context("path")?;
    for (args, want) in [
        (vec!["-now"], 0),
        (vec!["-now", "-exit", "3"], 3),
        (vec!["-now", "-exit", "125"], 125),
        (vec!["-die", "9"], 137),
        (vec!["-die", "15"], 143),
    ] {
        let (got, running) = status_of(&[&["exec", "--", app], args.as_slice()].concat())?;
        ensure!(got == want, "{args:?}: expected {want}, got {got}: {}", running.output());
    }
    Ok(())
}

#[test]
fn a_program_that_is_no_go_program_runs() -> Result<()> {
    strobe_tests::machine::require_probes()?;
    let (status, running) = status_of(&["exec", "--", "sh", "-c", "echo out; exit 5"])?;
    ensure!(status == 5, "{status}: {}", running.output());
    ensure!(running.stdout.all() == ["out"], "{}", running.output());
    ensure!(running.stderr.text().contains("nothing was traced"), "{}", running.output());
    Ok(())
}

#[test]
fn a_program_that_cannot_be_started() -> Result<()> {
    let (status, running) = status_of(&["exec", "--", "/no/such/program"])?;
    ensure!(status == 127, "missing: {status}: {}", running.output());
    let folder = tempfile::tempdir()?;
    let plain = folder.path().join("plain");
    std::fs::write(&plain, "text")?;
    let (status, running) = status_of(&["exec", "--", plain.to_str().context("path")?])?;
    ensure!(status == 126, "not executable: {status}: {}", running.output());
    Ok(())
}

#[test]
fn signals_reach_the_program() -> Result<()> {
    strobe_tests::machine::require_probes()?;
    let script = "trap 'echo term; exit 9' TERM; trap 'echo hup' HUP; trap 'echo usr1' USR1; echo ready; \
                  while :; do sleep 0.05; done";
    let mut command = strobe(&["exec", "--", "sh", "-c", script])?;
    command.env("OTEL_TRACES_EXPORTER", "none");
    // Under nohup SIGHUP is ignored, strobe passes that on as `env` does, and a shell cannot trap what it was given ignored.
    // SAFETY: signal(2) is async-signal-safe and touches this child alone.
    unsafe {
        command.pre_exec(|| match libc::signal(libc::SIGHUP, libc::SIG_DFL) {
            libc::SIG_ERR => Err(std::io::Error::last_os_error()),
            _ => Ok(()),
        });
    }
    let mut running = Running::start(&mut command)?;
    running.expect_stdout("ready", 0)?;
    for (signal, line) in [(libc::SIGHUP, "hup"), (libc::SIGUSR1, "usr1")] {
        running.signal(signal)?;
        running.expect_stdout(line, 0)?;
    }
    let status = running.terminate()?;
    ensure!(status.code() == Some(9), "{status}: {}", running.output());
    ensure!(status.signal().is_none());
    Ok(())
}

/// What the program inherits is what it would have inherited from us.
#[test]
fn nothing_of_the_agent_is_inherited() -> Result<()> {
    strobe_tests::machine::require_probes()?;
    // `ls` itself opens the folder it lists: that descriptor is on both sides.
    let script = "ls /proc/self/fd | tr '\\n' ' '; echo; grep -E '^(Cap|Sig(Blk|Ign)|NoNewPrivs|Seccomp:)' /proc/self/status; \
                  cat /proc/self/limits; cat /proc/self/oom_score_adj; umask; pwd; echo \"$HOME|$PATH\"";
    let mut bare = Running::start(Command::new("sh").args(["-c", script]))?;
    ensure!(bare.wait(Duration::from_secs(10))?.success(), "{}", bare.output());
    let (status, traced) = status_of(&["exec", "--", "sh", "-c", script])?;
    ensure!(status == 0, "{status}: {}", traced.output());
    let (bare, traced) = (bare.stdout.all(), traced.stdout.all());
    for (bare, traced) in bare.iter().zip(&traced) {
        ensure!(bare == traced, "without strobe: {bare}\nunder strobe:   {traced}");
    }
    ensure!(bare.len() == traced.len(), "{} lines, under strobe {}", bare.len(), traced.len());
    Ok(())
}
