//! Files: kept open, planned, probed by the keeper.

use std::{
    fs::File,
    os::fd::{AsFd as _, BorrowedFd},
    sync::Arc,
};

use anyhow::Context as _;
use tracing::{debug, info, warn};

use super::Worker;
use crate::{
    attach,
    files::FileIdentity,
    guard::{
        keeper::{self, Keeper, Why},
        message::{Message, Planned},
        state::{Event, Failure, Inode, Reason},
        switches,
        tables::{Attempt, Ready},
    },
    planning::PlanError,
    programs::Programs,
};

impl Worker {
    pub(super) fn keepers(&mut self, attempt: u64, news: keeper::News) {
        if let Some(file) = self.tables.extras.get(&attempt).copied() {
            return self.keepers_of_missed(attempt, file, &news);
        }
        let Some(file) = self.tables.attempts.get(&attempt).map(|attempt| attempt.file) else { return };
        let name = self.name(file);
        let event = match news {
            keeper::News::Attached { no_lease } => {
                if let Some(reason) = &no_lease {
                    self.say_unleased(file, &name, reason);
                }
                let probes = self.tables.plans.get(&file).map_or(0, |ready| ready.layout.first.probes.len());
                info!(file = %name, probes, "probes attached");
                if let Some(attached) = self.tables.attempts.get_mut(&attempt) {
                    attached.is_leased = no_lease.is_none();
                }
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
                self.detaching.remove(&file);
                self.detach_missed(file);
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
        let is_attached = matches!(event, Event::Attached { .. });
        self.on(event);
        if is_attached {
            // Unless the state machine has asked for its end, which it says by a Detach.
            self.attach_missed(file);
        }
    }

    /// Says it at a file's first attachment: where it is started again and again, it is attached as often, since without a lease
    /// its probes do not linger.
    fn say_unleased(&mut self, file: Inode, name: &str, reason: &str) {
        if self.tables.plans.get_mut(&file).is_some_and(Ready::is_first_without_lease) {
            warn!(
                "{name}: no lease on it ({reason}): whoever overwrites it is not held back, and its probes go as soon as its last \
                 process has ended; deploy it by a rename. A lease wants CAP_LEASE where the file is another user's, and a file \
                 system that has leases"
            );
        }
    }

    pub(super) fn planned(&mut self, planned: Planned) {
        let Planned { file, content, entry, result } = planned;
        let name = self.name(file);
        let result = match (content, result) {
            (_, Err(PlanError::TryAgain(reason))) => Err(Failure::Passing(reason)),
            (None, _) => Err(Failure::Passing(format!("{name}: it was written to while it was planned"))),
            (_, Err(PlanError::Refused(reason))) => Err(Failure::Final(reason.into())),
            (_, Err(PlanError::NotGo(text))) => Err(Failure::Final(Reason { not_go: true, ..text.into() })),
            (_, Ok(plan)) => match attach::layout(&plan, &self.off) {
                Ok(layout) => {
                    self.tables.plans.insert(file, Ready::new(plan, layout, entry));
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

    pub(super) fn keep(&mut self, file: Inode) {
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

    pub(super) fn plan(&mut self, file: Inode) {
        let door = self.door.clone();
        let Some(kept) = self.tables.kept.get(&file).map(Arc::clone) else {
            let result = Err(PlanError::TryAgain(format!("{}: it could not be kept open", self.name(file))));
            return door.send(Message::Planned(Box::new(Planned {
                file,
                content: None,
                entry: None,
                result,
            })));
        };
        let before = FileIdentity::of(&kept).ok();
        let again = Arc::downgrade(&kept);
        self.planner.submit(kept, self.name(file), move |result| {
            let kept = again.upgrade();
            let entry = kept.as_ref().and_then(|file| switches::entry(file));
            let after = kept.and_then(|file| FileIdentity::of(&file).ok());
            let content = before.filter(|before| after.as_ref() == Some(before));
            door.send(Message::Planned(Box::new(Planned { file, content, entry, result })));
        });
    }

    pub(super) fn attach(&mut self, file: Inode, attempt: u64, content: FileIdentity) {
        if let Err(error) = self.ask_attach(file, attempt, content) {
            self.tables.end_attempt(attempt);
            let failure = Failure::Passing(format!("{}: attaching its probes: {error:#}", self.name(file)));
            self.on(Event::AttachFailed { file, attempt, failure });
        }
    }

    pub(super) fn ask_attach(
        &mut self,
        file: Inode,
        attempt: u64,
        content: FileIdentity,
    ) -> anyhow::Result<()> {
        let index = self.tables.take_index().context("too many files are traced")?;
        self.tables.attempts.insert(attempt, Attempt { file, index, content, is_leased: false });
        let kept = self.tables.kept.get(&file).context("it could not be kept open")?;
        let layout = &self.tables.plans.get(&file).context("its plan is not here")?.layout;
        let attach::Layout { core, contexts, connections, first, .. } = layout;
        self.programs.set_file(index, core, contexts, connections, &first.libraries)?;
        // Those that stand in for others.
        self.programs.load_programs(&layout.first.programs)?;
        ask_keeper(&mut self.keeper, &self.programs, attempt, kept, content, &layout.first)
    }

    pub(super) fn name(&self, file: Inode) -> String {
        self.tables.names.get(&file).map_or_else(
            || format!("the file with inode {} on device {}", file.ino, file.dev),
            |name| name.display().to_string(),
        )
    }
}

/// Asks for the probes of a part of a file's libraries, whose programs are loaded.
pub(super) fn ask_keeper(
    keeper: &mut Keeper,
    programs: &Programs,
    attempt: u64,
    file: &File,
    content: FileIdentity,
    part: &attach::Part,
) -> anyhow::Result<()> {
    let descriptors: Vec<BorrowedFd<'_>> =
        part.programs.iter().map(|name| programs.descriptor(name)).collect::<Result<_, _>>()?;
    keeper
        .attach(attempt, file.as_fd(), content, part.probes.clone(), &descriptors, programs.is_multi())
        .context("asking the keeper of the probes")
}
