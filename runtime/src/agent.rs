//! The agent: one thread, one loop. Processes come and go, records are drained, spans go out.
//!
//! ```text
//!  exec ring ──► Started ─┐                    ┌─► plan (child process, another thread) ──► Planned ─┐
//!  pidfd     ──► Exited ──┼──► [Agent] ────────┤                                                     │
//!  signals   ──► stop ────┘      │             └─► attach, configure ◄───────────────────────────────┘
//!                                └── every 100 ms, or when half full: record ring ──► spans ──► exporters
//! ```

use std::{
    collections::HashMap,
    fs::File,
    sync::Arc,
    time::{Duration, Instant},
};

use analyzer::Plan;
use anyhow::Context as _;
use aya::maps::{MapData, RingBuf};
use tokio::{
    io::unix::AsyncFd,
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
};
use tracing::{debug, info, warn};

use crate::{
    attach::{self, Attached},
    discover::{self, ExecRing, KernelInode, OpenError, Process, ProcessId, Target, Targets, Watch},
    files::FileIdentity,
    libraries::net_http_server,
    planning::{self, PlanError, Planner},
    programs::Programs,
    sink::{Sink, Source},
};

/// How often the record ring is drained when nothing fills it (field-notes §10).
const POLL: Duration = Duration::from_millis(100);
/// How often lost data is looked for and reported.
const REPORT: Duration = Duration::from_secs(10);
/// Files without processes whose Plan is kept for the next start.
const KEPT_PLANS: usize = 16;
/// Plans that are made at once.
const PLANNING_CHILDREN: usize = 2;
/// How long after a failure of the moment (no descriptor, no process to be had) a process is looked at again.
const RETRY: Duration = Duration::from_secs(1);
/// How often the paths that the user named are resolved again: a link may lead elsewhere.
const REFRESH: Duration = Duration::from_secs(1);
/// How often /proc is looked through for what no event has told of: a file mounted under another name inside a container.
const LOOK_AROUND: Duration = Duration::from_secs(10);

/// What happens to the agent.
#[derive(Debug)]
pub enum Event {
    /// A process has ended.
    Exited(ProcessId),
    /// A Plan is ready, or could not be made.
    Planned(FileIdentity, Box<Result<Plan, PlanError>>),
}

/// A file with processes that are wanted.
struct Traced {
    /// Open while there is something to attach to: a file that nobody runs must not be kept from being deleted.
    file: Option<Arc<File>>,
    name: String,
    plan: Option<Result<Plan, String>>,
    attached: Option<Attached>,
    waiting: Vec<Waiting>,
    processes: usize,
}

/// A process whose file's Plan is being made.
struct Waiting {
    process: Process,
    followed: u32,
}

/// A process that is traced.
struct Tracee {
    id: ProcessId,
    file: FileIdentity,
    source: Arc<Source>,
}

/// Why the loop ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// The target process is gone.
    TargetGone,
    /// The target cannot be traced, for this reason.
    Untraceable(String),
    /// The caller asked for it.
    Stopped,
}

/// The state of the loop.
pub struct Agent {
    targets: Targets,
    programs: Programs,
    watch: Watch,
    exec_events: AsyncFd<ExecRing>,
    records: AsyncFd<RingBuf<MapData>>,
    sink: Sink,
    planner: Planner,
    files: HashMap<FileIdentity, Traced>,
    /// By process id in the initial PID namespace, as records have it.
    processes: HashMap<u32, Tracee>,
    /// To be looked at again then.
    again: Vec<(ProcessId, Instant)>,
    events: UnboundedReceiver<Event>,
    sender: UnboundedSender<Event>,
    reported: Vec<u64>,
    open_at_exit: u64,
}

