//! Go's own tests of net/http, under the agent: what passes without it passes with it. Needs root and BPF; `scripts/test --full`
//! runs it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use strobe_tests::agent::strobe;
use strobe_tests::golang::{self, go};
use strobe_tests::machine;
use strobe_tests::process::Running;

/// A run takes ten seconds here.
const PATIENCE: Duration = Duration::from_secs(300);
/// What Go's tests say of each of theirs: its name, and PASS, FAIL or SKIP.
type Verdicts = BTreeMap<String, String>;

#[test]
fn net_http_s_own_tests_do_not_see_the_agent() -> Result<()> {
    machine::require_probes()?;
    for version in [go(26), go(27)] {
        let suite = Suite::build(version)?;
        let without = [suite.run(false)?.0, suite.run(false)?.0];
        let shaky: Vec<&String> =
            without[0].keys().filter(|test| without[0].get(*test) != without[1].get(*test)).collect();
        println!("Go {version}: {} tests; not the same twice without the agent: {shaky:?}", without[0].len());
        let failed: Vec<_> = without[0].iter().filter(|(_, verdict)| *verdict == "FAIL").collect();
        println!("failed without the agent: {failed:?}");
        for _ in 0..2 {
            let (with, log) = suite.run(true)?;
            let is_other = |test: &&String| !shaky.contains(test) && with.get(*test) != without[0].get(*test);
            let others: Vec<&String> = without[0].keys().chain(with.keys()).filter(is_other).collect();
            ensure!(others.is_empty(), "Go {version}: other results under the agent: {others:?}\n{log}");
            let spans =
                log.lines().find_map(|line| line.split_once("INFO ")?.1.strip_suffix(" spans were built"));
            let spans: u64 = spans.with_context(|| format!("no spans: {log}"))?.parse()?;
            ensure!(spans > 1_000, "Go {version}: {spans} spans of more than a thousand tests: {log}");
        }
    }
    Ok(())
}

/// The compiled tests.
struct Suite {
    folder: tempfile::TempDir,
    root: PathBuf,
}

impl Suite {
    fn build(version: &str) -> Result<Self> {
        let (folder, root) = (tempfile::tempdir()?, golang::toolchain(version)?);
        let mut go = Command::new(root.join("bin/go"));
        go.args(["test", "-c", "-o"]).arg(folder.path().join("http.test")).arg("net/http");
        go.current_dir(root.join("src/net/http")).env("GOROOT", &root).env("GOTOOLCHAIN", "local");
        go.env("GOFLAGS", "").env("GOCACHE", machine::cache_dir("go-build")?);
        machine::run(&mut go)?;
        Ok(Self { folder, root })
    }

    /// What each test said; and the agent's log.
    fn run(&self, traced: bool) -> Result<(Verdicts, String)> {
        let tests = self.folder.path().join("http.test");
        let mut command = if traced {
            let mut strobe = strobe(&["exec", "--strict", "--"])?;
            strobe.arg(&tests).env("OTEL_TRACES_EXPORTER", "none");
            strobe
        } else {
            Command::new(&tests)
        };
        // Some of them read their own sources, and some run the go command.
        let path = format!("{}:{}", self.root.join("bin").display(), std::env::var("PATH")?);
        command.args(["-test.short", "-test.v"]).current_dir(self.root.join("src/net/http"));
        command.env("GOROOT", &self.root).env("GOTOOLCHAIN", "local").env("PATH", path);
        let mut running = Running::start(&mut command)?;
        let status = running.wait(PATIENCE)?;
        let verdicts = verdicts(&running.stdout.all());
        let is_failed = verdicts.values().any(|verdict| verdict == "FAIL");
        ensure!(status.success() || is_failed, "{status}, and no test failed: {}", running.output());
        ensure!(verdicts.len() > 1_000, "{} tests were run", verdicts.len());
        let log = running.stderr.all().join("\n");
        Ok((verdicts, log))
    }
}

fn verdicts(said: &[String]) -> Verdicts {
    // `    --- PASS: TestServeFile/h2 (0.01s)`; another test's output may stand in front of it on its line.
    let line = |line: &String| {
        let (_, rest) = line.split_once("--- ")?;
        let (verdict, rest) = rest.split_once(": ")?;
        let is_one = ["PASS", "FAIL", "SKIP"].contains(&verdict);
        is_one.then(|| (rest.split(' ').next().unwrap_or_default().to_owned(), verdict.to_owned()))
    };
    said.iter().filter_map(line).collect()
}
