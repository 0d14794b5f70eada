//! guard's thread: waits for all its descriptors at once, turns what has happened into events for [`State`], and does what it
//! says. Nothing here waits for anybody else.

use std::{
    collections::{BTreeMap, BTreeSet},
    os::fd::{AsFd as _, AsRawFd as _, BorrowedFd},
    path::PathBuf,
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use runtime_ebpf::abi;
use tracing::{debug, error, info, warn};

use super::{
    Audience, Door, Message, News, Parts,
    keeper::{self, Keeper, Why},
    look::{self, Facts, Found, Job, Looked},
    losses::Losses,
    state::{Action, Event, Failure, Inode, Look, Moment, ProcessKey, Reason, Sight, State},
    tables::{Attempt, Known, Planned, Ready, Tables},
};
use crate::{
    attach,
    discover::{ExecRing, OpenError, ProcessId, Target, Targets, Watch},
    files::FileIdentity,
    libraries::Sampling,
    planning::{PlanError, Planner},
    priority,
    programs::Programs,
};

/// How often the state machine hears that time has passed; at least as often the keeper hears that guard is there.
const TICK: Duration = Duration::from_millis(100);
/// How often the programs' counters are looked at, and how often what they say is lost is said.
const COUNT: Duration = Duration::from_secs(1);
const REPORT: Duration = Duration::from_secs(10);
/// So many lines about processes that may not be looked at are remembered, so as not to be said again.
const MAX_REFUSED_LOOKS: usize = 1024;
/// The counter of exec events that the ring had no room for.
const EXEC_LOST: &str = "processes.exec_lost";
/// Plans that are made at a time.
const PLANNERS: usize = 2;
/// How long the keeper may take to take out all probes at the end.
const GOOD_BYE: Duration = Duration::from_secs(20);

/// What an epoll event's number means; a pidfd's is [`PIDFD`] and the process id.
const EXEC_RING: u64 = 0;
const KEEPER: u64 = 1;
const BELL: u64 = 2;
const PIDFD: u64 = 1 << 32;

type Answer = mpsc::Sender<Result<(), Reason>>;

pub struct Worker {
    target: Target,
    sampling: Sampling,
    programs: Programs,
    watch: Watch,
    exec_ring: ExecRing,
    keeper: Keeper,
    planner: Planner,
    looker: mpsc::Sender<Job>,
    audience: Box<dyn Audience>,
    news: Box<dyn Fn(News) + Send>,
    door: Door,
    inbox: mpsc::Receiver<Message>,
    epoll: Epoll,
    state: State,
    tables: Tables,
    /// What the look that is being answered has brought.
    in_hand: Option<Found>,
    /// What an exec event said of a process that is to be looked at.
    asked: BTreeMap<u32, (ProcessId, u32)>,
    /// The first look at all processes goes on: when it has ended without any, it is said what guard waits for.
    is_first_look: bool,
    waits_for: String,
    /// Paths that name nothing here.
    absent: Vec<PathBuf>,
    preparing: BTreeMap<u32, Answer>,
    /// Exec events that the kernel could not tell of, as counted last.
    lost_events: u64,
    losses: Losses,
    began: Instant,
    ticked: Instant,
    alive: Instant,
    counted: Instant,
    reported: Instant,
    /// What was said of wanted processes that may not be looked at.
    refused_looks: BTreeSet<String>,
}

impl Worker {
    pub fn new(
        parts: Parts,
        door: Door,
        inbox: mpsc::Receiver<Message>,
        news: Box<dyn Fn(News) + Send>,
    ) -> anyhow::Result<Self> {
        let Parts { target, mut programs, sampling, sources, audience } = parts;
        let targets = Targets::new(target.clone()).context("finding the target's path")?;
        let waits_for = targets.to_string();
        let absent: Vec<PathBuf> = targets.absent().map(PathBuf::from).collect();
        let (watch, exec_ring) = Watch::start(&mut programs, &targets)?;
        let looker = look::start(targets, sources, door.clone())?;
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).context("epoll_create")?;
        let keeper = Keeper::start()?;
        let worker = Self {
            target,
            sampling,
            programs,
            watch,
            exec_ring,
            keeper,
            planner: Planner::new(PLANNERS),
            looker,
            audience,
            news,
            door,
            inbox,
            epoll,
            state: State::default(),
            tables: Tables::default(),
            in_hand: None,
            asked: BTreeMap::new(),
            is_first_look: false,
            waits_for,
            absent,
            preparing: BTreeMap::new(),
            lost_events: 0,
            losses: Losses::default(),
            began: Instant::now(),
            ticked: Instant::now(),
            alive: Instant::now(),
            counted: Instant::now(),
            reported: Instant::now(),
            refused_looks: BTreeSet::new(),
        };
        // SAFETY: the ring is the worker's and lives as long as its epoll descriptor.
        let exec_ring = unsafe { BorrowedFd::borrow_raw(worker.exec_ring.as_raw_fd()) };
        worker.poll_for(exec_ring, EXEC_RING)?;
        worker.poll_for(worker.keeper.socket(), KEEPER)?;
        worker.poll_for(worker.door.bell.as_fd(), BELL)?;
        Ok(worker)
    }

    fn poll_for(&self, descriptor: BorrowedFd<'_>, number: u64) -> anyhow::Result<()> {
        let event = EpollEvent::new(EpollFlags::EPOLLIN, number);
        self.epoll.add(descriptor, event).context("waiting for a descriptor (epoll_ctl)")
    }

    /// The thread's life.
    pub fn run(mut self) {
        priority::raise("guard");
        let ended = loop {
            match self.turn() {
                Ok(true) => {}
                Ok(false) => break self.take_all_out(),
                Err(error) => break Err(error),
            }
        };
        if let Err(error) = ended {
            error!("guard cannot go on, and takes all probes out: {error:#}");
            (self.news)(News::Failed(format!("{error:#}")));
        }
        // The keeper is dropped here: it closes what it has.
    }

    /// Waits, and takes everything that has come; false: it is to stop.
    fn turn(&mut self) -> anyhow::Result<bool> {
        let mut ready = [EpollEvent::empty(); 64];
        let timeout = TICK.saturating_sub(self.ticked.elapsed());
        // Whole milliseconds: up, or the last one would be spent asking.
        let timeout =
            EpollTimeout::try_from(timeout + Duration::from_micros(999)).unwrap_or(EpollTimeout::ZERO);
        let count = match self.epoll.wait(&mut ready, timeout) {
            Ok(count) => count,
            Err(nix::errno::Errno::EINTR) => 0,
            Err(error) => return Err(error).context("waiting (epoll_wait)"),
        };
        // Executed programs first: an answer that was waiting is then about what ran before.
        self.take_exec_events();
        for event in ready.iter().take(count) {
            match event.data() {
                KEEPER => self.take_keepers_news()?,
                BELL => drop(self.door.bell.read()),
                number if number >= PIDFD => self.process_ended(number - PIDFD),
                _ => {}
            }
        }
        while let Ok(message) = self.inbox.try_recv() {
            if !self.take(message)? {
                return Ok(false);
            }
        }
        self.tick()?;
        Ok(true)
    }

    fn tick(&mut self) -> anyhow::Result<()> {
        if self.alive.elapsed() >= keeper::HEARTBEAT {
            self.alive = Instant::now();
            self.keeper.alive();
        }
        if self.ticked.elapsed() < TICK {
            return Ok(());
        }
        self.ticked = Instant::now();
        self.on(Event::Tick);
        self.programs.sweep()?;
        if self.counted.elapsed() >= COUNT {
            self.counted = Instant::now();
            self.count()?;
        }
        Ok(())
    }

    /// Looks at the programs' counters: an exec that the ring had no room for may have been anybody's, so all processes are
    /// looked at again.
    fn count(&mut self) -> anyhow::Result<()> {
        let counters = self.programs.counters()?;
        let lost =
            counters.iter().find(|counted| counted.name == EXEC_LOST).map_or(0, |counted| counted.value);
        if lost > self.lost_events {
            warn!("{} programs started unseen: looking at all processes again", lost - self.lost_events);
            self.lost_events = lost;
            self.find_running();
        }
        if self.reported.elapsed() >= REPORT {
            self.reported = Instant::now();
            self.losses.report(&counters);
            // What the kernel's filter of names cannot tell, and what could not be looked at for too long, is found so.
            if matches!(self.target, Target::Exe(_)) {
                self.find_running();
            }
        }
        Ok(())
    }

    fn now(&self) -> Moment {
        self.began.elapsed()
    }

    fn on(&mut self, event: Event) {
        let now = self.now();
        for action in self.state.on(now, event) {
            self.act(action);
        }
    }

    fn take_exec_events(&mut self) {
        while let Some(event) = self.exec_ring.next_event() {
            if event.pid != 0 {
                let id = ProcessId { pid: event.pid, tgid: event.tgid };
                self.asked.insert(event.pid, (id, event.followed));
                self.on(Event::Executed(event.pid));
            }
        }
    }

    fn find_running(&mut self) {
        let running = match self.watch.running() {
            Ok(running) => running,
            Err(error) => return warn!("looking for processes that run already: {error}"),
        };
        for id in running {
            self.asked.entry(id.pid).or_insert((id, 0));
            self.on(Event::Found(id.pid));
        }
    }

    fn process_ended(&mut self, pid: u64) {
        let pid = u32::try_from(pid).unwrap_or(0);
        if let Some(known) = self.tables.processes.get(&pid) {
            self.on(Event::Exited(known.key));
        }
    }

    fn take_keepers_news(&mut self) -> anyhow::Result<()> {
        let before = self.keeper.starts();
        let news = self.keeper.news()?;
        if self.keeper.starts() != before {
            self.poll_for(self.keeper.socket(), KEEPER)?;
        }
        for (attempt, news) in news {
            self.keepers(attempt, news);
        }
        Ok(())
    }

    fn keepers(&mut self, attempt: u64, news: keeper::News) {
        let Some(file) = self.tables.attempts.get(&attempt).map(|attempt| attempt.file) else { return };
        let name = self.name(file);
        let event = match news {
            keeper::News::Attached { no_lease } => {
                if let Some(reason) = &no_lease {
                    debug!("{name}: no lease: {reason}; its probes go with its last process");
                }
                let probes = self.tables.plans.get(&file).map_or(0, |ready| ready.layout.probes.len());
                info!(file = %name, probes, "probes attached");
                Event::Attached { file, attempt, lease: no_lease.is_none() }
            }
            keeper::News::Refused { reason, passing } => {
                self.tables.end_attempt(attempt);
                let reason = format!("{name}: attaching its probes: {reason}");
                debug!("{reason}");
                let failure = if passing { Failure::Passing(reason) } else { Failure::Final(reason.into()) };
                Event::AttachFailed { file, attempt, failure }
            }
            keeper::News::NotAsPlanned(content) => {
                self.tables.end_attempt(attempt);
                Event::NotAsPlanned { file, attempt, content }
            }
            keeper::News::Detached(why) => {
                self.tables.end_attempt(attempt);
                match why {
                    Why::Asked => debug!("{name}: its probes are gone"),
                    Why::Writer => info!("{name}: somebody wants to write to it: its probes are gone"),
                    Why::Silence => warn!(
                        "{name}: strobe was stopped or too slow for a second: its probes were taken out"
                    ),
                    Why::KeeperGone => warn!("{name}: its probes are gone with their keeper"),
                }
                Event::Detached { file, attempt }
            }
        };
        self.on(event);
    }

    /// False: it is to stop.
    fn take(&mut self, message: Message) -> anyhow::Result<bool> {
        match message {
            Message::Looked(looked) => self.looked(*looked),
            Message::Facts(facts) => self.facts(*facts),
            Message::Planned(planned) => self.planned(*planned),
            Message::Prepare { pid, file, name, answer } => self.prepare(pid, file, name, answer),
            Message::FindRunning => self.find_first(),
            Message::Ended(process) => self.on(Event::Exited(process)),
            Message::Targets(targets) => {
                self.watch.want(&targets)?;
                self.find_running();
            }
            Message::Stop => return Ok(false),
        }
        Ok(true)
    }

    fn find_first(&mut self) {
        if let Target::Pid(pid) | Target::Tree(pid) = self.target {
            match self.watch.id_of(pid) {
                Ok(Some(id)) => drop(self.asked.insert(pid, (id, 0))),
                Ok(None) => {}
                Err(error) => warn!(pid, "{error}"),
            }
            self.on(Event::Found(pid));
        }
        if !matches!(self.target, Target::Pid(_)) {
            self.find_running();
        }
        if matches!(self.target, Target::Exe(_)) {
            self.is_first_look = true;
            self.say_what_is_waited_for();
        }
    }

    fn say_what_is_waited_for(&mut self) {
        if !self.is_first_look || self.state.is_looking() {
            return;
        }
        self.is_first_look = false;
        for path in &self.absent {
            let path = path.display();
            info!("{path}: not on this file system: waiting for a process that calls its executable so");
        }
        if self.state.processes() == 0 {
            info!("waiting for a process of {}", self.waits_for);
        }
    }

    fn looked(&mut self, looked: Looked) {
        let Looked { pid, ticket, found, wanted } = looked;
        if let (Ok(Some(found)), Some(known)) = (&found, self.tables.processes.get_mut(&pid))
            && found.process.start_ticks == known.key.started
        {
            known.runs = found.process.inode();
        }
        // What has no executable is no process to the state machine either, but the user asked for it by its number.
        let nothing = match &found {
            Err(error @ OpenError::KernelThread { .. }) => {
                format!("{error}: there is nothing in it to trace")
            }
            _ => format!("process {pid}: there is no such process"),
        };
        let look = match found {
            Ok(Some(found)) => match self.sight(found) {
                Ok(sight) => Look::Runs(sight),
                Err(error) => self.failed_look(&error, wanted),
            },
            Ok(None) => Look::Unwanted,
            Err(error) => self.failed_look(&error, wanted),
        };
        if look == Look::Gone && self.target == Target::Pid(pid) && !self.tables.processes.contains_key(&pid)
        {
            (self.news)(News::NotTraced { pid, reason: nothing.into() });
        }
        self.on(Event::Looked { pid, ticket, look });
        self.in_hand = None;
        self.say_what_is_waited_for();
    }

    /// What was seen, checked once more now that its execs are followed.
    fn sight(&mut self, found: Found) -> Result<Sight, OpenError> {
        let failed =
            |what, error: std::io::Error| OpenError::Failed { pid: found.process.id.pid, what, error };
        let tgid = found.process.id.tgid;
        let followed = match self.target {
            Target::Tree(_) => self.watch.follow_tree(tgid),
            Target::Pid(_) | Target::Exe(_) => self.watch.follow(tgid),
        };
        followed.map_err(|error| failed("following what it executes", std::io::Error::other(error)))?;
        found.process.still_the_same()?;
        let sight = self.sight_of(&found).map_err(|error| failed("finding its executable's inode", error))?;
        self.in_hand = Some(found);
        Ok(sight)
    }

    fn sight_of(&mut self, found: &Found) -> std::io::Result<Sight> {
        let inode = self.watch.kernel_inode(&mut self.programs, &found.file)?;
        let file = Inode { dev: inode.dev, ino: inode.ino };
        let Found { process, content, image, .. } = found;
        Ok(Sight { started: process.start_ticks, image: *image, file, content: *content })
    }

    fn failed_look(&mut self, error: &OpenError, wanted: bool) -> Look {
        match error {
            OpenError::Gone { .. } | OpenError::KernelThread { .. } => Look::Gone,
            OpenError::TryAgain { .. } => Look::Failed(Failure::Passing(error.to_string())),
            // A stranger's process that may not be looked at is not the user's concern.
            OpenError::NotAllowed { .. } | OpenError::Failed { .. }
                if matches!(self.target, Target::Exe(_)) =>
            {
                let text = error.to_string();
                // Each look at all processes comes by it again.
                if wanted && self.refused_looks.insert(text.clone()) {
                    warn!("not traced: {text}");
                } else {
                    debug!("{text}");
                }
                if self.refused_looks.len() > MAX_REFUSED_LOOKS {
                    self.refused_looks.clear();
                }
                Look::Unwanted
            }
            OpenError::NotAllowed { .. } => {
                Look::Failed(Failure::Final(Reason { not_allowed: true, ..error.to_string().into() }))
            }
            OpenError::Failed { .. } => Look::Failed(Failure::Final(error.to_string().into())),
        }
    }

    fn planned(&mut self, planned: Planned) {
        let Planned { file, content, result } = planned;
        let name = self.name(file);
        let result = match (content, result) {
            (_, Err(PlanError::TryAgain(reason))) => Err(Failure::Passing(reason)),
            (None, _) => Err(Failure::Passing(format!("{name}: it was written to while it was planned"))),
            (_, Err(PlanError::Refused(reason))) => Err(Failure::Final(reason.into())),
            (_, Err(PlanError::NotGo(text))) => Err(Failure::Final(Reason { not_go: true, ..text.into() })),
            (_, Ok(plan)) => match attach::layout(&plan) {
                Ok(layout) => {
                    self.tables.plans.insert(file, Ready { plan: Arc::new(plan), layout });
                    Ok(())
                }
                Err(error) => Err(Failure::Final(format!("{error:#}").into())),
            },
        };
        if let Err(Failure::Passing(reason)) = &result {
            warn!("not traced yet, and tried again in a moment: {reason}");
        } else if let Err(failure) = &result {
            debug!("{failure:?}");
        }
        let content = content.unwrap_or_else(FileIdentity::unknown);
        self.on(Event::Planned { file, content, result });
    }

    /// The process's facts are there: drain hears of it first, then the programs.
    fn facts(&mut self, facts: Facts) {
        let Facts { process, generation, source } = facts;
        let Some(known) = self.tables.processes.get_mut(&process.pid).filter(|known| known.key == process)
        else {
            return;
        };
        let Some((_, file)) = known.pending.filter(|(pending, _)| *pending == generation) else { return };
        known.pending = None;
        let tgid = known.id.tgid;
        let configured = source.and_then(|source| {
            let source = Arc::new(source);
            self.audience.know(tgid, generation, Arc::clone(&source));
            self.trace(tgid, generation, file).map(|()| source)
        });
        match configured {
            Ok(source) => self.say_traced(process.pid, file, source.service()),
            Err(failure) => {
                self.audience.forget(tgid, generation);
                debug!("configuring pid {}: {failure:?}", process.pid);
                self.on(Event::ConfigureFailed { process, generation, failure });
            }
        }
        // An exec from before the programs were told is in the ring by now, and undoes it.
        self.take_exec_events();
    }

    fn trace(&mut self, tgid: u32, generation: u32, file: Inode) -> Result<(), Failure> {
        let index = self.tables.index_of(file);
        let index = index.ok_or_else(|| Failure::Passing("its probes have just gone".to_owned()))?;
        let process = abi::Process {
            generation,
            file: index,
            sampler: self.sampling.sampler,
            switches: self.sampling.switches(),
            told: 0,
            entries: 0,
        };
        self.programs.trace(tgid, process).map_err(|error| Failure::Passing(error.to_string()))
    }

    fn say_traced(&mut self, pid: u32, file: Inode, service: &str) {
        let probes = self.tables.plans.get(&file).map_or(0, |ready| ready.layout.probes.len());
        if let Some(known) = self.tables.processes.get_mut(&pid)
            && known.said != Some(file)
        {
            known.said = Some(file);
            info!("tracing pid {pid} ({service}, {probes} probes)");
        }
        (self.news)(News::Traced(pid));
        if let Some(answer) = self.preparing.remove(&pid) {
            // Whoever waited for it may have given up.
            let _ = answer.send(Ok(()));
        }
    }

    fn prepare(&mut self, pid: u32, file: std::fs::File, name: PathBuf, answer: Answer) {
        let id = match self.watch.id_of(pid) {
            Ok(Some(id)) => id,
            Ok(None) => ProcessId { pid, tgid: pid },
            Err(error) => return drop(answer.send(Err(error.to_string().into()))),
        };
        let sight = look::announced(id, file, name).and_then(|found| self.sight(found));
        match sight {
            Ok(sight) => {
                self.preparing.insert(pid, answer);
                self.on(Event::Announced { pid, sight });
                self.in_hand = None;
            }
            Err(error) => drop(answer.send(Err(error.to_string().into()))),
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Look { pid, ticket } => self.ask_look(pid, ticket),
            Action::Keep(file) => self.keep(file),
            Action::Close(file) => drop(self.tables.kept.remove(&file)),
            Action::Plan(file) => self.plan(file),
            Action::DropPlan(file) => {
                self.tables.plans.remove(&file);
                self.tables.names.remove(&file);
            }
            Action::Attach { file, attempt, content } => self.attach(file, attempt, content),
            Action::Detach { attempt, .. } => self.keeper.detach(attempt),
            Action::Watch(process) => self.watch_process(process),
            Action::Unwatch(process) => self.unwatch(process),
            Action::Configure { process, generation, file } => self.configure(process, generation, file),
            Action::Forget { process, generation } => self.forget(process, generation),
            Action::NotTraced { pid, reason } => self.not_traced(pid, reason),
        }
    }

    fn ask_look(&mut self, pid: u32, ticket: u64) {
        let known = self.tables.processes.get(&pid);
        let ran = known.map(|known| (known.key.started, known.runs));
        let known = known.map(|known| (known.id, 0));
        let (id, followed) = self.asked.remove(&pid).or(known).unwrap_or((ProcessId { pid, tgid: pid }, 0));
        // It ends only with this thread.
        let _ = self.looker.send(Job::Look { id, followed, ran, ticket });
    }

    fn keep(&mut self, file: Inode) {
        let Some(found) = &self.in_hand else { return };
        match found.file.try_clone() {
            Ok(descriptor) => {
                self.tables.names.insert(file, found.process.exe.clone());
                self.tables.kept.insert(file, Arc::new(descriptor));
            }
            // Planning and attaching will find that there is none, and try again.
            Err(error) => warn!("{}: keeping it open: {error}", found.process.exe.display()),
        }
    }

    fn plan(&mut self, file: Inode) {
        let door = self.door.clone();
        let Some(kept) = self.tables.kept.get(&file).map(Arc::clone) else {
            let result = Err(PlanError::TryAgain(format!("{}: it could not be kept open", self.name(file))));
            return door.send(Message::Planned(Box::new(Planned { file, content: None, result })));
        };
        let before = FileIdentity::of(&kept).ok();
        let again = Arc::downgrade(&kept);
        self.planner.submit(kept, self.name(file), move |result| {
            let after = again.upgrade().and_then(|file| FileIdentity::of(&file).ok());
            let content = before.filter(|before| after.as_ref() == Some(before));
            door.send(Message::Planned(Box::new(Planned { file, content, result })));
        });
    }

    fn attach(&mut self, file: Inode, attempt: u64, content: FileIdentity) {
        if let Err(error) = self.ask_attach(file, attempt, content) {
            self.tables.end_attempt(attempt);
            let failure = Failure::Passing(format!("{}: attaching its probes: {error:#}", self.name(file)));
            self.on(Event::AttachFailed { file, attempt, failure });
        }
    }

    fn ask_attach(&mut self, file: Inode, attempt: u64, content: FileIdentity) -> anyhow::Result<()> {
        let index = self.tables.take_index().context("too many files are traced")?;
        self.tables.attempts.insert(attempt, Attempt { file, index });
        let kept = self.tables.kept.get(&file).context("it could not be kept open")?;
        let layout = &self.tables.plans.get(&file).context("its plan is not here")?.layout;
        self.programs.set_file(index, &layout.core, &layout.libraries)?;
        let programs: Vec<BorrowedFd<'_>> =
            layout.programs.iter().map(|name| self.programs.descriptor(name)).collect::<Result<_, _>>()?;
        let multi = self.programs.is_multi();
        self.keeper
            .attach(attempt, kept.as_fd(), content, layout.probes.clone(), &programs, multi)
            .context("asking the keeper of the probes")
    }

    fn watch_process(&mut self, key: ProcessKey) {
        let Some(found) = &self.in_hand else { return };
        let pidfd = match found.process.pidfd().try_clone_to_owned() {
            Ok(pidfd) => pidfd,
            Err(error) => return self.unwatchable(key, &error.into()),
        };
        if let Err(error) = self.poll_for(pidfd.as_fd(), PIDFD + u64::from(key.pid)) {
            return self.unwatchable(key, &error);
        }
        let (id, runs) = (found.process.id, found.process.inode());
        let known = Known { key, id, runs, pidfd, pending: None, said: None };
        self.tables.processes.insert(key.pid, known);
    }

    /// Whose end nobody would see cannot be traced. It is as good as gone, and looked at again when it executes something.
    fn unwatchable(&mut self, key: ProcessKey, error: &anyhow::Error) {
        warn!("pid {}: not traced: waiting for its end: {error:#}", key.pid);
        let messages = self.door.clone();
        messages.send(Message::Ended(key));
    }

    fn unwatch(&mut self, key: ProcessKey) {
        let Some(known) = self.tables.processes.remove(&key.pid) else { return };
        if let Err(error) = self.epoll.delete(&known.pidfd) {
            debug!("pid {}: {error}", key.pid);
        }
        if known.said.is_some() {
            info!("pid {} is not traced any more", key.pid);
        }
        (self.news)(News::Ended(key.pid));
    }

    fn configure(&mut self, process: ProcessKey, generation: u32, file: Inode) {
        let ready = self.tables.plans.get(&file).map(|ready| Arc::clone(&ready.plan));
        let (Some(known), Some(plan)) = (self.tables.processes.get_mut(&process.pid), ready) else { return };
        known.pending = Some((generation, file));
        let job = Job::Facts { id: known.id, process, generation, plan };
        // It ends only with this thread.
        let _ = self.looker.send(job);
    }

    fn forget(&mut self, process: ProcessKey, generation: u32) {
        let Some(known) = self.tables.processes.get_mut(&process.pid) else { return };
        if known.pending.take().is_some() {
            return;
        }
        let tgid = known.id.tgid;
        if let Err(error) = self.programs.forget(tgid) {
            warn!("pid {}: {error}", process.pid);
        }
        self.audience.forget(tgid, generation);
    }

    fn not_traced(&mut self, pid: u32, reason: Reason) {
        // A command may start any number of other programs: that they are no Go programs is no news. And what ends the agent is
        // said by whoever started it, once.
        let said_elsewhere = match self.target {
            Target::Tree(_) => reason.not_go,
            Target::Pid(wanted) => wanted == pid,
            Target::Exe(_) => false,
        };
        if said_elsewhere {
            debug!(pid, "not traced: {reason}");
        } else {
            warn!(pid, "not traced: {reason}");
        }
        if let Some(answer) = self.preparing.remove(&pid) {
            // Whoever waited for it may have given up.
            let _ = answer.send(Err(reason.clone()));
        }
        (self.news)(News::NotTraced { pid, reason });
    }

    fn name(&self, file: Inode) -> String {
        self.tables.names.get(&file).map_or_else(
            || format!("the file with inode {} on device {}", file.ino, file.dev),
            |name| name.display().to_string(),
        )
    }

    /// Detach, then forget: what the programs have sent until then is drained afterwards.
    fn take_all_out(&mut self) -> anyhow::Result<()> {
        for attempt in self.tables.attempts.keys() {
            self.keeper.detach(*attempt);
        }
        let began = Instant::now();
        while !self.keeper.is_idle() && began.elapsed() < GOOD_BYE {
            if self.alive.elapsed() >= keeper::HEARTBEAT {
                self.alive = Instant::now();
                self.keeper.alive();
            }
            self.keeper.wait(keeper::HEARTBEAT)?;
            for (attempt, _) in self.keeper.news()? {
                debug!("attachment {attempt} is over");
            }
        }
        self.losses.report(&self.programs.counters()?);
        Ok(())
    }
}
