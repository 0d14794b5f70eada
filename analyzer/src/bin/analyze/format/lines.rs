//! The short form: a heading for each file, and one line for each library with its verdict, its version, what is missing, the
//! probes with their cost, and the fields.

use std::io::Write;

use analyzer::plan::{Cost, Library, Plan, Severity, Status, Verdict};
use anstyle::Style;
use anyhow::Result;

use super::{BOLD, Width, text, words};
use crate::output::clean;

/// Columns of the longest verdict, `recorded`.
const VERDICT: usize = 8;
/// Columns between two cells, and before the first.
const GAP: usize = 2;
/// What the last cell should have: for less versions are cut. And what it has at the least: then ids are cut, too.
const TAIL: usize = 52;
const LEAST_TAIL: usize = 26;
/// What an id and a version have at the least, if they are longer.
const LEAST_ID: usize = 16;
const LEAST_VERSION: usize = 18;
/// A cell that would have less is left out.
const LEAST_ROOM: usize = 4;

/// How wide the cells of one file's lines are.
#[derive(Debug, Clone, Copy)]
pub struct Columns {
    id: usize,
    version: usize,
    width: Width,
}

impl Columns {
    /// As wide as the libraries need it, and no wider than the terminal allows.
    pub fn of(libraries: &[Library], width: Width) -> Self {
        let widest = |column: fn(&Library) -> String| {
            libraries.iter().map(|library| text::columns(&column(library))).max().unwrap_or(0)
        };
        let (mut id, mut version) = (widest(|l| l.id.clone()), widest(version));
        if let Some(width) = width.0 {
            let over = |id: usize, version: usize, tail: usize| {
                (4 * GAP + VERDICT + id + version + tail).saturating_sub(width)
            };
            // A commit's version is as long as two ids, and its beginning tells the most; of an id it is the end.
            version = version.saturating_sub(over(id, version, TAIL)).max(LEAST_VERSION.min(version));
            id = id.saturating_sub(over(id, version, LEAST_TAIL)).max(LEAST_ID.min(id));
        }
        Columns { id, version, width }
    }
}

/// Prints the file's heading: on one line where that fits, else the rest below the name.
pub fn heading(out: &mut impl Write, plan: &Plan, width: Width) -> Result<()> {
    let file = clean(&plan.file).into_owned();
    let go = plan.go_version.as_deref().unwrap_or("Go version unknown");
    let mut rest = format!("{}  {}", plan.arch.name(), clean(go));
    if let Some(main) = plan.modules.first() {
        rest += &format!("  {} {}", clean(&main.path), clean(&main.version));
    }
    let rest = rest.trim_end();
    if !width.is_less_than(text::columns(&file) + GAP + text::columns(rest)) {
        return Ok(writeln!(out, "{BOLD}{file}{BOLD:#}  {rest}")?);
    }
    for piece in text::chop(&file, width.0.unwrap_or(usize::MAX)) {
        writeln!(out, "{BOLD}{piece}{BOLD:#}")?;
    }
    text::wrap(rest, width.less(GAP)).iter().try_for_each(|line| writeln!(out, "  {line}"))?;
    Ok(())
}

/// Prints the lines of a file.
pub fn print(out: &mut impl Write, plan: &Plan, width: Width) -> Result<()> {
    heading(out, plan, width)?;
    if plan.libraries.is_empty() {
        writeln!(out, "  {}", text::cut("nothing in it that strobe knows", width.less(GAP)))?;
    }
    let columns = Columns::of(&plan.libraries, width);
    plan.libraries.iter().try_for_each(|library| line(out, library, columns))
}

/// Prints the line of a library.
pub fn line(out: &mut impl Write, library: &Library, columns: Columns) -> Result<()> {
    let (verdict, style) = words::verdict(library);
    let id = text::cut_front(&library.id, Width(Some(columns.id)));
    let version = text::cut(&version(library), Width(Some(columns.version)));
    let cells = [
        (verdict.to_owned(), VERDICT, style),
        (id, columns.id, BOLD),
        (version, columns.version, Style::new()),
        (tail(library), usize::MAX, Style::new()),
    ];
    // Where the next cell begins, and where the last one has ended.
    let (mut start, mut end) = (GAP, 0);
    for (cell, cell_width, style) in cells {
        let room = columns.width.0.map_or(usize::MAX, |width| width.saturating_sub(start));
        if room < LEAST_ROOM || cell.is_empty() {
            break;
        }
        let cell = text::cut(&cell, Width(Some(room)));
        write!(out, "{}{style}{cell}{style:#}", " ".repeat(start - end))?;
        end = start + text::columns(&cell);
        start = start.saturating_add(cell_width).saturating_add(GAP);
    }
    Ok(writeln!(out)?)
}

fn version(library: &Library) -> String {
    match &library.version {
        Some(version) => clean(version).into_owned() + words::doubt(library.version_match),
        None => "unknown".to_owned(),
    }
}

/// What is missing, which stands first so that it is not cut; then probes and fields, where any would be used.
fn tail(library: &Library) -> String {
    let mut parts = vec![missing(library)];
    if library.status != Status::Recorded && library.verdict != Verdict::Refused {
        parts.push(probes(library));
        parts.push(fields(library));
        parts.push(notes(library));
    }
    parts.retain(|part| !part.is_empty());
    parts.join("; ")
}

fn missing(library: &Library) -> String {
    let of = |severity| library.findings.iter().filter(move |finding| finding.severity == severity);
    let mut lost: Vec<&str> = of(Severity::Loss).filter_map(|finding| finding.loses.as_deref()).collect();
    lost.dedup();
    match library.verdict {
        Verdict::Ready => String::new(),
        Verdict::Partial => format!("without {}", clean(&lost.join(", "))),
        Verdict::Refused => {
            let first = of(Severity::Refusal).next().map(words::short).unwrap_or_default();
            let more = match of(Severity::Refusal).count().saturating_sub(1) {
                0 => String::new(),
                more => format!(" (and {more} more)"),
            };
            clean(&first).into_owned() + &more
        }
    }
}

/// How many probes, and what they cost.
pub fn probes(library: &Library) -> String {
    let sites = || library.functions.iter().flat_map(|function| &function.sites);
    let stepped = sites().filter(|site| site.cost == Cost::Stepped).count();
    match (sites().count(), stepped) {
        (0, _) => "no probes".to_owned(),
        (1, 0) => "1 probe, emulated".to_owned(),
        (1, _) => "1 probe, stepped".to_owned(),
        (all, 0) => format!("{all} probes, emulated"),
        (all, stepped) if all == stepped => format!("{all} probes, stepped"),
        (all, stepped) => format!("{all} probes, {stepped} stepped"),
    }
}

fn fields(library: &Library) -> String {
    let known = library.fields.iter().filter(|field| field.offset.is_some()).count();
    match library.fields.len() {
        0 => String::new(),
        1 => format!("{} field", if known == 1 { "1" } else { "0 of 1" }),
        all if all == known => format!("{all} fields"),
        all => format!("{known} of {all} fields"),
    }
}

fn notes(library: &Library) -> String {
    match library.findings.iter().filter(|finding| finding.severity == Severity::Note).count() {
        0 => String::new(),
        1 => "1 note".to_owned(),
        notes => format!("{notes} notes"),
    }
}
