//! Drawing: rows in, styled text out. Pure but for the time zone.
//!
//! ```text
//! time          service  span               status  duration ├──────── 84.2 ms ────────┤ target
//! 12:07:46.123  shop     GET /users/{id}       200   1.24 ms │██▌                      │ /users/42?x=1  from 10.0.0.5
//!                        ◆ trace 4bf92f3577b34da6a3ce929d0e0e4736 continues remote span 00f067aa0ba902b7
//! 12:07:46.131  shop     └ POST /orders        500   12.1 ms │    ████                 │ /orders
//! 12:07:46.132  shop       └ SELECT books        -    310 µs │    ▌                    │ db.example:5433
//! ```
//! The ruler says how long the block's window is; a bar lies where its span lay in it.

use std::cmp::Reverse;
use std::fmt::Write;

use anstyle::{AnsiColor, Style};

use super::{Row, tree};

const DIM: Style = Style::new().dimmed();
const BOLD: Style = Style::new().bold();
const TRACE: Style = AnsiColor::Magenta.on_default();
const GREEN: Style = AnsiColor::Green.on_default();
const CYAN: Style = AnsiColor::Cyan.on_default();
const YELLOW: Style = AnsiColor::Yellow.on_default();
const RED: Style = AnsiColor::Red.on_default();

/// Columns of the time, and of the gaps.
const TIME: usize = 12;
const GAP: usize = 2;
const STATUS: usize = 6;
const DURATION: usize = 8;
/// Parts of a cell, from an eighth to seven.
const EIGHTHS: [char; 7] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉'];

/// Widths of the columns: they grow with what comes and never shrink, so that blocks stay aligned.
#[derive(Debug, Clone)]
pub struct Layout {
    service: usize,
    name: usize,
    begun: bool,
}

impl Default for Layout {
    fn default() -> Self {
        Self { service: 7, name: 18, begun: false }
    }
}

/// The block's common scale.
struct Scale {
    start_ns: u64,
    window_ns: u64,
    cells: usize,
}

impl Layout {
    /// Draws a block of rows on a terminal of this width.
    pub fn block(&mut self, rows: &mut [Row], width: usize) -> String {
        self.grow(rows, width);
        let start_ns = rows.iter().map(|row| row.start_ns).min().unwrap_or_default();
        let end_ns = rows.iter().map(|row| row.end_ns).max().unwrap_or_default();
        let scale =
            Scale { start_ns, window_ns: end_ns.saturating_sub(start_ns).max(1), cells: self.cells(width) };
        let mut out = String::with_capacity(rows.len() * 256);
        if !std::mem::replace(&mut self.begun, true) {
            legend(&mut out, width);
        }
        self.ruler(&mut out, &scale);
        for trace in traces(rows) {
            self.trace(&mut out, trace, &scale, width);
        }
        out
    }

    fn grow(&mut self, rows: &[Row], width: usize) {
        let longest =
            |text: fn(&Row) -> &str| rows.iter().map(|row| text(row).chars().count()).max().unwrap_or(0);
        self.service = self.service.max(longest(|row| &row.service)).min((width / 10).clamp(7, 24));
        // With room for a branch.
        self.name = self.name.max(longest(|row| &row.name) + 4).min((width / 5).clamp(16, 36));
    }

    /// Columns up to the bar.
    fn left(&self) -> usize {
        TIME + GAP + self.service + GAP + self.name + GAP + STATUS + GAP + DURATION + 1
    }

    /// Cells of a bar: what the other columns leave is shared with the target.
    fn cells(&self, width: usize) -> usize {
        (width.saturating_sub(self.left() + 3) / 2).clamp(8, 48)
    }

