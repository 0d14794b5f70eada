//! What is attached to a file only when it is missed, beside what is there already: an attachment of its own, which goes with the
//! first one. The state machine knows nothing of it: whether it is there changes nothing but what spans say.

use anyhow::Context as _;
use tracing::{debug, info, warn};

use super::{Worker, files::ask_keeper};
use crate::guard::{keeper, state::Inode, tables::Known};

/// Numbers of these attachments: the state machine counts from 1.
const FIRST_EXTRA: u64 = 1 << 63;

impl Worker {
    /// Takes what drain has missed since the last time.
    pub(super) fn take_wishes(&mut self) {
        while let Ok(wish) = self.wishes.try_recv() {
            let is_it = |known: &&Known| known.id.tgid == wish.tgid && known.traced == Some(wish.generation);
            // It may have ended since.
            let Some(file) = self.tables.processes.values().find(is_it).and_then(|known| known.said) else {
                continue;
            };
            let ready = self.tables.plans.get_mut(&file);
            if ready.is_some_and(|ready| !std::mem::replace(&mut ready.is_missed, true)) {
                self.attach_missed(file);
            }
        }
    }

    /// Puts what is missed into a file, if it is missed there and the rest is there.
    pub(super) fn attach_missed(&mut self, file: Inode) {
        let Some(ready) = self.tables.plans.get(&file) else { return };
        let has_any = ready.is_missed && !ready.layout.missed.probes.is_empty();
        if !has_any || self.detaching.contains(&file) {
            return;
        }
        if self.tables.extra_of(file).is_some() {
            self.tables.extras_due.insert(file);
            return;
        }
        if let Err(error) = self.ask_missed(file) {
            warn!("{}: routes of its ServeMux: {error:#}", self.name(file));
        }
    }

    fn ask_missed(&mut self, file: Inode) -> anyhow::Result<()> {
        let first = self.tables.attempt_of(file).context("its probes have just gone")?;
        let (index, content) = (first.index, first.content);
        let kept = self.tables.kept.get(&file).context("it could not be kept open")?;
        let part = &self.tables.plans.get(&file).context("its plan is not here")?.layout.missed;
        self.programs.add_libraries(index, &part.libraries)?;
        self.extra += 1;
        let extra = FIRST_EXTRA + self.extra;
        ask_keeper(&mut self.keeper, &self.programs, extra, kept, content, part)?;
        self.tables.extras.insert(extra, file);
        Ok(())
    }

    /// The file's first probes go.
    pub(super) fn detach_missed(&mut self, file: Inode) {
        self.tables.extras_due.remove(&file);
        if let Some(extra) = self.tables.extra_of(file) {
            self.keeper.detach(extra);
        }
    }

    /// What the keeper has to say of such an attachment. Whoever took it out unasked takes the first one out as well, and the state
    /// machine hears of that.
    pub(super) fn keepers_of_missed(&mut self, extra: u64, file: Inode, news: &keeper::News) {
        let name = self.name(file);
        match news {
            keeper::News::Attached { no_lease } => {
                let first = self.tables.attempt_of(file).is_some_and(|first| first.is_leased);
                if first && let Some(reason) = no_lease {
                    debug!("{name}: no lease: {reason}; somebody wants to write to it");
                    return self.keeper.detach(extra);
                }
                let part = self.tables.plans.get(&file).map(|ready| &ready.layout.missed);
                let ids: Vec<&str> = part
                    .map(|part| part.libraries.iter().map(|(library, _)| library.id()).collect())
                    .unwrap_or_default();
                info!(file = %name, "{}: attached, since a span had no route: one more hit for each request", ids.join(", "));
                return;
            }
            keeper::News::Refused { reason, .. } => warn!("{name}: routes of its ServeMux: {reason}"),
            keeper::News::NotAsPlanned(_) | keeper::News::Detached(_) => debug!("{name}: {news:?}"),
        }
        self.tables.extras.remove(&extra);
        if self.tables.extras_due.remove(&file) {
            self.attach_missed(file);
        }
    }
}