impl Agent {
    /// Makes the agent; nothing is traced yet. Needs a tokio runtime.
    pub fn new(target: Target, mut programs: Programs, sink: Sink) -> anyhow::Result<Self> {
        let targets = Targets::new(target).context("making the path of --exe absolute")?;
        let (watch, ring) = Watch::start(&mut programs, &targets)?;
        let exec_events = discover::pollable(ring).context("polling the ring of executed programs")?;
        let records = discover::pollable(programs.ring(net_http_server::RECORDS)?)
            .context("polling the record ring")?;
        let (sender, events) = unbounded_channel();
        Ok(Self {
            targets,
            programs,
            watch,
            exec_events,
            records,
            sink,
            planner: Planner::new(PLANNING_CHILDREN),
            files: HashMap::new(),
            processes: HashMap::new(),
            again: Vec::new(),
            events,
            sender,
            reported: Vec::new(),
            open_at_exit: 0,
        })
    }

    /// Looks at the processes that run already. For a process id, one that cannot be traced is an error.
    pub fn find_running(&mut self) -> anyhow::Result<()> {
        if let Target::Pid(pid) = *self.targets.target() {
            let id = self.watch.id_of(pid)?.with_context(|| format!("there is no process {pid}"))?;
            return self.look(id, 0).map(drop);
        }
        for path in self.targets.absent() {
            info!(
                "{}: not on this file system: waiting for a process that calls its executable so",
                path.display()
            );
        }
        self.look_around()?;
        if self.processes.is_empty() && self.files.values().all(|file| file.waiting.is_empty()) {
            info!("waiting for a process of {}", self.targets);
        }
        Ok(())
    }

    /// Looks at everything that runs.
    fn look_around(&mut self) -> anyhow::Result<()> {
        for id in self.watch.running()? {
            if !self.processes.contains_key(&id.tgid) {
                self.started(id, 0);
            }
        }
        Ok(())
    }

    /// The paths that the user named, resolved again.
    fn refresh(&mut self) -> anyhow::Result<()> {
        if self.targets.refresh() {
            self.watch.want(&self.targets)?;
            self.look_around()?;
        }
        Ok(())
    }

    /// Traces `pid`, which is about to execute `exe`, before it does: used by `strobe exec`.
    pub fn prepare(&mut self, pid: u32, exe: File, name: &str) -> anyhow::Result<()> {
        let id = self.watch.id_of(pid)?.with_context(|| format!("there is no process {pid}"))?;
        let process = discover::open(id)?;
        self.watch.follow_tree(id.tgid)?;
        let inode = self.watch.kernel_inode(&mut self.programs, &exe)?;
        let identity = FileIdentity::with_inode(&exe, inode)?;
        let plan = planning::plan(&exe, name)?.plan;
        let file = Arc::new(exe);
        let attached = attach::attach(&mut self.programs, &file, &plan, self.sink.sampling())?;
        let traced = Traced {
            file: Some(file),
            name: name.to_owned(),
            plan: Some(Ok(plan)),
            attached: Some(attached),
            waiting: Vec::new(),
            processes: 0,
        };
        self.files.insert(identity, traced);
        self.trace(process, identity)
    }

    /// Runs until the target is gone (for a process id) or `stop` completes.
    pub async fn run(&mut self, stop: impl Future<Output = ()>) -> anyhow::Result<Ended> {
        let mut stop = std::pin::pin!(stop);
        let mut poll = tokio::time::interval(POLL);
        let mut report = tokio::time::interval(REPORT);
        let mut refresh = tokio::time::interval(REFRESH);
        let mut look_around = tokio::time::interval(LOOK_AROUND);
        look_around.reset();
        let by_path = matches!(self.targets.target(), Target::Exe(_));
        loop {
            tokio::select! {
                () = &mut stop => return Ok(Ended::Stopped),
                _ = poll.tick() => {}
                _ = report.tick() => self.report()?,
                _ = refresh.tick(), if by_path => self.refresh()?,
                _ = look_around.tick(), if by_path => self.look_around()?,
                ready = self.records.readable() => ready.context("polling the record ring")?.clear_ready(),
                ready = self.exec_events.readable() => {
                    ready.context("polling the ring of executed programs")?.clear_ready();
                }
                Some(event) = self.events.recv() => {
                    if let Some(ended) = self.handle(event) {
                        return Ok(ended);
                    }
                }
            }
            self.drain_exec_events();
            self.look_again();
            self.drain_records();
        }
    }

