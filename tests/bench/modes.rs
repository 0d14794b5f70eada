//! Three copies of a service side by side: nothing attached to one, the floor to another, the agent to the third. A probe
//! belongs to an inode, so each sees only what is its own, and all three meet the same moments of a noisy machine.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use analyzer::{
    Options,
    plan::{Plan, Site},
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
    load::{Case, Load},
    process::Running,
    programs,
};

use crate::{
    measure::{self, Runs},
    scale::service::{Built, Copies, PATH},
};

/// What is attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Nothing.
    Bare,
    /// A program that returns at once, at the sites where the agent's are.
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

impl Hits {
    /// Of all programs.
    pub fn total(&self) -> u64 {
        self.programs.iter().map(|runs| runs.count).sum()
    }

    /// Of all programs, for each request.
    pub fn per_request(&self) -> f64 {
        self.total() as f64 / self.requests as f64
    }
}

/// What keeps a service busy.
pub trait Drive: Sized {
    /// What it is asked for.
    type Work: ?Sized;

    /// Begins with a service that has just been started.
    fn open(service: &Running) -> Result<Self>;

    /// Has `total` requests served, or calls made.
    fn run(&mut self, total: usize, work: &Self::Work) -> Result<()>;
}

impl Drive for Load {
    type Work = [Vec<u8>];

    fn open(service: &Running) -> Result<Self> {
        Self::open(address(service, "listening on ")?, PATH)
    }

    fn run(&mut self, total: usize, work: &[Vec<u8>]) -> Result<()> {
        Self::run(self, total, work)
    }
}

/// The address that a service has printed behind these words.
pub fn address(service: &Running, behind: &str) -> Result<SocketAddr> {
    let line = service.expect_stdout(behind, 0)?;
    let address = line.rsplit(' ').next().context("no address")?;
    address.parse().with_context(|| format!("the service's address in {line:?}"))
}

/// The service, and how it is measured.
pub struct Service<'a> {
    pub built: &'a Built,
    pub args: &'a [&'a str],
    /// The catalog ids of the libraries whose sites the floor is attached to.
    pub libraries: &'a [&'a str],
    /// Of these roles; none named: of all that the agent attaches.
    pub roles: &'a [&'a str],
    /// How many spans the agent makes of a request.
    pub spans: usize,
    /// What the agent is told by its environment.
    pub variables: &'a [(&'a str, &'a str)],
}

/// One copy of the service under its own load.
struct Lane<D> {
    service: Running,
    drive: D,
}

/// The services, and what is attached to them.
pub struct Bench<D> {
    lanes: [Lane<D>; 3],
    agent: Running,
    collector: Collector,
    /// What the roles are probed at.
    pub sites: Vec<(String, Site)>,
    spans: usize,
    version: String,
    floor: Ebpf,
    floor_exe: PathBuf,
    _copies: Copies,
}

/// Requests of one lane in a row, about ten milliseconds: what one turn's three lanes have to themselves differs less than
/// what one second and the next have, and medians over some hundred such differences find a microsecond in the noise of ten.
pub const TURN: usize = 250;

impl<D: Drive> Bench<D> {
    /// Starts it, and has `work` done a few thousand times.
    pub fn start(service: &Service<'_>, work: &D::Work) -> Result<Self> {
        let copies = Copies::of_built(service.built)?;
        let [bare, floor_exe, strobe] = [copies.copy("bare")?, copies.copy("floor")?, copies.copy("strobe")?];
        let sites = sites(&analyzer::plan_file(&bare, &Options::default(), &[])?, service)?;
        let mut floor = Ebpf::load(runtime_ebpf::object())?;
        attach(&mut floor, "floor", &floor_exe, &sites)?;
        let lanes = [lane(&bare, service)?, lane(&floor_exe, service)?, lane(&strobe, service)?];
        let collector = Collector::start()?;
        let agent = start_agent(&lanes[Mode::Strobe as usize].service, &collector, service.variables)?;
        let (version, spans) = (service.built.version.clone(), service.spans);
        let mut bench =
            Self { lanes, agent, collector, sites, spans, version, floor, floor_exe, _copies: copies };
        bench.turns(5_000 / TURN, None, work)?;
        bench.settle_spans(5_000 * spans)?;
        Ok(bench)
    }

    pub fn describe(&self) -> String {
        let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        format!("Go {}, Linux {}", self.version, kernel.trim())
    }

