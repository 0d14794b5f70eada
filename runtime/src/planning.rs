//! Plans are made in a child without privileges: a descriptor goes in, the Plan comes out (house.md, decision 9).
//!
//! The child is strobe itself (`strobe plan-child`) with the target on its standard input. It drops its user, its
//! capabilities and its limits before it looks at the first byte: a hostile file, a parser's defect, or a map that shrinks
//! (SIGBUS) ends there.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use analyzer::{
    Options, Plan,
    debug_file::{DEFAULT_ROOT, Search},
};
use anyhow::{Context as _, bail};
use nix::{
    sys::resource::{Resource, setrlimit},
    unistd::{Gid, Uid, setgroups, setresgid, setresuid},
};

/// Processor time for one Plan; the largest binary seen (315 MB) needs a fraction of a second.
const CPU_SECONDS: u64 = 10;
/// Address space, the mapped file included.
const ADDRESS_SPACE_BYTES: u64 = 4 << 30;
/// Wall time until the child is killed.
const PATIENCE: Duration = Duration::from_secs(30);
/// The longest Plan that is accepted.
const PLAN_BYTES: u64 = 16 << 20;
/// `nobody` of every distribution (and the kernel's overflow id).
const NOBODY: u32 = 65534;
/// The child's hidden subcommand.
pub const SUBCOMMAND: &str = "plan-child";

/// How the child ends when the file is no Go program.
pub const STATUS_NOT_GO: u8 = 2;

/// The file is no Go program: a script, a wrapper, something else. In the child's words.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NotGo(String);

/// Is this what the child says of a file that is no Go program?
pub fn is_not_go(error: &anyhow::Error) -> bool {
    use analyzer::ErrorKind;
    let kind = error.downcast_ref::<analyzer::Error>().map(|error| &error.kind);
    matches!(kind, Some(ErrorKind::NotGo | ErrorKind::NotElf { .. } | ErrorKind::Unsupported { .. }))
}

/// Plans `file`, whose `name` is for messages, in a child.
pub fn plan(file: &File, name: &str) -> anyhow::Result<Plan> {
    let mut child = Command::new("/proc/self/exe")
        .args([SUBCOMMAND, name])
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::from(file.try_clone().context("duplicating the target's descriptor")?))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("starting the planning child")?;
    let stdout = child.stdout.take().context("the planning child has no stdout")?;
    let stderr = child.stderr.take().context("the planning child has no stderr")?;
    let output = std::thread::spawn(move || read_all(stdout));
    let errors = std::thread::spawn(move || read_all(stderr));
    let started = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().context("waiting for the planning child")? {
            break status;
        }
        if started.elapsed() > PATIENCE {
            child.kill().context("killing the planning child")?;
            child.wait().context("waiting for the planning child")?;
            bail!("{name}: planning took longer than {} s", PATIENCE.as_secs());
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    let collect = |thread: std::thread::JoinHandle<std::io::Result<Vec<u8>>>| {
        thread
            .join()
            .map_err(|_| anyhow::anyhow!("the planning child's reader panicked"))?
            .context("reading the Plan")
    };
    let (output, errors) = (collect(output)?, collect(errors)?);
    if !status.success() {
        let said = String::from_utf8_lossy(&errors);
        let said = said.trim();
        if status.code() == Some(i32::from(STATUS_NOT_GO)) {
            return Err(NotGo(said.to_owned()).into());
        }
        bail!(
            "{}",
            if said.is_empty() {
                format!("{name}: the planning child ended with {status}")
            } else {
                said.to_owned()
            }
        );
    }
    serde_json::from_slice(&output).with_context(|| format!("{name}: the planning child's Plan"))
}

fn read_all(from: impl std::io::Read) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(PLAN_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The child: gives up everything, then plans its standard input.
pub fn child(name: &str) -> anyhow::Result<()> {
    renounce().context("dropping privileges")?;
    // SAFETY: the map is private to this process, which exists for nothing else: if the file shrinks, SIGBUS ends the child
    // and the parent reports it.
    let map = unsafe { memmap2::Mmap::map(&std::io::stdin()) }
        .with_context(|| format!("{name}: mapping the file"))?;
    // By the same rules as `analyze`, so that it says what is done here. The name is the file's, in this or another mount
    // namespace: what is found by it must have the binary's build id or the CRC that the binary names.
    let roots = [PathBuf::from(DEFAULT_ROOT)];
    let debug = Search { binary: Some(Path::new(name)), roots: &roots };
    let plan = analyzer::plan_with(&map, name, &Options::default(), &debug)?;
    let mut out = std::io::stdout().lock();
    serde_json::to_writer(&mut out, &plan).context("writing the Plan")?;
    out.flush().context("writing the Plan")
}

fn renounce() -> anyhow::Result<()> {
    for (resource, limit) in [
        (Resource::RLIMIT_CPU, CPU_SECONDS),
        (Resource::RLIMIT_AS, ADDRESS_SPACE_BYTES),
        (Resource::RLIMIT_CORE, 0),
        (Resource::RLIMIT_FSIZE, 0),
        (Resource::RLIMIT_NPROC, 0),
    ] {
        setrlimit(resource, limit, limit).with_context(|| format!("limiting {resource:?}"))?;
    }
    if Uid::effective().is_root() {
        setgroups(&[]).context("setgroups")?;
        let (uid, gid) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
        setresgid(gid, gid, gid).context("setresgid")?;
        setresuid(uid, uid, uid).context("setresuid")?;
    }
    for set in
        [caps::CapSet::Ambient, caps::CapSet::Effective, caps::CapSet::Permitted, caps::CapSet::Inheritable]
    {
        caps::clear(None, set).with_context(|| format!("clearing the {set:?} capabilities"))?;
    }
    nix::sys::prctl::set_no_new_privs().context("no_new_privs")
}