    /// Removes all probes, takes what is left in the ring, and exports it.
    pub async fn finish(mut self) -> anyhow::Result<()> {
        // The target's end may be known to its parent before its pidfd says so: what was in flight counts either way.
        for tgid in self.processes.keys().copied().collect::<Vec<_>>() {
            self.forget(tgid);
        }
        self.files.clear();
        self.drain_records();
        self.report()?;
        self.sink.finish().await;
        Ok(())
    }

    fn handle(&mut self, event: Event) -> Option<Ended> {
        match event {
            Event::Exited(id) => {
                self.forget(id.tgid);
                (*self.targets.target() == Target::Pid(id.pid)).then_some(Ended::TargetGone)
            }
            Event::Planned(identity, plan) => self.planned(identity, *plan),
        }
    }

    fn drain_exec_events(&mut self) {
        let mut started = Vec::new();
        while let Some(event) = self.exec_events.get_mut().next_event() {
            started.push(event);
        }
        for event in started {
            self.started(ProcessId { pid: event.pid, tgid: event.tgid }, event.followed);
        }
    }

    fn look_again(&mut self) {
        let now = Instant::now();
        let (due, later) = std::mem::take(&mut self.again).into_iter().partition(|(_, at)| *at <= now);
        self.again = later;
        let due: Vec<(ProcessId, Instant)> = due;
        for (id, _) in due {
            self.started(id, runtime_ebpf::process::TREE);
        }
    }

    /// A process has executed something, or was found running.
    fn started(&mut self, id: ProcessId, followed: u32) {
        match self.look(id, followed) {
            Ok(_) => {}
            Err(error) => match error.downcast_ref::<OpenError>() {
                Some(OpenError::Gone { .. } | OpenError::KernelThread { .. }) => debug!("{error:#}"),
                // Whether it is wanted cannot be known: the kernel hides some from everybody, an init in a virtual machine's.
                Some(OpenError::NotAllowed { needs: "CAP_SYS_PTRACE", .. })
                    if *self.targets.target() != Target::Pid(id.pid) =>
                {
                    debug!("{error:#}");
                }
                Some(OpenError::TryAgain { .. }) => self.again.push((id, Instant::now() + RETRY)),
                _ => warn!(pid = id.pid, "not traced: {error:#}"),
            },
        }
    }

    /// Looks at a process: traces it if it is wanted.
    fn look(&mut self, id: ProcessId, followed: u32) -> anyhow::Result<()> {
        let process = discover::open(id)?;
        if let Some(known) = self.processes.get(&id.tgid).map(|tracee| tracee.file) {
            let file = process.executable()?;
            let identity = self.identify(&file)?;
            if identity == known {
                // The same program again, or the one that `prepare` announced: its environment is known only now.
                let source = Arc::new(self.sink.source(id.pid, plan_of(&self.files, &identity)));
                if let Some(tracee) = self.processes.get_mut(&id.tgid) {
                    tracee.source = source;
                }
                return Ok(());
            }
            self.forget(id.tgid);
        }
        if !self.targets.wants(&process, followed) {
            return Ok(());
        }
        self.watch.follow(id.tgid)?;
        process.still_the_same()?;
        self.consider(process, followed)
    }

    /// An open file by the inode that the kernel probes; one whose inode is attached is that file, whatever its names and
    /// rights are by now: what runs cannot be written to.
    fn identify(&mut self, file: &File) -> anyhow::Result<FileIdentity> {
        let inode: KernelInode = self.watch.kernel_inode(&mut self.programs, file)?;
        let live =
            self.files.iter().find(|(identity, traced)| identity.inode() == inode && traced.processes > 0);
        Ok(match live {
            Some((identity, _)) => *identity,
            None => FileIdentity::with_inode(file, inode)?,
        })
    }

