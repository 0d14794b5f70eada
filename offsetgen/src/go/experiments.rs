//! Which of Go's experiments can change a layout: those that the source of the recorded packages asks about.
//!
//! | file of a toolchain | says |
//! |---|---|
//! | `src/internal/goexperiment/flags.go` | the experiments: the fields of `type Flags struct` |
//! | `src/internal/buildcfg/exp.go` | which are on by default: `baseline := goexperiment.Flags{ Name: … }` |
//!
//! An experiment is asked about by a constant (`goexperiment.SwissMap`) or a build constraint (`goexperiment.swissmap`).
//! Each is then compiled, the other way round than by default; whether a layout changes is seen, not guessed.
//!
//! Deliberately not here: `regabiwrappers` and `regabiargs`, which change the calling convention of Go itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context, Result, bail};

const CALLING_CONVENTION: [&str; 2] = ["regabiwrappers", "regabiargs"];

/// GOEXPERIMENT of every build that a toolchain's packages call for: `noswissmap`, `greenteagc`.
pub fn of(goroot: &Path, packages: &BTreeSet<String>) -> Result<Vec<String>> {
    let source = goroot.join("src");
    let read = |file: &str| {
        let path = source.join(file);
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    };
    let known = flags(&read("internal/goexperiment/flags.go")?, &read("internal/buildcfg/exp.go")?);
    // Every release from 1.19 on has some, and has some of them on.
    if !known.values().any(|on| *on) {
        bail!(
            "internal/goexperiment/flags.go and internal/buildcfg/exp.go do not read as they did up to Go 1.27"
        );
    }
    let mut asked = BTreeSet::new();
    for package in packages {
        let folder = source.join(package);
        let files = match fs::read_dir(&folder) {
            Ok(files) => files,
            // A package that this release does not have.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(error).with_context(|| format!("cannot list {}", folder.display())),
        };
        for file in files {
            let path = file.with_context(|| format!("cannot list {}", folder.display()))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.ends_with(".go") && !name.ends_with("_test.go") {
                let text =
                    fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
                asked.extend(mentioned(&text));
            }
        }
    }
    let wanted = known.iter().filter(|(name, _)| {
        // A number stands beside the constant for use in expressions: `HeapMinimum512KiBInt`.
        asked.contains(*name) || asked.contains(&format!("{name}int"))
    });
    let named = wanted.filter(|(name, _)| !CALLING_CONVENTION.contains(&name.as_str()));
    Ok(named.map(|(name, on)| if *on { format!("no{name}") } else { name.clone() }).collect())
}

/// What is asked about in one file, in small letters.
fn mentioned(text: &str) -> impl Iterator<Item = String> {
    text.split("goexperiment.").skip(1).map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
        rest.get(..end).unwrap_or_default().to_ascii_lowercase()
    })
}

/// All experiments, in small letters, and whether they are on by default.
fn flags(flags: &str, defaults: &str) -> BTreeMap<String, bool> {
    let fields = flags.split("type Flags struct {").nth(1).and_then(|rest| rest.split("\n}").next());
    let names = fields.unwrap_or_default().lines().filter_map(|line| line.trim().strip_suffix(" bool"));
    let mut all: BTreeMap<String, bool> = names
        .flat_map(|names| names.split(',').map(|name| name.trim().to_ascii_lowercase()))
        .map(|name| (name, false))
        .collect();
    let baseline = defaults.split("goexperiment.Flags{").nth(1).and_then(|rest| rest.split('}').next());
    for line in baseline.unwrap_or_default().lines() {
        if let Some((name, value)) = line.split_once(':')
            && let Some(on) = all.get_mut(&name.trim().to_ascii_lowercase())
        {
            *on = value.trim().trim_end_matches(',') != "false";
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLAGS: &str = "package goexperiment\n\n// Flags is\ntype Flags struct {\n\tFieldTrack bool\n\n\t// Comment.\n\
        \tSwissMap bool\n\tGreenTeaGC bool\n\tRegabiArgs     bool\n}\n\nvar other struct {\n\tNone bool\n}\n";
    const DEFAULTS: &str = "\tbaseline := goexperiment.Flags{\n\t\tRegabiArgs: regabiSupported,\n\t\tSwissMap: true,\n\
        \t\tGreenTeaGC: false,\n\t}\n";

    #[test]
    fn all_flags_and_their_defaults() {
        let expected =
            [("fieldtrack", false), ("greenteagc", false), ("regabiargs", true), ("swissmap", true)];
        assert_eq!(flags(FLAGS, DEFAULTS), expected.map(|(name, on)| (name.to_owned(), on)).into());
    }

    #[test]
    fn those_that_are_asked_about() {
        let goroot = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| {
            let path = goroot.path().join("src").join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            fs::write(path, text).expect("written");
        };
        write("internal/goexperiment/flags.go", FLAGS);
        write("internal/buildcfg/exp.go", DEFAULTS);
        write("runtime/map.go", "//go:build goexperiment.swissmap\n");
        write("runtime/abi.go", "if goexperiment.RegabiArgs {");
        write("runtime/a_test.go", "if goexperiment.FieldTrack {");
        write("runtime/gc.go", "var x [goexperiment.GreenTeaGCInt]int");
        let packages = ["runtime", "gone"].map(str::to_owned).into();
        assert_eq!(of(goroot.path(), &packages).expect("read"), ["greenteagc", "noswissmap"]);
        write("internal/buildcfg/exp.go", "var baseline = other()\n");
        assert!(
            of(goroot.path(), &packages).is_err(),
            "files that read otherwise are no release without experiments"
        );
    }
}
