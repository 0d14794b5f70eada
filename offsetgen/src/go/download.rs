//! Toolchains by way of the go command, and what a downloaded one still needs before it runs.
//!
//! `go mod download -json` fetches, checks the signed checksum database (which the proxy serves too), and unpacks safely.
//! It has no bound on a proxy that falls silent, so it is watched: no byte for the time-out, and it is ended.
//!
//! Facts: a module's zip keeps neither execute bits nor files named `go.mod` in its folders, so the toolchain module has
//! `_go.mod` in their place (cmd/go/internal/toolchain/select.go undoes both, when it is that which downloads).

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Error, Result};
use serde::Deserialize;

use super::cache::Store;
use super::command::{Output, POLL, WORKING_TICKS, drain, go_environment, one_line, output, processor_ticks};
use super::release::TOOLCHAIN_MODULE;
use crate::effort;
use crate::failure::{Failure, Stage};
use crate::progress::{Progress, Step};

/// The first Go that knows `golang.org/toolchain`.
const FIRST_CAPABLE: u64 = 21;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Downloaded {
    #[serde(default)]
    error: String,
    #[serde(default)]
    dir: PathBuf,
    #[serde(default)]
    sum: String,
}

/// The Go on PATH, if it is new enough to fetch toolchains.
pub fn on_path() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let go = std::env::split_paths(&path).map(|folder| folder.join("go")).find(|file| file.is_file())?;
    let output = Command::new(&go).args(["env", "GOVERSION"]).env("GOTOOLCHAIN", "local").output().ok()?;
    let version = offsets::Version::parse(offsets::STD, String::from_utf8(output.stdout).ok()?.trim())?;
    let [major, minor, _] = version.release();
    (major == 1 && minor >= FIRST_CAPABLE).then_some(go)
}

/// Fetches one toolchain: its folder and its `h1:`.
pub fn download(go: &Path, store: &Store, version: &str, progress: &Progress) -> Result<(PathBuf, String)> {
    let step = progress.step(&format!("download {TOOLCHAIN_MODULE}@{version}"), None);
    let scratch = store.cache().join("tmp");
    fs::create_dir_all(&scratch).with_context(|| format!("cannot create {}", scratch.display()))?;
    let mut command = go_environment(go, store.cache());
    command
        .args(["mod", "download", "-modcacherw", "-json", &format!("{TOOLCHAIN_MODULE}@{version}")])
        .current_dir(&scratch)
        .env("GOPROXY", &store.network()?.goproxy)
        .env("GOMODCACHE", store.cache().join("mod"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if let Some(sumdb) = std::env::var_os("GOSUMDB").filter(|value| value != "off" && !value.is_empty()) {
        command.env("GOSUMDB", sumdb);
    }
    let _busy = effort::busy();
    let child = command.spawn().with_context(|| format!("cannot run {}", go.display()))?;
    let output = watch(child, store, version, &step)?;
    let parsed: Result<Downloaded, _> = serde_json::from_str(&output.stdout);
    match parsed {
        Ok(Downloaded { error, dir, sum })
            if output.success && error.is_empty() && sum.starts_with("h1:") =>
        {
            Ok((dir, sum))
        }
        Ok(Downloaded { error, .. }) if !error.is_empty() => Err(failed(&output, &error)),
        _ => Err(failed(&output, &output.stderr)),
    }
}

fn failed(output: &Output, said: &str) -> Error {
    Failure::of_fetch(output.killed, format!("go mod download: {}", one_line(said))).into()
}

/// Waits for the download while it makes progress.
fn watch(mut child: Child, store: &Store, version: &str, step: &Step) -> Result<Output> {
    let stdout = drain(child.stdout.take());
    let stderr = drain(child.stderr.take());
    let files = store.cache().join("mod/cache/download").join(TOOLCHAIN_MODULE).join("@v");
    let (mut size, mut ticks, mut since) = (0, 0, Instant::now());
    let status = loop {
        if let Some(status) = child.try_wait().context("cannot wait for go mod download")? {
            break status;
        }
        let (now, worked) = (downloaded_bytes(&files, version), processor_ticks(child.id()));
        if now != size || worked >= ticks + WORKING_TICKS {
            (size, ticks, since) = (now, worked, Instant::now());
            step.set(size);
        }
        if since.elapsed() > store.timeout {
            child.kill().context("cannot end go mod download")?;
            child.wait().context("cannot wait for go mod download")?;
            let (module, limit) = (TOOLCHAIN_MODULE, store.timeout.as_secs());
            let text = format!(
                "go mod download of {module}@{version} made no progress for {limit} s after {size} bytes"
            );
            return Err(Failure::new(Stage::Fetch, text).into());
        }
        std::thread::sleep(POLL);
    };
    let text = |thread: std::thread::JoinHandle<String>| thread.join().unwrap_or_default();
    Ok(output(status, text(stdout), text(stderr)))
}

/// What has arrived of one version: its finished and its temporary files.
fn downloaded_bytes(folder: &Path, version: &str) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let own =
        entries.filter(|entry| entry.file_name().to_str().is_some_and(|name| name.starts_with(version)));
    own.filter_map(|entry| entry.metadata().ok()).map(|metadata| metadata.len()).sum()
}

/// Makes an unpacked toolchain runnable. Doing it twice, or in two processes at once, does no harm.
pub fn prepare(goroot: &Path) -> Result<()> {
    rename_go_mods(&goroot.join("src")).with_context(|| format!("cannot prepare {}", goroot.display()))?;
    for folder in ["pkg/tool", "bin"] {
        let folder = goroot.join(folder);
        if folder.is_dir() {
            allow_exec(&folder).with_context(|| format!("cannot make {} executable", folder.display()))?;
        }
    }
    Ok(())
}

fn rename_go_mods(folder: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            rename_go_mods(&entry.path())?;
        } else if entry.file_name() == "_go.mod" && !folder.join("go.mod").exists() {
            let temporary = folder.join(format!(".go.mod.{}", std::process::id()));
            fs::copy(entry.path(), &temporary)?;
            fs::rename(&temporary, folder.join("go.mod"))?;
        }
    }
    Ok(())
}

fn allow_exec(folder: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            allow_exec(&entry.path())?;
        } else {
            let mode = entry.metadata()?.permissions().mode();
            fs::set_permissions(entry.path(), fs::Permissions::from_mode(mode | 0o555))?;
        }
    }
    Ok(())
}
