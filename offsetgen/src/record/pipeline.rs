//! Downloads and compilations side by side.
//!
//! One thread makes builds ready in order (toolchain, module, sources) and hands them to the compiling threads through a
//! queue as short as they are many, which bounds what lies on the disk. A failure is kept and the others go on, unless it is
//! this machine's ([`failure`](crate::failure)), or the proxy's several times in a row: then nothing more is begun.
//!
//! A version with the source of one before it is not built: it follows that one ([`follow`](super::follow)).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use anyhow::{Context, Error, Result};
use offsets::database::format::{Hole, Tested};

use super::follow::Leader;
use super::journal::{Built, Journal};
use super::surroundings::Surroundings;
use super::task::{Done, Outcome, Task};
use super::{GENERATOR, disproof};
use crate::failure::{Failure, Stage};
use crate::go::release::{Release, spell};
use crate::go::toolchain::Toolchain;
use crate::probe::axis::{Axis, FIRST};
use crate::probe::compile::{Ready, prepare};
use crate::probe::dwarf::Names;
use crate::probe::recipe::Recipe;
use crate::probe::shape::Shape;

/// So many failures of the proxy in a row are no accident: each has been tried four times.
pub const PROXY_FAILURES: usize = 3;

struct Job {
    position: usize,
    ready: Ready,
    toolchain: Toolchain,
    base: String,
    leader: Option<Arc<Leader>>,
}

/// All of one module's tasks of one phase.
pub struct Phase<'a> {
    /// Where and how.
    pub around: &'a Surroundings<'a>,
    /// The module; `std` is the standard library.
    pub module: &'a str,
    /// In order.
    pub tasks: &'a [Task<'a>],
    /// What an interrupted run has left.
    pub journal: &'a Journal,
    /// This machine's failure that ended the run.
    pub broken: OnceLock<Error>,
    /// For each toolchain of the standard library, how many tasks still need it.
    needed: Mutex<BTreeMap<Release, usize>>,
}

