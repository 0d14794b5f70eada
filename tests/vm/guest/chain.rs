//! Three services that call one another in every way, with agents that know nothing of each other: what goes on from one service to the next
//! is the context that was written into the request, where probes may write.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use strobe_tests::agent::losses;
use strobe_tests::collector::Collector;
use strobe_tests::http_client::carried::{counted, shown};
use strobe_tests::process::Running;
use strobe_tests::propagation::chain::{self, Differences, Service, compare};

use crate::bench::{Bench, PATIENCE, install, tracing};
use crate::features::writes_from_probes;

/// Five of each pair of ways.
const CHAINS: usize = 180;
const CALLERS: usize = 4;
const SPANS_OF_A_CHAIN: usize = 4;
/// The services, first to last, with the Go that each is built with. The last one calls nobody.
const SERVICES: [(&str, &str); 3] = [("a", "1.27"), ("b", "1.22"), ("c", "1.24")];
const NAMES: [&str; 3] = ["a", "b", "c"];
/// What requests call the next service: its address, and a name as services have in a cluster. The longer one makes buffers larger.
const AUTHORITIES: [&str; 2] = ["", "orders.default.svc.cluster.local:8080"];
/// Over HTTP/1.x there is always room.
const LINES: [&str; 2] = ["h1", "h1s"];
/// What the agents count of requests, by these endings of the counters' names.
const NO_ROOM: &[&str] = &["context.no_room", "context.h2.no_room"];
const WRITTEN: &[&str] = &["context.written", "context.h2.written"];
const OWN: &[&str] = &["context.own"];
const CLIENTS: [&str; 3] = ["net_http_client", "x_net_http2_client", "grpc_client"];

/// What came of a run: what differs from one trace each, and what the agents have said.
struct Run {
    differences: Differences,
    /// Of the agent of the first service and the last, which calls nobody; and of the one between.
    logs: [String; 2],
}

impl Run {
    /// What these agents have counted.
    fn counted(&self, agents: &[usize], names: &[&str]) -> u64 {
        let of = |log: &String| -> u64 {
            let all =
                CLIENTS.iter().flat_map(|client| names.iter().map(move |name| format!("{client}.{name}")));
            all.map(|name| counted(log, &name)).sum()
        };
        agents.iter().filter_map(|agent| self.logs.get(*agent)).map(of).sum()
    }

    fn text(&self) -> String {
        let [first, second] = &self.logs;
        format!("{}\n{}\n{}", self.differences.text(), shown(first), shown(second))
    }
}

/// All is one trace but for what had no room, and that is counted; a context of the program's own stays the only one.
pub fn contexts() -> Result<String> {
    let written = writes_from_probes();
    let mut said = vec![format!("{CHAINS} chains, contexts written: {written}")];
    for authority in AUTHORITIES {
        let run = run(authority, false)?;
        let differences = &run.differences;
        let orphans = differences.orphans.len();
        let rest = if written { run.counted(&[0, 1], NO_ROOM) } else { 2 * CHAINS as u64 };
        let none_wrong = differences.wrong.is_empty() && differences.missing.is_empty();
        ensure!(none_wrong && orphans as u64 == rest, "{rest} are due to be without: {}", run.text());
        let of_lines = LINES.iter().filter_map(|way| differences.by_way.get(way));
        ensure!(!written || of_lines.into_iter().all(|[none, _]| *none == 0), "{}", run.text());
        let name = if authority.is_empty() { "an address" } else { authority };
        said.push(format!("without room, to {name}: {}", shares(&differences.by_way)));
    }
    let run = run(AUTHORITIES[1], true)?;
    let differences = &run.differences;
    let rest = if written { run.counted(&[1], NO_ROOM) } else { CHAINS as u64 };
    let none_wrong = differences.wrong.is_empty() && differences.missing.is_empty();
    ensure!(none_wrong && differences.orphans.len() as u64 == rest, "their own: {}", run.text());
    let (own, others) = (run.counted(&[0], OWN), run.counted(&[0], WRITTEN));
    ensure!(!written || (own, others) == (CHAINS as u64, 0), "{own} and {others}: {}", run.text());
    Ok(said.join("; "))
}