    /// Turns of [`TURN`] requests to each lane, in every order of lanes alike. None begins after `limit`, if there is one.
    fn turns(&mut self, count: usize, limit: Option<Duration>, work: &D::Work) -> Result<Vec<Turn>> {
        const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [2, 1, 0], [1, 2, 0], [0, 2, 1], [2, 0, 1], [1, 0, 2]];
        let begin = Instant::now();
        let mut turns = Vec::with_capacity(count);
        for order in ORDERS.iter().cycle().take(count) {
            let is_even = turns.len().is_multiple_of(ORDERS.len());
            if is_even && limit.is_some_and(|limit| begin.elapsed() > limit) {
                break;
            }
            let mut used = [0.0; 3];
            for index in *order {
                let lane = &mut self.lanes[index];
                let before = measure::cpu_ns(lane.service.pid())?;
                lane.drive.run(TURN, work)?;
                used[index] = (measure::cpu_ns(lane.service.pid())? - before) as f64 / 1e3 / TURN as f64;
            }
            turns.push(used);
        }
        Ok(turns)
    }

    /// So many turns, and what the agent used for their spans. Fewer of them where they take longer than `limit`.
    pub fn run(
        &mut self,
        turns: usize,
        limit: Option<Duration>,
        work: &D::Work,
    ) -> Result<(Vec<Turn>, AgentUse)> {
        measure::settle(self.agent.pid())?;
        let before = measure::cpu_ns(self.agent.pid())?;
        let results = self.turns(turns, limit, work)?;
        let due = results.len() * TURN * self.spans;
        let received = self.settle_spans(due)?;
        let used = measure::cpu_ns(self.agent.pid())?.saturating_sub(before);
        let resident_mib = measure::resident_kib(self.agent.pid())? as f64 / 1024.0;
        let cpu_us_per_span = used as f64 / 1e3 / due as f64;
        Ok((results, AgentUse { cpu_us_per_span, resident_mib, received, due }))
    }

    /// What the programs call in the kernel while `requests` requests are served on kept-alive connections.
    pub fn calls(&mut self, requests: usize, work: &D::Work) -> Result<Vec<(&'static str, u64)>> {
        let drive = &mut self.lanes[Mode::Strobe as usize].drive;
        calls::count(&[SERVICE_PROCESSOR], || drive.run(requests, work))
    }

    /// How many instructions the verifier followed for each program that is loaded, in the order of loading. Linux 5.16.
    pub fn verified(&self) -> Result<Vec<u64>> {
        measure::verified(self.agent.pid())
    }

    /// Waits for the spans and takes them: how many there were.
    fn settle_spans(&self, due: usize) -> Result<usize> {
        // Spans that are lost are not waited for as long as the slowest might take.
        let mut before = 0;
        loop {
            let received = self.collector.wait_for(due, Duration::from_secs(3));
            if received >= due || received == before {
                break;
            }
            before = received;
        }
        measure::settle(self.agent.pid())?;
        Ok(self.collector.take()?.len())
    }

    /// Counts the hits of `requests` requests on kept-alive connections.
    pub fn hits(&mut self, requests: usize, work: &D::Work) -> Result<Hits> {
        self.hits_of(requests, |drive| drive.run(requests, work))
    }

    /// How often the floor's program runs for `requests` requests: as often as strobe's do, if they are at the same sites.
    pub fn floor_hits(&mut self, requests: usize, work: &D::Work) -> Result<u64> {
        let _statistics = measure::BpfStatistics::on()?;
        let own = std::process::id();
        let (before, _) = measure::bpf(own)?;
        self.lanes[Mode::Floor as usize].drive.run(requests, work)?;
        Ok(measure::runs_since(&before, own)?.iter().map(|runs| runs.count).sum())
    }

    fn hits_of(&mut self, requests: usize, run: impl FnOnce(&mut D) -> Result<()>) -> Result<Hits> {
        let _statistics = measure::BpfStatistics::on()?;
        let agent = self.agent.pid();
        let (before, maps_bytes) = measure::bpf(agent)?;
        run(&mut self.lanes[Mode::Strobe as usize].drive)?;
        Ok(Hits { requests, programs: measure::runs_since(&before, agent)?, maps_bytes })
    }

    /// Ends the agent; gives the lines in which it says what it lost.
    pub fn finish(mut self) -> Result<Vec<String>> {
        self.agent.signal(libc::SIGINT)?;
        let status = self.agent.wait(Duration::from_secs(20))?;
        let output = self.agent.output();
        ensure!(status.success(), "the agent ended with {status}:\n{output}");
        let is_loss =
            |line: &&str| line.contains(" WARN ") && (line.contains("lost") || line.contains("dropped"));
        Ok(output.lines().filter(is_loss).map(str::to_owned).collect())
    }
}

