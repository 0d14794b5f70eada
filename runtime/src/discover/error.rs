//! Why a process could not be looked at, and why none can be watched.

use std::io::{self, ErrorKind};

use aya::maps::MapError;

use super::btf::BtfError;
use crate::{causes::chain, programs::Refusal};

/// Why a process could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It has ended, or is another process or program by now.
    #[error("process {pid} is gone")]
    Gone {
        /// Which.
        pid: u32,
    },
    /// It has no executable: it is one of the kernel's own.
    #[error("process {pid} is a thread of the kernel's own")]
    KernelThread {
        /// Which.
        pid: u32,
    },
    /// strobe or the machine has run out of something: descriptors, memory. That passes.
    #[error("process {pid}: {what}: {error}: it will be tried again")]
    TryAgain {
        /// Which.
        pid: u32,
        /// What strobe was doing.
        what: &'static str,
        /// What the kernel said.
        error: io::Error,
    },
    /// A privilege is missing.
    #[error("process {pid}: {what}: {error}: strobe needs the capability {needs} for it")]
    NotAllowed {
        /// Which.
        pid: u32,
        /// What strobe was doing.
        what: &'static str,
        /// The capability.
        needs: &'static str,
        /// What the kernel said.
        error: io::Error,
    },
    /// Anything else.
    #[error("process {pid}: {what}: {error}")]
    Failed {
        /// Which.
        pid: u32,
        /// What strobe was doing.
        what: &'static str,
        /// What the kernel said.
        error: io::Error,
    },
}

impl OpenError {
    /// Sorts the kernel's answer; `needs` is the capability by which that call would be allowed.
    pub(super) fn from_io(pid: u32, what: &'static str, needs: &'static str, error: io::Error) -> Self {
        if is_passing(&error) {
            return Self::TryAgain { pid, what, error };
        }
        match error.raw_os_error() {
            Some(libc::ESRCH | libc::ENOENT) => Self::Gone { pid },
            Some(libc::EACCES | libc::EPERM) => Self::NotAllowed { pid, what, needs, error },
            _ => Self::Failed { pid, what, error },
        }
    }
}

/// Is this an error of the moment, which says nothing of the thing that was asked for?
pub fn is_passing(error: &io::Error) -> bool {
    error.kind() == ErrorKind::Interrupted
        || matches!(
            error.raw_os_error(),
            Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::EAGAIN | libc::ENOBUFS)
        )
}

/// Why processes cannot be watched.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The agent's process ids and the kernel's cannot be brought together.
    #[error(
        "strobe runs in a PID namespace of its own, and this kernel does not tell how its processes are numbered there ({0}): \
         run strobe in the host's PID namespace (docker run --pid=host; Kubernetes: hostPID: true)"
    )]
    Namespace(Box<WatchError>),
    /// `/proc` is not of the namespace that this process is in.
    #[error(
        "/proc shows another PID namespace than strobe's own: mount a /proc of this namespace (unshare --mount-proc), or run \
         strobe in the namespace that /proc shows"
    )]
    ForeignProc,
    /// The kernel does not say where its fields are.
    #[error(transparent)]
    Btf(#[from] BtfError),
    /// A program did not load or attach.
    #[error("{action} the eBPF program `{program}`: {error}")]
    Program {
        /// `loading`, `attaching`.
        action: &'static str,
        /// Its name in the object.
        program: &'static str,
        /// What the kernel said.
        error: Box<Refusal>,
    },
    /// An iterator did not run.
    #[error("the eBPF iterator `{program}`: {error}")]
    Iterator {
        /// Its name in the object.
        program: &'static str,
        /// What the kernel said.
        error: io::Error,
    },
    /// A map could not be written.
    #[error("the eBPF map `{map}`: {}", chain(error))]
    Map {
        /// Its name in the object.
        map: &'static str,
        /// What the kernel said.
        error: MapError,
    },
    /// The object lacks what the agent expects: they are of different versions.
    #[error("the eBPF object has no {kind} `{name}`: run scripts/build-ebpf")]
    Missing {
        /// `program` or `map`.
        kind: &'static str,
        /// Its name.
        name: &'static str,
    },
    /// `/proc` cannot be read.
    #[error("{what}: {error}")]
    Proc {
        /// What strobe was doing.
        what: &'static str,
        /// What the kernel said.
        error: io::Error,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_answers_are_sorted() {
        let sorted = |errno| OpenError::from_io(1, "x", "CAP_X", io::Error::from_raw_os_error(errno));
        for errno in [libc::EMFILE, libc::ENFILE, libc::ENOMEM, libc::EAGAIN] {
            assert!(matches!(sorted(errno), OpenError::TryAgain { .. }));
        }
        assert!(matches!(sorted(libc::ESRCH), OpenError::Gone { .. }));
        assert!(sorted(libc::EACCES).to_string().contains("needs the capability CAP_X"));
        assert!(matches!(sorted(libc::EIO), OpenError::Failed { .. }));
    }
}
