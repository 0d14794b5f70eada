//! A library is added in five places: the files of `tests/toy` in a copy of this repository, one line in each of two tables.
//! Needs root, BPF and the eBPF toolchain (`scripts/build-ebpf` installs it); builds everything, so that it is for
//! `scripts/test --full`.

use std::fs;
use std::path::Path;
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
/// The two lines, each with the line that it follows.
const LINES: [(&str, &str, &str); 2] = [
    (
        "runtime-ebpf/src/libraries.rs",
        r#"1 net_http_server NET_HTTP_SERVER "net/http.server";"#,
        r#"2 toy_wheel TOY_WHEEL "strobe.test/toy";"#,
    ),
    ("runtime/src/libraries/mod.rs", "    net_http_server::NetHttpServer;", "toy_wheel::ToyWheel;"),
];

#[test]
fn a_library_is_added_in_five_places_and_has_its_spans() -> Result<()> {
    require_probes()?;
    let (here, folder) = (workspace(), tempfile::tempdir().context("a folder for the copy")?);
    let copy = folder.path().join("strobe");
    copy_tracked(&here, &copy)?;
    for (from, to) in FILES {
        let (from, to) = (here.join("tests/toy").join(from), copy.join(to));
        fs::copy(&from, &to).with_context(|| format!("copying to {}", to.display()))?;
    }
    for (file, after, line) in LINES {
        let path = copy.join(file);
        let text = fs::read_to_string(&path)?;
        ensure!(text.matches(after).count() == 1, "{file} has another table: where is {after:?}?");
        fs::write(&path, text.replace(after, &format!("{after}\n{line}")))?;
    }
    run(Command::new(copy.join("scripts/build-ebpf")).current_dir(&copy)).context("the eBPF objects")?;
    // What is not of this workspace is the same as here, and built already.
    let target = here.join("target/toy");
    let build =
        ["build", "--release", "--locked", "--quiet", "-p", "runtime", "--bin", "strobe", "--target-dir"];
    run(Command::new(env!("CARGO")).args(build).arg(&target).current_dir(&copy)).context("the agent")?;
    // The tables agree, and the verifier takes it.
    let test = ["test", "--release", "--locked", "--quiet", "-p", "runtime", "--lib", "--target-dir"];
    run(Command::new(env!("CARGO")).args(test).arg(&target).arg("programs::tests").current_dir(&copy))
        .context("the agent's tests of its tables")?;

    let app = folder.path().join("app");
    let (_, go) = golang::installed_or_newest()?;
    let source = here.join("tests/toy/app");
    let build = ["build", "-ldflags=-s -w", "-o"];
    run(Command::new(go.join("bin/go"))
        .args(build)
        .arg(&app)
        .arg(".")
        .current_dir(&source)
        .env("GOTOOLCHAIN", "local"))?;

    let collector = Collector::start()?;
    let turns = [3_i64, 1_000, 70_000];
    let mut command = Command::new(target.join("release/strobe"));
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
