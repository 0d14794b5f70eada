//! Work that somebody has been given and not answered yet.

use crate::files::FileIdentity;
use crate::guard::state::{Event, Inode, Look};

/// Work that somebody has been given and not answered yet.
#[derive(Debug, Clone)]
pub(super) enum Work {
    /// Without an answer, the question only; with one, what the look found: it is delivered later still.
    Look {
        pid: u32,
        ticket: u64,
        found: Option<Look>,
    },
    Plan(Inode),
    Attach {
        file: Inode,
        attempt: u64,
        content: FileIdentity,
    },
    Detach {
        file: Inode,
        attempt: u64,
    },
    Deliver(Event),
}

impl Work {
    /// Will guard hear that this file's probes, planning or attachment have come to their end?
    pub(super) fn is_news_of(&self, about: Inode) -> bool {
        match self {
            Self::Deliver(
                Event::Detached { file, .. }
                | Event::NotAsPlanned { file, .. }
                | Event::AttachFailed { file, .. }
                | Event::Planned { file, .. },
            ) => *file == about,
            _ => false,
        }
    }
}
