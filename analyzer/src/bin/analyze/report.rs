//! The Plan for eyes, or as one line of JSON.

use std::io::Write;

use analyzer::plan::{Cost, Field, Function, Library, Plan, Status, Verdict, VersionMatch, When, Witness};
use anstyle::{AnsiColor, Style};
use anyhow::Result;
use comfy_table::{ContentArrangement, Table, presets};

use crate::outcome::Outcome;
use crate::output::{clean, complain};

/// Columns when nobody says how many there are, and the most that are used.
const COLUMNS: u16 = 80;
const MAX_COLUMNS: u16 = 140;
const BOLD: Style = Style::new().bold();

/// Prints one file's outcome; errors go to stderr.
pub fn print(out: &mut impl Write, outcome: &Outcome, json: bool) -> Result<()> {
    match &outcome.result {
        Ok(plan) if json => writeln!(out, "{}", serde_json::to_string(plan)?)?,
        Ok(plan) => table(out, plan)?,
        Err(error) => complain(error),
    }
    if let Ok(plan) = &outcome.result {
        for id in &outcome.missing {
            complain(format_args!("{}: required library {id} is {}", plan.file, why_missing(plan, id)));
        }
    }
    Ok(())
}

fn why_missing(plan: &Plan, id: &str) -> String {
    let known = || {
        let ids: Vec<&str> = offsets::catalog::entries().iter().map(|e| e.id.as_str()).collect();
        format!("unknown to this version of strobe, which knows {}", ids.join(", "))
    };
    match plan.libraries.iter().find(|l| l.id == id) {
        Some(library) => format!("{}, not ready", word(library.verdict).0),
        None if offsets::catalog::entry(id).is_none() => known(),
        None => "not in the binary".to_owned(),
    }
}

fn table(out: &mut impl Write, plan: &Plan) -> Result<()> {
    let arch = match plan.arch {
        analyzer::plan::Arch::Amd64 => "amd64",
        analyzer::plan::Arch::Arm64 => "arm64",
    };
    let version = plan.go_version.as_deref().unwrap_or("Go version unknown");
    writeln!(out, "{BOLD}{}{BOLD:#}  {arch}  {}", clean(&plan.file), clean(version))?;
    if let Some(main) = plan.modules.first() {
        let more = plan.modules.len() - 1;
        let (path, version) = (clean(&main.path), clean(&main.version));
        writeln!(out, "  module {path} {version}, {more} dependencies")?;
    }
    if plan.libraries.is_empty() {
        writeln!(out, "  nothing in it that strobe knows")?;
    }
    for library in &plan.libraries {
        self::library(out, library)?;
    }
    writeln!(out)?;
    Ok(())
}

fn library(out: &mut impl Write, library: &Library) -> Result<()> {
    let (verdict, style) = match library.status {
        Status::Recorded => ("recorded", AnsiColor::Cyan.on_default()),
        Status::Instrumented => word(library.verdict),
    };
    let version = library.version.as_deref().unwrap_or("version unknown");
    writeln!(
        out,
        "\n  {style}{verdict}{style:#}  {BOLD}{}{BOLD:#}  {} {} ({})",
        library.id,
        library.module,
        clean(version),
        matched(library.version_match)
    )?;
    if let Some(reason) = &library.reason {
        for line in wrap(reason, usize::from(columns()).saturating_sub(6)) {
            writeln!(out, "    {line}")?;
        }
    }
    if library.status == Status::Instrumented {
        indented(out, &sites(&library.functions))?;
        indented(out, &fields(&library.fields))?;
    }
    Ok(())
}

/// A verdict as people read it.
pub fn word(verdict: Verdict) -> (&'static str, Style) {
    match verdict {
        Verdict::Ready => ("ready", AnsiColor::Green.on_default()),
        Verdict::Partial => ("partial", AnsiColor::Yellow.on_default()),
        Verdict::Refused => ("refused", AnsiColor::Red.on_default()),
    }
}

/// Where a version stands, as people read it.
pub fn matched(version_match: VersionMatch) -> &'static str {
    match version_match {
        VersionMatch::Exact => "recorded in the database",
        VersionMatch::Between => "between recorded versions",
        VersionMatch::Outside => "outside the recorded versions",
        VersionMatch::Unknown => "not in the database",
    }
}

fn sites(functions: &[Function]) -> Table {
    let mut table = plain(["role", "function", "address", "when", "cost"]);
    for function in functions {
        for site in &function.sites {
            let when = match site.when {
                When::Entry => "entry",
                When::Exit => "exit",
                When::AfterCall => "after call",
            };
            let cost = match site.cost {
                Cost::Emulated => "emulated",
                Cost::Stepped => "stepped",
            };
            let address = format!("{:#x}", site.vaddr);
            table.add_row([function.role.as_str(), function.name.as_str(), &address, when, cost]);
        }
    }
    table
}

fn fields(fields: &[Field]) -> Table {
    let mut table = plain(["field", "offset", "witnesses"]);
    for field in fields {
        let offset = field.offset.map_or("-".to_owned(), |o| o.to_string());
        let witnesses: Vec<&str> = field
            .witnesses
            .iter()
            .map(|w| match w {
                Witness::Types => "types",
                Witness::Dwarf => "DWARF",
                Witness::Database => "database",
            })
            .collect();
        let name = format!("{}.{}", field.type_name, field.field);
        table.add_row([
            name,
            offset,
            if witnesses.is_empty() { "nobody".into() } else { witnesses.join(", ") },
        ]);
    }
    table
}

/// A table without lines.
pub fn plain<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(columns().saturating_sub(4));
    table.set_header(header);
    table
}

/// How wide the terminal is taken to be.
pub fn columns() -> u16 {
    Table::new().width().unwrap_or(COLUMNS).clamp(COLUMNS, MAX_COLUMNS)
}

/// Prints a table that has rows.
pub fn indented(out: &mut impl Write, table: &Table) -> Result<()> {
    if table.row_count() > 0 {
        for line in table.lines() {
            writeln!(out, "   {}", line.trim_end())?;
        }
    }
    Ok(())
}

/// Words in lines of at most `width` characters; a longer word stands alone.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace().map(clean) {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(&word);
            }
            _ => lines.push(word.into_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wraps_between_words() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("extraordinarily long", 4), ["extraordinarily", "long"]);
    }
}
