//! Whoever sends a signal, by whatever way: the command gets it, and gets it once.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use strobe_tests::process::Running;

use super::harness::{Counting, children, eventually, kill, strobe, zombies};

fn in_a_group_of_its_own(mut command: Command) -> Result<Command> {
    command.process_group(0);
    Ok(command)
}

/// While strobe stands still somebody sends signals: it reads its own when the command has dealt with its one, so that a
/// second one would be counted as such.
fn while_strobe_stands_still(strobe: i32, send: impl FnOnce() -> Result<()>) -> Result<()> {
    kill(strobe, libc::SIGSTOP)?;
    send()?;
    std::thread::sleep(Duration::from_millis(200));
    kill(strobe, libc::SIGCONT)
}

/// Kubernetes, `docker stop`, `KillMode=mixed`, `kill PID`.
#[test]
fn a_signal_to_strobe_alone_reaches_the_command_once() -> Result<()> {
    let mut counting = Counting::start(&[], in_a_group_of_its_own)?;
    let strobe = counting.strobe_pid()?;
    kill(strobe, libc::SIGUSR1)?;
    counting.strobe.expect_stdout("got SIGUSR1", 0)?;
    kill(strobe, libc::SIGTERM)?;
    counting.counted(&["SIGTERM 1", "SIGUSR1 1"])
}

/// `kill -TERM -PGID`, supervisord with `killasgroup`.
#[test]
fn a_signal_to_the_process_group_reaches_the_command_once() -> Result<()> {
    let mut counting = Counting::start(&[], in_a_group_of_its_own)?;
    let strobe = counting.strobe_pid()?;
    while_strobe_stands_still(strobe, || kill(-strobe, libc::SIGTERM))?;
    counting.counted(&["SIGTERM 1"])
}

/// systemd's default, `KillMode=control-group`: each process of the cgroup, one by one, in no particular order.
#[test]
fn a_signal_to_each_process_of_the_cgroup_reaches_the_command_once() -> Result<()> {
    for strobe_first in [true, false] {
        let mut counting = Counting::start(&[], in_a_group_of_its_own)?;
        let mut pids = [counting.strobe_pid()?, counting.pid];
        if !strobe_first {
            pids.reverse();
        }
        for pid in pids {
            kill(pid, libc::SIGTERM)?;
            std::thread::sleep(Duration::from_millis(20));
        }
        counting.counted(&["SIGTERM 1"]).with_context(|| format!("strobe first: {strobe_first}"))?;
    }
    Ok(())
}

/// timeout(1) signals its child, and then the whole group.
#[test]
fn timeouts_signal_reaches_the_command_once() -> Result<()> {
    let mut counting = Counting::start(&[], |strobe| {
        let mut timeout = Command::new("timeout");
        timeout.args(["-k", "20", "60"]).arg(strobe.get_program()).args(strobe.get_args());
        super::harness::clean(&mut timeout);
        Ok(timeout)
    })?;
    kill(counting.strobe_pid()?, libc::SIGTERM)?;
    counting.counted(&["SIGTERM 1"])
}

/// Ctrl-C: the terminal's driver signals its foreground group.
#[test]
fn a_terminals_interrupt_reaches_the_command_once() -> Result<()> {
    let (master, slave) = terminal()?;
    let slave_fd = slave.as_raw_fd();
    let mut counting = Counting::start(&[], |mut command| {
        // SAFETY: both calls are async-signal-safe and touch this child alone.
        unsafe {
            command.pre_exec(move || {
                let failed = libc::setsid() < 0 || libc::ioctl(slave_fd, libc::TIOCSCTTY, 0) != 0;
                if failed { Err(std::io::Error::last_os_error()) } else { Ok(()) }
            });
        }
        Ok(command)
    })?;
    // SAFETY: one byte from a buffer of one.
    let written = unsafe { libc::write(master.as_raw_fd(), b"\x03".as_ptr().cast(), 1) };
    ensure!(written == 1, "writing to the terminal: {}", std::io::Error::last_os_error());
    counting.counted(&["SIGINT 1"])
}

/// A pseudo-terminal: the side of its user, and the side of its programs.
fn terminal() -> Result<(OwnedFd, OwnedFd)> {
    let (mut master, mut slave) = (-1, -1);
    let null = std::ptr::null_mut();
    // SAFETY: two integers to write to; the other arguments may be null.
    let result = unsafe { libc::openpty(&raw mut master, &raw mut slave, null, null.cast(), null.cast()) };
    ensure!(result == 0, "openpty: {}", std::io::Error::last_os_error());
    // SAFETY: both were made just now and are nobody else's.
    Ok(unsafe { (OwnedFd::from_raw_fd(master), OwnedFd::from_raw_fd(slave)) })
}

/// A command with a group of its own does not get what the group of strobe gets.
#[test]
fn a_command_in_another_group_gets_the_groups_signal_from_strobe() -> Result<()> {
    let mut counting = Counting::start(&["-session"], in_a_group_of_its_own)?;
    kill(-counting.strobe_pid()?, libc::SIGTERM)?;
    counting.counted(&["SIGTERM 1"])
}

/// The kernel's task of the first thread is another one afterwards.
#[test]
fn an_exec_by_another_thread_does_not_lose_the_command() -> Result<()> {
    let mut counting = Counting::start(&["-thread"], in_a_group_of_its_own)?;
    let strobe = counting.strobe_pid()?;
    while_strobe_stands_still(strobe, || kill(-strobe, libc::SIGTERM))?;
    counting.counted(&["SIGTERM 1"])
}

/// In a container strobe is the first process of a PID namespace, and the sender is outside: there are no ids to compare.
#[test]
fn a_signal_from_outside_the_pid_namespace_reaches_the_command_once() -> Result<()> {
    for all in [false, true] {
        let mut counting = Counting::start(&[], |strobe| {
            let mut unshare = Command::new("unshare");
            unshare.args(["--pid", "--fork", "--mount-proc", "--kill-child"]);
            unshare.arg(strobe.get_program()).args(strobe.get_args());
            super::harness::clean(&mut unshare);
            Ok(unshare)
        })?;
        let strobe = *children(counting.strobe.pid())?.first().context("unshare has no child")?;
        let app = *children(u32::try_from(strobe)?)?.first().context("strobe has no child")?;
        while_strobe_stands_still(strobe, || {
            if all {
                kill(app, libc::SIGTERM)?;
            }
            kill(strobe, libc::SIGTERM)
        })?;
        counting.counted(&["SIGTERM 1"]).with_context(|| format!("to all: {all}"))?;
    }
    Ok(())
}

/// As the first process of a PID namespace strobe is the parent of all orphans, and nobody else can wait for them.
#[test]
fn orphans_do_not_stay_as_zombies() -> Result<()> {
    strobe_tests::machine::require_probes()?;
    let script = "for i in 1 2 3; do (sh -c 'sleep 0.1' &) ; done; echo ready; sleep 60";
    let strobe = strobe(&["exec", "--", "sh", "-c", script])?;
    let mut unshare = Command::new("unshare");
    unshare.args(["--pid", "--fork", "--mount-proc", "--kill-child"]);
    unshare.arg(strobe.get_program()).args(strobe.get_args());
    super::harness::clean(&mut unshare);
    let running = Running::start(&mut unshare)?;
    running.expect_stdout("ready", 0)?;
    let strobe = u32::try_from(*children(running.pid())?.first().context("unshare has no child")?)?;
    std::thread::sleep(Duration::from_millis(300));
    eventually("an end without zombies", || Ok((zombies(strobe)? == 0).then_some(())))
}
