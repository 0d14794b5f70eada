//! What the kernel said of a program that it did not take, in a line: the verifier's log is megabytes long on older kernels, and
//! its last lines say why.

use std::io;

use aya::programs::ProgramError;

/// How many lines of a log are passed on.
const LINES: usize = 3;
/// Lines that come after the reason wherever statistics are asked for (`print_verification_stats` in kernel/bpf/verifier.c).
const STATISTICS: [&str; 2] = ["verification time ", "stack depth "];

/// Why a program was not loaded or attached.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The program itself was refused, or the privilege to load it is lacking.
    #[error("{error}{words}")]
    Load {
        /// The system call's error.
        #[source]
        error: io::Error,
        /// `: ` and what the verifier said at last; empty if nothing.
        words: String,
    },
    /// Anything else.
    #[error(transparent)]
    Other(ProgramError),
}

impl Refusal {
    /// Of a load and the verifier's log.
    pub fn of_load(error: io::Error, log: &str) -> Self {
        Self::Load { error, words: last_words(log) }
    }
}

impl From<ProgramError> for Refusal {
    fn from(error: ProgramError) -> Self {
        match error {
            ProgramError::LoadError { io_error, verifier_log } => {
                Self::of_load(io_error, &verifier_log.to_string())
            }
            other => Self::Other(other),
        }
    }
}

fn last_words(log: &str) -> String {
    let says = |line: &&str| !line.is_empty() && !STATISTICS.iter().any(|start| line.starts_with(start));
    let mut last: Vec<&str> = log.lines().map(str::trim).rev().filter(says).take(LINES).collect();
    last.reverse();
    if last.is_empty() { String::new() } else { format!(": {}", last.join("; ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_cut_to_what_says_why() {
        let walked = "0: (bf) r6 = r1\n".repeat(100_000);
        let end =
            "R2 min value is negative\nverification time 7 usec\nstack depth 8+0\nprocessed 9 insns\n\n";
        let error = io::Error::from_raw_os_error(libc::EACCES);
        let refusal = Refusal::of_load(error, &(walked + end)).to_string();
        assert_eq!(
            refusal,
            "Permission denied (os error 13): 0: (bf) r6 = r1; R2 min value is negative; processed 9 insns"
        );
        let error = io::Error::from_raw_os_error(libc::EPERM);
        assert_eq!(Refusal::of_load(error, "").to_string(), "Operation not permitted (os error 1)");
    }
}
