//! What the command gets of strobe's surroundings, and what strobe keeps of the command's.

use std::fs;
use std::net::TcpListener;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use strobe_tests::client::Connection;
use strobe_tests::machine;
use strobe_tests::process::{PATIENCE, Running};

use super::harness::{Counting, clean, eventually, kill, strobe};

/// Socket activation and the watchdog name strobe's process; the command is the one that is meant.
#[test]
fn what_names_the_process_names_the_command() -> Result<()> {
    machine::require_probes()?;
    let inner =
        "echo \"$LISTEN_PID $WATCHDOG_PID $SYSTEMD_EXEC_PID $$\"; echo \"id $LISTEN_PIDFDID\"; sleep 60";
    let strobe = strobe(&["exec", "--", "sh", "-c", inner])?;
    let outer = "export LISTEN_PID=$$ WATCHDOG_PID=$$ SYSTEMD_EXEC_PID=$$ LISTEN_PIDFDID=12; exec \"$@\"";
    let mut shell = Command::new("sh");
    shell.args(["-c", outer, "sh"]).arg(strobe.get_program()).args(strobe.get_args());
    clean(&mut shell);
    let running = Running::start(&mut shell)?;
    let id = running.expect_stdout("id ", 0)?;
    let pids = running.stdout.all().first().cloned().context("no line")?;
    let words: Vec<&str> = pids.split(' ').collect();
    ensure!(words.len() == 4 && words.iter().all(|pid| Some(pid) == words.last()), "{pids}");
    let pid: i32 = words.first().context("no id")?.parse()?;
    let want = pidfd_inode(pid)?.map_or("id ".to_owned(), |inode| format!("id {inode}"));
    ensure!(id.trim_end() == want.trim_end(), "{id}, expected {want}");
    Ok(())
}

/// The inode by which systemd names a process, where this kernel numbers pidfds (6.9).
fn pidfd_inode(pid: i32) -> Result<Option<u64>> {
    // SAFETY: a system call with two integers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    ensure!(fd >= 0, "pidfd_open: {}", std::io::Error::last_os_error());
    // SAFETY: made just now, and nobody else's.
    let file = fs::File::from(unsafe { OwnedFd::from_raw_fd(i32::try_from(fd)?) });
    // SAFETY: all zeros are a value of it, and the call writes no more than it.
    let kind = unsafe {
        let mut filesystem: libc::statfs = std::mem::zeroed();
        ensure!(libc::fstatfs(file.as_raw_fd(), &raw mut filesystem) == 0, "fstatfs");
        filesystem.f_type
    };
    // "PIDF": before it there was one anonymous inode for all.
    Ok(if kind == 0x5049_4446 { Some(file.metadata()?.ino()) } else { None })
}

/// A listening socket that strobe kept open would be accepted from by nobody after the command's end.
#[test]
fn inherited_descriptors_are_the_commands_alone() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let fd = listener.as_raw_fd();
    let socket = fs::read_link(format!("/proc/self/fd/{fd}"))?;
    let holds = |pid: i32| -> Result<bool> {
        let mut links = fs::read_dir(format!("/proc/{pid}/fd"))?.flatten();
        Ok(links.any(|entry| fs::read_link(entry.path()).is_ok_and(|link| link == socket)))
    };
    let counting = Counting::start(&[], |mut command| {
        // SAFETY: fcntl is async-signal-safe; the descriptor is this child's copy.
        unsafe {
            command.pre_exec(move || match libc::fcntl(fd, libc::F_SETFD, 0) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            });
        }
        Ok(command)
    })?;
    ensure!(holds(counting.pid)?, "the command has not inherited it");
    let strobe = counting.strobe_pid()?;
    eventually("strobe's letting go", || Ok((!holds(strobe)?).then_some(())))?;
    for stream in [0, 1] {
        let link = fs::read_link(format!("/proc/{strobe}/fd/{stream}"))?;
        ensure!(link.to_str() == Some("/dev/null"), "descriptor {stream} of strobe is {}", link.display());
    }
    Ok(())
}

/// What lets the agent in at the collector is not the command's to know.
#[test]
fn the_agents_credentials_stay_with_the_agent() -> Result<()> {
    machine::require_probes()?;
    let environment = |flags: &[&str]| -> Result<(String, String)> {
        let args = [&["exec"], flags, &["--", "env"]].concat();
        let mut command = strobe(&args)?;
        command.env("OTEL_EXPORTER_OTLP_HEADERS", "api-key=geheim").env("OTEL_SERVICE_NAME", "shop");
        command.env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://me:geheim@127.0.0.1:9");
        let mut running = Running::start(&mut command)?;
        ensure!(running.wait(PATIENCE)?.success(), "{}", running.output());
        Ok((running.stdout.text(), running.stderr.text()))
    };
    let (without, said) = environment(&[])?;
    ensure!(!without.contains("geheim") && without.contains("OTEL_SERVICE_NAME=shop"), "{without}");
    ensure!(said.contains("OTEL_EXPORTER_OTLP_HEADERS") && !said.contains("geheim"), "{said}");
    let (with, _) = environment(&["--keep-credentials"])?;
    ensure!(with.matches("geheim").count() == 2, "{with}");
    Ok(())
}

/// Whoever waits for the command's status does not wait for a collector that is not there, and is told what was lost.
#[test]
fn an_absent_collector_does_not_hold_up_the_status() -> Result<()> {
    let mut counting = Counting::start(&[], |mut command| {
        command.env("OTEL_TRACES_EXPORTER", "otlp").env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9");
        Ok(command)
    })?;
    let line = counting.strobe.expect_stdout("listening on http://", 0)?;
    let address = line.rsplit('/').next().unwrap_or_default().parse().context("address")?;
    for _ in 0..3 {
        let mut connection = Connection::open(address)?;
        connection.send(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
        connection.receive(false)?.context("no answer")?;
    }
    kill(counting.pid, libc::SIGTERM)?;
    counting.strobe.expect_stdout("SIGTERM 1", 0)?;
    let ended = Instant::now();
    counting.counted(&["SIGTERM 1"])?;
    // Two seconds of good-bye and what it takes to remove the probes, which is seconds on a busy machine. It was ten and that.
    ensure!(ended.elapsed() < Duration::from_secs(9), "{:?}", ended.elapsed());
    let said = counting.strobe.stderr.text();
    ensure!(said.contains("3 dropped: not sent at the end"), "{said}");
    Ok(())
}
