//! The bytes by which OpenTelemetry's API hands the spans of a program without an SDK to the Auto SDK, whose functions are probed.
//!
//! ```text
//!   var autoInstEnabled = new(bool)      a word of the program's data ──► a byte, false, which each Tracer.Start reads
//! ```
//! It is there to be written. Why that cannot harm: docs/decisions/api-spans.md.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{FileExt as _, MetadataExt as _},
    time::{Duration, Instant},
};

use super::state::ProcessKey;
use crate::{
    causes,
    discover::{self, OpenError, ProcessId},
};

/// The smallest page: programs are loaded at whole ones.
const PAGE: u64 = 4096;

/// Variables of one process, and what they are to point to. No file is needed for it: when the probes are gone, nobody holds it open.
#[derive(Debug, Clone)]
pub struct Switches {
    pub id: ProcessId,
    pub process: ProcessKey,
    /// The program, as stat(2) shows it in the process's own mount: of one file that several overlays have, each shows another.
    pub runs: (u64, u64),
    /// Where the program begins, as its file says.
    pub entry: u64,
    /// Their addresses in the file, and what they are to say.
    pub wanted: Vec<(u64, bool)>,
}

/// What is kept of a process's switches.
pub struct Switching {
    pub switches: Switches,
    /// When it is tried again, or looked at whether it is still so, and what is waited after that; none: an answer is due, or there is
    /// nothing left to do.
    pub again: Option<(Instant, Duration)>,
    /// All have said what they are to say.
    pub is_set: bool,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All say what they are to say; so many had to be changed.
    Set { changed: usize },
    /// The program has not come so far: it does not run yet, or has not made the byte.
    NotYet,
    /// The process has ended, or is another one.
    Gone,
}

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum SwitchError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("{what}: {source}")]
    Io { what: &'static str, source: io::Error },
    #[error(
        "what should be the byte lies at {address:#x}, {why}: nothing is written there; please report this program"
    )]
    Strange { address: u64, why: &'static str },
}

impl Switches {
    /// Makes them say it, in the very process that was seen, while it runs that program.
    pub fn set(&self) -> Result<Outcome, SwitchError> {
        match self.try_set() {
            // What fails in a process that ends meanwhile is no failure.
            Err(_) if self.is_gone() => Ok(Outcome::Gone),
            // Its address space is over: it has executed something.
            Err(SwitchError::Io { source, .. })
                if matches!(source.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::WriteZero) =>
            {
                Ok(Outcome::NotYet)
            }
            outcome => outcome,
        }
    }

    fn is_gone(&self) -> bool {
        match discover::open(self.id) {
            Ok(process) => {
                process.start_ticks != self.process.started
                    || matches!(process.still_the_same(), Err(OpenError::Gone { .. }))
            }
            Err(error) => matches!(error, OpenError::Gone { .. }),
        }
    }

    fn try_set(&self) -> Result<Outcome, SwitchError> {
        let failed = |what| move |source| SwitchError::Io { what, source };
        let pid = self.id.pid;
        // First, for it stands for the address space that the process has now: whatever the process executes after this, what is
        // written here reaches nobody else.
        let memory = OpenOptions::new().read(true).write(true).open(format!("/proc/{pid}/mem"));
        let memory = memory.map_err(|source| SwitchError::Io { what: opening(pid, &source), source })?;
        let process = discover::open(self.id)?;
        if process.start_ticks != self.process.started {
            return Ok(Outcome::Gone);
        }
        if process.inode() != self.runs {
            return Ok(Outcome::NotYet);
        }
        let told = begins(pid).map_err(failed("finding where its program lies (/proc/PID/auxv)"))?;
        let bias = told.wrapping_sub(self.entry);
        if bias % PAGE != 0 {
            return Err(SwitchError::Strange { address: told, why: "from which its program cannot begin" });
        }
        let mut changed = 0;
        for (vaddr, on) in &self.wanted {
            let word = |at| {
                let mut word = [0; 8];
                memory.read_exact_at(&mut word, at).map(|()| u64::from_le_bytes(word))
            };
            let address =
                word(bias.wrapping_add(*vaddr)).map_err(failed("reading the variable (/proc/PID/mem)"))?;
            if address == 0 {
                return Ok(Outcome::NotYet);
            }
            changed += usize::from(set_byte(pid, &memory, address, *on)?);
        }
        process.still_the_same()?;
        Ok(Outcome::Set { changed })
    }
}

