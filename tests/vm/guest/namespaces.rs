//! PID namespaces, in both directions, and overlay mounts: what containers are made of.

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use strobe_tests::process::Running;

use crate::bench::{Bench, Service, tracing};
use crate::boot;

/// Where a container's image is mounted, in a mount namespace of its own.
const IMAGE: &str = "/img";
/// As many replicas of one image run on the node.
const REPLICAS: usize = 3;

/// The service is one PID namespace below the agent.
pub fn target_below(version: &str) -> Result<String> {
    let bench = Bench::of_one_library(version)?;
    let mut agent = bench.trace_exe()?;
    let app = bench.app.to_str().context("path")?;
    let service = Service::started(Running::start(Command::new("/init").args(["nested", app]))?)?;
    tracing(&agent, 0)?;
    let due = bench.requests(&service)?;
    bench.settle(&mut agent, &due)?;
    Ok(format!("{} spans", due.len()))
}

/// The agent and the service are in the same PID namespace, which is not the first.
pub fn agent_inside(_version: &str) -> Result<String> {
    in_a_namespace("pid-inside:inner")
}

/// The agent is in a PID namespace, the service one below it.
pub fn agent_inside_target_below(_version: &str) -> Result<String> {
    in_a_namespace("pid-deep:inner")
}

/// What [`agent_inside`] runs in there.
pub fn inner_same(version: &str) -> Result<String> {
    ensure!(
        fs::read_link("/proc/self")?.as_os_str() == "1",
        "this is not the first process of its namespace"
    );
    let bench = Bench::of_one_library(version)?;
    let service = bench.service()?;
    let mut agent = bench.trace_pid(&service.running)?;
    let due = bench.requests(&service)?;
    bench.settle(&mut agent, &due)?;
    Ok(format!("{} spans", due.len()))
}

fn in_a_namespace(case: &str) -> Result<String> {
    let out =
        Command::new("/init").args(["nested", "/init", "case", case]).output().context("start /init")?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    ensure!(out.status.success(), "{}", text(&out.stderr));
    Ok(text(&out.stdout))
}

/// Three containers of one image: each span once, nothing counted, though each mount has an inode of its own above the
/// one that the kernel probes.
pub fn overlay_mounts(version: &str) -> Result<String> {
    let bench = Bench::of_one_library(version)?;
    let lower = bench.app.parent().and_then(|p| p.to_str()).context("path")?;
    let program = format!("{IMAGE}/httpserver");
    let mut agent = Running::start(&mut bench.strobe(&["run", "--exe", &program]))?;
    let mut due = Vec::new();
    let mut services = Vec::new();
    for replica in 0..REPLICAS {
        let running = Running::start(Command::new("/init").args(["contained", lower, &program]))?;
        services.push(Service::started(running)?);
        tracing(&agent, replica)?;
    }
    for service in &services {
        due.extend(bench.requests(service)?);
    }
    bench.settle(&mut agent, &due)?;
    Ok(format!("{} spans from {REPLICAS} mounts of one file", due.len()))
}

/// `/init nested CMD…`: runs a command as the first process of a PID namespace, with its own `/proc`.
pub fn nested(command: &[&str]) -> Result<()> {
    let [program, arguments @ ..] = command else { bail!("nested: no command") };
    unshare(libc::CLONE_NEWPID | libc::CLONE_NEWNS)?;
    let mut child = Command::new(program);
    child.args(arguments);
    // SAFETY: mount(2) on constant strings; the child has one thread and allocates nothing.
    unsafe {
        child.pre_exec(|| {
            let proc = c"proc".as_ptr();
            match libc::mount(proc, c"/proc".as_ptr(), proc, 0, std::ptr::null()) {
                0 => Ok(()),
                _ => Err(io::Error::last_os_error()),
            }
        });
    }
    let status = child.status().with_context(|| format!("start {program}"))?;
    ensure!(status.success(), "{program}: {status}");
    Ok(())
}

/// `/init contained LOWER CMD…`: runs a command in a mount namespace in which LOWER, below a fresh layer, is at [`IMAGE`].
pub fn contained(lower: &str, command: &[&str]) -> Result<()> {
    let [program, arguments @ ..] = command else { bail!("contained: no command") };
    unshare(libc::CLONE_NEWNS)?;
    let own = format!("/tmp/overlay-{}", std::process::id());
    for folder in ["upper", "work"] {
        fs::create_dir_all(format!("{own}/{folder}"))?;
    }
    let options = format!("lowerdir={lower},upperdir={own}/upper,workdir={own}/work");
    boot::mount("overlay", "overlay", IMAGE, &options)?;
    Err(Command::new(program).args(arguments).exec()).with_context(|| format!("start {program}"))
}

/// New namespaces for this process, with mounts that stay in them.
fn unshare(namespaces: libc::c_int) -> Result<()> {
    // SAFETY: flags alone.
    if unsafe { libc::unshare(namespaces) } != 0 {
        return Err(io::Error::last_os_error()).context("unshare");
    }
    let root = CString::new("/")?;
    let none = std::ptr::null();
    // SAFETY: one string that lives until the call returns; the others may be null for a change of propagation.
    let done =
        unsafe { libc::mount(none, root.as_ptr(), none, libc::MS_REC | libc::MS_PRIVATE, none.cast()) };
    if done != 0 {
        return Err(io::Error::last_os_error()).context("make the mounts private");
    }
    Ok(())
}
