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
    let libraries = libraries(entries);
    if how.json {
        for (entry, versions) in &libraries {
            writeln!(out, "{}", serde_json::to_string(&row(entry, versions))?)?;
        }
    } else {
        let mut rows = table::new(Width::of_stdout(), 0, &["library", "status", "versions", "name"]);
        for (entry, versions) in &libraries {
            rows.add_row([&entry.id, word(entry.status), &range(versions), &entry.title]);
        }
        table::print(&mut out, &rows, "")?;
    }
    out.flush()?;
    Ok(Status::Ready)
}

/// The libraries and their versions. Of one that moved from package to package the catalog has an entry for each, one after another.
fn libraries(entries: &[Entry]) -> Vec<(&Entry, Range)> {
    let mut out: Vec<(&Entry, Range)> = Vec::new();
    for entry in listed(entries) {
        let goes_on = |(first, versions): &&mut (&Entry, Range)| {
            (&first.id, first.status) == (&entry.id, entry.status)
                && versions.until.is_some()
                && versions.until == entry.versions.since
        };
        match out.iter_mut().find(goes_on) {
            Some((_, versions)) => versions.until.clone_from(&entry.versions.until),
            None => out.push((entry, entry.versions.clone())),
        }
    }
    out
}

fn row<'a>(entry: &'a Entry, versions: &Range) -> Row<'a> {
    let text = |version: &Option<offsets::Version>| version.as_ref().map(ToString::to_string);
    let Range { since, until } = versions;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_that_moved_is_one() {
        let mut ids = Vec::new();
        for (entry, versions) in libraries(offsets::catalog::entries()) {
            // From 1.33 on the API makes spans through the Auto SDK, which is another library.
            let has_ended = entry.id == "go.opentelemetry.io/otel/internal/global";
            assert_eq!(versions.until.is_some(), has_ended, "{}: {versions:?}", entry.id);
            ids.push(&entry.id);
        }
        let count = ids.len();
        ids.dedup();
        assert_eq!(ids.len(), count, "{ids:?}");
        assert!(ids.iter().any(|id| *id == "net/http.server.h2"), "{ids:?}");
    }
}
