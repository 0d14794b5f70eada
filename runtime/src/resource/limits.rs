//! How large a resource may become: it is sent with every batch, and a process's environment may hold megabytes.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The most attributes of a resource. What the agent knows itself comes first, so it is never what is left out.
pub const MAX_ATTRIBUTES: usize = 64;
/// The most bytes of a value; longer ones are cut at a character.
pub const MAX_VALUE_BYTES: usize = 4096;
/// An attribute with a longer key is left out.
pub const MAX_KEY_BYTES: usize = 256;

/// The value, cut if need be.
pub(super) fn value(text: &str) -> &str {
    text.get(..text.floor_char_boundary(MAX_VALUE_BYTES)).unwrap_or(text)
}

/// What a process's resource does not have, or not whole.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Claims of the process's environment against what the agent found out itself.
    pub overruled: u32,
    /// Values that were cut.
    pub cut: u32,
    /// Attributes beyond the limits.
    pub dropped: u32,
}

impl LeftOut {
    /// What to say of it, once per process.
    pub(super) fn warning(self, pid: u32) -> Option<String> {
        let Self { overruled, cut, dropped } = self;
        let said: Vec<String> = [
            (overruled, "claims about container, host, process or agent against what strobe found out: not used".to_owned()),
            (cut, format!("values longer than {MAX_VALUE_BYTES} bytes: cut")),
            (dropped, format!("attributes beyond {MAX_ATTRIBUTES}, or with keys longer than {MAX_KEY_BYTES} bytes: left out")),
        ]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
        (!said.is_empty()).then(|| format!("resource attributes of process {pid}: {}", said.join("; ")))
    }
}

/// The sum over all processes.
#[derive(Debug, Default)]
pub struct Totals {
    overruled: AtomicU64,
    cut: AtomicU64,
    dropped: AtomicU64,
}

impl Totals {
    /// Adds one process's.
    pub fn add(&self, left_out: LeftOut) {
        self.overruled.fetch_add(left_out.overruled.into(), Relaxed);
        self.cut.fetch_add(left_out.cut.into(), Relaxed);
        self.dropped.fetch_add(left_out.dropped.into(), Relaxed);
    }

    /// Whether there is anything to say.
    pub fn is_empty(&self) -> bool {
        [&self.overruled, &self.cut, &self.dropped].iter().all(|count| count.load(Relaxed) == 0)
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [overruled, cut, dropped] =
            [&self.overruled, &self.cut, &self.dropped].map(|count| count.load(Relaxed));
        write!(f, "resource attributes: {overruled} overruled, {cut} cut, {dropped} left out")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_cut_at_a_character() {
        assert_eq!(value("a"), "a");
        let long = "\u{e9}".repeat(3_000);
        assert_eq!(value(&long).len(), MAX_VALUE_BYTES);
        assert_eq!(value(&format!("a{long}")).len(), MAX_VALUE_BYTES - 1);
    }
}
