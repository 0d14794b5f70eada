//! Errors with their causes: what a library's own text, and the kernel's number, leave out.

use std::{error::Error, io};

use caps::{CapSet, Capability};
use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit};

/// An error with all its causes in one line, each said once.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

/// The error number of an error, or of what caused it.
pub fn errno(error: &(dyn Error + 'static)) -> Option<Errno> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let number = error.downcast_ref::<Errno>().copied();
        let of_io = || error.downcast_ref::<io::Error>()?.raw_os_error().map(Errno::from_raw);
        if let Some(number) = number.or_else(of_io) {
            return Some(number);
        }
        cause = error.source();
    }
    None
}

/// Does the calling thread have this capability, so that it is not what lacks?
pub fn holds(capability: Capability) -> bool {
    caps::has_cap(None, CapSet::Effective, capability).unwrap_or(false)
}

/// The limit that this error number means has been reached, and how to raise it; none of most numbers.
pub fn limit(errno: Errno) -> Option<String> {
    match errno {
        Errno::EMFILE => {
            let limit = getrlimit(Resource::RLIMIT_NOFILE).map_or(0, |(_, hard)| hard);
            Some(format!(
                "strobe may have {limit} files open (RLIMIT_NOFILE; LimitNOFILE=, `ulimit -n`): allow it more"
            ))
        }
        Errno::ENFILE => Some("the machine has no more open files to give (fs.file-max)".to_owned()),
        Errno::EAGAIN => Some(
            "if it was a thread or a process, strobe may have no more of them (pids.max of its cgroup, TasksMax=, \
             RLIMIT_NPROC): allow it 64"
                .to_owned(),
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_named_by_what_they_are_raised_with() {
        let named = |number| {
            let error = anyhow::Error::from(io::Error::from_raw_os_error(number)).context("making it");
            errno(error.as_ref()).and_then(limit).unwrap_or_default()
        };
        assert!(named(libc::EMFILE).contains("RLIMIT_NOFILE"));
        assert!(named(libc::ENFILE).contains("fs.file-max"));
        assert!(named(libc::EAGAIN).contains("pids.max"));
        assert_eq!(named(libc::EACCES), "");
    }
}
