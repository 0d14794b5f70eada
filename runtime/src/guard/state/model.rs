//! A model of a machine drives [`State`] through random sequences: processes start, execute the same file and others, end, their
//! ids are used again, files are written, events are lost, Plans and attachments fail, and every answer comes late and in any
//! order. What has to hold is checked after every step, and once more when everything has come to rest.
//!
//! `STROBE_MODEL_SEED=N` runs the one sequence N, and prints it.

mod answers;
mod random;
mod work;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{Action, Event, Failure, Inode, LINGER, Moment, ProcessKey, State};
use crate::files::FileIdentity;
use random::Random;
use work::Work;

const SEQUENCES: u64 = 100_000;
const STEPS: usize = 40;
const FILES: u64 = 3;
const PIDS: u64 = 4;

/// What a process really is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Real {
    started: u64,
    image: u64,
    file: u64,
}

/// Probes as the kernel has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Probed {
    attempt: u64,
    lease: bool,
}

/// The machine: truth, and the executor's tables.
struct Machine {
    random: Random,
    state: State,
    now: Moment,
    processes: BTreeMap<u32, Real>,
    contents: BTreeMap<u64, u64>,
    work: Vec<Work>,
    probed: BTreeMap<Inode, Probed>,
    held: BTreeSet<Inode>,
    planning: BTreeSet<Inode>,
    /// Of which content each Plan is.
    plans: BTreeMap<Inode, FileIdentity>,
    attaching: BTreeSet<Inode>,
    configured: BTreeMap<u32, (ProcessKey, u32, Inode)>,
    watched: BTreeSet<ProcessKey>,
    last_exit: BTreeMap<Inode, Moment>,
    generations: BTreeSet<u32>,
    serial: u64,
    /// Every fourth machine has none: there the reference knows exactly who is traced.
    ever_fails: bool,
    failures: bool,
    lost_events: bool,
    print: bool,
}

fn inode(file: u64) -> Inode {
    Inode { dev: 1, ino: file }
}

impl Machine {
    fn new(seed: u64, print: bool) -> Self {
        Self {
            random: Random(seed),
            state: State::default(),
            now: Moment::ZERO,
            processes: BTreeMap::new(),
            contents: (0..FILES).map(|file| (file, 0)).collect(),
            work: Vec::new(),
            probed: BTreeMap::new(),
            held: BTreeSet::new(),
            planning: BTreeSet::new(),
            plans: BTreeMap::new(),
            attaching: BTreeSet::new(),
            configured: BTreeMap::new(),
            watched: BTreeSet::new(),
            last_exit: BTreeMap::new(),
            generations: BTreeSet::new(),
            serial: 0,
            ever_fails: !seed.is_multiple_of(4),
            failures: !seed.is_multiple_of(4),
            lost_events: false,
            print,
        }
    }

    fn content(&self, file: u64) -> FileIdentity {
        FileIdentity::numbered(self.contents.get(&file).copied().unwrap_or(0))
    }

    /// A content in which nothing can be traced.
    fn is_refused(content: u64) -> bool {
        content % 4 == 3
    }