    fn ruler(&self, out: &mut String, scale: &Scale) {
        let (service, name) = (self.service, self.name);
        let label = format!(" {} ", duration(scale.window_ns));
        let line = scale.cells.saturating_sub(label.chars().count());
        let (before, after) = ("─".repeat(line / 2), "─".repeat(line - line / 2));
        line_of(
            out,
            format_args!(
                "{DIM}{:TIME$}  {:service$}  {:name$}  {:>STATUS$}  {:>DURATION$} ├{before}{label}{after}┤ target{DIM:#}",
                "time", "service", "span", "status", "duration"
            ),
        );
    }

    fn trace(&self, out: &mut String, rows: &[Row], scale: &Scale, width: usize) {
        let hangs = tree::hangs(rows);
        if let Some((row, parent)) = hangs.and_then(|row| Some((row, row.parent?))) {
            let indent = TIME + GAP + self.service + GAP;
            let above = if row.is_parent_remote { "continues remote span" } else { "below span" };
            let text = format!("◆ trace {} {above} {}", hex(&row.trace_id), hex(&parent));
            let text = fit(&text, text.chars().count().min(width.saturating_sub(indent)));
            line_of(out, format_args!("{:indent$}{TRACE}{text}{TRACE:#}", ""));
        }
        for place in tree::places(rows, hangs.is_some(), self.name / 2) {
            self.row(out, place.row, &place.branch, scale, width);
        }
    }

    fn row(&self, out: &mut String, row: &Row, branch: &str, scale: &Scale, width: usize) {
        let colour = colour(row);
        let service = fit(&row.service, self.service);
        let name = fit(&row.name, self.name - branch.chars().count());
        let status = row.status.map_or_else(|| "-".to_owned(), |status| status.to_string());
        let took = duration(row.end_ns.saturating_sub(row.start_ns));
        let bar = scale.bar(row);
        let rest = width.saturating_sub(self.left() + scale.cells + 3);
        line_of(
            out,
            format_args!(
                "{DIM}{}{DIM:#}  {service}  {TRACE}{branch}{TRACE:#}{BOLD}{name}{BOLD:#}  {colour}{status:>STATUS$}{colour:#}  \
                 {took:>DURATION$} {DIM}│{DIM:#}{colour}{bar}{colour:#}{DIM}│{DIM:#} {}",
                local_time(row.start_ns),
                details(row, rest),
            ),
        );
    }
}

impl Scale {
    /// The bar, exactly `cells` wide; at least half a cell is filled.
    fn bar(&self, row: &Row) -> String {
        let eighths = |ns: u64| {
            let scaled = u128::from(ns) * (self.cells as u128 * 8) / u128::from(self.window_ns);
            usize::try_from(scaled).unwrap_or(usize::MAX).min(self.cells * 8)
        };
        let start = (eighths(row.start_ns.saturating_sub(self.start_ns)) / 8).min(self.cells - 1);
        let end = eighths(row.end_ns.saturating_sub(self.start_ns));
        let filled = end.saturating_sub(start * 8).max(4);
        let mut bar = " ".repeat(start);
        bar.push_str(&"█".repeat(filled / 8));
        bar.extend((filled % 8).checked_sub(1).and_then(|part| EIGHTHS.get(part)));
        fit(&bar, self.cells)
    }
}

/// What the colours mean; on a wide terminal, what the bar means, too.
fn legend(out: &mut String, width: usize) {
    let bar = if width >= 140 {
        "one line per span, as it ends · bar: when, on the scale above it · "
    } else {
        ""
    };
    line_of(
        out,
        format_args!(
            "{BOLD}strobe{BOLD:#}{DIM}  {bar}{DIM:#}{GREEN}█{GREEN:#}{DIM} 2xx {DIM:#}{CYAN}█{CYAN:#}{DIM} 3xx {DIM:#}\
             {YELLOW}█{YELLOW:#}{DIM} 4xx {DIM:#}{RED}█{RED:#}{DIM} failed · {DIM:#}{TRACE}◆{TRACE:#}\
             {DIM} a trace that began elsewhere{DIM:#}"
        ),
    );
}

