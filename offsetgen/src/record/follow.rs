//! A version whose relevant packages have the same source as the last one that was built before it in this order is not
//! built: it follows that one.
//!
//! The order is that of the list, never that in which builds end, so that the outcome is the same for any number of threads,
//! and for a run that was interrupted.

use std::collections::BTreeSet;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use super::journal::Built;

/// What a build that succeeded leaves to those that may follow it: the embedded packages and the digest of the source.
pub(super) type Trace = (BTreeSet<String>, String);

/// A build on its way, for those that may follow it.
#[derive(Default)]
pub(super) struct Leader {
    /// The version.
    pub(super) text: String,
    /// Digest of the packages that the catalog names.
    pub(super) base: String,
    /// Once it has ended; none in it if it failed.
    ended: Mutex<Option<Option<Trace>>>,
    signal: Condvar,
}

impl Leader {
    pub(super) fn of(built: &Built, text: &str) -> Arc<Self> {
        let ended = Mutex::new(Some(Some((built.embedded.clone(), built.source.clone()))));
        Arc::new(Self { text: text.to_owned(), base: built.base.clone(), ended, signal: Condvar::new() })
    }

    pub(super) fn end(&self, result: Option<Trace>) {
        *self.ended.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
        self.signal.notify_all();
    }

    pub(super) fn wait(&self) -> Option<Trace> {
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match &*ended {
                Some(result) => return result.clone(),
                None => ended = self.signal.wait(ended).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    /// A build that has just begun, for the versions behind it in the list.
    pub(super) fn begun(text: &str, base: &str) -> Arc<Self> {
        Arc::new(Self { text: text.to_owned(), base: base.to_owned(), ..Self::default() })
    }
}
