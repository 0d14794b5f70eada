//! Plans are made in a child without privileges: a descriptor goes in, the Plan comes out (house.md, decision 9).
//!
//! The child is strobe itself (`strobe plan-child`) with the target on its standard input. It drops its user, its
//! capabilities and its limits before it looks at the first byte: a hostile file, a parser's defect, or a map that shrinks
//! (SIGBUS) ends there. [`Planner`] keeps few of them at work, however many files there are.

mod answer;
mod child;
mod own;
mod parent;

use std::{
    collections::{HashSet, VecDeque},
    fs::File,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
};

use analyzer::Plan;
use tracing::warn;

pub use answer::{PlanError, Planned};
pub use child::{SUBCOMMAND, child};
pub use own::Own;
pub use parent::plan;

type Answer = Box<dyn FnOnce(Result<Plan, PlanError>) + Send>;

struct Job {
    file: Arc<File>,
    name: String,
    answer: Answer,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Job>,
    workers: usize,
    warned: HashSet<String>,
}

/// Makes Plans, a few at a time, in the order in which they were asked for. Clones share the queue.
#[derive(Clone)]
pub struct Planner {
    state: Arc<Mutex<State>>,
    children: usize,
    own: Own,
}

impl Planner {
    /// `children`: how many at once; `own`: what they plan with beside the embedded catalog.
    pub fn new(children: usize, own: Own) -> Self {
        Self { state: Arc::default(), children: children.max(1), own }
    }

    /// Asks for the Plan of `file`, whose `name` is for messages and debug files. `answer` is called exactly once, on another
    /// thread, or here and at once where none can be made.
    pub fn submit(
        &self,
        file: Arc<File>,
        name: String,
        answer: impl FnOnce(Result<Plan, PlanError>) + Send + 'static,
    ) {
        let mut state = self.lock();
        state.queue.push_back(Job { file, name, answer: Box::new(answer) });
        if state.workers >= self.children {
            return;
        }
        let worker = self.clone();
        match thread::Builder::new().name("strobe-planning".to_owned()).spawn(move || worker.work()) {
            Ok(_) => state.workers += 1,
            // Another one is at work and will come to it.
            Err(_) if state.workers > 0 => {}
            Err(error) => {
                let jobs = std::mem::take(&mut state.queue);
                drop(state);
                for job in jobs {
                    let reason = format!("{}: starting a thread for its plan: {error}", job.name);
                    (job.answer)(Err(PlanError::TryAgain(reason)));
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing under the lock can leave the queue half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A worker's life: it ends when there is nothing to do.
    fn work(&self) {
        loop {
            let Some(job) = self.next() else { return };
            let Job { file, name, answer } = job;
            let made = catch_unwind(AssertUnwindSafe(|| plan(&file, &name, &self.own)));
            // The file is not kept open a moment longer than its answer needs.
            drop(file);
            let result = match made {
                Ok(Ok(planned)) => Ok(self.without_warnings(planned)),
                Ok(Err(error)) => Err(error),
                Err(_) => Err(PlanError::TryAgain(format!(
                    "{name}: planning panicked, which is a defect of strobe's"
                ))),
            };
            if catch_unwind(AssertUnwindSafe(|| answer(result))).is_err() {
                warn!("{name}: its plan was made, and taking it panicked, which is a defect of strobe's");
            }
        }
    }

    fn next(&self) -> Option<Job> {
        let mut state = self.lock();
        let job = state.queue.pop_front();
        if job.is_none() {
            state.workers -= 1;
        }
        job
    }

    /// Says each warning once, not with every file.
    fn without_warnings(&self, planned: Planned) -> Plan {
        for warning in planned.warnings {
            if self.lock().warned.insert(warning.clone()) {
                warn!("{warning}");
            }
        }
        planned.plan
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    /// The test's own executable has no subcommand `plan-child`, so each child fails: what is tested is the pool.
    #[test]
    fn every_question_is_answered_once() {
        let planner = Planner::new(2, Own::default());
        let file = Arc::new(File::open("/proc/self/exe").expect("opened"));
        let (sender, receiver) = channel();
        for n in 0..20 {
            let sender = sender.clone();
            planner.submit(Arc::clone(&file), format!("file {n}"), move |result| {
                sender.send((n, result.is_ok())).expect("received");
            });
        }
        drop(sender);
        let mut answered: Vec<(i32, bool)> = receiver.iter().collect();
        answered.sort_unstable();
        assert_eq!(answered, (0..20).map(|n| (n, false)).collect::<Vec<_>>());
        // The workers are gone, and what comes later has one again.
        let (sender, receiver) = channel();
        planner.submit(file, "late".to_owned(), move |_| sender.send(()).expect("received"));
        receiver.recv().expect("answered");
    }

    #[test]
    fn a_panic_in_an_answer_takes_nothing_else_down() {
        let planner = Planner::new(1, Own::default());
        let file = Arc::new(File::open("/proc/self/exe").expect("opened"));
        planner.submit(Arc::clone(&file), "first".to_owned(), |_| panic!("on purpose"));
        let (sender, receiver) = channel();
        planner.submit(file, "second".to_owned(), move |_| sender.send(()).expect("received"));
        receiver.recv().expect("answered");
    }
}
