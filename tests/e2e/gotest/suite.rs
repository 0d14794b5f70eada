//! The tests of one package as a program, and its runs.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use strobe_tests::collector::Collector;
use strobe_tests::golang;
use strobe_tests::machine;
use strobe_tests::process::Running;

use super::verdicts::{self, Verdicts};

/// So long before one gives up the tests end themselves, and say what each goroutine waits for.
const NOTICE: Duration = Duration::from_secs(60);

/// How often a test is run alone to see whether it fails without the agent too.
pub const ALONE: usize = 300;
/// No longer than that, however long it takes.
const ALONE_TIMEOUT: &str = "-test.timeout=2m";

/// A package whose tests are run.
#[derive(Debug, Clone, Copy)]
pub struct Package {
    /// Import path.
    pub path: &'static str,
    /// The module that it is of, and which version; without one it is of the standard library.
    pub module: Option<(&'static str, &'static str)>,
    /// How many tests it has at least, subtests counted too.
    pub tests: usize,
    /// The instrumentation scope of the spans that they have to make, or else the agent was deaf.
    pub scope: &'static str,
    /// How many of them at least.
    pub spans: usize,
}

/// `net/http`.
pub const NET_HTTP: Package =
    Package { path: "net/http", module: None, tests: 1_000, scope: "strobe/net/http", spans: 1_000 };
/// gRPC, in the newest version that the other tests have.
const GRPC_MODULE: Option<(&str, &str)> = Some(("google.golang.org/grpc", "v1.85.0"));
/// What gRPC has at its outside.
pub const GRPC: Package = Package {
    path: "google.golang.org/grpc/test",
    module: GRPC_MODULE,
    tests: 400,
    scope: "strobe/google.golang.org/grpc",
    spans: 1_000,
};
/// Most of them use a transport without a client or a server above it, and make no span.
pub const GRPC_TRANSPORT: Package =
    Package { path: "google.golang.org/grpc/internal/transport", tests: 150, spans: 5, ..GRPC };

/// Its tests, compiled and stripped as what is run in production is.
#[derive(Debug)]
pub struct Suite {
    pub package: Package,
    pub program: PathBuf,
    /// Of the toolchain.
    pub root: PathBuf,
    /// Where the package's source is, which some tests read.
    pub source: PathBuf,
    /// How long a run may take.
    pub patience: Duration,
}

/// What came of a run.
#[derive(Debug)]
pub struct Run {
    pub verdicts: Verdicts,
    pub took: Duration,
}

/// What came of a run under the agent.
#[derive(Debug)]
pub struct Traced {
    pub run: Run,
    /// How many spans of the package's scope were exported.
    pub spans: usize,
    /// How many spans were exported.
    pub all: usize,
    /// What the agent says that it lost.
    pub lost: Vec<String>,
    /// What the agent said; and the tests, but for what others than themselves print in standard output.
    pub log: String,
}

impl Suite {
    /// Compiles them with a version of Go, into this folder.
    pub fn build(package: Package, version: &str, folder: &Path, patience: Duration) -> Result<Self> {
        let root = golang::toolchain(version)?;
        let required = package.module.map(|(path, version)| format!("require {path} {version}\n"));
        let minor = golang::minor(version);
        let module =
            format!("module example.com/tests\n\ngo 1.{minor}.0\n\n{}", required.unwrap_or_default());
        std::fs::write(folder.join("go.mod"), module)?;
        let program = folder.join("package.test");
        machine::run(
            go(&root, folder)?.args(["test", "-c", "-ldflags=-s -w", "-o"]).arg(&program).arg(package.path),
        )?;
        let out = machine::run(go(&root, folder)?.args(["list", "-f", "{{.Dir}}", package.path]))?;
        let source = PathBuf::from(String::from_utf8(out.stdout)?.trim());
        Ok(Self { package, program, root, source, patience })
    }

    /// Runs them without the agent.
    pub fn run(&self) -> Result<Run> {
        self.finish(Command::new(&self.program)).map(|(run, _)| run)
    }

