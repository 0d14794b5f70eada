//! One virtual machine from power on to power off, watched by its serial console.
//!
//! What ends it early: a panic, a soft lockup, silence for longer than any case may take, or QEMU's own end. Whatever it
//! was, the cases that have no verdict by then have failed, and the first of them says why.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::arch::Arch;
use crate::verdict::{MARK, Message, Verdict};

/// Longer than a case may take (the machine's own limit, `guest/main.rs`), and than booting takes on a busy host.
const SILENCE: Duration = Duration::from_secs(360);

/// Longer than any two lines of a kernel that boots are apart, on a busy host.
const BOOT_SILENCE: Duration = Duration::from_secs(180);

/// What the kernel prints when it gives up, and what of it is fatal to a run. Kernel sources: kernel/panic.c,
/// kernel/watchdog.c, arch/*/mm/fault.c, lib/bug.c.
const GAVE_UP: [&str; 5] = [
    "Kernel panic - not syncing",
    "BUG: soft lockup",
    "Unable to handle kernel",
    "BUG: unable to handle",
    "kernel BUG at",
];

/// What is booted.
#[derive(Debug)]
pub struct Machine<'a> {
    pub arch: Arch,
    pub kernel: &'a Path,
    pub initramfs: &'a Path,
    pub command_line: &'a str,
    /// Memory, which its files are in too.
    pub memory_mib: u32,
    /// Where everything on the console is written while it comes.
    pub log: &'a Path,
}

/// What was seen of it.
#[derive(Debug, Default)]
pub struct Seen {
    /// The running kernel's release and version.
    pub kernel: Option<(String, String)>,
    /// The verdicts.
    pub verdicts: Vec<Verdict>,
    /// The case that had begun and not ended.
    pub open: Option<String>,
    /// Why it ended before its end, if it did.
    pub trouble: Option<String>,
    /// Whether all cases have ended.
    done: bool,
}

impl Machine<'_> {
    /// Boots it and waits for its end. A kernel that was never up is booted once more: what it hung in is the emulator, not strobe.
    pub fn run(&self) -> Result<Seen> {
        let seen = self.boot()?;
        match &seen.trouble {
            Some(trouble) if seen.kernel.is_none() => {
                eprintln!("vm: {} booted again: {trouble}", self.kernel.display());
                self.boot()
            }
            _ => Ok(seen),
        }
    }

    fn boot(&self) -> Result<Seen> {
        let (program, machine) = self.arch.emulator();
        let mut command = Command::new(&program);
        command.args(machine).args(["-accel", "tcg,thread=multi", "-smp", "2"]);
        command.args(["-m", &self.memory_mib.to_string()]);
        command.args(["-nodefaults", "-display", "none", "-no-reboot", "-serial", "stdio"]);
        command.arg("-kernel").arg(self.kernel).arg("-initrd").arg(self.initramfs);
        // A panic reboots at once, which `-no-reboot` turns into QEMU's end. On a busy host the kernel's check whether timer
        // interrupts come (arch/x86/kernel/apic/io_apic.c) fails although they do.
        let console = self.arch.console();
        let always = format!("console={console} panic=-1 no_timer_check");
        command.args(["-append", &format!("{always} {}", self.command_line)]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| {
            format!(
                "start {}: scripts/setup installs it (qemu-system-x86, qemu-system-arm)",
                program.display()
            )
        })?;
        let lines = read(child.stdout.take().context("QEMU's stdout")?);
        let complaints = read(child.stderr.take().context("QEMU's stderr")?);
        let mut seen = watch(&mut child, &lines, File::create(self.log).context("create the console's log")?);
        let status = child.wait().context("wait for QEMU")?;
        let complaints: Vec<String> = complaints.iter().collect();
        if seen.trouble.is_none() && !seen.done {
            seen.trouble =
                Some(format!("QEMU ended ({status}) before the cases did: {}", complaints.join("; ")));
        }
        Ok(seen)
    }
}

