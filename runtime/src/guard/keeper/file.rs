//! One file with its probes and its lease: made on a thread of its own, closed on several.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};

use super::message::{Probe, Reply};
use super::{lease, probe};
use crate::files::{self, FileIdentity, check_bytes};

/// The programs that came along with a file.
#[derive(Debug)]
pub struct Programs {
    pub descriptors: Vec<OwnedFd>,
    pub multi: bool,
}

/// A file with probes.
#[derive(Debug)]
pub struct Probed {
    /// Open as long as there are probes; the lease is on it. Nobody reads from it: a lease sets a flag (FASYNC) of the open file,
    /// by which overlayfs before Linux 5.15 takes a read for a defect of the kernel (EIO, and a warning in its log, which is a
    /// panic where the machine is told so).
    pub file: OwnedFd,
    /// One descriptor for each perf event or link.
    pub links: Vec<OwnedFd>,
    /// Nobody can write to it.
    pub lease: bool,
}

impl Probed {
    /// Leases the file, compares it with the Plan, and puts the probes in: all of them or none.
    pub fn attach(
        attempt: u64,
        programs: &Programs,
        file: OwnedFd,
        content: FileIdentity,
        probes: &[Probe],
    ) -> Result<(Self, Reply), Reply> {
        let refused = |error: io::Error| Reply::Refused {
            attempt,
            passing: is_passing(&error),
            reason: error.to_string(),
        };
        let own = files::reopen(&file).map_err(refused)?;
        let lease = lease::take(own.as_fd());
        let mut probed = Self { file: own, links: Vec::new(), lease: lease.is_ok() };
        let result = probed.compare(&file, content, probes).and_then(|()| probed.put_in(programs, probes));
        // Without a lease it may have been written to in between.
        let now = probed.identity();
        let result = match (result, now) {
            (_, Ok(now)) if !now.is_unwritten_since(&content) => {
                Err(Reply::NotAsPlanned { attempt, content: now })
            }
            (Err(Mismatch::Bytes(_)), Ok(now)) if now != content => {
                Err(Reply::NotAsPlanned { attempt, content: now })
            }
            (Err(Mismatch::Bytes(reason)), _) => Err(Reply::Refused { attempt, reason, passing: false }),
            (Err(Mismatch::System(error)), _) | (Ok(()), Err(error)) => Err(refused(error)),
            (Ok(()), Ok(_)) => {
                Ok(Reply::Attached { attempt, no_lease: lease.err().map(|error| error.to_string()) })
            }
        };
        match result {
            Ok(reply) => Ok((probed, reply)),
            // What is there of it goes, links before the file.
            Err(reply) => {
                probed.links.clear();
                Err(reply)
            }
        }
    }

    fn identity(&self) -> io::Result<FileIdentity> {
        FileIdentity::of_descriptor(self.file.as_fd())
    }

    fn compare(&self, file: &OwnedFd, content: FileIdentity, probes: &[Probe]) -> Result<(), Mismatch> {
        if !self.identity()?.is_unwritten_since(&content) {
            return Ok(()); // Seen by the caller, which compares once more at the end.
        }
        for probe in probes {
            check_bytes(file.as_fd(), probe.file_offset, &probe.bytes)
                .map_err(|error| Mismatch::Bytes(format!("{error:#}")))?;
        }
        Ok(())
    }

    /// The programs are in the order in which they meet a request: what begins one comes first. So the last ones are put in
    /// first, and none is begun that could not end. It is the right order for the end of a killed process, too: the kernel lets
    /// go of the highest descriptor first (it closes from the lowest on, and `task_work_run` in kernel/task_work.c does what was
    /// put off last in first out, since Linux 4.3).
    fn put_in(&mut self, programs: &Programs, probes: &[Probe]) -> Result<(), Mismatch> {
        for (index, program) in programs.descriptors.iter().enumerate().rev() {
            let of_program = probes.iter().filter(|probe| usize::from(probe.program) == index);
            let offsets: Vec<u64> = of_program.map(|probe| probe.file_offset).collect();
            if offsets.is_empty() {
                continue;
            }
            if programs.multi {
                self.links.push(probe::multi(program.as_fd(), self.file.as_fd(), &offsets)?);
                continue;
            }
            let kind = probe::perf_type()?;
            for offset in offsets {
                self.links.push(probe::perf(kind, program.as_fd(), self.file.as_fd(), offset)?);
            }
        }
        Ok(())
    }
}

/// Why a file got no probes.
enum Mismatch {
    Bytes(String),
    System(io::Error),
}

impl From<io::Error> for Mismatch {
    fn from(error: io::Error) -> Self {
        Self::System(error)
    }
}

/// May the same call succeed in a moment?
pub fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::EMFILE
                | libc::ENFILE
                | libc::ENOMEM
                | libc::EAGAIN
                | libc::EBUSY
                | libc::EINTR
                | libc::ENOSPC
        )
    )
}
