//! The agent: one thread, one loop. Processes come and go, records are drained, spans go out.
//!
//! ```text
//!  exec ring ──► Started ─┐                    ┌─► plan (child process, another thread) ──► Planned ─┐
//!  pidfd     ──► Exited ──┼──► [Agent] ────────┤                                                     │
//!  signals   ──► stop ────┘      │             └─► attach, configure ◄───────────────────────────────┘
//!                                └── every 100 ms, or when half full: record ring ──► spans ──► exporters
//! ```

use std::{collections::HashMap, fs::File, sync::Arc, time::Duration};

use analyzer::Plan;
use anyhow::Context as _;
use aya::maps::{MapData, RingBuf};
use runtime_ebpf::process::ExecEvent;
use tokio::{
    io::unix::AsyncFd,
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
};
use tracing::{debug, info, warn};

use crate::{
    attach::{self, Attached},
    discover::{self, Target},
    files::FileIdentity,
    libraries::net_http_server,
    planning,
    programs::Programs,
    sink::{Sink, Source},
};

/// How often the record ring is drained when nothing fills it (field-notes §10).
const POLL: Duration = Duration::from_millis(100);
/// How often lost data is looked for and reported.
const REPORT: Duration = Duration::from_secs(10);
/// Files without processes whose Plan is kept for the next start.
const KEPT_PLANS: usize = 16;

/// What happens to the agent.
#[derive(Debug)]
pub enum Event {
    /// A process has ended.
    Exited(u32),
    /// A Plan is ready, or could not be made.
    Planned(FileIdentity, Box<Result<Plan, String>>),
}

/// A file with processes that are wanted.
struct Traced {
    /// Open while there is something to attach to: a file that nobody runs must not be kept from being deleted.
    file: Option<Arc<File>>,
    name: String,
    plan: Option<Result<Plan, String>>,
    attached: Option<Attached>,
    waiting: Vec<u32>,
    processes: usize,
}

/// A process that is traced.
struct Process {
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
    target: Target,
    programs: Programs,
    exec_events: AsyncFd<RingBuf<MapData>>,
    records: AsyncFd<RingBuf<MapData>>,
    sink: Sink,
    files: HashMap<FileIdentity, Traced>,
    processes: HashMap<u32, Process>,
    events: UnboundedReceiver<Event>,
    sender: UnboundedSender<Event>,
    reported: Vec<u64>,
    open_at_exit: u64,
    traced: u64,
}

impl Agent {
    /// Makes the agent; nothing is traced yet. Needs a tokio runtime.
    pub fn new(target: Target, mut programs: Programs, sink: Sink) -> anyhow::Result<Self> {
        let exec_events =
            discover::pollable(programs.watch_exec()?).context("polling the ring of executed programs")?;
        let records = discover::pollable(programs.ring(net_http_server::RECORDS)?)
            .context("polling the record ring")?;
        let (sender, events) = unbounded_channel();
        let (files, processes) = (HashMap::new(), HashMap::new());
        let reported = Vec::new();
        Ok(Self {
            target,
            programs,
            exec_events,
            records,
            sink,
            files,
            processes,
            events,
            sender,
            reported,
            open_at_exit: 0,
            traced: 0,
        })
    }

    /// Looks at the processes that run already. For a process id, one that cannot be traced is an error.
    pub fn find_running(&mut self) -> anyhow::Result<()> {
        match self.target.clone() {
            Target::Pid(pid) => {
                let exe = discover::executable(pid)
                    .with_context(|| format!("process {pid}: reading /proc/{pid}/exe"))?;
                self.consider(pid, exe)
            }
            Target::Exe(path) => {
                if let Err(error) = std::fs::metadata(&path) {
                    warn!("{}: {error}; waiting for it", path.display());
                }
                for pid in discover::processes().context("listing /proc")? {
                    self.started(pid);
                }
                if self.processes.is_empty() && self.files.values().all(|file| file.waiting.is_empty()) {
                    info!("waiting for a process of {}", path.display());
                }
                Ok(())
            }
        }
    }

    /// Traces `pid`, which is about to execute `exe`, before it does: used by `strobe exec`.
    pub fn prepare(&mut self, pid: u32, exe: File, name: &str) -> anyhow::Result<()> {
        let identity = FileIdentity::of(&exe).with_context(|| format!("{name}: reading its metadata"))?;
        let plan = planning::plan(&exe, name)?;
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
        self.trace(pid, identity)
    }