impl Seen {
    /// Takes a line in; says what is wrong if it is the end.
    fn line(&mut self, line: &str) -> Option<String> {
        match line.split_once(MARK).map(|(_, json)| serde_json::from_str(json.trim_end())) {
            None => GAVE_UP.iter().any(|words| line.contains(words)).then(|| line.trim().to_owned()),
            Some(Err(error)) => Some(format!("a message that was cut: {error}: {line}")),
            Some(Ok(message)) => {
                self.message(message);
                None
            }
        }
    }

    fn message(&mut self, message: Message) {
        match message {
            Message::Booted { release, version } => self.kernel = Some((release, version)),
            Message::Begin(case) => self.open = Some(case),
            Message::End(verdict) => {
                self.open = None;
                self.verdicts.push(verdict);
            }
            Message::Done => self.done = true,
        }
    }
}

/// Reads lines until QEMU is done; ends it if the machine is not going to.
fn watch(child: &mut Child, lines: &mpsc::Receiver<String>, mut log: File) -> Seen {
    let mut seen = Seen::default();
    let mut last = Instant::now();
    loop {
        match lines.recv_timeout(Duration::from_secs(1)) {
            Ok(line) => {
                last = Instant::now();
                if let Err(error) = writeln!(log, "{line}") {
                    seen.trouble
                        .get_or_insert_with(|| format!("the console's log cannot be written: {error}"));
                }
                if seen.trouble.is_none() {
                    seen.trouble = seen.line(&line);
                } else {
                    seen.line(&line);
                }
            }
            Err(RecvTimeoutError::Disconnected) => return seen,
            Err(RecvTimeoutError::Timeout) => {
                // After a panic the rest of its report is still to come; then nothing is.
                let limit = match seen {
                    Seen { trouble: Some(_), .. } => Duration::from_secs(3),
                    Seen { kernel: None, .. } => BOOT_SILENCE,
                    _ => SILENCE,
                };
                if last.elapsed() >= limit {
                    seen.trouble
                        .get_or_insert_with(|| format!("nothing on the console for {} s", limit.as_secs()));
                    // It may have ended by itself in this moment: then there is nothing to end.
                    let _ = child.kill();
                    return seen;
                }
            }
        }
    }
}

/// The lines of a stream, read by a thread.
fn read(stream: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut reader = BufReader::new(stream);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            line.clear();
            if sender.send(text).is_err() {
                return;
            }
        }
    });
    receiver
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(message: &Message) -> String {
        format!("[    1.0] half a line{MARK}{}", serde_json::to_string(message).expect("JSON"))
    }

    #[test]
    fn a_verdict_is_read_from_the_middle_of_a_line() {
        let mut seen = Seen::default();
        let verdict = Verdict { case: "load".into(), passed: true, seconds: 1.5, detail: "a\nb".into() };
        assert_eq!(seen.line(&message(&Message::Begin("load".into()))), None);
        assert_eq!(seen.open.as_deref(), Some("load"));
        assert_eq!(seen.line(&message(&Message::End(verdict.clone()))), None);
        assert_eq!(seen.verdicts, [verdict]);
        assert!(!seen.done);
        assert_eq!(seen.line(&message(&Message::Done)), None);
        assert!(seen.done);
    }

    #[test]
    fn a_kernel_that_gives_up_is_recognised() {
        for line in [
            "[    0.056000] Kernel panic - not syncing: IO-APIC + timer doesn't work!",
            "[   47.012] watchdog: BUG: soft lockup - CPU#1 stuck for 26s! [strobe:77]",
            "[    9.1] BUG: unable to handle page fault for address: ffffffffc0000000",
            "[    9.1] Unable to handle kernel paging request at virtual address ffff800008000000",
        ] {
            assert!(Seen::default().line(line).is_some(), "{line}");
        }
        assert_eq!(Seen::default().line("[    0.3] rcu: Hierarchical RCU implementation."), None);
    }

    #[test]
    fn a_message_that_was_cut_is_no_verdict() {
        assert!(Seen::default().line(&format!("{MARK}{{\"end\":{{\"case\"")).is_some());
    }
}
