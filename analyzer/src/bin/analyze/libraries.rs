//! `analyze libraries`: what this version knows.

use std::io::{self, BufWriter, Write};

use anyhow::Result;
use offsets::catalog::{Entry, Range, Status as Tracing};
use serde::Serialize;

use crate::cli::Libraries;
use crate::format::{Width, table};
use crate::ids::listed;
use crate::outcome::Status;
use crate::output::Output;

/// An entry that a Plan can speak of, in JSON.
#[derive(Debug, Serialize)]
struct Row<'a> {
    id: &'a str,
    title: &'a str,
    module: &'a str,
    status: &'static str,
    versions: Versions,
}

/// The catalog's range of versions: the first one in it, and the first one after it.
#[derive(Debug, Serialize)]
struct Versions {
    since: Option<String>,
    until: Option<String>,
}

/// Prints the list.
pub fn run(how: &Libraries, entries: &[Entry]) -> Result<Status> {
    let mut out = BufWriter::new(Output::new(io::stdout().lock()));
    if how.json {
        for entry in listed(entries) {
            writeln!(out, "{}", serde_json::to_string(&row(entry))?)?;
        }
    } else {
        let mut rows = table::new(Width::of_stdout(), 0, &["library", "status", "versions", "name"]);
        for entry in listed(entries) {
            rows.add_row([&entry.id, word(entry.status), &range(&entry.versions), &entry.title]);
        }
        table::print(&mut out, &rows, "")?;
    }
    out.flush()?;
    Ok(Status::Ready)
}

fn row(entry: &Entry) -> Row<'_> {
    let text = |version: &Option<offsets::Version>| version.as_ref().map(ToString::to_string);
    let Range { since, until } = &entry.versions;
    Row {
        id: &entry.id,
        title: &entry.title,
        module: &entry.module,
        status: word(entry.status),
        versions: Versions { since: text(since), until: text(until) },
    }
}

fn word(status: Tracing) -> &'static str {
    match status {
        Tracing::Instrumented => "instrumented",
        Tracing::Recorded => "recorded",
        Tracing::Custom => "custom",
    }
}

fn range(range: &Range) -> String {
    match (&range.since, &range.until) {
        (None, None) => "all".to_owned(),
        (Some(since), None) => format!("{since} and newer"),
        (None, Some(until)) => format!("older than {until}"),
        (Some(since), Some(until)) => format!("{since} to before {until}"),
    }
}