/// What strobe was doing when it could not open a process's memory, with what it lacks for that.
fn opening(pid: u32, error: &io::Error) -> &'static str {
    use caps::Capability::{CAP_DAC_OVERRIDE, CAP_SYS_PTRACE};
    if error.kind() != io::ErrorKind::PermissionDenied {
        return "opening /proc/PID/mem";
    }
    let own = fs::metadata(format!("/proc/{pid}/mem"))
        .is_ok_and(|mem| mem.uid() == nix::unistd::Uid::effective().as_raw());
    forbidden(own || causes::holds(CAP_DAC_OVERRIDE), causes::holds(CAP_SYS_PTRACE))
}

/// The file is its owner's alone (fs/proc/base.c: `REG("mem", S_IRUSR|S_IWUSR, …)`); whoever gets past that is asked as ptrace(2) asks
/// (`proc_mem_open`).
fn forbidden(may_open: bool, may_trace: bool) -> &'static str {
    match (may_open, may_trace) {
        (false, true) => "opening /proc/PID/mem (CAP_DAC_OVERRIDE is missing)",
        (false, false) => "opening /proc/PID/mem (CAP_DAC_OVERRIDE and CAP_SYS_PTRACE are missing)",
        (true, false) => "opening /proc/PID/mem (CAP_SYS_PTRACE is missing)",
        (true, true) => "opening /proc/PID/mem (a policy of the machine's forbids it)",
    }
}

/// Whether the byte had to be changed.
fn set_byte(pid: u32, memory: &File, address: u64, on: bool) -> Result<bool, SwitchError> {
    let failed = |what| move |source| SwitchError::Io { what, source };
    let strange = |why| SwitchError::Strange { address, why };
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).map_err(failed("reading /proc/PID/maps"))?;
    if !is_private_data(&maps, address) {
        return Err(strange("where the program has no data of its own"));
    }
    let mut byte = [0];
    memory.read_exact_at(&mut byte, address).map_err(failed("reading the byte (/proc/PID/mem)"))?;
    match byte {
        [now] if now == u8::from(on) => Ok(false),
        [0 | 1] => {
            let written = memory.write_all_at(&[u8::from(on)], address);
            written.map_err(failed("writing the byte (/proc/PID/mem)")).map(|()| true)
        }
        _ => Err(strange("and is neither true nor false")),
    }
}

/// Whether the process itself can write to that address, and nobody else sees it: /proc/PID/mem would write to anything.
fn is_private_data(maps: &str, address: u64) -> bool {
    maps.lines().any(|line| {
        let mut words = line.split_ascii_whitespace();
        let (Some(range), Some(rights)) = (words.next(), words.next()) else { return false };
        let bounds = range.split_once('-').and_then(|(from, to)| {
            Some((u64::from_str_radix(from, 16).ok()?, u64::from_str_radix(to, 16).ok()?))
        });
        bounds.is_some_and(|(from, to)| (from..to).contains(&address)) && rights == "rw-p"
    })
}

/// Where the program begins in its file; nothing where it has no 64-bit header.
pub fn entry(file: &File) -> Option<u64> {
    /// elf.h: its place in the header of a 64-bit file.
    const ENTRY_AT: u64 = 24;
    let mut entry = [0; 8];
    file.read_exact_at(&mut entry, ENTRY_AT).ok()?;
    Some(u64::from_le_bytes(entry))
}

