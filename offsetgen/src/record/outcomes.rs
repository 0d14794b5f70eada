//! Tasks are performed, and what became of each is noted.

use anyhow::Result;
use offsets::Version;
use offsets::database::format::Hole;

use super::journal::Built;
use super::pipeline::Phase;
use super::recording::{Recording, compiler};
use super::surroundings::Surroundings;
use super::task::{Done, Outcome, Task};
use crate::failure::Stage;
use crate::probe::axis::{Axis, FIRST, Other};

impl Recording<'_> {
    /// Says why a version is not recorded. That a name that somebody has typed names nothing is no fact about the module.
    pub(super) fn miss(&mut self, version: Version, mut hole: Hole, around: &Surroundings<'_>) {
        self.interrupted |= hole.stage == Stage::Fetch.word();
        let is_typed = !self.options.versions.is_empty() && !self.before.contains(&version);
        if is_typed && hole.axis.is_none() && hole.stage == Stage::Withheld.word() {
            return;
        }
        if let Ok(network) = around.store.network() {
            hole.reason = network.proxies.hide(&hole.reason);
        }
        hole.reason = hole.reason.replace(&around.store.cache().display().to_string(), "CACHE");
        match hole.axis {
            None if self.all.build(&version).is_some() => self.all.miss_again(version, hole, FIRST),
            _ => self.all.miss(version, hole),
        }
    }

    pub(super) fn perform(&mut self, tasks: Vec<Task<'_>>, around: &Surroundings<'_>) -> Result<()> {
        let Done { outcomes, interrupted } = Phase::new(around, self.module, &tasks, &self.journal).run()?;
        self.interrupted |= interrupted;
        let mut followers = Vec::new();
        for (task, outcome) in tasks.into_iter().zip(outcomes) {
            match outcome {
                None if task.axis == FIRST => {}
                None => {
                    let (stage, reason) = ("pending".to_owned(), "not tried yet".to_owned());
                    let hole = Hole { version: task.text, axis: Some(task.axis), stage, reason };
                    self.all.miss(task.version, hole);
                }
                Some(Outcome::Failed(hole)) => match Axis::parse(&task.axis)?.other {
                    Other::Go((minor, _))
                        if hole.stage == Stage::Compile.word() && minor < compiler(&task.tested) =>
                    {
                        self.all.needs_go(&task.version, format!("1.{}", minor + 1));
                        self.promised_too_much.insert(task.version);
                    }
                    _ => self.miss(task.version, hole, around),
                },
                Some(Outcome::Built(built)) => {
                    self.all.add_toolchain(&built.toolchain);
                    if built.tested.same_as.is_some() {
                        followers.push((task.version, built.tested.clone()));
                    } else if task.axis == FIRST {
                        self.all.record(task.version, &built.tested, FIRST, built.shape);
                    } else {
                        self.record_other(&task, &built);
                    }
                }
            }
        }
        for (version, tested) in followers {
            self.all.follow(version, &tested);
        }
        Ok(())
    }

    /// A build beside the first: another architecture is recorded, another Go or dependency only where it matters.
    fn record_other(&mut self, task: &Task<'_>, built: &Built) {
        let Some(build) = self.all.build(&task.version) else { return };
        let tested = build.tested.clone();
        let base = build.axes.get(FIRST).cloned().unwrap_or_default();
        if task.axis.contains('+') && base.is_laid_out_as(&built.shape) {
            self.all.agree(&task.version, &task.axis);
        } else {
            self.all.record(task.version.clone(), &tested, &task.axis, built.shape.clone());
        }
    }
}
