//! Go toolchains, by way of `offsetgen toolchain`, and the Go programs under `tests/apps` built with them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::{machine, profile, programs, spans};

/// The newest patch of every minor release that the analyzer reads, in the order of `analyzer::go::release::RELEASES`. Nothing else
/// in the tests names a patch.
pub const PATCHES: [&str; 10] = [
    "1.18.10", "1.19.13", "1.20.14", "1.21.13", "1.22.12", "1.23.12", "1.24.13", "1.25.14", "1.26.11",
    "1.27.4",
];

/// One that is older than all that can be read.
pub const TOO_OLD: &str = "1.17.13";

/// The minor release that the list begins with, which is read and not traced.
const OLDEST_READ: usize = 18;

/// The newest patch of a minor release: `go(22)` is one of Go 1.22.
pub const fn go(minor: usize) -> &'static str {
    PATCHES[minor - OLDEST_READ]
}

/// Those that the agent traces.
pub fn traced() -> &'static [&'static str] {
    &PATCHES[1..]
}

/// The minor number of a version such as `1.26.8`.
pub fn minor(version: &str) -> u32 {
    version.split('.').nth(1).and_then(|m| m.parse().ok()).unwrap_or(0)
}

/// The first of these; `STROBE_MATRIX=full` (as `scripts/test --full` sets) takes all. For builds that compile the standard library anew.
pub fn few(versions: [&'static str; 3]) -> impl Iterator<Item = &'static str> {
    let all = std::env::var("STROBE_MATRIX").is_ok_and(|v| v == "full");
    versions.into_iter().take(if all { 3 } else { 1 })
}

/// How a program is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Build {
    /// As `go build` does it: symbols and DWARF.
    Plain,
    /// `-ldflags='-s -w'`: neither.
    Stripped,
    /// Stripped, and built with a profile by which `serverHandler.ServeHTTP` is inlined (`-pgo`, Go 1.21).
    Profiled,
    /// The same with a profile that has `finishRequest` inlined too, as those of real load do.
    Loaded,
    /// The same with one of a client over HTTP/2, that has `RoundTripOpt` inlined.
    Calling,
}

impl Build {
    /// The ordinary ones.
    pub const ALL: [Build; 2] = [Build::Plain, Build::Stripped];

    /// What its profile says.
    fn hot(self) -> &'static [profile::Hot] {
        match self {
            Build::Plain | Build::Stripped => &[],
            Build::Profiled => &[profile::SERVE_HTTP],
            Build::Loaded => &[profile::SERVE_HTTP, profile::FINISH_REQUEST],
            Build::Calling => &[profile::BUNDLED_ROUND_TRIP, profile::INTERNAL_ROUND_TRIP],
        }
    }

    fn ldflags(self) -> &'static str {
        match self {
            Build::Plain => "",
            Build::Stripped | Build::Profiled | Build::Loaded | Build::Calling => "-s -w",
        }
    }
}

/// The root of a Go toolchain of exactly that version.
pub fn toolchain(version: &str) -> Result<PathBuf> {
    let out = Command::new(programs::path("offsetgen")?).args(["toolchain", version]).output();
    let out = out.context("run offsetgen toolchain")?;
    if !out.status.success() {
        bail!("offsetgen toolchain {version}: {}\n{}", out.status, String::from_utf8_lossy(&out.stderr));
    }
    let text = String::from_utf8(out.stdout).context("offsetgen toolchain: stdout")?;
    let root = PathBuf::from(text.lines().last().unwrap_or_default().trim());
    if !root.join("bin/go").is_file() {
        bail!("offsetgen toolchain {version} printed {text:?}, which holds no bin/go");
    }
    Ok(root)
}

/// Version and root of the Go on PATH if its mux knows patterns (1.22), else of one from the cache.
pub fn installed_or_newest() -> Result<(String, PathBuf)> {
    let asked = Command::new("go").args(["env", "GOVERSION", "GOROOT"]).env("GOTOOLCHAIN", "local").output();
    if let Ok(out) = asked
        && out.status.success()
    {
        let text = String::from_utf8_lossy(&out.stdout);
        let mut lines = text.lines();
        let version = lines.next().unwrap_or_default().trim_start_matches("go").to_owned();
        let root = PathBuf::from(lines.next().unwrap_or_default());
        if minor(&version) >= 22 && root.join("bin/go").is_file() {
            return Ok((version, root));
        }
    }
    let [.., version, _] = PATCHES;
    Ok((version.to_owned(), toolchain(version)?))
}

/// Builds `tests/apps/APP`, or takes the build of the same sources made before. The file is shared: run a copy of it.
pub fn build(app: &str, version: &str, build: Build) -> Result<PathBuf> {
    cached(app, version, build, HOST, || toolchain(version))
}