impl<'a> Phase<'a> {
    /// Nothing of it is done yet.
    pub fn new(
        around: &'a Surroundings<'a>,
        module: &'a str,
        tasks: &'a [Task<'a>],
        journal: &'a Journal,
    ) -> Self {
        let mut needed = BTreeMap::new();
        for release in tasks.iter().flat_map(|task| &task.toolchains) {
            *needed.entry(*release).or_default() += 1;
        }
        Self { around, module, tasks, journal, broken: OnceLock::new(), needed: Mutex::new(needed) }
    }

    /// Does them; those that were not begun before the time was up have no outcome.
    pub fn run(self) -> Result<Done> {
        let results: Mutex<Vec<Option<Outcome>>> = Mutex::new(self.tasks.iter().map(|_| None).collect());
        let keep = |position: usize, outcome: Outcome| {
            let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(slot) = results.get_mut(position) {
                *slot = Some(outcome);
            }
        };
        let (jobs, queue) = sync_channel::<Job>(self.around.jobs);
        let queue = Mutex::new(queue);
        let interrupted = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..self.around.jobs.min(self.tasks.len()) {
                scope.spawn(|| {
                    while let Some(job) = next(&queue) {
                        let position = job.position;
                        keep(position, self.finish(job));
                    }
                });
            }
            let (mut leader, mut in_a_row) = (None, 0);
            for (position, task) in self.tasks.iter().enumerate() {
                // What the journal has costs nothing.
                let late = self.around.deadline.is_some_and(|deadline| Instant::now() >= deadline)
                    || self.broken.get().is_some()
                    || in_a_row == PROXY_FAILURES;
                match self.begin(position, task, late, &mut leader) {
                    Ok(Begun::Sent(job)) => {
                        in_a_row = 0;
                        // The receivers live as long as this scope.
                        let _ = jobs.send(*job);
                        continue;
                    }
                    Ok(Begun::Done(built)) => keep(position, Outcome::Built(built)),
                    Ok(Begun::Nothing) => {}
                    Err(error) => {
                        let (stage, outcome) = self.failed(task, error);
                        if stage == Stage::Fetch {
                            in_a_row += 1;
                            interrupted.store(true, Ordering::Relaxed);
                        }
                        keep(position, outcome);
                    }
                }
                self.leave(task);
            }
            if in_a_row == PROXY_FAILURES {
                self.around
                    .progress
                    .say("the proxy has failed for several versions in a row: nothing more is begun");
            }
            drop(jobs);
        });
        let outcomes = results.into_inner().unwrap_or_else(PoisonError::into_inner);
        match self.broken.into_inner() {
            Some(error) => Err(error.context("this machine cannot go on; what is done is in the journal")),
            None => Ok(Done { outcomes, interrupted: interrupted.into_inner() }),
        }
    }

    fn failed(&self, task: &Task<'_>, error: Error) -> (Stage, Outcome) {
        let (stage, reason) = (Stage::of(&error), format!("{error:#}"));
        self.around.progress.say(&format!("failed: {} {} {}: {reason}", self.module, task.text, task.axis));
        if stage == Stage::Machine {
            // The first one is told; the others have the same cause.
            let _ = self.broken.set(error);
        }
        let axis = (task.axis != FIRST).then(|| task.axis.clone());
        let stage_word = stage.word().to_owned();
        (stage, Outcome::Failed(Hole { version: task.text.clone(), axis, stage: stage_word, reason }))
    }

    /// A task has ended. Of the standard library, a toolchain that no other task needs can go.
    fn leave(&self, task: &Task<'_>) {
        if !self.around.prune || !self.is_std() {
            return;
        }
        let mut needed = self.needed.lock().unwrap_or_else(PoisonError::into_inner);
        for release in &task.toolchains {
            let left = needed.entry(*release).or_default();
            *left = left.saturating_sub(1);
            if *left == 0 {
                self.around.forget(*release);
            }
        }
    }

    fn begin(
        &self,
        position: usize,
        task: &Task<'_>,
        late: bool,
        leader: &mut Option<Arc<Leader>>,
    ) -> Result<Begun> {
        let key = task.wanted.key();
        let known = self.journal.read(&task.text, &task.axis, &key).filter(|built| self.has_leader(built));
        // What was published about a version since it was built, the journal does not know.
        let known = known.map(|mut built| {
            built.tested.retracted |= task.tested.retracted;
            built
        });
        if let Some(built) = &known
            && built.tested.same_as.is_none()
        {
            *leader = Some(Leader::of(built, &task.text));
        }
        match known {
            _ if task.recorded => return Ok(Begun::Nothing),
            Some(built) => {
                if position == 0 && task.axis == FIRST {
                    self.disprove(task, &built.shape, None);
                }
                return Ok(Begun::Done(Box::new(built)));
            }
            None if late => return Ok(Begun::Nothing),
            None => {}
        }
        let (ready, toolchain) = self.ready(task)?;
        let packages = task.wanted.packages();
        let base = ready.digest(&packages, self.is_std())?;
        if let Some(known) = leader.as_ref().filter(|known| task.may_follow && known.base == base)
            && let Some((embedded, source)) = known.wait()
            && ready.digest(&packages.union(&embedded).cloned().collect(), self.is_std())? == source
        {
            let mut tested = self.tested(task, &ready, &toolchain, &embedded);
            tested.same_as = Some(known.text.clone());
            let shape = Shape::default();
            let built = Built {
                key,
                options: String::new(),
                tested,
                toolchain: toolchain.provenance,
                shape,
                embedded,
                base,
                source,
            };
            self.journal.write(&task.text, &task.axis, &built)?;
            self.around
                .progress
                .say(&format!("{} {}: same source as {}", self.module, task.text, known.text));
            return Ok(Begun::Done(Box::new(built)));
        }
        let own = task.may_follow.then(|| Leader::begun(&task.text, &base));
        *leader = own.clone();
        Ok(Begun::Sent(Box::new(Job { position, ready, toolchain, base, leader: own })))
    }

    /// Whether the version that a journal's entry follows, if it follows one, is part of this run too.
    fn has_leader(&self, built: &Built) -> bool {
        let leader = built.tested.same_as.as_ref();
        leader.is_none_or(|leader| self.tasks.iter().any(|task| task.text == *leader))
    }

    /// Says what the first version does not have of what the catalog names.
    fn disprove(&self, task: &Task<'_>, shape: &Shape, census: Option<&Names>) {
        let lines = disproof::of(&task.wanted, self.module, &task.text, shape, census);
        lines.iter().for_each(|line| self.around.progress.say(&format!("note: {line}")));
    }

    fn is_std(&self) -> bool {
        self.module == offsets::STD
    }

    /// The first toolchain with which the sources can be made ready, and the sources.
    fn ready(&self, task: &Task<'_>) -> Result<(Ready, Toolchain)> {
        let mut first = None;
        for release in &task.toolchains {
            match self.ready_with(task, *release) {
                Ok(ready) => return Ok(ready),
                // Another toolchain mends neither a proxy nor a disk, and what one has said of the source is no answer then.
                Err(error) if matches!(Stage::of(&error), Stage::Fetch | Stage::Machine) => {
                    return Err(error);
                }
                // That a toolchain is not served says nothing of the version.
                Err(error) => drop(first.get_or_insert(error)),
            }
        }
        let none = || Failure::new(Stage::Withheld, "no Go release is known that is new enough").into();
        Err(first.unwrap_or_else(none))
    }

    fn ready_with(&self, task: &Task<'_>, release: Release) -> Result<(Ready, Toolchain)> {
        let toolchain = self.around.store.ensure(release, self.around.progress)?;
        Ok((prepare(&self.recipe(task)?, &toolchain, self.around.store)?, toolchain))
    }

    fn recipe<'b>(&'b self, task: &'b Task<'b>) -> Result<Recipe<'b>> {
        Ok(Recipe {
            wanted: &task.wanted,
            module: (!self.is_std()).then_some((self.module, task.text.as_str())),
            axis: Axis::parse(&task.axis)?,
            known: &task.tested,
            trust_on_first_use: self.around.trust_on_first_use,
        })
    }

    fn tested(
        &self,
        task: &Task<'_>,
        ready: &Ready,
        toolchain: &Toolchain,
        embedded: &BTreeSet<String>,
    ) -> Tested {
        let trusted = ready.modules.hash.is_some() && self.around.trust_on_first_use;
        Tested {
            toolchain: toolchain.provenance.version.clone(),
            generator: GENERATOR.to_owned(),
            hash: ready.modules.hash.clone(),
            trust: trusted.then(|| "first-use".to_owned()),
            go: ready.modules.oldest_go(),
            modules: ready.modules.dependencies(),
            embeds: ready.modules.of_packages(embedded),
            ..task.tested.clone()
        }
    }

    /// Compiles and reads; where that fails, with the next toolchain.
    fn finish(&self, job: Job) -> Outcome {
        let Some(task) = self.tasks.get(job.position) else { return Outcome::Failed(unknown_task()) };
        let leader = job.leader.clone();
        let result = self.build(task, job);
        if let Some(leader) = leader {
            leader.end(result.as_ref().ok().map(|built| (built.embedded.clone(), built.source.clone())));
        }
        let outcome = match result {
            Ok(built) => Outcome::Built(Box::new(built)),
            Err(error) => self.failed(task, error).1,
        };
        self.leave(task);
        outcome
    }

    fn build(&self, task: &Task<'_>, job: Job) -> Result<Built> {
        let begun = Instant::now();
        // The first of a module's first phase: others have an axis of their own.
        let first = job.position == 0 && task.axis == FIRST;
        let (mut ready, mut toolchain, mut base) = (job.ready, job.toolchain, job.base);
        let recipe = self.recipe(task)?;
        let mut result = ready.build(&recipe, self.around.store);
        let tried = task
            .toolchains
            .iter()
            .position(|release| format!("go{}", spell(*release)) == toolchain.provenance.version);
        for release in task.toolchains.iter().skip(tried.map_or(0, |tried| tried + 1)) {
            if !result.as_ref().is_err_and(|error| Stage::of(error) == Stage::Compile) {
                break;
            }
            let again = self.ready_with(task, *release);
            match again.and_then(|(other, its)| Ok((other.build(&recipe, self.around.store)?, other, its))) {
                Ok((found, other, its)) => {
                    base = other.digest(&task.wanted.packages(), self.is_std())?;
                    (ready, toolchain, result) = (other, its, Ok(found));
                }
                Err(error) if matches!(Stage::of(&error), Stage::Fetch | Stage::Machine) => {
                    return Err(error);
                }
                // The message that counts is the first: that of the toolchain that users have.
                Err(_) => {}
            }
        }
        let found = result?;
        if first && disproof::is_needed(&task.wanted, &found.shape) {
            self.disprove(task, &found.shape, Some(&ready.names()?));
        }
        let packages = task.wanted.packages().union(&found.embedded).cloned().collect();
        let source = ready.digest(&packages, self.is_std()).context("cannot digest the source")?;
        let built = Built {
            key: task.wanted.key(),
            options: String::new(),
            tested: self.tested(task, &ready, &toolchain, &found.embedded),
            toolchain: toolchain.provenance,
            shape: found.shape,
            embedded: found.embedded,
            base,
            source,
        };
        self.journal.write(&task.text, &task.axis, &built)?;
        let took = begun.elapsed().as_secs_f64();
        self.around
            .progress
            .say(&format!("{} {} {}: built in {took:.1} s", self.module, task.text, task.axis));
        Ok(built)
    }
}

enum Begun {
    Sent(Box<Job>),
    Done(Box<Built>),
    Nothing,
}

fn unknown_task() -> Hole {
    let stage = Stage::Compile.word().to_owned();
    Hole { version: String::new(), axis: None, stage, reason: "the task is gone".to_owned() }
}

fn next(queue: &Mutex<Receiver<Job>>) -> Option<Job> {
    queue.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}
