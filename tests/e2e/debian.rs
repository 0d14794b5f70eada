//! Real Go servers, as Debian ships them: stripped, built by its own rules, and large. `analyze` must find the net/http
//! server ready in each, fast. The packages are downloaded and unpacked into the cache; nothing is installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use strobe_tests::machine::{find, run};
use strobe_tests::{machine, programs};

/// Each has its program in `/usr/bin` under its own name.
const PACKAGES: [&str; 5] = ["syncthing", "prometheus", "prometheus-node-exporter", "caddy", "rclone"];
/// Debian 12 builds its servers with gRPC v1.38, which is older than what the catalog knows.
const TOO_OLD: &str = "google.golang.org/grpc.client";
/// A stated limit, for a release build.
const LIMIT: Duration = Duration::from_millis(150);
/// The best of so many runs counts: the others measure the machine's other work.
const RUNS: usize = 5;

/// The program of a package, unpacked.
fn program(package: &str) -> Result<PathBuf> {
    let folder = machine::cache_dir("debian")?.join(package);
    let program = folder.join("usr/bin").join(package);
    if !program.is_file() {
        let archive = download(package).with_context(|| format!("the Debian package {package}"))?;
        run(Command::new("dpkg-deb").arg("-x").arg(&archive).arg(&folder))?;
        fs::remove_file(&archive).with_context(|| format!("remove {}", archive.display()))?;
    }
    ensure!(program.is_file(), "{package} holds no {}", program.display());
    Ok(program)
}

/// `apt-get download`, after an `apt-get update` where the lists are missing or old.
fn download(package: &str) -> Result<PathBuf> {
    let into = tempfile::tempdir_in(machine::cache_dir("debian")?)?;
    let mut apt = Command::new("apt-get");
    apt.args(["-q", "download", package]).current_dir(into.path());
    if run(&mut apt).is_err() {
        run(Command::new("apt-get").args(["-q", "update"]))?;
        run(&mut apt)?;
    }
    let archive = find(into.path(), "deb")?;
    let kept = machine::cache_dir("debian")?.join(format!("{package}.deb"));
    fs::rename(&archive, &kept).with_context(|| format!("keep {}", kept.display()))?;
    Ok(kept)
}

/// What every Debian system has, in the machine's own suite: programs, libraries, scripts, archives, data.
const ESSENTIAL: [&str; 16] = [
    "base-files",
    "bash",
    "coreutils",
    "dash",
    "debianutils",
    "diffutils",
    "dpkg",
    "findutils",
    "grep",
    "gzip",
    "libc-bin",
    "libc6",
    "perl-base",
    "sed",
    "tar",
    "util-linux",
];
const SERVERS: [&str; 2] = ["syncthing", "prometheus-node-exporter"];

/// A root file system of those packages with the two servers in it, unpacked into a folder.
fn root_file_system(into: &Path) -> Result<()> {
    for package in ESSENTIAL {
        let kept = machine::cache_dir("debian")?.join(format!("{package}.deb"));
        if !kept.is_file() {
            download(package).with_context(|| format!("the Debian package {package}"))?;
        }
        run(Command::new("dpkg-deb").arg("-x").arg(&kept).arg(into))?;
    }
    for server in SERVERS {
        let place = into.join("usr/local/bin").join(server);
        fs::create_dir_all(place.parent().context("a folder")?)?;
        machine::copy_program(&program(server)?, &place)?;
    }
    Ok(())
}

#[test]
fn a_root_file_system_with_two_servers_gives_their_verdicts_and_0() -> Result<()> {
    let folder = tempfile::tempdir_in(machine::cache_dir("debian")?)?;
    root_file_system(folder.path())?;
    let analyze = |args: &[&str]| -> Result<(Option<i32>, String)> {
        let out = Command::new(programs::path("analyze")?).args(args).arg(folder.path()).output()?;
        ensure!(out.stderr.is_empty(), "{}", String::from_utf8_lossy(&out.stderr));
        Ok((out.status.code(), String::from_utf8_lossy(&out.stdout).into_owned()))
    };
    let (status, text) = analyze(&["--require", "net/http.server"])?;
    println!("{text}");
    ensure!(status == Some(0), "{status:?}: {text}");
    ensure!(text.contains(" files: 2 Go programs, 0 failed, ") && text.contains(" without Go"), "{text}");
    let (status, text) = analyze(&["--json"])?;
    ensure!(status == Some(0), "{status:?}: {text}");
    let plans: Vec<Value> = text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    ensure!(plans.len() == SERVERS.len(), "{text}");
    Ok(())
}

/// Runs `analyze --json` once; how long it took, and what it says.
fn analyze(program: &Path) -> Result<(Duration, Value)> {
    let mut command = Command::new(programs::path("analyze")?);
    let start = Instant::now();
    let out = command.arg("--json").arg(program).output().context("run analyze")?;
    let took = start.elapsed();
    let errors = String::from_utf8_lossy(&out.stderr);
    let plan: Value = serde_json::from_slice(&out.stdout).with_context(|| format!("analyze: {errors}"))?;
    let libraries = plan["libraries"].as_array().context("no libraries")?;
    let refused: Vec<&str> = libraries
        .iter()
        .filter(|l| l["status"] == "instrumented" && l["verdict"] != "ready")
        .filter_map(|l| l["id"].as_str())
        .collect();
    ensure!(refused.iter().all(|id| *id == TOO_OLD), "{}: not ready: {refused:?}", program.display());
    let due = i32::from(!refused.is_empty());
    ensure!(out.status.code() == Some(due), "analyze: {}, not {due}: {errors}", out.status);
    Ok((took, plan))
}

#[test]
fn five_servers_of_debian_are_ready_in_time() -> Result<()> {
    let mut late = Vec::new();
    println!("{:<26}{:>10}{:>9}  Go", "program", "MB", "ms");
    for package in PACKAGES {
        let program = program(package)?;
        let size_mb = fs::metadata(&program)?.len() as f64 / 1e6;
        let (mut best, plan) = analyze(&program)?;
        for _ in 1..RUNS {
            best = best.min(analyze(&program)?.0);
        }
        let version = plan["go_version"].as_str().unwrap_or("?");
        println!("{package:<26}{size_mb:>10.1}{:>9.1}  {version}", best.as_secs_f64() * 1000.0);
        let server =
            plan["libraries"].as_array().and_then(|all| all.iter().find(|l| l["id"] == "net/http.server"));
        let server = server.with_context(|| format!("{package}: no net/http.server in {plan}"))?;
        ensure!(server["verdict"] == "ready", "{package}: {} ({})", server["verdict"], server["reason"]);
        if best >= LIMIT {
            late.push(package);
        }
    }
    ensure!(late.is_empty(), "analyze took {LIMIT:?} or more on {late:?}");
    Ok(())
}