/// Sorts by trace, oldest trace first, and splits.
fn traces(rows: &mut [Row]) -> Vec<&[Row]> {
    let mut begin = std::collections::HashMap::new();
    for row in rows.iter() {
        let first = begin.entry(row.trace_id).or_insert(row.start_ns);
        *first = row.start_ns.min(*first);
    }
    rows.sort_by_key(|row| {
        (begin.get(&row.trace_id).copied(), row.trace_id, row.start_ns, Reverse(row.end_ns))
    });
    rows.chunk_by(|a, b| a.trace_id == b.trace_id).collect()
}

fn colour(row: &Row) -> Style {
    match row.status {
        _ if row.error.is_some() => RED,
        Some(500..) => RED,
        Some(400..) => YELLOW,
        Some(300..) => CYAN,
        Some(200..) => GREEN,
        Some(_) => CYAN,
        // What has no status has no colour: it would be one of the legend's.
        None => Style::new(),
    }
}

/// Target, error and client, in what is left of the line: the error always, the client only where all of it fits.
fn details(row: &Row, width: usize) -> String {
    let status = row.status.map(|status| status.to_string());
    let error = row.error.as_ref().filter(|error| status.as_ref() != Some(*error));
    let error =
        error.map(|error| fit(&format!("✗ {error}"), error.chars().count().min(20) + 2)).unwrap_or_default();
    let client = row.client.as_ref().map(|client| format!("from {client}")).unwrap_or_default();
    let taken = |text: &str| if text.is_empty() { 0 } else { text.chars().count() + GAP };
    let target = row.target.chars().count();
    let shown = target.min(width.saturating_sub(taken(&error)));
    let mut details = fit(&row.target, shown);
    // Writing to a String cannot fail.
    if !error.is_empty() {
        let _ = write!(details, "{:GAP$}{RED}{error}{RED:#}", "");
    }
    if !client.is_empty() && target + taken(&error) + taken(&client) <= width {
        let _ = write!(details, "{:GAP$}{DIM}{client}{DIM:#}", "");
    }
    details
}

/// Exactly `width` characters: filled with spaces, or cut with an ellipsis.
fn fit(text: &str, width: usize) -> String {
    let len = text.chars().count();
    if len <= width {
        return format!("{text}{}", " ".repeat(width - len));
    }
    let mut cut: String = text.chars().take(width.saturating_sub(1)).collect();
    if width > 0 {
        cut.push('…');
    }
    cut
}

/// Three digits that matter.
fn duration(ns: u64) -> String {
    let (value, unit) = match ns {
        0..1_000_000 => (ns as f64 / 1e3, "µs"),
        1_000_000..1_000_000_000 => (ns as f64 / 1e6, "ms"),
        _ => (ns as f64 / 1e9, "s"),
    };
    let decimals = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
    format!("{value:.decimals$} {unit}")
}

fn hex(id: &[u8]) -> String {
    id.iter().fold(String::with_capacity(32), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn line_of(out: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = out.write_fmt(line);
    let end = out.trim_end_matches(' ').len();
    out.truncate(end);
    out.push('\n');
}

/// `12:07:46.123` in the local time zone.
fn local_time(unix_ns: u64) -> String {
    let seconds = libc::time_t::try_from(unix_ns / 1_000_000_000).unwrap_or(0);
    // SAFETY: tm is integers and a pointer that may be null; all zeros is a value of it.
    let mut time: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are valid for the call; localtime_r keeps neither.
    let known = unsafe { !libc::localtime_r(&raw const seconds, &raw mut time).is_null() };
    if !known {
        return "--:--:--.---".to_owned();
    }
    let millis = unix_ns / 1_000_000 % 1_000;
    format!("{:02}:{:02}:{:02}.{millis:03}", time.tm_hour, time.tm_min, time.tm_sec)
}

#[cfg(test)]
mod tests;
