//! guard's thread: waits for all its descriptors at once, turns what has happened into events for [`State`], and does what it
//! says. Nothing here waits for anybody else.

mod files;
mod looks;
mod missed;
mod processes;
mod switches;

use std::{
    collections::{BTreeMap, BTreeSet},
    os::fd::{AsFd as _, AsRawFd as _, BorrowedFd},
    path::PathBuf,
    sync::mpsc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use tracing::{debug, error, warn};

use super::{
    keeper::{self, Keeper},
    look::{self, Job},
    losses::Losses,
    message::{Answer, Door, Found, Message},
    parts::{Audience, News, Parts, Wish},
    state::{Action, Event, Inode, Moment, State},
    tables::Tables,
};
use crate::{
    config::SwitchedOff,
    discover::{ExecRing, ProcessId, Target, Targets, Watch},
    libraries::Sampling,
    planning::Planner,
    priority,
    programs::Programs,
};

/// How often the state machine hears that time has passed; at least as often the keeper hears that guard is there.
const TICK: Duration = Duration::from_millis(100);
/// How often the programs' counters are looked at, and how often what they say is lost is said.
const COUNT: Duration = Duration::from_secs(1);
const REPORT: Duration = Duration::from_secs(10);
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

pub struct Worker {
    target: Target,
    sampling: Sampling,
    off: SwitchedOff,
    programs: Programs,
    watch: Watch,
    exec_ring: ExecRing,
    keeper: Keeper,
    planner: Planner,
    looker: mpsc::Sender<Job>,
    audience: Box<dyn Audience>,
    news: Box<dyn Fn(News) + Send>,
    wishes: mpsc::Receiver<Wish>,
    door: Door,
    inbox: mpsc::Receiver<Message>,
    epoll: Epoll,
    state: State,
    tables: Tables,
    /// How many attachments there have been of what was missed.
    extra: u64,
    /// Files whose first probes have been asked to go.
    detaching: BTreeSet<Inode>,
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
        let Parts { target, mut programs, sampling, off, sources, wishes, audience, own } = parts;
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
            off,
            programs,
            watch,
            exec_ring,
            keeper,
            planner: Planner::new(PLANNERS, own),
            looker,
            audience,
            news,
            wishes,
            door,
            inbox,
            epoll,
            state: State::default(),
            tables: Tables::default(),
            extra: 0,
            detaching: BTreeSet::new(),
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
                Err(error) => {
                    // The probes go by themselves; this does not.
                    self.switch_all_off();
                    break Err(error);
                }
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
        // Whole milliseconds: up, or the last one would be spent asking.
        let timeout = TICK.saturating_sub(self.ticked.elapsed()) + Duration::from_micros(999);
        let timeout = match self.programs.is_in_haste() {
            true => EpollTimeout::ZERO,
            false => EpollTimeout::try_from(timeout).unwrap_or(EpollTimeout::ZERO),
        };
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
        let is_time = self.ticked.elapsed() >= TICK;
        if is_time || self.programs.is_in_haste() {
            self.programs.sweep()?;
            self.programs.gone().into_iter().for_each(|gone| self.audience.gave_way(gone));
        }
        if !is_time {
            return Ok(());
        }
        self.ticked = Instant::now();
        self.on(Event::Tick);
        self.take_wishes();
        self.switch();
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

    /// False: it is to stop.
    fn take(&mut self, message: Message) -> anyhow::Result<bool> {
        match message {
            Message::Looked(looked) => self.looked(*looked),
            Message::Facts(facts) => self.facts(*facts),
            Message::Planned(planned) => self.planned(*planned),
            Message::Switched(switched) => self.switched(switched),
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
            Action::Detach { file, attempt } => {
                self.detaching.insert(file);
                self.detach_missed(file);
                self.keeper.detach(attempt);
            }
            Action::Watch(process) => self.watch_process(process),
            Action::Unwatch(process) => self.unwatch(process),
            Action::Configure { process, generation, file } => self.configure(process, generation, file),
            Action::Forget { process, generation } => self.forget(process, generation),
            Action::NotTraced { pid, reason } => self.not_traced(pid, reason),
        }
    }

    /// Detach, then forget: what the programs have sent until then is drained afterwards.
    fn take_all_out(&mut self) -> anyhow::Result<()> {
        self.switch_all_off();
        for attempt in self.tables.extras.keys().chain(self.tables.attempts.keys()) {
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