    /// Whether a test fails when it is run alone, again and again, without the agent.
    pub fn fails_alone(&self, test: &str) -> Result<bool> {
        // Each part of a name is a pattern of its own.
        let pattern = test.split('/').map(|part| format!("^{part}$")).collect::<Vec<_>>().join("/");
        let mut command = Command::new(&self.program);
        command.arg(format!("-test.run={pattern}")).arg(format!("-test.count={ALONE}"));
        command.args(["-test.failfast", "-test.short", "-test.v=test2json", ALONE_TIMEOUT]);
        let mut running = Running::start(self.surround(&mut command))?;
        // A time that is up is no test's failure: it is the whole program's, and no line says that one has failed.
        running.wait(self.patience)?;
        let said = running.stdout.all();
        Ok(said.iter().any(|line| line.contains(&format!("--- FAIL: {test} "))))
    }

    /// Runs them under this agent, which sends what it builds to a collector.
    pub fn run_traced(&self, mut command: Command) -> Result<Traced> {
        let collector = Collector::start()?;
        command.args(["exec", "--strict", "--"]).arg(&self.program);
        command.env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint());
        command.env("OTEL_TRACES_EXPORTER", "otlp").env("OTEL_BSP_MAX_QUEUE_SIZE", "65536");
        let (run, log) = self.finish(command)?;
        let spans = collector.take()?;
        let of_scope = spans.iter().filter(|span| span.scope == self.package.scope).count();
        let enough = of_scope >= self.package.spans && run.verdicts.len() >= self.package.tests;
        ensure!(enough, "{of_scope} spans of {} tests: {log}", run.verdicts.len());
        // `NAME +N, NAME +N`; what is said of other programs, such as the go command's, is none.
        let said = log.lines().filter_map(|line| line.split_once("Z  WARN "));
        let lost = said.map(|(_, said)| said.to_owned()).filter(|said| said.contains(" +")).collect();
        Ok(Traced { lost, run, spans: of_scope, all: spans.len(), log })
    }

    /// Gives them what they expect: some of them read their own sources, and some run the go command.
    fn surround<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        let path =
            format!("{}:{}", self.root.join("bin").display(), std::env::var("PATH").unwrap_or_default());
        command.current_dir(&self.source);
        command.env("GOROOT", &self.root).env("GOTOOLCHAIN", "local").env("PATH", path)
    }

    /// Runs a command that runs them; what is worth reading of what they said, too.
    fn finish(&self, mut command: Command) -> Result<(Run, String)> {
        let timeout = format!("-test.timeout={}s", self.patience.saturating_sub(NOTICE).as_secs());
        command.args(["-test.short", "-test.v=test2json", &timeout]);
        let begin = Instant::now();
        let mut running = Running::start(self.surround(&mut command))?;
        let status = running.wait(self.patience)?;
        let took = begin.elapsed();
        let verdicts = verdicts::read(&running.stdout.all());
        let is_failed = !verdicts::failed(&verdicts).is_empty();
        ensure!(status.success() || is_failed, "{status}, and no test failed: {}", running.output());
        let count = verdicts.len();
        ensure!(count >= self.package.tests, "{count} tests were run:\n{}", running.output());
        // `    channelz_test.go:1416: got 2, want 3 to 7`: why one failed.
        let said = running.stdout.all().into_iter().filter(|line| line.contains("_test.go:"));
        let said: Vec<String> = said.collect();
        Ok((Run { verdicts, took }, format!("{}\n{}", said.join("\n"), running.stderr.text())))
    }
}

/// The go command, in a module that requires the package's. So its version stands in the program, as it does in what is run in
/// production; in a copy of the module itself there would be none.
fn go(root: &Path, folder: &Path) -> Result<Command> {
    let mut go = Command::new(root.join("bin/go"));
    go.current_dir(folder).env("GOROOT", root).env("GOTOOLCHAIN", "local").env("CGO_ENABLED", "0");
    go.env("GOWORK", "off").env("GOFLAGS", "-mod=mod").env("GOMODCACHE", machine::cache_dir("gomod")?);
    go.env("GOCACHE", machine::cache_dir("go-build")?);
    Ok(go)
}
