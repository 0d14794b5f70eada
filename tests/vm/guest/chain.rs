//! Three services that call one another in every way, with agents that know nothing of each other: what goes on from one service to the next
//! is the context that was written into the request, where probes may write.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use strobe_tests::collector::Collector;
use strobe_tests::http_client::carried::shown;
use strobe_tests::process::Running;
use strobe_tests::propagation::chain::{self, Service, compare};
use strobe_tests::spans::Received;

use crate::bench::{PATIENCE, STROBE, ended, install, left_without_loss, tracing};
use crate::features::writes_from_probes;

/// Two of each pair of ways.
const CHAINS: usize = 72;
const CALLERS: usize = 4;
const SPANS_OF_A_CHAIN: usize = 4;
/// The Go that each service is built with, first to last. The last one calls nobody.
const VERSIONS: [&str; 3] = ["1.27", "1.22", "1.24"];

/// Chains of a kind.
struct Kind {
    /// The services' names.
    names: [&'static str; 3],
    /// What requests call the next service; empty: its address.
    authority: &'static str,
    /// Whether the first service sends a context of its own.
    own: bool,
}

/// To an address, and to a name as services have in a cluster: the longer one makes buffers larger.
const KINDS: [Kind; 3] = [
    Kind { names: ["a1", "b1", "c1"], authority: "", own: false },
    Kind { names: ["a2", "b2", "c2"], authority: "orders.default.svc.cluster.local:8080", own: false },
    Kind { names: ["a3", "b3", "c3"], authority: "orders.default.svc.cluster.local:8080", own: true },
];
/// Over HTTP/1.x there is always room.
const LINES: [&str; 2] = ["h1", "h1s"];
/// What the agents count of requests, by these endings of the counters' names.
pub const NO_ROOM: &[&str] = &["context.no_room", "context.h2.no_room"];
pub const WRITTEN: &[&str] = &["context.written", "context.h2.written"];
pub const OWN: &[&str] = &["context.own"];
const CLIENTS: [&str; 3] = ["net_http_client", "x_net_http2_client", "grpc_client"];

/// What the programs have counted by this name; 0 where the log does not say it.
pub fn counted(log: &str, name: &str) -> u64 {
    let last = log.lines().rev().find(|line| line.contains("counters: [")).unwrap_or_default();
    let said = last.split_once(&format!("name: \"{name}\", value: ")).map_or("", |(_, said)| said);
    said.split(',').next().and_then(|value| value.parse().ok()).unwrap_or(0)
}

/// What these agents have counted, of all clients.
pub fn counted_by(logs: &[String], names: &[&str]) -> u64 {
    let of = |log: &String| -> u64 {
        let all = CLIENTS.iter().flat_map(|client| names.iter().map(move |name| format!("{client}.{name}")));
        all.map(|name| counted(log, &name)).sum()
    };
    logs.iter().map(of).sum()
}

/// All is one trace but for what had no room, and that is counted; a context of the program's own stays the only one.
pub fn contexts() -> Result<String> {
    let written = writes_from_probes();
    let (spans, logs) = run()?;
    let said_by_agents = || logs.iter().map(|log| shown(log)).collect::<Vec<_>>().join("\n");
    let mut said = vec![format!("{} chains, contexts written: {written}", KINDS.len() * CHAINS)];
    let mut orphans = 0;
    let mut states = [0; 2];
    for Kind { names, authority, own } in KINDS {
        let differences = compare(&spans, names, 1, CHAINS, own.then_some(chain::own as chain::Own));
        let wrong = differences.wrong.len() + differences.missing.len();
        let of_lines =
            LINES.iter().filter_map(|way| differences.by_way.get(way)).map(|[none, _]| none).sum::<usize>();
        ensure!(wrong == 0 && !(written && of_lines > 0), "{}\n{}", differences.text(), said_by_agents());
        orphans += differences.orphans.len();
        states = [0, 1].map(|nth| states[nth] + differences.states[nth]);
        let what = if authority.is_empty() { "an address" } else { authority };
        let whose = if own { ", their own first" } else { "" };
        said.push(format!("without a context, to {what}{whose}: {}", differences.shares()));
    }
    // A service calls the next one twice in each chain; the first one of the last kind has its own.
    let (calls, own) = (2 * KINDS.len() * CHAINS, CHAINS);
    if written {
        let [carried, theirs, none] = [WRITTEN, OWN, NO_ROOM].map(|names| counted_by(&logs, names));
        let is_all =
            carried + theirs + none == calls as u64 && theirs == own as u64 && none == orphans as u64;
        ensure!(
            is_all,
            "{carried} + {theirs} + {none}, {orphans} without:\n{}\n{}",
            said.join("\n"),
            said_by_agents()
        );
        // What the first one's own says of its trace goes on behind what names the trace.
        let [with, without] = ["tracestate.written", "tracestate.no_room"]
            .map(|name| logs.iter().map(|log| counted(log, name)).sum::<u64>() as usize);
        ensure!(
            states == [with, without] && with > 0,
            "{states:?}, {with} and {without}:\n{}",
            said_by_agents()
        );
        said.push(format!("tracestate: {with} written, {without} without room"));
    } else {
        ensure!(orphans == calls - own, "{}", said.join("\n"));
    }
    Ok(said.join("; "))
}

/// Runs all chains; their spans, and what the agents have said.
fn run() -> Result<(Vec<Received>, Vec<String>)> {
    let collector = Collector::start()?;
    let mut programs = Vec::new();
    for (nth, version) in VERSIONS.iter().enumerate() {
        let folder = PathBuf::from(format!("/tmp/case/{nth}"));
        std::fs::create_dir_all(&folder)?;
        let program = folder.join("chain");
        install(version, &program)?;
        programs.push(program);
    }
    let [a, b, c] = programs.as_slice() else { anyhow::bail!("three services") };
    // Neighbours have different ones.
    let mut agents = [agent(&collector, &[a, c])?, agent(&collector, &[b])?];
    for agent in &agents {
        let waits = agent.stderr.wait_for("waiting for a process", 0, PATIENCE);
        waits.with_context(|| format!("strobe never waited for processes:\n{}", agent.output()))?;
    }
    for (round, kind) in KINDS.iter().enumerate() {
        chains(&agents, round, [a, b, c], kind)?;
        collector.wait_for(SPANS_OF_A_CHAIN * CHAINS * (round + 1), PATIENCE);
    }
    for agent in &mut agents {
        left_without_loss(agent)?;
    }
    Ok((collector.take()?, agents.map(|agent| agent.output()).to_vec()))
}

/// Runs those of one kind.
fn chains(agents: &[Running; 2], round: usize, programs: [&PathBuf; 3], kind: &Kind) -> Result<()> {
    let ([a, b, c], [first, middle, last]) = (programs, kind.names);
    let mut last = service(last, c, &[], kind.authority)?;
    let mut middle = service(middle, b, &[("CHAIN_NEXT", &last.places)], kind.authority)?;
    let (chains, callers) = (CHAINS.to_string(), CALLERS.to_string());
    let more = [
        ("CHAIN_OWN", if kind.own { "1" } else { "" }),
        ("CHAIN_NEXT", middle.places.as_str()),
        ("CHAIN_REQUESTS", &chains),
        ("CHAIN_CALLERS", &callers),
    ];
    let mut first = service(first, a, &more, kind.authority)?;
    for (agent, nth) in [(&agents[0], 2 * round), (&agents[0], 2 * round + 1), (&agents[1], round)] {
        tracing(agent, nth)?;
    }
    first.begin()?;
    first.done_within(CHAINS, PATIENCE)?;
    for service in [&mut first, &mut middle, &mut last] {
        ended(&mut service.app)?;
    }
    Ok(())
}

fn service(name: &str, program: &PathBuf, more: &[(&str, &str)], authority: &str) -> Result<Service> {
    let mut command = Command::new(program);
    command.env("OTEL_SERVICE_NAME", name).env("CHAIN_ID", name).env("CHAIN_AUTHORITY", authority);
    command.envs(more.iter().copied());
    Service::started(Running::start(&mut command)?, PATIENCE)
}

/// An agent of these programs.
fn agent(collector: &Collector, programs: &[&PathBuf]) -> Result<Running> {
    let mut command = Command::new(STROBE);
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
    Running::start(&mut command)
}
