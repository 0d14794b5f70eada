//! The three modes and one round of each.

use std::{net::SocketAddr, path::PathBuf, process::Command, time::Duration};

use analyzer::{Options, Plan};
use anyhow::{Context as _, Result, bail};
use aya::{
    Ebpf,
    programs::{
        UProbe,
        uprobe::{UProbeAttachLocation, UProbeScope},
    },
};
use strobe_tests::{
    collector::Collector,
    golang::{self, Build},
    process::Running,
    programs,
};

use crate::{
    load,
    measure::{self, Runs},
};

/// What is attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Nothing.
    Bare,
    /// Two programs that return at once.
    Floor,
    /// The agent.
    Strobe,
}

impl Mode {
    /// All three, beginning with another one each round.
    pub fn rotated(round: usize) -> [Self; 3] {
        let mut modes = [Self::Bare, Self::Floor, Self::Strobe];
        modes.rotate_left(round % 3);
        modes
    }
}

/// What one round measured.
#[derive(Debug, Clone, Copy, Default)]
pub struct Round {
    /// The target's microseconds of processor time per request.
    pub target_us: f64,
    /// The agent's, per span.
    pub agent_us: f64,
    /// The agent's resident set in MiB.
    pub resident_mib: f64,
    /// Spans that arrived.
    pub received: usize,
    /// Spans that should have.
    pub due: usize,
}

/// Hits as the kernel counts them.
pub struct Hits {
    pub requests: usize,
    pub programs: Vec<Runs>,
    pub maps_bytes: u64,
}

/// The service under load.
pub struct Bench {
    service: Running,
    address: SocketAddr,
    exe: PathBuf,
    plan: Plan,
    version: String,
}

impl Bench {
    pub fn start() -> Result<Self> {
        let (version, root) = golang::installed_or_newest()?;
        let exe = golang::build_with("bench", &version, &root, Build::Stripped)?;
        let plan = analyzer::plan_file(&exe, &Options::default())?;
        // One processor and one P: what another core would hide shows.
        let service = Running::start(Command::new("taskset").args(["-c", "0"]).arg(&exe))?;
        let line = service.expect_stdout("listening on", 1)?;
        let address =
            line.rsplit(' ').next().context("no address")?.parse().context("the service's address")?;
        load::run(address, 5_000, 3)?;
        Ok(Self { service, address, exe, plan, version })
    }

    pub fn describe(&self) -> String {
        let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        format!("Go {}, Linux {}", self.version, kernel.trim())
    }

    pub fn round(&self, mode: Mode, requests: usize, headers: usize) -> Result<Round> {
        match mode {
            Mode::Bare => self.loaded(requests, headers),
            Mode::Floor => {
                let _attached = self.attach_floor()?;
                self.loaded(requests, headers)
            }
            Mode::Strobe => self.with_agent(|agent, collector| {
                measure::settle(agent.pid())?;
                let before = measure::cpu_ns(agent.pid())?;
                let mut round = self.loaded(requests, headers)?;
                round.received = collector.wait_for(requests, Duration::from_secs(20));
                round.due = requests;
                measure::settle(agent.pid())?;
                let used = measure::cpu_ns(agent.pid())?.saturating_sub(before);
                round.agent_us = used as f64 / 1e3 / requests as f64;
                round.resident_mib = measure::resident_kib(agent.pid())? as f64 / 1024.0;
                Ok(round)
            }),
        }
    }

    fn loaded(&self, requests: usize, headers: usize) -> Result<Round> {
        let before = measure::cpu_ns(self.service.pid())?;
        load::run(self.address, requests, headers)?;
        let used = measure::cpu_ns(self.service.pid())? - before;
        Ok(Round { target_us: used as f64 / 1e3 / requests as f64, ..Round::default() })
    }

    /// The sites of the hot path, where the agent attaches too.
    fn attach_floor(&self) -> Result<Ebpf> {
        let mut ebpf = Ebpf::load(runtime_ebpf::object())?;
        let program: &mut UProbe = ebpf.program_mut("floor").context("no program `floor`")?.try_into()?;
        program.load()?;
        let library =
            self.plan.libraries.iter().find(|l| l.id == "net/http.server").context("no net/http.server")?;
        for role in ["start", "end"] {
            let function =
                library.functions.iter().find(|f| f.role == role).with_context(|| format!("no {role}"))?;
            for site in &function.sites {
                let location = UProbeAttachLocation::AbsoluteOffset(site.file_offset);
                program.attach(location, &self.exe, UProbeScope::AllProcesses)?;
            }
        }
        Ok(ebpf)
    }

    fn with_agent<T>(&self, work: impl FnOnce(&Running, &Collector) -> Result<T>) -> Result<T> {
        let collector = Collector::start()?;
        let pid = self.service.pid().to_string();
        let mut command = Command::new(programs::path("strobe")?);
        command.args(["run", "--pid", &pid]).env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint());
        command.env("OTEL_BSP_SCHEDULE_DELAY", "500").env("OTEL_BSP_MAX_QUEUE_SIZE", "65536");
        let mut agent = Running::start(&mut command)?;
        agent.expect_stderr("tracing pid", 1)?;
        let result = work(&agent, &collector)?;
        agent.signal(libc::SIGINT)?;
        let status = agent.wait(Duration::from_secs(20))?;
        if !status.success() {
            bail!("the agent ended with {status}:\n{}", agent.output());
        }
        Ok(result)
    }

    /// Counts the hits of `requests` requests on kept-alive connections.
    pub fn hits(&self, requests: usize, headers: usize) -> Result<Hits> {
        self.with_agent(|agent, _| {
            let _statistics = measure::BpfStatistics::on()?;
            let (before, maps_bytes) = measure::bpf(agent.pid())?;
            load::run(self.address, requests, headers)?;
            let (after, _) = measure::bpf(agent.pid())?;
            let programs = after
                .iter()
                .map(|(id, now)| {
                    let then = before.get(id).copied().unwrap_or_default();
                    Runs { count: now.count - then.count, time_ns: now.time_ns - then.time_ns }
                })
                .filter(|runs| runs.count > 0)
                .collect();
            Ok(Hits { requests, programs, maps_bytes })
        })
    }
}
