//! What the worker holds for the state machine: descriptors, Plans, indexes, numbers of processes.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    os::fd::OwnedFd,
    path::PathBuf,
    sync::Arc,
};

use analyzer::Plan;
use runtime_ebpf::abi::MAX_FILES;

use super::{
    state::{Inode, ProcessKey},
    switches::Switching,
};
use crate::{attach::Layout, discover::ProcessId, files::FileIdentity};

/// A Plan that something can be done with.
pub struct Ready {
    pub plan: Arc<Plan>,
    pub layout: Layout,
    /// Where its program begins ([`switches::entry`](super::switches::entry)).
    pub entry: Option<u64>,
    /// What it lacked at first was missed: it is attached, too, whenever the rest is.
    pub is_missed: bool,
    /// It was said that there is no lease on the file.
    said_unleased: bool,
}

impl Ready {
    pub fn new(plan: Plan, layout: Layout, entry: Option<u64>) -> Self {
        Self { plan: Arc::new(plan), layout, entry, is_missed: false, said_unleased: false }
    }

    /// The file was attached without a lease: is it the first time, so that it is to be said?
    pub fn is_first_without_lease(&mut self) -> bool {
        !std::mem::replace(&mut self.said_unleased, true)
    }
}

/// An attachment in the keeper's hands.
pub struct Attempt {
    pub file: Inode,
    /// In the programs' arrays; given out again when its probes are gone.
    pub index: u32,
    /// What the Plan is of.
    pub content: FileIdentity,
    /// Its probes are there, and nobody can write to the file before they are gone.
    pub is_leased: bool,
}

/// A process that the state machine knows.
pub struct Known {
    pub key: ProcessKey,
    pub id: ProcessId,
    /// Device and inode of the executable that made it wanted. While it runs that, it stays so, wherever the path leads by now.
    pub runs: (u64, u64),
    /// The same of the file that was looked at: it is what an announced process is to execute.
    pub program: Option<(u64, u64)>,
    pub pidfd: OwnedFd,
    /// Its generation, while it is being looked up what its spans say of it.
    pub pending: Option<(u32, Inode)>,
    /// What the programs trace it as.
    pub traced: Option<u32>,
    /// The file for which it was said that it is traced.
    pub said: Option<Inode>,
}

#[derive(Default)]
pub struct Tables {
    pub kept: BTreeMap<Inode, Arc<File>>,
    pub names: BTreeMap<Inode, PathBuf>,
    pub plans: BTreeMap<Inode, Ready>,
    pub attempts: BTreeMap<u64, Attempt>,
    /// Attachments beside those, of what was missed: they go with them.
    pub extras: BTreeMap<u64, Inode>,
    /// Files that are to have one as soon as the one before is gone.
    pub extras_due: BTreeSet<Inode>,
    pub processes: BTreeMap<u32, Known>,
    /// By process id.
    pub switching: BTreeMap<u32, Switching>,
    indexes: BTreeSet<u32>,
}

impl Tables {
    /// An index that no file has.
    pub fn take_index(&mut self) -> Option<u32> {
        let index = (0..MAX_FILES).find(|index| !self.indexes.contains(index))?;
        self.indexes.insert(index);
        Some(index)
    }

    /// The attachment is over.
    pub fn end_attempt(&mut self, attempt: u64) -> Option<Inode> {
        let attempt = self.attempts.remove(&attempt)?;
        self.indexes.remove(&attempt.index);
        Some(attempt.file)
    }

    /// The number of a file's attachment beside its first one, if it has one.
    pub fn extra_of(&self, file: Inode) -> Option<u64> {
        self.extras.iter().find(|(_, of)| **of == file).map(|(extra, _)| *extra)
    }

    /// A file's attachment.
    pub fn attempt_of(&self, file: Inode) -> Option<&Attempt> {
        self.attempts.values().find(|attempt| attempt.file == file)
    }

    /// The index of a file's attachment.
    pub fn index_of(&self, file: Inode) -> Option<u32> {
        self.attempt_of(file).map(|attempt| attempt.index)
    }
}