/// The same for another architecture, as `GOARCH` has it.
pub fn build_for(app: &str, version: &str, build: Build, goarch: &str) -> Result<PathBuf> {
    cached(app, version, build, goarch, || toolchain(version))
}

/// The same with a toolchain that is already there.
pub fn build_with(app: &str, version: &str, root: &Path, build: Build) -> Result<PathBuf> {
    cached(app, version, build, HOST, || Ok(root.to_path_buf()))
}

/// The architecture that programs are built for unless said otherwise: this machine's.
const HOST: &str = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };

fn cached(
    app: &str,
    version: &str,
    build: Build,
    goarch: &str,
    root: impl FnOnce() -> Result<PathBuf>,
) -> Result<PathBuf> {
    let source = machine::workspace().join("tests/apps").join(app);
    let digest = digest(&source, version, build)?;
    let built = machine::cache_dir("apps")?.join(format!("{app}-{version}-{goarch}-{build:?}-{digest}"));
    if built.is_file() {
        return Ok(built);
    }
    // A name of its own until it is whole: two tests may build the same program.
    let folder = tempfile::tempdir_in(machine::cache_dir("apps")?)?;
    let partial = folder.path().join(app);
    let root = root()?;
    let profile = match build.hot() {
        [] => None,
        hot => {
            let file = partial.with_extension("pprof");
            fs::write(&file, profile::of_calls(&root.join("src/net/http"), hot)?)
                .context("write the profile")?;
            Some(file)
        }
    };
    compile(&source, &root, build.ldflags(), profile.as_deref(), goarch, &partial)
        .with_context(|| format!("build {app} with Go {version}"))?;
    machine::settle(&partial, &built)?;
    Ok(built)
}

/// Builds `tests/apps/APP`, stripped, with the CPU profile of a program that ran.
pub fn build_guided(app: &str, version: &str, profile: &Path, to: &Path) -> Result<()> {
    let source = machine::workspace().join("tests/apps").join(app);
    compile(&source, &toolchain(version)?, Build::Stripped.ldflags(), Some(profile), HOST, to)
        .with_context(|| format!("build {app} with Go {version} and a profile"))
}

fn compile(
    source: &Path,
    root: &Path,
    ldflags: &str,
    profile: Option<&Path>,
    goarch: &str,
    to: &Path,
) -> Result<()> {
    let mut go = Command::new(root.join("bin/go"));
    go.args(["build", "-buildvcs=false", "-ldflags", ldflags, "-o"]).arg(to);
    if let Some(profile) = profile {
        go.arg("-pgo").arg(profile);
    }
    go.arg(".");
    go.current_dir(source)
        .env("GOROOT", root)
        .env("GOFLAGS", "")
        .env("GOTOOLCHAIN", "local")
        .env("GOWORK", "off")
        .env("CGO_ENABLED", "0")
        .env("GOARCH", goarch)
        .env("GOCACHE", machine::cache_dir("go-build")?);
    // What a go.sum vouches for is fetched with the machine's `GOPROXY`.
    if source.join("go.sum").is_file() {
        go.env("GOMODCACHE", machine::cache_dir("gomod")?);
    } else {
        go.env("GOPROXY", "off");
    }
    let out = go.output().context("run go")?;
    if !out.status.success() {
        bail!("go build: {}\n{}", out.status, String::from_utf8_lossy(&out.stderr));
    }
    Ok(())
}

/// Names everything that the build depends on.
fn digest(source: &Path, version: &str, build: Build) -> Result<String> {
    let mut files = fs::read_dir(source)
        .with_context(|| format!("read {}", source.display()))?
        .map(|entry| entry.map(|e| e.path()))
        .collect::<Result<Vec<_>, _>>()?;
    files.sort();
    let mut hash = Sha256::new();
    hash.update(format!("{version} {build:?} {}\n", build.ldflags()));
    for file in files.iter().filter(|f| f.is_file()) {
        let bytes = fs::read(file).with_context(|| format!("read {}", file.display()))?;
        hash.update(format!("{} {}\n", file.display(), bytes.len()));
        hash.update(&bytes);
    }
    Ok(spans::hex(&hash.finalize()).chars().take(16).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use analyzer::go::release::RELEASES;

    /// A release that the analyzer learns to read is tested wherever all are.
    #[test]
    fn every_release_that_is_read_has_its_newest_patch() {
        let read: Vec<u32> = RELEASES.iter().map(|release| release.minor.0.into()).collect();
        assert_eq!(PATCHES.map(minor).to_vec(), read, "analyzer/src/go/release.rs and PATCHES");
        assert!(read.iter().all(|&release| minor(go(release as usize)) == release));
    }
}
