//! Three copies of the service side by side: nothing attached to one, the floor to another, the agent to the third. A probe
//! belongs to an inode, so each sees only what is its own, and all three meet the same moments of a noisy machine.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use analyzer::{
    Options,
    plan::{Library, Site},
};
use anyhow::{Context as _, Result, anyhow, bail, ensure};
use aya::{
    Ebpf,
    programs::{
        UProbe,
        uprobe::{UProbeAttachLocation, UProbeScope},
    },
};
use strobe_tests::{
    calls,
    collector::Collector,
    golang::{self, Build},
    load::{Case, Load},
    machine,
    process::Running,
    programs,
};

use crate::{
    measure::{self, Runs},
    scale::service::PATH,
};

/// What is attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Nothing.
    Bare,
    /// Two programs that return at once, at the sites where the agent's are.
    Floor,
    /// The agent.
    Strobe,
}

impl Mode {
    /// All of them, in the order of the lanes.
    pub const ALL: [Self; 3] = [Self::Bare, Self::Floor, Self::Strobe];
}

/// Microseconds of the target's processor time per request in one turn of each lane, by mode.
pub type Turn = [f64; 3];

/// What the agent used while it made so many spans.
#[derive(Debug, Clone, Copy)]
pub struct AgentUse {
    pub cpu_us_per_span: f64,
    pub resident_mib: f64,
    pub received: usize,
    pub due: usize,
}

/// Hits as the kernel counts them.
pub struct Hits {
    pub requests: usize,
    pub programs: Vec<Runs>,
    pub maps_bytes: u64,
}

/// One copy of the service under its own load.
struct Lane {
    service: Running,
    load: Load,
}

/// The services, and what is attached to them.
pub struct Bench {
    lanes: [Lane; 3],
    agent: Running,
    collector: Collector,
    /// What the roles of the hot path are probed at.
    pub sites: Vec<(String, Site)>,
    version: String,
    floor: Ebpf,
    floor_exe: PathBuf,
    _folder: tempfile::TempDir,
}

/// Requests of one lane in a row, about ten milliseconds: what one turn's three lanes have to themselves differs less than
/// what one second and the next have, and medians over some hundred such differences find a microsecond in the noise of ten.
pub const TURN: usize = 250;

impl Bench {
    pub fn start() -> Result<Self> {
        let (version, root) = golang::installed_or_newest()?;
        let exe = golang::build_with("bench", &version, &root, Build::Stripped)?;
        let plan = analyzer::plan_file(&exe, &Options::default(), &[])?;
        let library =
            plan.libraries.iter().find(|l| l.id == "net/http.server").context("no net/http.server")?;
        let sites = hot_sites(library)?;
        let folder = tempfile::tempdir().context("a folder for the copies of the service")?;
        let copy = |mode: Mode| -> Result<_> {
            let path = folder.path().join(format!("{mode:?}"));
            machine::copy_program(&exe, &path)?;
            Ok(path)
        };
        let [bare, floor, strobe] = [copy(Mode::Bare)?, copy(Mode::Floor)?, copy(Mode::Strobe)?];
        let floor_exe = floor;
        let mut floor = Ebpf::load(runtime_ebpf::object())?;
        attach(&mut floor, "floor", &floor_exe, &sites)?;
        let lanes = [lane(&bare)?, lane(&floor_exe)?, lane(&strobe)?];
        let collector = Collector::start()?;
        let agent = start_agent(&lanes[Mode::Strobe as usize].service, &collector)?;
        let mut bench = Self { lanes, agent, collector, sites, version, floor, floor_exe, _folder: folder };
        bench.turns(5_000 / TURN, &Case::HOT[0].requests(PATH))?;
        bench.settle_spans(5_000)?;
        Ok(bench)
    }

    pub fn describe(&self) -> String {
        let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        format!("Go {}, Linux {}", self.version, kernel.trim())
    }

