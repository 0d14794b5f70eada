//! The runs that wait for a machine, and what goes into those. Linking for another architecture takes minutes: runs of this one begin
//! meanwhile.

use std::cmp::Reverse;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use anyhow::{Context as _, Result, anyhow};

use crate::arch::Arch;
use crate::artifacts::{self, Artifacts};
use crate::runs::Run;

/// What the threads that run machines share with the one that builds.
pub struct Queue<'a> {
    state: Mutex<State<'a>>,
    changed: Condvar,
}

struct State<'a> {
    /// With their places in the order that they were asked for.
    waiting: Vec<(usize, &'a Run)>,
    built: Vec<Arc<Artifacts>>,
    /// Nothing more will be built.
    is_over: bool,
}

/// A run that may begin.
pub struct Ready<'a> {
    pub index: usize,
    pub run: &'a Run,
    pub artifacts: Arc<Artifacts>,
}

impl<'a> Queue<'a> {
    /// Those with most to do first.
    pub fn of(runs: &'a [Run]) -> Self {
        let mut waiting: Vec<(usize, &Run)> = runs.iter().enumerate().collect();
        waiting.sort_by_key(|(_, run)| Reverse(run.work()));
        let state = State { waiting, built: Vec::new(), is_over: false };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    fn lock(&self) -> Result<MutexGuard<'_, State<'a>>> {
        self.state.lock().map_err(|_| anyhow!("another machine's thread panicked"))
    }

    /// Builds what the runs need, for this machine's architecture first. What fails ends the queue: no further run begins.
    pub fn build(&self) -> Result<()> {
        let mut architectures: Vec<Arch> = self.lock()?.waiting.iter().map(|(_, run)| run.arch).collect();
        architectures.sort_by_key(|arch| (!arch.is_here(), *arch));
        architectures.dedup();
        let result = architectures.into_iter().try_for_each(|arch| {
            let artifacts = artifacts::build(arch).with_context(|| format!("build for {}", arch.name()))?;
            self.lock()?.built.push(Arc::new(artifacts));
            self.changed.notify_all();
            Ok(())
        });
        let mut state = self.lock()?;
        state.is_over = true;
        if result.is_err() {
            state.waiting.clear();
        }
        drop(state);
        self.changed.notify_all();
        result
    }

    /// The next run of which everything is built, when there is one. `None`: none will come.
    pub fn next(&self) -> Result<Option<Ready<'a>>> {
        let mut state = self.lock()?;
        loop {
            let ready = state.waiting.iter().enumerate().find_map(|(place, (_, run))| {
                let artifacts = state.built.iter().find(|built| built.arch == run.arch)?;
                Some((place, Arc::clone(artifacts)))
            });
            if let Some((place, artifacts)) = ready {
                let (index, run) = state.waiting.remove(place);
                return Ok(Some(Ready { index, run, artifacts }));
            }
            if state.is_over || state.waiting.is_empty() {
                return Ok(None);
            }
            state = self.changed.wait(state).map_err(|_| anyhow!("another machine's thread panicked"))?;
        }
    }
}
