//! What goes into the virtual machine: strobe and `/init`, and the Go services, stripped. For the other architecture than this
//! machine's the two are linked statically; for this one's they are those that lie beside this program, and the libraries that
//! they are linked with go along: everything would be built once more only to be linked in another way.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use strobe_tests::auto_sdk::program::{NEWEST, NEWEST_OLDER, Program as Made};
use strobe_tests::golang::{self, Build, go};
use strobe_tests::grpc::program::Program;
use strobe_tests::http_client::x_net_cases::X_NET_1_26 as X_NET;
use strobe_tests::http_server::routers;
use strobe_tests::kafka::program::Program as Writes;
use strobe_tests::propagation::{chain, sdk};
use strobe_tests::{machine, programs};

use crate::arch::Arch;

/// The Go versions of the cases, by the name that the cases know.
const GO: [(&str, &str); 3] = [("1.22", go(22)), ("1.24", go(24)), ("1.27", go(27))];

/// A further one, of the service alone.
const FURTHER: (&str, &str) = ("1.26", go(26));

/// The programs under `tests/apps` that the cases run.
const APPS: [&str; 4] = ["httpserver", "httpclient", "carries", "databasesql"];

/// The program that speaks gRPC, by the name that the cases know.
const GRPC: [(&str, Program); 2] = [
    ("grpc-1.22", Program { go: go(22), grpc: "v1.40.0" }),
    ("grpc-1.27", Program { go: go(27), grpc: "v1.85.0" }),
];

/// The one that speaks Kafka.
const KAFKA: (&str, Writes) = ("kafkago-1.27", Writes { go: go(27), kafka: "v0.4.51" });

/// The services of a chain.
const CHAIN: [(&str, chain::Versions); 3] = [
    ("chain-1.22", chain::Versions { go: go(22), net: "v0.30.0", grpc: "v1.60.0" }),
    ("chain-1.24", chain::Versions { go: go(24), net: "v0.44.0", grpc: "v1.69.0" }),
    ("chain-1.27", chain::Versions { go: go(27), net: "v0.62.0", grpc: "v1.85.0" }),
];

/// Paths of the built programs.
#[derive(Debug)]
pub struct Artifacts {
    pub arch: Arch,
    pub init: PathBuf,
    pub strobe: PathBuf,
    /// What the two are linked with when they are started, at the same path in the machine.
    pub libraries: Vec<PathBuf>,
    /// The eBPF programs, as they are committed.
    pub object: PathBuf,
    /// By app and Go version, `httpserver-1.24`.
    pub apps: Vec<(String, PathBuf)>,
}

/// Builds what is not up to date.
pub fn build(arch: Arch) -> Result<Artifacts> {
    let app = |(app, (name, version))| -> Result<(String, PathBuf)> {
        Ok((format!("{app}-{name}"), golang::build_for(app, version, Build::Stripped, arch.name())?))
    };
    let all = APPS.into_iter().flat_map(|app| GO.map(|version| (app, version)));
    let mut apps = all.map(app).collect::<Result<Vec<_>>>()?;
    let (name, version) = FURTHER;
    apps.push(app(("httpserver", FURTHER))?);
    apps.push((format!("routers-{name}"), routers::build(version, "v1.11.0", arch.name())?));
    apps.push((format!("xnet-{name}"), X_NET.build_with(arch.name(), &["-ldflags=-s -w"])?));
    apps.push((format!("autosdk-{name}"), Made { passes_on: true, ..NEWEST }.build_for(arch.name())?));
    apps.push((format!("older-{name}"), NEWEST_OLDER.build_for(arch.name())?));
    apps.push(("sdk-1.27".to_owned(), sdk::NEWEST.build_for(arch.name())?));
    for (name, versions) in CHAIN {
        apps.push((name.to_owned(), chain::build_for(&versions, arch.name())?));
    }
    for (name, program) in GRPC {
        apps.push((name.to_owned(), program.build_for(arch.name())?));
    }
    let (name, program) = KAFKA;
    apps.push((name.to_owned(), program.build_for(arch.name())?));
    // Nothing traces it: which Go it is of matters to nobody.
    let broker = golang::build_for("kafkabroker", go(26), Build::Stripped, arch.name())?;
    apps.push(("kafkabroker".to_owned(), broker));
    let (init, strobe) = if arch.is_here() {
        (target_dir()?.join("release/strobe-vm-init"), programs::path("strobe")?)
    } else {
        let folder = linked_statically(arch)?;
        (folder.join("strobe-vm-init"), folder.join("strobe"))
    };
    let mut libraries = [libraries(&init)?, libraries(&strobe)?].concat();
    libraries.sort();
    libraries.dedup();
    let machine = arch.target().split('-').next().unwrap_or_default();
    let object = machine::workspace().join(format!("runtime-ebpf/objects/strobe-{machine}.o"));
    Ok(Artifacts { arch, init, strobe, libraries, object, apps })
}

/// The libraries of a program and what loads them, by `ldd`: absolute paths.
fn libraries(program: &Path) -> Result<Vec<PathBuf>> {
    let out = Command::new("ldd").arg(program).output().context("run ldd")?;
    let text = String::from_utf8_lossy(&out.stdout);
    let words = text.split_whitespace().filter(|word| word.starts_with('/'));
    Ok(words.map(PathBuf::from).filter(|path| path != program).collect())
}

/// cargo, for a target whose C library is linked in. An explicit target keeps the flag away from build scripts and macros.
fn linked_statically(arch: Arch) -> Result<PathBuf> {
    let target = arch.target();
    let name = target.to_uppercase().replace('-', "_");
    let folder = target_dir()?;
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["build", "--quiet", "--locked", "--release", "--target", target, "--target-dir"])
        .arg(&folder)
        .args(["-p", "runtime", "--bin", "strobe", "-p", "strobe-tests", "--bin", "strobe-vm-init"])
        .env(format!("CARGO_TARGET_{name}_RUSTFLAGS"), "-C target-feature=+crt-static")
        .env(format!("CARGO_TARGET_{name}_LINKER"), arch.compiler())
        .env(format!("CC_{}", target.replace('-', "_")), arch.compiler())
        .current_dir(machine::workspace());
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
