//! What goes into the virtual machine: strobe and `/init`, linked statically for the machine's architecture, and the Go
//! services, stripped.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use strobe_tests::golang::{self, Build, go};
use strobe_tests::machine;

use crate::arch::Arch;

/// The Go versions of the cases, by the name that the cases know.
const GO: [(&str, &str); 3] = [("1.22", go(22)), ("1.24", go(24)), ("1.27", go(27))];

/// Paths of the built programs.
#[derive(Debug)]
pub struct Artifacts {
    pub arch: Arch,
    pub init: PathBuf,
    pub strobe: PathBuf,
    /// The eBPF programs, as they are committed.
    pub object: PathBuf,
    /// By Go version.
    pub apps: Vec<(&'static str, PathBuf)>,
}

/// Builds what is not up to date.
pub fn build(arch: Arch) -> Result<Artifacts> {
    let app = |(name, version)| -> Result<(&'static str, PathBuf)> {
        Ok((name, golang::build_for("httpserver", version, Build::Stripped, arch.name())?))
    };
    let apps = GO.into_iter().map(app).collect::<Result<Vec<_>>>()?;
    let folder = programs(arch)?;
    let machine = arch.target().split('-').next().unwrap_or_default();
    let object = machine::workspace().join(format!("runtime-ebpf/objects/strobe-{machine}.o"));
    Ok(Artifacts { arch, init: folder.join("strobe-vm-init"), strobe: folder.join("strobe"), object, apps })
}

/// Names a target folder whose programs are taken as they are: those of a release, or while another cargo is at work.
const BUILT: &str = "STROBE_VM_TARGET_DIR";

/// cargo, for a target whose C library is linked in. An explicit target keeps the flag away from build scripts and macros.
fn programs(arch: Arch) -> Result<PathBuf> {
    let target = arch.target();
    if let Some(folder) = std::env::var_os(BUILT) {
        return Ok(PathBuf::from(folder).join(target).join("release"));
    }
    let name = target.to_uppercase().replace('-', "_");
    let folder = target_dir()?;
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["build", "--quiet", "--locked", "--release", "--target", target, "--target-dir"])
        .arg(&folder)
        .args(["-p", "runtime", "--bin", "strobe", "-p", "strobe-tests", "--bin", "strobe-vm-init"])
        .env(format!("CARGO_TARGET_{name}_RUSTFLAGS"), "-C target-feature=+crt-static")
        .current_dir(machine::workspace());
    // This machine's own compiler is the one that cargo takes anyway. Naming it would make build scripts and macros other than those
    // of every build without it, and each of the two would then build everything again after the other.
    if !target.starts_with(std::env::consts::ARCH) {
        cargo
            .env(format!("CARGO_TARGET_{name}_LINKER"), arch.compiler())
            .env(format!("CC_{}", target.replace('-', "_")), arch.compiler());
    }
    let status = cargo.status().context("run cargo")?;
    if !status.success() {
        bail!("cargo build: {status} (scripts/setup installs Rust's {target} and {})", arch.compiler());
    }
    Ok(folder.join(target).join("release"))
}

/// The folder that holds `PROFILE/strobe-vm`, this program.
fn target_dir() -> Result<PathBuf> {
    let exe = std::env::current_exe().context("the path of this program")?;
    let folder = exe.ancestors().nth(2).map(PathBuf::from);
    folder.with_context(|| format!("{} is not in a target folder", exe.display()))
}