    /// Traces the process if its file can be traced; plans the file first if it is new.
    fn consider(&mut self, process: Process, followed: u32) -> anyhow::Result<()> {
        let exe = process.executable()?;
        let identity = self.identify(&exe)?;
        if self.processes.get(&process.id.tgid).is_some_and(|tracee| tracee.file == identity) {
            return Ok(());
        }
        if let Some(traced) = self.files.get_mut(&identity) {
            if let Some(Err(reason)) = &traced.plan {
                anyhow::bail!("{reason}");
            }
            traced.file.get_or_insert_with(|| Arc::new(exe));
            if traced.plan.is_none() {
                // An event and a look around may both have found it.
                if traced.waiting.iter().all(|waiting| waiting.process.id != process.id) {
                    traced.waiting.push(Waiting { process, followed });
                }
                return Ok(());
            }
            return self.trace(process, identity);
        }
        let name = process.exe.to_string_lossy().into_owned();
        let file = Arc::new(exe);
        let sender = self.sender.clone();
        self.planner.submit(Arc::clone(&file), name.clone(), move |plan| {
            if sender.send(Event::Planned(identity, Box::new(plan))).is_err() {
                debug!("the agent ended before a plan");
            }
        });
        let waiting = vec![Waiting { process, followed }];
        let traced = Traced { file: Some(file), name, plan: None, attached: None, waiting, processes: 0 };
        self.files.insert(identity, traced);
        Ok(())
    }

    fn planned(&mut self, identity: FileIdentity, plan: Result<Plan, PlanError>) -> Option<Ended> {
        let traced = self.files.get_mut(&identity)?;
        let waiting = std::mem::take(&mut traced.waiting);
        match plan {
            Ok(plan) => traced.plan = Some(Ok(plan)),
            Err(PlanError::Refused(reason)) => {
                traced.plan = Some(Err(reason));
                // A refused file is not kept from being unmounted.
                traced.file = None;
            }
            Err(error @ PlanError::TryAgain(_)) => {
                warn!("{error}");
                self.files.remove(&identity);
                let at = Instant::now() + RETRY;
                self.again.extend(waiting.iter().map(|waiting| (waiting.process.id, at)));
                return None;
            }
        }
        for Waiting { process, followed } in waiting {
            let id = process.id;
            if let Err(error) = process.still_the_same() {
                // It executes something else by now, which may be wanted too.
                debug!("{error}");
                self.started(id, followed);
                continue;
            }
            if let Err(error) = self.trace(process, identity) {
                if *self.targets.target() == Target::Pid(id.pid) {
                    return Some(Ended::Untraceable(format!("{error:#}")));
                }
                warn!(pid = id.pid, "not traced: {error:#}");
            }
        }
        self.drop_unused_plans();
        None
    }

    /// Attaches the file if it is not, and configures the process.
    fn trace(&mut self, process: Process, identity: FileIdentity) -> anyhow::Result<()> {
        let id = process.id;
        let traced = self.files.get_mut(&identity).context("its file is not known")?;
        let plan = match &traced.plan {
            Some(Ok(plan)) => plan,
            Some(Err(reason)) => anyhow::bail!("{reason}"),
            None => anyhow::bail!("{}: its plan is not ready", traced.name),
        };
        if traced.attached.is_none() {
            let file = traced.file.as_ref().context("its file is closed")?;
            traced.attached = Some(attach::attach(&mut self.programs, file, plan, self.sink.sampling())?);
        }
        let attached = traced.attached.as_ref().context("its probes are gone")?;
        let source = Arc::new(self.sink.source(id.pid, Some(plan)));
        self.programs.configure(id.tgid, attached.config)?;
        traced.processes += 1;
        let probes = attached.probes();
        self.processes.insert(id.tgid, Tracee { id, file: identity, source: Arc::clone(&source) });
        if let Err(error) = self.watch_exit(process) {
            self.forget(id.tgid);
            anyhow::bail!("process {} is gone: {error}", id.pid);
        }
        info!("tracing pid {} ({}, {probes} probes)", id.pid, source.service());
        Ok(())
    }