/// Where the process's program begins, as the kernel has told it: less what its file says, that is what its addresses are more than those
/// of the file.
fn begins(pid: u32) -> io::Result<u64> {
    /// elf.h: the entry of `/proc/PID/auxv` that has it.
    const AT_ENTRY: u64 = 9;
    let auxv = fs::read(format!("/proc/{pid}/auxv"))?;
    let told = auxv.chunks_exact(16).find_map(|pair| {
        let (kind, value) = pair.split_at(8);
        let word = |bytes: &[u8]| bytes.try_into().ok().map(u64::from_le_bytes);
        (word(kind)? == AT_ENTRY).then(|| word(value))?
    });
    told.ok_or_else(|| io::Error::other("it does not say where the program begins"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_process_s_own_data_is_written_to() {
        let maps = "00400000-00401000 r-xp 00000000 fe:00 1 /a\n00500000-00501000 rw-p 00000000 fe:00 1 /a\n\
                    c000000000-c000400000 rw-p 00000000 00:00 0 \n7f0000000000-7f0000001000 rw-s 00000000 00:01 2 /shm\n\
                    7f0000002000-7f0000003000 r--p 00000000 00:00 0 \n";
        for (address, own) in [
            (0x40_0000, false),
            (0x50_0000, true),
            (0x50_0fff, true),
            (0x50_1000, false),
            (0xc0_0000_0010, true),
            (0x7f00_0000_0000, false),
            (0x7f00_0000_2000, false),
            (0, false),
        ] {
            assert_eq!(is_private_data(maps, address), own, "{address:#x}");
        }
    }

    #[test]
    fn what_is_missing_for_another_process_s_memory_is_named() {
        for (may_open, may_trace, named) in [
            (false, true, &["CAP_DAC_OVERRIDE"][..]),
            (true, false, &["CAP_SYS_PTRACE"]),
            (false, false, &["CAP_DAC_OVERRIDE", "CAP_SYS_PTRACE"]),
            (true, true, &[]),
        ] {
            let said = forbidden(may_open, may_trace);
            for capability in ["CAP_DAC_OVERRIDE", "CAP_SYS_PTRACE"] {
                assert_eq!(said.contains(capability), named.contains(&capability), "{said}");
            }
        }
    }

    #[test]
    fn a_process_that_has_ended_is_no_failure() {
        let mut child = std::process::Command::new("true").spawn().expect("a child");
        let id = ProcessId { pid: child.id(), tgid: child.id() };
        child.wait().expect("its end");
        let process = ProcessKey { pid: id.pid, started: 1 };
        let switches = Switches { id, process, runs: (0, 0), entry: 0, wanted: vec![(0, true)] };
        assert_eq!(switches.set().map_err(|error| error.to_string()), Ok(Outcome::Gone));
    }

    #[test]
    fn a_byte_of_another_process_is_set_and_set_back_and_nothing_else_is() {
        // The test's own memory stands for a target's: a word that points to a byte between two others.
        let bytes = Box::leak(Box::new([7_u8, 0, 7]));
        let flag = &raw mut bytes[1];
        let variable = Box::leak(Box::new(flag as u64));
        let own = std::process::id();
        let file = File::open("/proc/self/exe").expect("itself");
        let id = ProcessId { pid: own, tgid: own };
        let itself = discover::open(id).expect("itself");
        let (started, runs) = (itself.start_ticks, itself.inode());
        let entry = entry(&file).expect("where it begins");
        let bias = begins(own).expect("its bias").wrapping_sub(entry);
        let vaddr = (std::ptr::from_ref(variable) as u64).wrapping_sub(bias);
        let set_in = |started, runs, entry, on| {
            let process = ProcessKey { pid: own, started };
            let switches = Switches { id, process, runs, entry, wanted: vec![(vaddr, on)] };
            switches.set().map_err(|error| error.to_string())
        };
        let set = |started, on| set_in(started, runs, entry, on);
        // SAFETY: the array lives for ever; others write to it by the kernel, which the compiler does not know of.
        let now = || unsafe { std::ptr::from_ref(bytes).read_volatile() };
        assert_eq!(set(started + 1, true), Ok(Outcome::Gone), "another process of that number");
        assert_eq!(
            set_in(started, (runs.0, runs.1 + 1), entry, true),
            Ok(Outcome::NotYet),
            "another program"
        );
        let wrong = set_in(started, runs, entry + 1, true).expect_err("another file's entry");
        assert!(wrong.contains("cannot begin"), "{wrong}");
        assert_eq!((set(started, true), now()), (Ok(Outcome::Set { changed: 1 }), [7, 1, 7]));
        assert_eq!((set(started, true), now()), (Ok(Outcome::Set { changed: 0 }), [7, 1, 7]));
        assert_eq!((set(started, false), now()), (Ok(Outcome::Set { changed: 1 }), [7, 0, 7]));
        // SAFETY: as above.
        unsafe { flag.write_volatile(7) };
        assert!(set(started, true).expect_err("no bool").contains("neither true nor false"));
        assert_eq!(now(), [7, 7, 7]);
        // SAFETY: as above.
        unsafe { std::ptr::from_ref(variable).cast_mut().write_volatile(0) };
        assert_eq!(set(started, true), Ok(Outcome::NotYet), "the program has not made it");
    }
}
