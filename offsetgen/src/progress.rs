//! What a person sees meanwhile: bars on a terminal, plain lines elsewhere; always on stderr.
//!
//! Deliberately not here: results, which go to stdout, and errors, which `main` prints.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// The progress of one command.
pub struct Progress {
    bars: Option<MultiProgress>,
}

/// One thing under way; it is gone from the screen when dropped.
pub struct Step {
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Bars where stderr is a terminal.
    pub fn new() -> Self {
        Self { bars: std::io::stderr().is_terminal().then(MultiProgress::new) }
    }

    /// Begins something whose length is known only if `total` says so (bytes).
    pub fn step(&self, what: &str, total: Option<u64>) -> Step {
        let Some(bars) = &self.bars else {
            eprintln!("{what}");
            return Step { bar: None };
        };
        let (bar, template) = match total {
            Some(total) => (ProgressBar::new(total), "{spinner} {msg} [{bar:30}] {bytes}/{total_bytes}"),
            None => (ProgressBar::new_spinner(), "{spinner} {msg} {elapsed}"),
        };
        // The templates above are constants; the default style is a sound fallback.
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = bars.add(bar.with_style(style).with_message(what.to_owned()));
        bar.enable_steady_tick(Duration::from_millis(120));
        Step { bar: Some(bar) }
    }

    /// Says something that stays on the screen.
    pub fn say(&self, text: &str) {
        match &self.bars {
            Some(bars) => drop(bars.println(text)),
            None => eprintln!("{text}"),
        }
    }
}

impl Step {
    /// The total is known now.
    pub fn set_total(&self, total: u64) {
        if let Some(bar) = &self.bar {
            bar.set_length(total);
        }
    }

    /// So much of the total is done.
    pub fn set(&self, done: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(done);
        }
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
