//! A library is added in five places: the files of `tests/toy` in a copy of this repository, one line in each of two tables.
//! Needs the eBPF toolchain (`scripts/build-ebpf` installs it). That it compiles is for every run of `scripts/test`; that its spans
//! come needs root, BPF and a build of everything, and is for `scripts/test --full`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use strobe_tests::collector::Collector;
use strobe_tests::golang;
use strobe_tests::machine::{require_probes, run, workspace};
use strobe_tests::process::{PATIENCE, Running};
use strobe_tests::spans::Value;

/// Where each file of `tests/toy` goes.
const FILES: [(&str, &str); 5] = [
    ("catalog.toml", "offsets/catalog/toy-wheel.toml"),
    ("target.go", "offsets/catalog/targets/toy-wheel.go"),
    ("shared.rs", "runtime-ebpf/src/libraries/toy_wheel.rs"),
    ("programs.rs", "runtime-ebpf/src/programs/toy_wheel.rs"),
    ("agent.rs", "runtime/src/libraries/toy_wheel.rs"),
];

#[test]
fn a_library_in_five_places_compiles() -> Result<()> {
    let toy = Toy::new("compiles")?;
    toy.objects()?;
    toy.cargo(&["check", "-p", "runtime", "--lib"], &[])
}

#[test]
fn a_library_in_five_places_has_its_spans() -> Result<()> {
    require_probes()?;
    let toy = Toy::new("spans")?;
    toy.objects()?;
    toy.cargo(&["build", "--release", "-p", "runtime", "--bin", "strobe"], &[]).context("the agent")?;
    // The tables agree, and the verifier takes it.
    let tests = ["test", "--release", "-p", "runtime", "--lib"];
    toy.cargo(&tests, &["programs::tests"]).context("the agent's tests of its tables")?;

    let app = toy.folder.join("app");
    let (_, go) = golang::installed_or_newest()?;
    let source = workspace().join("tests/toy/app");
    let build = ["build", "-ldflags=-s -w", "-o"];
    run(Command::new(go.join("bin/go"))
        .args(build)
        .arg(&app)
        .arg(".")
        .current_dir(&source)
        .env("GOTOOLCHAIN", "local"))?;

    let collector = Collector::start()?;
    let turns = [3_i64, 1_000, 70_000];
    let mut command = Command::new(toy.target().join("release/strobe"));
    command.args(["exec", "--strict", "--"]).arg(&app).args(turns.map(|n| n.to_string()));
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint()).env("OTEL_TRACES_EXPORTER", "otlp");
    let mut agent = Running::start(&mut command)?;
    let status = agent.wait(PATIENCE)?;
    ensure!(status.success(), "{status}:\n{}", agent.output());
    let spans = collector.take()?;
    let mut got: Vec<i64> = Vec::new();
    for span in &spans {
        ensure!(span.span.name == "turn" && span.scope == "strobe/toy", "{span:?}");
        match span.attributes.get("toy.turns") {
            Some(Value::Int(n)) => got.push(*n),
            other => anyhow::bail!("toy.turns is {other:?}"),
        }
    }
    got.sort_unstable();
    ensure!(got == turns, "{got:?}:\n{}", agent.output());
    Ok(())
}

/// A copy of this repository with the library in it, always in the same place: what is built of it is kept by its path.
struct Toy {
    folder: PathBuf,
    copy: PathBuf,
}

impl Toy {
    fn new(name: &str) -> Result<Self> {
        let here = workspace();
        let folder = here.join("target/toy").join(name);
        let copy = folder.join("strobe");
        if copy.exists() {
            fs::remove_dir_all(&copy).with_context(|| format!("removing {}", copy.display()))?;
        }
        copy_tracked(&here, &copy)?;
        for (from, to) in FILES {
            let (from, to) = (here.join("tests/toy").join(from), copy.join(to));
            fs::copy(&from, &to).with_context(|| format!("copying to {}", to.display()))?;
        }
        let code = 1 + add_line(&copy, "runtime-ebpf/src/libraries.rs", |code| {
            format!("{code} toy_wheel TOY_WHEEL \"strobe.test/toy\";")
        })?;
        let agents = add_line(&copy, "runtime/src/libraries/mod.rs", |_| "toy_wheel::ToyWheel;".to_owned())?;
        ensure!(agents + 1 == code, "the tables have {agents} and {} lines", code - 1);
        Ok(Self { folder, copy })
    }

    /// Builds the eBPF objects anew, with the toy's programs.
    fn objects(&self) -> Result<()> {
        run(Command::new(self.copy.join("scripts/build-ebpf")).current_dir(&self.copy))
            .context("the eBPF objects")?;
        Ok(())
    }

    fn cargo(&self, command: &[&str], last: &[&str]) -> Result<()> {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(command).args(["--locked", "--quiet", "--target-dir"]).arg(self.target()).args(last);
        run(cargo.current_dir(&self.copy))?;
        Ok(())
    }

    /// To cargo the crates of a copy are those of the original, wherever it lies: in one folder they would be built in each other's place.
    fn target(&self) -> PathBuf {
        self.folder.join("target")
    }
}

/// Adds a line, made with its number, behind the last of a file's table, and says how many there were.
fn add_line(copy: &Path, file: &str, line: impl FnOnce(usize) -> String) -> Result<usize> {
    let path = copy.join(file);
    let text = fs::read_to_string(&path)?;
    let lines: Vec<&str> = text.lines().collect();
    let is_row = |line: &str| {
        let words: Vec<&str> = line.trim().split(' ').collect();
        match words[..] {
            [code, _, _, id] => code.parse::<u16>().is_ok() && id.starts_with('"') && id.ends_with("\";"),
            [pair] => pair.contains("::") && pair.ends_with(';') && line.starts_with(' '),
            _ => false,
        }
    };
    let last = lines.iter().rposition(|line| is_row(line)).with_context(|| format!("{file} has no table"))?;
    let rows = lines.iter().filter(|line| is_row(line)).count();
    let added = line(rows + 1);
    let (before, behind) = lines.split_at(last + 1);
    fs::write(&path, [before, &[added.as_str()], behind].concat().join("\n") + "\n")?;
    Ok(rows)
}

/// Every file that git knows, as it is here.
fn copy_tracked(from: &Path, to: &Path) -> Result<()> {
    let listed = run(Command::new("git").args(["ls-files", "-z"]).current_dir(from))?;
    for name in String::from_utf8(listed.stdout)?.split('\0').filter(|name| !name.is_empty()) {
        let target = to.join(name);
        fs::create_dir_all(target.parent().context("a folder")?)?;
        // A file that is deleted here and still known.
        if from.join(name).exists() {
            fs::copy(from.join(name), &target).with_context(|| format!("copying {name}"))?;
        }
    }
    Ok(())
}
