//! How wide a line may be: `COLUMNS` says it; else the terminal does; what goes into a file or a pipe is not cut.

use std::env;
use std::io::{self, IsTerminal as _};

/// A terminal that does not say its width.
const UNKNOWN: usize = 80;
/// Less would hold no word; a smaller `COLUMNS` counts as so many.
const LEAST: usize = 20;

/// The most columns of a line; none is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Width(pub Option<usize>);

impl Width {
    /// Of standard output.
    pub fn of_stdout() -> Self {
        let stdout = io::stdout();
        let terminal = stdout.is_terminal().then(|| {
            let size = terminal_size::terminal_size_of(&stdout);
            size.map(|(width, _)| usize::from(width.0)).filter(|width| *width > 0).unwrap_or(UNKNOWN)
        });
        Self::new(env::var("COLUMNS").ok().as_deref(), terminal)
    }

    fn new(columns: Option<&str>, terminal: Option<usize>) -> Self {
        let said = columns.and_then(|columns| columns.trim().parse().ok()).filter(|columns| *columns > 0);
        Width(said.or(terminal).map(|width: usize| width.max(LEAST)))
    }

    /// What is left of it to the right of so many columns.
    pub fn less(self, columns: usize) -> Self {
        Width(self.0.map(|width| width.saturating_sub(columns).max(1)))
    }

    /// Whether so many columns are too many.
    pub fn is_less_than(self, columns: usize) -> bool {
        self.0.is_some_and(|width| width < columns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_then_the_terminal_then_no_limit() {
        assert_eq!(Width::new(Some("120"), Some(100)), Width(Some(120)));
        assert_eq!(Width::new(Some("120"), None), Width(Some(120)));
        assert_eq!(Width::new(Some("3"), None), Width(Some(20)));
        for nonsense in ["", "0", "-1", "wide"] {
            assert_eq!(Width::new(Some(nonsense), Some(100)), Width(Some(100)));
            assert_eq!(Width::new(Some(nonsense), None), Width(None));
        }
        assert_eq!(Width::new(None, Some(7)), Width(Some(20)));
    }
}