    fn give(&mut self, event: Event) {
        if self.print {
            println!("{:?} {event:?}", self.now);
        }
        for action in self.state.on(self.now, event) {
            if self.print {
                println!("      {action:?}");
            }
            self.act(action);
        }
        self.check();
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Look { pid, ticket } => self.work.push(Work::Look { pid, ticket, found: None }),
            Action::Keep(file) => assert!(self.held.insert(file), "{file:?} is kept twice"),
            Action::Close(file) => assert!(self.held.remove(&file), "{file:?} is closed and was not kept"),
            Action::Plan(file) => {
                assert!(self.held.contains(&file), "{file:?} is planned and is not open");
                assert!(self.planning.insert(file), "{file:?} is planned twice at a time");
                self.work.push(Work::Plan(file));
            }
            Action::DropPlan(file) => drop(self.plans.remove(&file)),
            Action::Attach { file, attempt, content } => {
                assert!(
                    self.held.contains(&file) && self.plans.contains_key(&file),
                    "{file:?}: attached from nothing"
                );
                assert!(!self.probed.contains_key(&file), "{file:?} is attached twice");
                assert!(self.attaching.insert(file), "{file:?} is being attached twice at a time");
                self.work.push(Work::Attach { file, attempt, content });
            }
            Action::Detach { file, attempt } => self.work.push(Work::Detach { file, attempt }),
            Action::Watch(process) => self.watch(process),
            Action::Unwatch(process) => {
                assert!(self.watched.remove(&process), "{process:?} was not watched");
            }
            Action::Configure { process, generation, file } => self.configure(process, generation, file),
            Action::Forget { process, generation } => {
                let gone = self.configured.remove(&process.pid);
                assert!(gone.is_none_or(|(p, g, _)| (p, g) == (process, generation)), "forgets another's");
            }
            Action::NotTraced { .. } => {}
        }
    }

    fn watch(&mut self, process: ProcessKey) {
        assert!(self.watched.insert(process), "{process:?} is watched twice");
        // Its pidfd was opened by the look: if it has ended since, that is said at once.
        if self.processes.get(&process.pid).is_none_or(|real| real.started != process.started) {
            self.work.push(Work::Deliver(Event::Exited(process)));
        }
    }

    fn configure(&mut self, process: ProcessKey, generation: u32, file: Inode) {
        assert!(self.generations.insert(generation), "generation {generation} is used twice");
        // The news that they are gone may be on its way.
        let probed = self.probed.contains_key(&file) || self.work.iter().any(|work| work.is_news_of(file));
        assert!(probed, "{process:?} is configured for {file:?}, which has no probes");
        if self.failures && self.random.one_in(12) {
            let failure = self.failure();
            self.work.push(Work::Deliver(Event::ConfigureFailed { process, generation, failure }));
        } else {
            let before = self.configured.insert(process.pid, (process, generation, file));
            assert_eq!(before, None, "{process:?} is configured over another");
        }
    }

    fn failure(&mut self) -> Failure {
        if self.random.one_in(3) { Failure::Final("no".into()) } else { Failure::Passing("not now".into()) }
    }

    /// What has to hold at every moment.
    fn check(&self) {
        for (file, state) in &self.state.files {
            let empty = state.processes.is_empty();
            let lingers = state.emptied.is_some_and(|at| self.now < at + LINGER);
            if let Some(probed) = self.probed.get(file) {
                let detaching = self.work.iter().any(|work| {
                    work.is_news_of(*file)
                        || matches!(work, Work::Detach { attempt, .. } if *attempt == probed.attempt)
                });
                let ticks_soon = empty && probed.lease && !lingers;
                assert!(
                    !empty || detaching || (probed.lease && lingers) || ticks_soon,
                    "{file:?}: probes without a process"
                );
            }
            if self.held.contains(file) {
                let needed = self.planning.contains(file)
                    || self.probed.contains_key(file)
                    || self.attaching.contains(file)
                    || self.work.iter().any(|work| work.is_news_of(*file));
                assert!(needed, "{file:?} is held open for nothing");
            }
        }
        for file in &self.held {
            assert!(self.state.files.contains_key(file), "{file:?} is held open and forgotten");
        }
    }

    /// No more failures, no more happenings: everything is answered and all times come.
    fn rest(&mut self) {
        self.failures = false;
        for _ in 0..200 {
            while !self.work.is_empty() {
                self.go_on();
            }
            if self.lost_events {
                self.rescan();
                continue;
            }
            if self.state.is_settled() {
                return;
            }
            self.now += Duration::from_secs(1);
            self.give(Event::Tick);
        }
        panic!("it never comes to rest: {:?}", self.state);
    }

    /// What the reference says of a machine at rest: a process that runs is traced, unless its file is refused or was given up.
    fn compare(&self) {
        let mut probed = BTreeSet::new();
        for (pid, real) in &self.processes {
            let file = inode(real.file);
            let process = ProcessKey { pid: *pid, started: real.started };
            let configured = self.configured.get(pid).map(|(p, _, f)| (*p, *f));
            let traced = self.state.processes.get(pid).is_some_and(|process| !process.told);
            if !self.ever_fails {
                let content = self.contents.get(&real.file).copied().unwrap_or(0);
                assert_eq!(traced, !Self::is_refused(content), "pid {pid} runs content {content}");
            }
            if traced {
                assert_eq!(configured, Some((process, file)), "pid {pid} runs {file:?}");
                assert_eq!(
                    self.plans.get(&file),
                    Some(&self.content(real.file)),
                    "{file:?}: another content's Plan"
                );
                probed.insert(file);
            } else {
                assert_eq!(configured, None, "pid {pid} was said not to be traced");
            }
        }
        assert_eq!(self.probed.keys().copied().collect::<BTreeSet<_>>(), probed, "probes for whom?");
        assert_eq!(self.held, probed, "held open for whom?");
        assert!(self.configured.keys().all(|pid| self.processes.contains_key(pid)), "a ghost is configured");
    }
}

fn run(seed: u64, print: bool) {
    let mut machine = Machine::new(seed, print);
    for _ in 0..STEPS {
        machine.step();
    }
    machine.rest();
    machine.compare();
}

#[test]
fn random_sequences_keep_every_rule() {
    if let Ok(seed) = std::env::var("STROBE_MODEL_SEED") {
        return run(seed.parse().expect("STROBE_MODEL_SEED is a number"), true);
    }
    let base = u64::from(std::process::id()) << 32;
    println!("seeds {base} to {}", base + SEQUENCES - 1);
    for seed in base..base + SEQUENCES {
        let result = std::panic::catch_unwind(|| run(seed, false));
        assert!(result.is_ok(), "STROBE_MODEL_SEED={seed} runs this sequence alone");
    }
}