    /// Runs until the target is gone (for a process id) or `stop` completes.
    pub async fn run(&mut self, stop: impl Future<Output = ()>) -> anyhow::Result<Ended> {
        let mut stop = std::pin::pin!(stop);
        let mut poll = tokio::time::interval(POLL);
        let mut report = tokio::time::interval(REPORT);
        loop {
            tokio::select! {
                () = &mut stop => return Ok(Ended::Stopped),
                _ = poll.tick() => {}
                _ = report.tick() => self.report()?,
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
            self.drain_records();
        }
    }

    /// How many processes it has begun to trace.
    pub fn traced(&self) -> u64 {
        self.traced
    }

    /// Removes all probes, takes what is left in the ring, and exports it, for at most `patience`.
    pub async fn finish(mut self, patience: Duration) -> anyhow::Result<()> {
        // The target's end may be known to its parent before its pidfd says so: what was in flight counts either way.
        for pid in self.processes.keys().copied().collect::<Vec<_>>() {
            self.forget(pid);
        }
        self.files.clear();
        self.drain_records();
        self.report()?;
        self.sink.finish(patience).await;
        Ok(())
    }

    fn handle(&mut self, event: Event) -> Option<Ended> {
        match event {
            Event::Exited(pid) => {
                self.forget(pid);
                (self.target == Target::Pid(pid)).then_some(Ended::TargetGone)
            }
            Event::Planned(identity, plan) => self.planned(identity, *plan),
        }
    }

    fn drain_exec_events(&mut self) {
        let mut started = Vec::new();
        while let Some(item) = self.exec_events.get_mut().next() {
            // The first word of an ExecEvent.
            if item.len() >= size_of::<ExecEvent>()
                && let Some(tgid) = item.first_chunk::<4>()
            {
                started.push(u32::from_ne_bytes(*tgid));
            }
        }
        for pid in started.into_iter().filter(|pid| *pid != 0) {
            self.started(pid);
        }
    }

    /// A process has executed something, or was found running.
    fn started(&mut self, pid: u32) {
        let exe = match discover::executable(pid) {
            Ok(exe) => exe,
            // Gone already, or a kernel thread.
            Err(error) => return debug!(pid, "not looked at: {error}"),
        };
        if let Some(process) = self.processes.get_mut(&pid) {
            match FileIdentity::of(&exe) {
                Ok(identity) if identity == process.file => {
                    // The same program again, or the one that `prepare` announced: its environment is known only now.
                    process.source = Arc::new(self.sink.source(pid, plan_of(&self.files, &identity)));
                    return;
                }
                _ => self.forget(pid),
            }
        }
        if self.target.wants(pid, &exe)
            && let Err(error) = self.consider(pid, exe)
        {
            warn!(pid, "not traced: {error:#}");
        }
    }

    /// Traces the process if its file can be traced; plans the file first if it is new.
    fn consider(&mut self, pid: u32, exe: File) -> anyhow::Result<()> {
        let identity = FileIdentity::of(&exe).with_context(|| format!("process {pid}: its executable"))?;
        if self.processes.get(&pid).is_some_and(|process| process.file == identity) {
            return Ok(());
        }
        if let Some(traced) = self.files.get_mut(&identity) {
            traced.file.get_or_insert_with(|| Arc::new(exe));
            if traced.plan.is_none() {
                traced.waiting.push(pid);
                return Ok(());
            }
            return self.trace(pid, identity);
        }
        let name = std::fs::read_link(format!("/proc/{pid}/exe"))
            .map_or_else(|_| format!("/proc/{pid}/exe"), |path| path.to_string_lossy().into_owned());
        let file = Arc::new(exe);
        let (sender, planned) = (self.sender.clone(), (Arc::clone(&file), name.clone()));
        tokio::task::spawn_blocking(move || {
            let (file, name) = planned;
            let plan = planning::plan(&file, &name).map_err(|error| format!("{error:#}"));
            if sender.send(Event::Planned(identity, Box::new(plan))).is_err() {
                debug!("the agent ended before the plan of {name}");
            }
        });
        let traced =
            Traced { file: Some(file), name, plan: None, attached: None, waiting: vec![pid], processes: 0 };
        self.files.insert(identity, traced);
        Ok(())
    }

    fn planned(&mut self, identity: FileIdentity, plan: Result<Plan, String>) -> Option<Ended> {
        let traced = self.files.get_mut(&identity)?;
        traced.plan = Some(plan);
        for pid in std::mem::take(&mut traced.waiting) {
            if let Err(error) = self.trace(pid, identity) {
                if self.target == Target::Pid(pid) {
                    return Some(Ended::Untraceable(format!("{error:#}")));
                }
                warn!(pid, "not traced: {error:#}");
            }
        }
        self.drop_unused_plans();
        None
    }

    /// Attaches the file if it is not, and configures the process.
    fn trace(&mut self, pid: u32, identity: FileIdentity) -> anyhow::Result<()> {
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
        let source = Arc::new(self.sink.source(pid, Some(plan)));
        self.programs.configure(pid, attached.config)?;
        traced.processes += 1;
        let probes = attached.probes();
        self.processes.insert(pid, Process { file: identity, source: Arc::clone(&source) });
        if let Err(error) = discover::watch_exit(pid, self.sender.clone()) {
            self.forget(pid);
            anyhow::bail!("process {pid} is gone: {error}");
        }
        self.traced += 1;
        info!("tracing pid {pid} ({}, {probes} probes)", source.service());
        Ok(())
    }

    /// A process is gone, or executes something else: its records are taken, and when it was the last of its file the probes
    /// go, before anybody can overwrite the file (house.md, decision 10).
    fn forget(&mut self, pid: u32) {
        let Some(process) = self.processes.get(&pid) else { return };
        let identity = process.file;
        if let Some(traced) = self.files.get_mut(&identity) {
            traced.processes = traced.processes.saturating_sub(1);
            if traced.processes == 0 {
                traced.attached = None;
                traced.file = None;
            }
        }
        self.drain_records();
        match self.programs.forget(pid) {
            Ok(open) => self.open_at_exit += open as u64,
            Err(error) => warn!(pid, "forgetting the process: {error}"),
        }
        self.processes.remove(&pid);
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