impl Bench<Load> {
    /// Counts the hits of as many connections, each with one request.
    pub fn first_hits(&mut self, requests: usize) -> Result<Hits> {
        let text = Case::HOT[0].requests(PATH);
        let text = text.first().context("no request to send")?;
        self.hits_of(requests, |load| load.run_first(requests, text))
    }

    /// What the kernel takes here for an empty program and for the sixteen reads of `floor_reads`, both at the start site.
    pub fn kernel(&mut self, requests: usize) -> Result<[Runs; 2]> {
        let start = self.sites.first().map(std::slice::from_ref).unwrap_or_default();
        attach(&mut self.floor, "floor_reads", &self.floor_exe, start)?;
        let _statistics = measure::BpfStatistics::on()?;
        let own = std::process::id();
        let (before, _) = measure::bpf(own)?;
        self.lanes[Mode::Floor as usize].drive.run(requests, &Case::HOT[0].requests(PATH))?;
        let runs = measure::runs_since(&before, own)?;
        runs.try_into().map_err(|runs| anyhow!("the floor's two programs ran, and nothing else: {runs:?}"))
    }
}

/// Roles that what is measured does not pass, or that the agent probes only where it writes contexts, which no bench lets it.
const ASIDE: [&str; 5] = ["header", "frame", "fields", "send", "fail"];
/// Roles that it probes only where it brings together who calls and who is called.
const CORRELATING: [&str; 6] = ["stream", "number", "join", "make", "produce", "produced"];

/// Where the agent's probes are that an operation may hit: a floor at more sites than these would take from what strobe is said to add.
fn sites(plan: &Plan, service: &Service<'_>) -> Result<Vec<(String, Site)>> {
    let mut sites = Vec::new();
    let is_apart = service.variables.contains(&("STROBE_PROPAGATION", "off"));
    let is_probed = |role: &str| !(ASIDE.contains(&role) || is_apart && CORRELATING.contains(&role));
    for id in service.libraries {
        let library = plan.libraries.iter().find(|library| library.id == *id);
        let library = library.with_context(|| format!("the service has no {id}"))?;
        let is_wanted =
            |role: &str| is_probed(role) && (service.roles.is_empty() || service.roles.contains(&role));
        for function in library.functions.iter().filter(|function| is_wanted(&function.role)) {
            sites.extend(function.sites.iter().map(|site| (function.name.clone(), site.clone())));
        }
    }
    ensure!(!sites.is_empty(), "no sites for the roles {:?} of {:?}", service.roles, service.libraries);
    Ok(sites)
}

/// The processor that the services have for themselves.
const SERVICE_PROCESSOR: usize = 0;

/// One processor and one P: what another core would hide shows.
fn lane<D: Drive>(exe: &Path, service: &Service<'_>) -> Result<Lane<D>> {
    let mut pinned = Command::new("taskset");
    pinned.args(["-c", &SERVICE_PROCESSOR.to_string()]).arg(exe).args(service.args);
    let service = Running::start(&mut pinned)?;
    let drive = D::open(&service)?;
    Ok(Lane { service, drive })
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

fn start_agent(service: &Running, collector: &Collector, variables: &[(&str, &str)]) -> Result<Running> {
    let pid = service.pid().to_string();
    let mut command = Command::new(programs::path("strobe")?);
    command.args(["run", "--pid", &pid]).env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint());
    command.env("OTEL_TRACES_EXPORTER", "otlp").env("OTEL_BSP_SCHEDULE_DELAY", "500");
    // What is measured is the same where probes may write.
    command.env("OTEL_BSP_MAX_QUEUE_SIZE", "65536").env("STROBE_PROPAGATION", "correlate");
    command.envs(variables.iter().copied());
    let agent = Running::start(&mut command)?;
    if let Err(error) = agent.expect_stderr("tracing pid", 0) {
        bail!("{error:#}\n{}", agent.output());
    }
    Ok(agent)
}
