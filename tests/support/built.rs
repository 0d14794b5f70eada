//! Go programs built in unusual ways: any toolchain, architecture and mode, further arguments, files written for the
//! occasion. Kept in the cache under a digest of all that went in.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};

use crate::{golang, machine, spans};

/// `offsetgen toolchain` has none that are older.
const OLDEST_OF_OFFSETGEN: u32 = 19;

/// A server: everything that the entries of `net/http` name is reachable.
pub const SERVER: &str = r#"package main

import "net/http"

func main() {
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(204) })
	panic(http.ListenAndServe("127.0.0.1:0", nil))
}
"#;

/// How to build.
#[derive(Debug, Clone, Copy)]
pub struct Recipe<'a> {
    /// A version that `offsetgen toolchain` knows.
    pub version: &'a str,
    /// `GOARCH`.
    pub arch: &'a str,
    /// `-buildmode`.
    pub mode: &'a str,
    /// Further arguments of `go build`; `{}` in them stands for the folder of the source.
    pub args: &'a [&'a str],
    /// Files beside go.mod, by name; one of that name replaces it.
    pub files: &'a [(&'a str, &'a str)],
    /// What go.mod requires, path and version; fetched with the machine's `GOPROXY`.
    pub modules: &'a [(&'a str, &'a str)],
}

impl<'a> Recipe<'a> {
    /// A plain build of the server.
    pub fn server(version: &'a str, files: &'a [(&'a str, &'a str)]) -> Self {
        Recipe { version, arch: "amd64", mode: "exe", args: &[], files, modules: &[] }
    }

    /// Whether a C compiler is part of it, as it is by default where there is one (scripts/setup installs it): said by the source,
    /// by the mode, or by any `-linkmode`.
    fn needs_c(&self) -> bool {
        let linked = self.args.iter().any(|a| a.contains("-linkmode="));
        let has_c = self.files.iter().any(|(_, text)| text.contains("import \"C\""));
        has_c || linked || !["exe", "pie"].contains(&self.mode)
    }

    /// Builds, or takes the build of before.
    pub fn build(&self) -> Result<PathBuf> {
        let digest = spans::hex(&Sha256::digest(format!("{self:?}")));
        let short = digest.get(..16).unwrap_or(&digest);
        let name = format!("{}-{}-{}-{short}", self.version, self.arch, self.mode);
        let built = machine::cache_dir("built")?.join(name);
        if built.is_file() {
            return Ok(built);
        }
        let folder = tempfile::tempdir_in(machine::cache_dir("built")?)?;
        let partial = folder.path().join("out");
        self.compile(folder.path(), &partial).with_context(|| format!("{self:?}"))?;
        machine::settle(&partial, &built)?;
        Ok(built)
    }

    fn compile(&self, folder: &Path, to: &Path) -> Result<()> {
        let root = toolchain(self.version)?;
        let source = machine::cache_dir("built-source")?.join(to_name(folder));
        fs::create_dir_all(&source)?;
        let required: String = self.modules.iter().map(|(m, v)| format!("require {m} {v}\n")).collect();
        fs::write(source.join("go.mod"), format!("module example.com/app\n\ngo 1.17\n\n{required}"))?;
        for (name, text) in self.files {
            let path = source.join(name);
            fs::create_dir_all(path.parent().unwrap_or(&source))?;
            fs::write(path, text)?;
        }
        let place = source.to_string_lossy();
        let mut go = Command::new(root.join("bin/go"));
        go.args(["build", "-trimpath", "-buildmode", self.mode, "-o"]).arg(to);
        if golang::minor(self.version) >= 18 {
            go.arg("-buildvcs=false");
        }
        go.args(self.args.iter().map(|a| a.replace("{}", &place))).arg(".").current_dir(&source);
        go.env("GOROOT", &root).env("GOARCH", self.arch).env("GOOS", "linux");
        go.env("CGO_ENABLED", if self.needs_c() { "1" } else { "0" });
        go.env("GOTOOLCHAIN", "local").env("GOWORK", "off");
        if self.modules.is_empty() {
            go.env("GOENV", "off").env("GOFLAGS", "").env("GOPROXY", "off");
        } else {
            go.env("GOFLAGS", "-mod=mod").env("GOMODCACHE", machine::cache_dir("gomod")?);
        }
        go.env("GOCACHE", machine::cache_dir("go-build")?);
        let out = go.output().context("run go")?;
        fs::remove_dir_all(&source).context("remove the source")?;
        ensure!(out.status.success(), "go build: {}\n{}", out.status, String::from_utf8_lossy(&out.stderr));
        Ok(())
    }
}

fn to_name(folder: &Path) -> String {
    folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// A toolchain, also one of before those that strobe supports.
pub fn toolchain(version: &str) -> Result<PathBuf> {
    if golang::minor(version) >= OLDEST_OF_OFFSETGEN {
        return golang::toolchain(version);
    }
    let (_, root) = golang::installed_or_newest()?;
    let module = format!("golang.org/toolchain@v0.0.1-go{version}.linux-amd64");
    let mut go = Command::new(root.join("bin/go"));
    go.args(["mod", "download", "-json", &module]).env("GOTOOLCHAIN", "local").env("GOFLAGS", "-modcacherw");
    go.env("GOMODCACHE", machine::cache_dir("gomod")?).current_dir(machine::cache_dir("gomod")?);
    let out = go.output().context("run go")?;
    ensure!(out.status.success(), "{module}: {}", String::from_utf8_lossy(&out.stdout));
    let said: serde_json::Value = serde_json::from_slice(&out.stdout).context("go mod download")?;
    let root = PathBuf::from(said["Dir"].as_str().context("go mod download names no folder")?);
    // A module's zip keeps no execute bits.
    for folder in ["bin", "pkg/tool/linux_amd64"] {
        for entry in fs::read_dir(root.join(folder))? {
            fs::set_permissions(entry?.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
        }
    }
    Ok(root)
}