    /// Sends [`Event::Exited`] when the process ends, once.
    fn watch_exit(&self, process: Process) -> std::io::Result<()> {
        let id = process.id;
        let pidfd = discover::pollable(process.into_pidfd())?;
        let events = self.sender.clone();
        tokio::spawn(async move {
            // An error here means that the descriptor cannot be polled: better one early good-bye than none.
            if let Err(error) = pidfd.readable().await {
                warn!(pid = id.pid, "watching for the process's end: {error}");
            }
            if events.send(Event::Exited(id)).is_err() {
                debug!(pid = id.pid, "the agent ended before the process");
            }
        });
        Ok(())
    }

    /// A process is gone, or executes something else: its records are taken, and when it was the last of its file the probes
    /// go, before anybody can overwrite the file (house.md, decision 10).
    fn forget(&mut self, tgid: u32) {
        let Some(tracee) = self.processes.get(&tgid) else { return };
        let (identity, pid) = (tracee.file, tracee.id.pid);
        if let Some(traced) = self.files.get_mut(&identity) {
            traced.processes = traced.processes.saturating_sub(1);
            if traced.processes == 0 {
                traced.attached = None;
                traced.file = None;
            }
        }
        self.drain_records();
        match self.programs.forget(tgid) {
            Ok(open) => self.open_at_exit += open as u64,
            Err(error) => warn!(pid, "forgetting the process: {error}"),
        }
        self.processes.remove(&tgid);
        info!("pid {pid} is not traced any more");
    }

    /// Keeps the Plans of a few files without processes, so that a restart is traced at once.
    fn drop_unused_plans(&mut self) {
        let idle: Vec<FileIdentity> = self
            .files
            .iter()
            .filter(|(_, traced)| traced.processes == 0 && traced.plan.is_some() && traced.waiting.is_empty())
            .map(|(identity, _)| *identity)
            .collect();
        for identity in idle.iter().skip(KEPT_PLANS) {
            self.files.remove(identity);
        }
    }

    fn drain_records(&mut self) {
        let ring = self.records.get_mut();
        while let Some(item) = ring.next() {
            self.sink.record(&item, |tgid| self.processes.get(&tgid).map(|process| &process.source));
        }
    }

    /// Says what was lost since the last time, and nothing when nothing was.
    fn report(&mut self) -> anyhow::Result<()> {
        let mut now = self.programs.counters()?;
        now.push(("spans.lost.open_at_exit", self.open_at_exit));
        self.reported.resize(now.len(), 0);
        let news: Vec<String> = now
            .iter()
            .zip(&self.reported)
            .filter(|((name, value), before)| *value > **before && is_loss(name))
            .map(|((name, value), before)| format!("{name} +{}", value - before))
            .collect();
        if !news.is_empty() {
            warn!("{}", news.join(", "));
        }
        debug!("counters: {now:?}");
        self.reported = now.into_iter().map(|(_, value)| value).collect();
        self.sink.report();
        Ok(())
    }
}

fn plan_of<'a>(files: &'a HashMap<FileIdentity, Traced>, identity: &FileIdentity) -> Option<&'a Plan> {
    files.get(identity)?.plan.as_ref()?.as_ref().ok()
}

/// Counters that tell of data that is missing; the others count what is as it should be.
fn is_loss(name: &str) -> bool {
    name.contains(".lost")
        || name.ends_with("_lost")
        || matches!(name, "reads.failed" | "headers.incomplete" | "net_http_server.other_writer")
}
