//! A service that calls itself and a second one, 64 callers at once, over HTTP/1.1, HTTP/2 and HTTP/2 without TLS, by net/http's clients and
//! golang.org/x/net's, in all the ways in which a handler's work gets to other goroutines (`tests/apps/forest`). Both write down what they
//! did, and the spans have to be exactly that forest: each request once on either side, with its attributes, served below its call, and that
//! below the request that it was made for, or below nobody; a request that says itself whose it is, below that.
//!
//! 2,500 requests by the first service, which are 9,000 spans with those of the second. `STROBE_FOREST` says how many else; then none may be
//! missing at half of the load that the services can take, and at all of it no more than one span in 10,000, each counted as lost.
//! `scripts/test --full` makes 100,000 requests and more.

mod compare;
mod truth;

use std::collections::HashSet;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use strobe_tests::agent::{losses, strobe, tracing};
use strobe_tests::built::Recipe;
use strobe_tests::client::Connection;
use strobe_tests::collector::Collector;
use strobe_tests::golang::{self, go};
use strobe_tests::machine;
use strobe_tests::process::Running;
use strobe_tests::spans::Received;

use compare::Differences;
use truth::Node;

const HOST: &str = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };

macro_rules! sources {
    ($($name:literal)+) => { &[$(($name, include_str!(concat!("../../apps/forest/", $name)))),+] };
}

/// All but go.mod, which is said anew for each version.
const SOURCES: &[(&str, &str)] = sources!("call.go" "main.go" "node.go" "serve.go" "truth.go" "workers.go");

/// Requests by the first service, unless it is said how many.
const REQUESTS: usize = 2_500;
const CALLERS: usize = 64;
/// For each request that is made: far more than the slowest machine needs.
const PATIENCE_EACH: Duration = Duration::from_millis(20);

/// What came of one run.
struct Run {
    due: usize,
    differences: Differences,
    /// What the agent says that it lost.
    lost: u64,
    said: String,
    /// Requests a second that callers began by themselves.
    rate: u64,
}

/// One of the two services.
struct Service {
    app: Running,
    name: &'static str,
    address: SocketAddr,
    places: String,
    log: std::path::PathBuf,
}

impl Service {
    fn start(program: &Path, name: &'static str, more: &[(&str, String)]) -> Result<Self> {
        let log = program.with_file_name(format!("{name}.log"));
        let mut command = Command::new(program);
        command.env("OTEL_SERVICE_NAME", name).env("FOREST_NAME", name).env("FOREST_LOG", &log);
        let app = Running::start(command.envs(more.iter().map(|(name, value)| (name, value))))?;
        let last = |line: String| line.rsplit([' ', '/']).next().unwrap_or_default().to_owned();
        let address = last(app.expect_stdout("listening on ", 0)?).parse().context("an address")?;
        let places = last(app.expect_stdout("places ", 0)?);
        Ok(Self { app, name, address, places, log })
    }

    fn ask(&self, path: &str) -> Result<()> {
        let mut connection = Connection::open(self.address)?;
        connection.send(format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.address).as_bytes())?;
        let answer = connection.receive(false)?.context("no answer")?;
        ensure!(answer.status == 200, "{path}: {}", String::from_utf8_lossy(&answer.body));
        Ok(())
    }

    /// What it has written down.
    fn truth(&self) -> Result<Vec<Node>> {
        self.ask("/written")?;
        let text = fs::read_to_string(&self.log).context("what a service has done")?;
        text.lines().map(|line| truth::node(self.name, line).with_context(|| line.to_owned())).collect()
    }
}

/// Runs both services and the agent; `rate` is how many requests a second callers begin by themselves at most, 0 for all they can.
fn run(program: &Path, requests: usize, rate: u64, wraps: bool) -> Result<Run> {
    let collector = Collector::start()?;
    let exe = program.to_str().context("path")?;
    let mut command = strobe(&["run", "--exe", exe])?;
    command
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint())
        .env("OTEL_TRACES_EXPORTER", "otlp")
        .env("OTEL_BSP_MAX_QUEUE_SIZE", "65536")
        .env("OTEL_BSP_SCHEDULE_DELAY", "200");
    let mut agent = Running::start(&mut command)?;
    agent.expect_stderr("waiting for a process", 0)?;
    let mut second = Service::start(program, "b", &[])?;
    let more = [
        ("FOREST_PEER", second.places.clone()),
        ("FOREST_REQUESTS", requests.to_string()),
        ("FOREST_CALLERS", CALLERS.to_string()),
        ("FOREST_RATE", rate.to_string()),
    ];
    let mut first = Service::start(program, "a", &more)?;
    for service in [&first, &second] {
        agent.expect_stderr(&tracing(service.app.pid()), 0)?;
    }
    if wraps {
        first.ask("/go?first")?;
        first.app.expect_stdout("first", 0)?;
        agent.expect_stderr("net/http.servemux: attached", 0)?;
    }
    first.ask("/go")?;
    let limit = Duration::from_secs(30) + PATIENCE_EACH * u32::try_from(requests)?;
    let done = first.app.stdout.wait_for("done ", 0, limit).with_context(|| first.app.output())?;
    let words: Vec<u64> = done.split(' ').filter_map(|word| word.parse().ok()).collect();
    let [began, ms] = words.as_slice() else { anyhow::bail!("{done}") };
    let mut due = first.truth()?;
    due.extend(second.truth()?);
    collector.wait_for(due.len(), Duration::from_secs(10));
    let status = agent.terminate()?;
    ensure!(status.success(), "strobe ended with {status}:\n{}", agent.output());
    for service in [&mut first, &mut second] {
        let status = service.app.terminate()?;
        ensure!(status.success(), "{} ended with {status}:\n{}", service.name, service.app.output());
    }
    let spans: Vec<Received> = collector.take()?;
    if wraps {
        forget_late_routes(&mut due, &spans)?;
    }
    let differences = compare::compare(&due, &spans);
    let lost = losses(&agent).values().sum();
    Ok(Run { due: due.len(), differences, lost, said: agent.output(), rate: began * 1000 / (*ms).max(1) })
}

