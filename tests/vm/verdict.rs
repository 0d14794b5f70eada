//! What the virtual machine tells the host, one line of the serial console per message. Both programs include this file.
//!
//! The kernel writes to the same console, so a message begins with a mark that the kernel never prints, at whatever place
//! of a line, and ends with the line.

use serde::{Deserialize, Serialize};

/// Stands before each message, which is JSON.
pub const MARK: &str = "@@strobe-vm ";

/// One message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Message {
    /// The machine is up, with this kernel.
    Booted {
        /// As `uname -r` has it.
        release: String,
        /// As `uname -v` has it: Debian's package version is in there.
        version: String,
    },
    /// A case begins.
    Begin(String),
    /// A case has ended.
    End(Verdict),
    /// All cases have ended; power goes off.
    Done,
}

/// What came of one case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Its name.
    pub case: String,
    /// Whether it did what it should.
    pub passed: bool,
    /// How long it took.
    pub seconds: f64,
    /// Figures where it passed, everything that helps where it did not.
    pub detail: String,
}
