//! The child's side: gives up all that it can, then plans its standard input.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use analyzer::{
    Options,
    debug_file::{DEFAULT_ROOT, Search},
};
use anyhow::Context as _;
use nix::{
    errno::Errno,
    sys::resource::{Resource, setrlimit},
    unistd::{Gid, Uid, setgroups, setresgid, setresuid},
};

use super::own::Own;
use crate::discover::is_passing;

/// The child's hidden subcommand.
pub const SUBCOMMAND: &str = "plan-child";
/// Processor time for one Plan; the largest binary seen (315 MB) needs a fraction of a second. At the hard limit, a second
/// later, the kernel would send SIGKILL, which the parent takes for want of memory.
const CPU_SECONDS: u64 = 10;
/// Address space, the mapped file included.
const ADDRESS_SPACE_BYTES: u64 = 4 << 30;
/// `nobody` of every distribution (and the kernel's overflow id).
const NOBODY: u32 = 65534;
/// EX_TEMPFAIL of sysexits(3): it is not the file.
pub(super) const STATUS_TRY_AGAIN: u8 = 75;
/// The file is no Go program.
pub(super) const STATUS_NOT_GO: u8 = 2;
/// How a line on stderr begins that is no reason for failing.
pub(super) const WARNING: &str = "warning: ";

/// Plans standard input, whose `name` is for messages and debug files, and writes the Plan to standard output.
pub fn child(name: &str) -> ExitCode {
    for step in renounce() {
        eprintln!("{WARNING}planning: {step}: files are analysed with that privilege left");
    }
    match plan(name) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", one_line(&format!("{error:#}")));
            let passing = error.chain().filter_map(|cause| cause.downcast_ref()).any(is_passing);
            ExitCode::from(match (passing, is_not_go(&error)) {
                (true, _) => STATUS_TRY_AGAIN,
                (false, true) => STATUS_NOT_GO,
                (false, false) => 1,
            })
        }
    }
}

fn is_not_go(error: &anyhow::Error) -> bool {
    use analyzer::ErrorKind;
    let kind = error.downcast_ref::<analyzer::Error>().map(|error| &error.kind);
    matches!(
        kind,
        Some(
            ErrorKind::NotGo
                | ErrorKind::NotGoLibrary
                | ErrorKind::NotElf { .. }
                | ErrorKind::Unsupported { .. }
        )
    )
}

/// A file's name may hold anything; the parent reads lines.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

fn plan(name: &str) -> anyhow::Result<()> {
    // SAFETY: the map is private to this process, which exists for nothing else: if the file shrinks, SIGBUS ends the child
    // and the parent reports it.
    let map = unsafe { memmap2::Mmap::map(&std::io::stdin()) }
        .with_context(|| format!("{name}: mapping the file"))?;
    // By the same rules as `analyze`, so that it says what is done here. The name is the file's, in this or another mount
    // namespace: what is found by it must have the binary's build id or the CRC that the binary names.
    let roots = [PathBuf::from(DEFAULT_ROOT)];
    let debug = Search { binary: Some(Path::new(name)), roots: &roots };
    let options = Options { entries: Own::handed()?, ..Options::default() };
    let plan = analyzer::plan_with(&map, name, &options, &debug)?;
    let mut out = std::io::stdout().lock();
    serde_json::to_writer(&mut out, &plan).context("writing the Plan")?;
    out.flush().context("writing the Plan")
}

/// Gives up limits, user and capabilities. A step that cannot be taken (a container's `drop: ALL` leaves uid 0 without
/// CAP_SETUID; a user namespace may have no `nobody`) is said, and the others are taken all the same.
fn renounce() -> Vec<String> {
    let mut left = Vec::new();
    let mut step = |what: String, result: Result<(), String>| {
        if let Err(error) = result {
            left.push(format!("{what}: {error}"));
        }
    };
    for (resource, soft, hard) in [
        (Resource::RLIMIT_CPU, CPU_SECONDS, CPU_SECONDS + 1),
        (Resource::RLIMIT_AS, ADDRESS_SPACE_BYTES, ADDRESS_SPACE_BYTES),
        (Resource::RLIMIT_CORE, 0, 0),
        (Resource::RLIMIT_FSIZE, 0, 0),
        (Resource::RLIMIT_NPROC, 0, 0),
    ] {
        let result = setrlimit(resource, soft, hard).map_err(|errno| errno.to_string());
        step(format!("limiting {resource:?}"), result);
    }
    if Uid::effective().is_root() {
        let (uid, gid) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
        let taken =
            |capability: &'static str| move |errno: Errno| format!("{errno} ({capability} is missing)");
        step("setgroups".to_owned(), setgroups(&[]).map_err(taken("CAP_SETGID")));
        step("setresgid".to_owned(), setresgid(gid, gid, gid).map_err(taken("CAP_SETGID")));
        step("setresuid".to_owned(), setresuid(uid, uid, uid).map_err(taken("CAP_SETUID")));
    }
    for set in
        [caps::CapSet::Ambient, caps::CapSet::Effective, caps::CapSet::Permitted, caps::CapSet::Inheritable]
    {
        let result = caps::clear(None, set).map_err(|error| error.to_string());
        step(format!("clearing the {set:?} capabilities"), result);
    }
    step("no_new_privs".to_owned(), nix::sys::prctl::set_no_new_privs().map_err(|errno| errno.to_string()));
    left
}
