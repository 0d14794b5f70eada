//! The agent and the service of a test: how they are started, and what the agent says.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::process::Running;
use crate::programs;

/// The name that the services run under.
pub const SERVICE: &str = "httpserver under test";

/// What the agent prints when it traces a process: the start of it, since another id may begin with the same digits.
pub fn tracing(pid: u32) -> String {
    format!("tracing pid {pid} ")
}

/// `strobe` without any configuration of the surroundings.
pub fn strobe(args: &[&str]) -> Result<Command> {
    let mut command = Command::new(programs::path("strobe")?);
    for (name, _) in std::env::vars_os().filter(|(n, _)| n.to_string_lossy().starts_with("OTEL_")) {
        command.env_remove(name);
    }
    // Where probes may write, handlers would be children of the calls that a program makes to itself: that has tests of its own, and everybody
    // else sees the same on every machine.
    command.args(args).env("STROBE_PROPAGATION", "correlate");
    Ok(command)
}

/// The agent has said something with these words in it, once.
pub fn says_once(agent: &Running, words: &str) -> Result<()> {
    let said: Vec<String> = agent.stderr.all().into_iter().filter(|line| line.contains(words)).collect();
    ensure!(said.len() == 1, "{words:?} was said {} times: {said:#?}", said.len());
    Ok(())
}

/// What the agent says that it lost, by counter: its warnings have `NAME +N` since the line before.
pub fn losses(agent: &Running) -> BTreeMap<String, u64> {
    let mut losses = BTreeMap::new();
    for line in agent.stderr.all().iter().filter(|line| line.contains(" WARN ")) {
        let words: Vec<&str> = line.split([' ', ',']).filter(|w| !w.is_empty()).collect();
        for (name, more) in words.iter().zip(words.iter().skip(1)) {
            if let Some(more) = more.strip_prefix('+').and_then(|n| n.parse::<u64>().ok()) {
                *losses.entry((*name).to_owned()).or_insert(0) += more;
            }
        }
    }
    losses
}

/// A running service and where it listens.
#[derive(Debug)]
pub struct Service {
    /// The process.
    pub running: Running,
    /// Its listener for HTTP.
    pub http: SocketAddr,
    /// Its listener for HTTPS, as a URL.
    pub https: String,
}

impl Service {
    /// Waits until it listens; `nth`: for the how manieth time in its output.
    pub fn started(running: Running, nth: usize) -> Result<Self> {
        let http = running.expect_stdout("listening on http://", nth)?;
        let https = running.expect_stdout("listening on https://", nth)?;
        let http = http.rsplit('/').next().unwrap_or_default().parse().context("the service's address")?;
        let https = https.rsplit(' ').next().unwrap_or_default().to_owned();
        Ok(Service { running, http, https })
    }

    /// Ends it.
    pub fn stop(&mut self) -> Result<()> {
        let status = self.running.terminate()?;
        ensure!(status.success(), "the service ended with {status}:\n{}", self.running.output());
        Ok(())
    }
}

/// What the agent says when OpenTelemetry's API hands a program's spans to the Auto SDK.
pub const HANDED: &str = "hands its spans to the Auto SDK from now on";

/// Whether probes may write into the programs that they are in, as `strobe features` has tried.
pub fn writes_from_probes() -> Result<bool> {
    let out = strobe(&["features", "--json"])?.output().context("run strobe features")?;
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let lines = text.lines().map(serde_json::from_str::<serde_json::Value>);
    let found = lines.flatten().find(|feature| feature["name"] == "writing from probes");
    found
        .and_then(|feature| feature["available"].as_bool())
        .with_context(|| format!("no such feature: {text}"))
}