fn shares(by_way: &BTreeMap<&'static str, [usize; 2]>) -> String {
    let share = |(way, [none, all]): (&&str, &[usize; 2])| format!("{way} {none} of {all}");
    by_way.iter().map(share).collect::<Vec<_>>().join(", ")
}

/// Runs the chains; `own`: the first service sends a context of its own.
fn run(authority: &str, own: bool) -> Result<Run> {
    let bench = Bench::of("chain", SERVICES[0].1)?;
    let mut programs = Vec::new();
    for (name, version) in SERVICES {
        let folder = PathBuf::from("/tmp/case").join(name);
        std::fs::create_dir_all(&folder)?;
        let program = folder.join("chain");
        install(version, &program)?;
        programs.push(program);
    }
    let [a, b, c] = programs.as_slice() else { anyhow::bail!("three services") };
    // Neighbours have different ones.
    let mut agents = [agent(&bench.collector, &[a, c])?, agent(&bench.collector, &[b])?];
    let mut last = service("c", c, &[], authority)?;
    let mut middle = service("b", b, &[("CHAIN_NEXT", &last.places)], authority)?;
    let (chains, callers) = (CHAINS.to_string(), CALLERS.to_string());
    let more = [
        ("CHAIN_OWN", if own { "1" } else { "" }),
        ("CHAIN_NEXT", middle.places.as_str()),
        ("CHAIN_REQUESTS", &chains),
        ("CHAIN_CALLERS", &callers),
    ];
    let mut first = service("a", a, &more, authority)?;
    for (agent, nth) in [(&agents[0], 0), (&agents[0], 1), (&agents[1], 0)] {
        tracing(agent, nth)?;
    }
    first.begin()?;
    first.done_within(CHAINS, PATIENCE)?;
    bench.collector.wait_for(SPANS_OF_A_CHAIN * CHAINS, PATIENCE);
    for agent in &mut agents {
        agent.signal(libc::SIGTERM)?;
        let status = agent.wait(PATIENCE)?;
        ensure!(status.success(), "strobe ended with {status}:\n{}", agent.output());
        let lost = losses(agent);
        ensure!(lost.is_empty(), "lost {lost:?}:\n{}", shown(&agent.output()));
    }
    for service in [&mut first, &mut middle, &mut last] {
        service.app.signal(libc::SIGTERM)?;
        ensure!(service.app.wait(PATIENCE)?.success(), "a service ended badly:\n{}", service.app.output());
    }
    let sent = own.then_some(chain::own as chain::Own);
    let differences = compare(&bench.collector.take()?, NAMES, 1, CHAINS, sent);
    Ok(Run { differences, logs: agents.map(|agent| agent.output()) })
}

fn service(name: &str, program: &PathBuf, more: &[(&str, &str)], authority: &str) -> Result<Service> {
    let mut command = Command::new(program);
    command.env("OTEL_SERVICE_NAME", name).env("CHAIN_ID", name).env("CHAIN_AUTHORITY", authority);
    command.envs(more.iter().copied());
    Service::started(Running::start(&mut command)?, PATIENCE)
}

/// An agent of these programs.
fn agent(collector: &Collector, programs: &[&PathBuf]) -> Result<Running> {
    let mut command = Command::new(crate::bench::STROBE);
    command.arg("run");
    for program in programs {
        command.args(["--exe", program.to_str().context("path")?]);
    }
    command
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint())
        .env("OTEL_TRACES_EXPORTER", "otlp")
        .env("OTEL_BSP_SCHEDULE_DELAY", "200")
        .env("OTEL_LOG_LEVEL", "debug")
        .env("STROBE_PROPAGATION", "write");
    let agent = Running::start(&mut command)?;
    let waits = agent.stderr.wait_for("waiting for a process", 0, PATIENCE);
    waits.with_context(|| format!("strobe never waited for processes:\n{}", agent.output()))?;
    Ok(agent)
}
