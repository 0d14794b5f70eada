//! `analyze --explain LIBRARY`: the verdict argued in plain words, with the remedy.

use std::io::Write;

use analyzer::plan::{Cost, Finding, Library, Plan, Severity, Status as Tracing, Verdict, Witness};
use anyhow::Result;
use offsets::catalog::Entry;

use crate::format::{Width, text, words};
use crate::outcome::{Outcome, Status};
use crate::output::complain;

/// Prints the argument; the status is that of this library alone.
pub fn print(
    out: &mut impl Write,
    outcome: &Outcome,
    id: &str,
    entries: &[Entry],
    width: Width,
) -> Result<Status> {
    let plan = match &outcome.result {
        Ok(plan) => plan,
        Err(error) => {
            complain(error);
            paragraph(out, &format!("{}: no verdict on {id}: {}.", error.file, error.kind), width)?;
            paragraph(out, &format!("Remedy: {}.", error.kind.remedy()), width)?;
            return Ok(Status::Unreadable);
        }
    };
    match plan.libraries.iter().find(|l| l.id == id) {
        Some(library) => present(out, plan, library, width),
        None => absent(out, plan, id, entries, width),
    }
}

fn absent(out: &mut impl Write, plan: &Plan, id: &str, entries: &[Entry], width: Width) -> Result<Status> {
    let signs = entries.iter().filter(|entry| entry.id == id).flat_map(|entry| entry.present.clone());
    let signs = signs.collect::<Vec<_>>().join(", ");
    let why = format!(
        "{}: {id} is not in the binary: neither its function table nor an inlined call names {signs}.",
        plan.file
    );
    paragraph(out, &why, width)?;
    let remedy = "Remedy: none is needed, unless the program should use it: then it is not linked in.";
    paragraph(out, remedy, width)?;
    Ok(Status::Nothing)
}

fn present(out: &mut impl Write, plan: &Plan, library: &Library, width: Width) -> Result<Status> {
    let status = match (library.status, library.verdict) {
        (Tracing::Recorded, _) | (Tracing::Custom, Verdict::Ready) => Status::Nothing,
        (Tracing::Instrumented, Verdict::Ready) => Status::Ready,
        (_, Verdict::Partial | Verdict::Refused) => Status::NotReady,
    };
    let (word, style) = words::verdict(library);
    for line in text::wrap(&format!("{}: {} is {word}.", plan.file, library.id), width) {
        match line.strip_suffix(&format!("{word}.")) {
            Some(before) => writeln!(out, "{before}{style}{word}{style:#}.")?,
            None => writeln!(out, "{line}")?,
        }
    }
    paragraph(out, &version(library), width)?;
    for finding in &library.findings {
        paragraph(out, &argument(finding, library), width)?;
    }
    if library.findings.is_empty() {
        let all = "Every function, field, itab and map of the catalog was found, and all witnesses agree.";
        paragraph(out, all, width)?;
    }
    paragraph(out, &sites(library), width)?;
    paragraph(out, &fields(library), width)?;
    if let Some(file) = &plan.debug_file {
        paragraph(out, &format!("The DWARF is that of {file}."), width)?;
    }
    let mut said: Vec<&str> = Vec::new();
    for remedy in library.findings.iter().filter_map(|finding| finding.remedy.as_deref()) {
        if !said.contains(&remedy) {
            paragraph(out, &format!("Remedy: {remedy}."), width)?;
            said.push(remedy);
        }
    }
    Ok(status)
}

/// A finding as part of the argument: what decides the verdict is its cause, the rest is said beside it.
fn argument(finding: &Finding, library: &Library) -> String {
    let decides = match library.verdict {
        Verdict::Refused => Severity::Refusal,
        Verdict::Partial => Severity::Loss,
        Verdict::Ready => Severity::Note,
    };
    let how = match finding.severity {
        Severity::Note => "Worth knowing",
        severity if severity == decides => "Because",
        _ => "Besides",
    };
    format!("{how}: {} ({}).", finding.message, finding.code)
}

fn version(library: &Library) -> String {
    match &library.version {
        Some(version) => {
            format!(
                "Its version is {version} of {}: {}.",
                library.module,
                words::matched(library.version_match)
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
        "Of {} {} {} {} an offset: {} by the binary's type data, {} by its DWARF, {} by the offset database.",
        library.fields.len(),
        if library.fields.len() == 1 { "field" } else { "fields" },
        known.len(),
        if known.len() == 1 { "has" } else { "have" },
        by(Witness::Types),
        by(Witness::Dwarf),
        by(Witness::Database)
    )
}

fn paragraph(out: &mut impl Write, text: &str, width: Width) -> Result<()> {
    for line in text::wrap(text, width.less(2)) {
        writeln!(out, "  {line}")?;
    }
    Ok(())
}
