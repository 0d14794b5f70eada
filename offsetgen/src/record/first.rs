//! Every version of a module on the first architecture.

use anyhow::Result;
use offsets::Version;
use offsets::database::format::{Hole, Tested};

use super::pipeline::PROXY_FAILURES;
use super::recording::Recording;
use super::surroundings::Surroundings;
use super::task::Task;
use crate::failure::{Failure, Stage};
use crate::go::release::Release;
use crate::go::{choice, listing};
use crate::probe::axis::FIRST;
use crate::probe::wanted::Wanted;

impl Recording<'_> {
    /// Every version that is not recorded, the newest first.
    pub(super) fn first_architecture(&mut self, around: &Surroundings<'_>) -> Result<()> {
        let versions: Vec<(Version, String)> =
            self.versions.iter().rev().map(|(v, t)| (v.clone(), t.clone())).collect();
        let (mut tasks, mut in_a_row) = (Vec::new(), 0);
        for (version, text) in versions {
            let Some(wanted) = Wanted::new(self.catalog, &version) else { continue };
            let recorded = self.is_done(&version);
            let hole = |stage: &str, reason: String| {
                let (version, stage) = (text.clone(), stage.to_owned());
                Hole { version, axis: None, stage, reason }
            };
            if !recorded && self.options.versions.is_empty() && !self.before.contains(&version) {
                self.all.miss(version.clone(), hole("pending", "not tried yet".to_owned()));
            }
            if in_a_row == PROXY_FAILURES {
                continue;
            }
            // One that follows another is not taken from the journal where that one is no part of this run.
            let journal = self.journal.read(&text, FIRST, &wanted.key());
            let built = recorded || journal.is_some_and(|built| built.tested.same_as.is_none());
            let toolchains = match self.toolchains(&version, &text, built, around) {
                Ok(toolchains) => toolchains,
                Err(error) => {
                    let stage = Stage::of(&error);
                    in_a_row = if stage == Stage::Fetch { in_a_row + 1 } else { 0 };
                    around.progress.say(&format!("failed: {} {text}: {error:#}", self.module));
                    self.miss(version, hole(stage.word(), format!("{error:#}")), around);
                    continue;
                }
            };
            in_a_row = 0;
            let (axis, tested) = (FIRST.to_owned(), self.tested(&version, &text));
            tasks.push(Task { version, text, axis, toolchains, wanted, tested, may_follow: true, recorded });
        }
        self.perform(tasks, around)
    }

    fn tested(&self, version: &Version, text: &str) -> Tested {
        let known = self.all.build(version).map(|build| build.tested.clone()).unwrap_or_default();
        Tested {
            version: text.to_owned(),
            hash: known.hash,
            trust: known.trust,
            prerelease: version.is_prerelease() && !version.is_pseudo(),
            retracted: known.retracted
                || self.retracted.iter().any(|(low, high)| low <= version && version <= high),
            ..Tested::default()
        }
    }

    fn toolchains(
        &self,
        version: &Version,
        text: &str,
        built: bool,
        around: &Surroundings<'_>,
    ) -> Result<Vec<Release>> {
        if self.is_std() {
            let [_, minor, patch] = version.release();
            return Ok(vec![(minor, patch)]);
        }
        if built {
            return Ok(Vec::new());
        }
        let network = around.store.network()?;
        let text = listing::go_mod(network, self.module, text)?;
        let oldest = listing::go_line(&text).unwrap_or(0);
        let found = choice::candidates(&self.newest, oldest);
        if found.is_empty() {
            let text = format!("its go.mod needs Go 1.{oldest}, and no such release is known");
            return Err(Failure::new(Stage::Withheld, text).into());
        }
        Ok(found)
    }
}