fn program(version: &str, net: &str, text: &str) -> Result<(tempfile::TempDir, std::path::PathBuf)> {
    machine::require_probes()?;
    let modules = &[("golang.org/x/net", net), ("golang.org/x/text", text)];
    // Older than that, it has another ServeMux.
    let module = format!(
        "module strobe.test/forest\n\ngo 1.22\n\nrequire golang.org/x/net {net}\n\nrequire golang.org/x/text {text}\n"
    );
    let files = [&[("go.mod", module.as_str())], SOURCES].concat();
    let args = &["-ldflags=-s -w"];
    let built = Recipe { version, arch: HOST, mode: "exe", args, files: &files, modules }.build()?;
    let folder = tempfile::tempdir().context("a folder for the test")?;
    let program = folder.path().join("forest");
    machine::copy_program(&built, &program)?;
    Ok((folder, program))
}

/// With Go 1.27 the newer golang.org/x/net are wrappers around net/http, and `h2c.NewHandler`'s requests have their route from ServeMux's
/// look-up, whose probe is attached when the first of them lacks it (docs/strobe.md). The first are those before the load.
fn forget_late_routes(due: &mut [Node], spans: &[Received]) -> Result<()> {
    let first: Vec<String> = (1..=8).map(|nth| format!("a-{nth}")).collect();
    let lacking: HashSet<&str> = spans
        .iter()
        .filter(|span| span.span.kind() == SpanKind::Server && !span.attributes.contains_key("http.route"))
        .filter_map(compare::id)
        .collect();
    let mut late = 0;
    for node in due.iter_mut().filter(|node| node.kind == SpanKind::Server && first.contains(&node.id)) {
        if lacking.contains(node.id.as_str()) {
            late += 1;
            node.attributes.remove("http.route");
            node.name = node.attributes.get("http.request.method").cloned().unwrap_or_default();
        }
    }
    ensure!(late > 0, "each of the first requests had its route");
    Ok(())
}

fn exact(version: &str, net: &str, text: &str) -> Result<()> {
    let wanted = std::env::var("STROBE_FOREST").ok().and_then(|text| text.parse().ok());
    let requests = wanted.unwrap_or(REQUESTS);
    let wraps = golang::minor(version) >= 27 && net == "v0.62.0";
    let (_folder, program) = program(version, net, text)?;
    let whole = run(&program, requests, 0, wraps)?;
    println!("{} spans due at {} requests a second and theirs: {}", whole.due, whole.rate, whole.differences);
    ensure!(whole.due >= 2 * requests, "{} spans were due", whole.due);
    ensure!(whole.differences.is_right(), "{}\n{}", whole.differences.text(), whole.said);
    let missing = whole.differences.missing.len();
    if wanted.is_none() {
        ensure!(missing == 0 && whole.lost == 0, "{}\n{}", whole.differences.text(), whole.said);
        return Ok(());
    }
    ensure!(missing <= whole.due / 10_000, "{missing} are missing\n{}", whole.said);
    ensure!(
        whole.lost >= missing as u64,
        "{missing} are missing, {} are counted\n{}",
        whole.lost,
        whole.said
    );
    let half = run(&program, requests, (whole.rate / 2).max(1), wraps)?;
    println!("{} spans due at {} requests a second and theirs: {}", half.due, half.rate, half.differences);
    let none = half.differences.is_right() && half.differences.missing.is_empty() && half.lost == 0;
    ensure!(none, "at half the load: {}\n{}", half.differences.text(), half.said);
    Ok(())
}

macro_rules! versions {
    ($($name:ident: $go:expr, $net:literal, $text:literal;)+) => { $(
        #[test]
        fn $name() -> Result<()> { exact($go, $net, $text) }
    )+ };
}

versions! {
    go1_22_v0_30: go(22), "v0.30.0", "v0.19.0";
    go1_24_v0_44: go(24), "v0.44.0", "v0.29.0";
    go1_26_v0_62: go(26), "v0.62.0", "v0.43.0";
    go1_27_v0_62: go(27), "v0.62.0", "v0.43.0";
}