    /// Turns of [`TURN`] requests to each lane, in every order of lanes alike.
    fn turns(&mut self, count: usize, texts: &[Vec<u8>]) -> Result<Vec<Turn>> {
        const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [2, 1, 0], [1, 2, 0], [0, 2, 1], [2, 0, 1], [1, 0, 2]];
        let mut turns = Vec::with_capacity(count);
        for order in ORDERS.iter().cycle().take(count) {
            let mut used = [0.0; 3];
            for index in *order {
                let lane = &mut self.lanes[index];
                let before = measure::cpu_ns(lane.service.pid())?;
                lane.load.run(TURN, texts)?;
                used[index] = (measure::cpu_ns(lane.service.pid())? - before) as f64 / 1e3 / TURN as f64;
            }
            turns.push(used);
        }
        Ok(turns)
    }

    /// So many turns, and what the agent used for their spans.
    pub fn run(&mut self, turns: usize, case: &Case) -> Result<(Vec<Turn>, AgentUse)> {
        let texts = case.requests(PATH);
        measure::settle(self.agent.pid())?;
        let before = measure::cpu_ns(self.agent.pid())?;
        let results = self.turns(turns, &texts)?;
        let due = turns * TURN;
        let received = self.settle_spans(due)?;
        let used = measure::cpu_ns(self.agent.pid())?.saturating_sub(before);
        let resident_mib = measure::resident_kib(self.agent.pid())? as f64 / 1024.0;
        let cpu_us_per_span = used as f64 / 1e3 / due as f64;
        Ok((results, AgentUse { cpu_us_per_span, resident_mib, received, due }))
    }

    /// What the programs call in the kernel while `requests` requests are served on kept-alive connections.
    pub fn calls(&mut self, requests: usize, case: &Case) -> Result<Vec<(&'static str, u64)>> {
        let texts = case.requests(PATH);
        let load = &mut self.lanes[Mode::Strobe as usize].load;
        calls::count(&[SERVICE_PROCESSOR], || load.run(requests, &texts))
    }

    /// How many instructions the verifier followed for each program that is loaded, in the order of loading. Linux 5.16.
    pub fn verified(&self) -> Result<Vec<u64>> {
        measure::verified(self.agent.pid())
    }

    /// Waits for the spans and takes them: how many there were.
    fn settle_spans(&self, due: usize) -> Result<usize> {
        self.collector.wait_for(due, Duration::from_secs(20));
        measure::settle(self.agent.pid())?;
        Ok(self.collector.take()?.len())
    }

    /// Counts the hits of `requests` requests on kept-alive connections.
    pub fn hits(&mut self, requests: usize, case: &Case) -> Result<Hits> {
        let _statistics = measure::BpfStatistics::on()?;
        let agent = self.agent.pid();
        let (before, maps_bytes) = measure::bpf(agent)?;
        self.lanes[Mode::Strobe as usize].load.run(requests, &case.requests(PATH))?;
        Ok(Hits { requests, programs: measure::runs_since(&before, agent)?, maps_bytes })
    }

    /// Counts the hits of as many connections, each with one request.
    pub fn first_hits(&mut self, requests: usize) -> Result<Hits> {
        let _statistics = measure::BpfStatistics::on()?;
        let agent = self.agent.pid();
        let (before, maps_bytes) = measure::bpf(agent)?;
        let text = Case::HOT[0].requests(PATH);
        let text = text.first().context("no request to send")?;
        self.lanes[Mode::Strobe as usize].load.run_first(requests, text)?;
        Ok(Hits { requests, programs: measure::runs_since(&before, agent)?, maps_bytes })
    }

    /// What the kernel takes here for an empty program and for the sixteen reads of `floor_reads`, both at the start site.
    pub fn kernel(&mut self, requests: usize) -> Result<[Runs; 2]> {
        let start = self.sites.first().map(std::slice::from_ref).unwrap_or_default();
        attach(&mut self.floor, "floor_reads", &self.floor_exe, start)?;
        let _statistics = measure::BpfStatistics::on()?;
        let own = std::process::id();
        let (before, _) = measure::bpf(own)?;
        self.lanes[Mode::Floor as usize].load.run(requests, &Case::HOT[0].requests(PATH))?;
        let runs = measure::runs_since(&before, own)?;
        runs.try_into().map_err(|runs| anyhow!("the floor's two programs ran, and nothing else: {runs:?}"))
    }

    /// Ends the agent.
    pub fn finish(mut self) -> Result<()> {
        self.agent.signal(libc::SIGINT)?;
        let status = self.agent.wait(Duration::from_secs(20))?;
        ensure!(status.success(), "the agent ended with {status}:\n{}", self.agent.output());
        Ok(())
    }
}

fn hot_sites(library: &Library) -> Result<Vec<(String, Site)>> {
    let mut sites = Vec::new();
    for role in ["start", "end"] {
        let function = library.functions.iter().find(|f| f.role == role);
        let function = function.with_context(|| format!("no site for the role {role}"))?;
        sites.extend(function.sites.iter().map(|site| (function.name.clone(), site.clone())));
    }
    Ok(sites)
}

/// The processor that the services have for themselves.
const SERVICE_PROCESSOR: usize = 0;

/// One processor and one P: what another core would hide shows.
fn lane(exe: &Path) -> Result<Lane> {
    let service =
        Running::start(Command::new("taskset").args(["-c", &SERVICE_PROCESSOR.to_string()]).arg(exe))?;
    let line = service.expect_stdout("listening on", 0)?;
    let address = line.rsplit(' ').next().context("no address")?.parse().context("the service's address")?;
    Ok(Lane { service, load: Load::open(address, PATH)? })
}

/// Loads one of the object's `floor` programs and attaches it.
fn attach(object: &mut Ebpf, name: &str, exe: &Path, sites: &[(String, Site)]) -> Result<()> {
    let program = object.program_mut(name).with_context(|| format!("no program `{name}`"))?;
    let program: &mut UProbe = program.try_into()?;
    program.load()?;
    for (_, site) in sites {
        let location = UProbeAttachLocation::AbsoluteOffset(site.file_offset);
        program.attach(location, exe, UProbeScope::AllProcesses)?;
    }
    Ok(())
}

fn start_agent(service: &Running, collector: &Collector) -> Result<Running> {
    let pid = service.pid().to_string();
    let mut command = Command::new(programs::path("strobe")?);
    command.args(["run", "--pid", &pid]).env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint());
    command.env("OTEL_TRACES_EXPORTER", "otlp").env("OTEL_BSP_SCHEDULE_DELAY", "500");
    command.env("OTEL_BSP_MAX_QUEUE_SIZE", "65536");
    let agent = Running::start(&mut command)?;
    if let Err(error) = agent.expect_stderr("tracing pid", 0) {
        bail!("{error:#}\n{}", agent.output());
    }
    Ok(agent)
}
