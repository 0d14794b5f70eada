//! A digest of the source of some packages: two versions that share it have the same layouts.
//!
//! Only files that can be part of a build for linux on amd64 or arm64 count, and no tests. Comments count: to know them
//! apart takes a parser, and costs less than it saves.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::hex::hex;

/// The parts of the Go compiler that lay structs out, assign registers and inline: for the standard library they are part
/// of the source, since each release brings its own.
pub const COMPILER: [&str; 5] = [
    "cmd/compile/internal/abi",
    "cmd/compile/internal/inline",
    "cmd/compile/internal/types",
    "internal/buildcfg",
    "internal/goexperiment",
];

/// Words at the end of a file's name that keep it out of both architectures' builds (go/build, knownOS and knownArch).
const OTHERS: [&str; 39] = [
    "386",
    "aix",
    "android",
    "arm",
    "armbe",
    "arm64be",
    "darwin",
    "dragonfly",
    "freebsd",
    "hurd",
    "illumos",
    "ios",
    "js",
    "loong64",
    "mips",
    "mips64",
    "mips64le",
    "mips64p32",
    "mips64p32le",
    "mipsle",
    "nacl",
    "netbsd",
    "openbsd",
    "plan9",
    "ppc",
    "ppc64",
    "ppc64le",
    "riscv",
    "riscv64",
    "s390",
    "s390x",
    "solaris",
    "sparc",
    "sparc64",
    "wasip1",
    "wasm",
    "windows",
    "zos",
    "test",
];

/// The Go files of a folder that can be part of a build.
pub fn files(folder: &Path) -> Result<Vec<String>> {
    let names = fs::read_dir(folder).and_then(Iterator::collect::<std::io::Result<Vec<_>>>);
    let names = names.with_context(|| format!("cannot list {}", folder.display()))?;
    let is_go = |name: &str| name.ends_with(".go") && counts(name);
    let paths = names.into_iter().filter(|entry| is_go(&entry.file_name().to_string_lossy()));
    paths
        .map(|entry| entry.path())
        .map(|p| fs::read_to_string(&p).with_context(|| format!("cannot read {}", p.display())))
        .collect()
}

/// Digests packages, each found by `folder`; one without a folder counts as absent.
pub fn digest(packages: &BTreeSet<String>, folder: impl Fn(&str) -> Option<PathBuf>) -> Result<String> {
    let mut hash = Sha256::new();
    for package in packages {
        hash.update(format!("package {package}\n"));
        match folder(package).filter(|folder| folder.is_dir()) {
            Some(folder) => digest_folder(&folder, &mut hash)?,
            None => hash.update("absent\n"),
        }
    }
    Ok(format!("sha256:{}", hex(&hash.finalize())))
}

fn digest_folder(folder: &Path, hash: &mut Sha256) -> Result<()> {
    let read = || -> std::io::Result<Vec<(String, PathBuf)>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if counts(&name) && entry.file_type()?.is_file() {
                files.push((name, entry.path()));
            }
        }
        Ok(files)
    };
    let mut files = read().with_context(|| format!("cannot list {}", folder.display()))?;
    files.sort();
    for (name, path) in files {
        let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        hash.update(format!("{}  {name}\n", hex(&Sha256::digest(&bytes))));
    }
    Ok(())
}

/// Whether a file can be part of a build.
fn counts(name: &str) -> bool {
    let Some((stem, extension)) = name.rsplit_once('.') else { return false };
    // A name without an underscore before the word is not constrained: `windows.go` is an ordinary file.
    let mut words = stem.split('_').skip(1).collect::<Vec<_>>();
    words.reverse();
    ["go", "s", "h"].contains(&extension) && !words.iter().take(2).any(|word| OTHERS.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_a_build() {
        for name in
            ["a.go", "a_linux.go", "asm_amd64.s", "x_linux_arm64.go", "windows.go", "go_asm.h", "a_unix.go"]
        {
            assert!(counts(name), "{name}");
        }
        for name in
            ["a_test.go", "a_windows.go", "a_windows_amd64.go", "sys_riscv64.s", "README.md", "go.mod"]
        {
            assert!(!counts(name), "{name}");
        }
    }

    #[test]
    fn every_byte_and_name_counts_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let packages = BTreeSet::from(["p".to_owned()]);
        let of = || digest(&packages, |name| Some(folder.path().join(name))).expect("a digest");
        let absent = of();
        fs::create_dir(folder.path().join("p")).expect("a folder");
        let empty = of();
        fs::write(folder.path().join("p/a.go"), "package p").expect("written");
        let one = of();
        fs::write(folder.path().join("p/a_test.go"), "package p").expect("written");
        assert_eq!(of(), one);
        fs::write(folder.path().join("p/b.go"), "").expect("written");
        let two = of();
        fs::write(folder.path().join("p/a.go"), "package q").expect("written");
        let all = BTreeSet::from([absent, empty, one, two, of()]);
        assert_eq!(all.len(), 5);
    }
}
