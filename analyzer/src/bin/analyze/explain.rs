//! `analyze --explain LIBRARY`: the verdict argued in plain words, with the remedy.

use std::io::Write;

use analyzer::plan::{Cost, Library, Plan, Status as Tracing, Verdict, Witness};
use anyhow::Result;
use offsets::catalog;

use crate::outcome::{Outcome, Status};
use crate::output::{clean, complain};
use crate::report;

/// Prints the argument; the status is that of this library alone.
pub fn print(out: &mut impl Write, outcome: &Outcome, id: &str) -> Result<Status> {
    let plan = match &outcome.result {
        Ok(plan) => plan,
        Err(error) => {
            complain(error);
            paragraph(
                out,
                &format!("{}: no verdict on {id}, because the file is {}.", error.file, error.kind),
            )?;
            paragraph(out, &format!("Remedy: {}.", error.kind.remedy()))?;
            return Ok(Status::Unreadable);
        }
    };
    match plan.libraries.iter().find(|l| l.id == id) {
        Some(library) => present(out, plan, library),
        None => absent(out, plan, id),
    }
}

fn absent(out: &mut impl Write, plan: &Plan, id: &str) -> Result<Status> {
    let Some(entry) = catalog::entry(id) else {
        let known: Vec<&str> = catalog::entries().iter().map(|e| e.id.as_str()).collect();
        let known = known.join(", ");
        paragraph(out, &format!("{id} is unknown to this version of strobe, which knows {known}."))?;
        return Ok(Status::NotReady);
    };
    let signs = entry.present.join(", ");
    paragraph(
        out,
        &format!("{}: {id} is not in the binary: its function table lists none of {signs}.", plan.file),
    )?;
    paragraph(out, "Remedy: none is needed, unless the program should use it: then it is not linked in.")?;
    Ok(Status::Nothing)
}

fn present(out: &mut impl Write, plan: &Plan, library: &Library) -> Result<Status> {
    let status = match (library.status, library.verdict) {
        (Tracing::Recorded, _) => Status::Nothing,
        (Tracing::Instrumented, Verdict::Ready) => Status::Ready,
        (Tracing::Instrumented, Verdict::Partial | Verdict::Refused) => Status::NotReady,
    };
    let (word, style) = report::word(library.verdict);
    writeln!(out, "{}: {} is {style}{word}{style:#}.", clean(&plan.file), library.id)?;
    paragraph(out, &version(library))?;
    match &library.reason {
        Some(reason) => {
            let because = if library.verdict == Verdict::Ready { "Worth knowing" } else { "Because" };
            reason.split("; ").try_for_each(|part| paragraph(out, &format!("{because}: {part}.")))?;
        }
        None => paragraph(
            out,
            "Every function, field, itab and map of the catalog was found, and all witnesses agree.",
        )?,
    }
    paragraph(out, &sites(library))?;
    paragraph(out, &fields(library))?;
    if let Some(file) = &plan.debug_file {
        paragraph(out, &format!("The DWARF is that of {file}."))?;
    }
    for remedy in analyzer::remedies(library.reason.as_deref().unwrap_or_default()) {
        paragraph(out, &format!("Remedy: {remedy}."))?;
    }
    Ok(status)
}

fn version(library: &Library) -> String {
    match &library.version {
        Some(version) => {
            format!(
                "Its version is {version} of {}: {}.",
                library.module,
                report::matched(library.version_match)
            )
        }
        None => format!(
            "Its version ({}) is unknown, so the offset database cannot vouch for it.",
            library.module
        ),
    }
}

fn sites(library: &Library) -> String {
    let all: Vec<_> = library.functions.iter().flat_map(|f| &f.sites).collect();
    if all.is_empty() {
        return "No probe would be placed.".to_owned();
    }
    let stepped = all.iter().filter(|s| s.cost == Cost::Stepped).count();
    let names: Vec<String> = library.functions.iter().map(|f| format!("{} in {}", f.role, f.name)).collect();
    let roles = names.join(", ");
    let total = all.len();
    format!("Probes would stand at {total} instructions, {stepped} of them single-stepped: {roles}.")
}

fn fields(library: &Library) -> String {
    let known: Vec<_> = library.fields.iter().filter(|f| f.offset.is_some()).collect();
    let by = |witness| known.iter().filter(|f| f.witnesses.contains(&witness)).count();
    format!(
        "Of {} fields {} have an offset: {} by the binary's type data, {} by its DWARF, {} by the offset database.",
        library.fields.len(),
        known.len(),
        by(Witness::Types),
        by(Witness::Dwarf),
        by(Witness::Database)
    )
}

fn paragraph(out: &mut impl Write, text: &str) -> Result<()> {
    for line in report::wrap(text, usize::from(report::columns()).saturating_sub(2)) {
        writeln!(out, "  {line}")?;
    }
    Ok(())
}
