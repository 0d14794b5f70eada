//! `offsetgen report`: how much of what exists is recorded, and why each hole is one.
//!
//! | module | has |
//! |---|---|
//! | [`coverage`] | a module in numbers |
//! | [`holes`] | what is missing, in words, alike with alike |
//! | [`table`] | the numbers for eyes |
//!
//! Deliberately not here: finding out which versions there are. That is `build`'s; a file can name more of them.

mod coverage;
mod holes;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;

use anyhow::{Context, Result};
use offsets::catalog::Entry;
use offsets::database::format::Document;

use crate::catalog::Catalog;
use crate::cli::ReportOptions;
use crate::data::folder;
use crate::output;
use coverage::{Coverage, Share};

/// True when at least 99 of 100 buildable versions of every module of the catalog are recorded, and of each some.
pub fn run(options: &ReportOptions) -> Result<bool> {
    let entries = Catalog::read(options.catalog.as_deref(), &options.only)?.entries;
    let documents = folder::documents(&options.data)?;
    let file = match &options.versions_from {
        Some(file) => fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?,
        None => String::new(),
    };
    let named: BTreeSet<&str> = entries.iter().map(|entry| entry.module.as_str()).collect();
    let all = coverages(&entries, &documents, &file, options.only.is_empty());
    output::print(&if options.json { json(&all)? } else { text(&all, &named) })?;
    Ok(all.iter().filter(|one| named.contains(one.module.as_str())).all(Coverage::is_complete))
}

/// The modules of the catalog and, where all are asked for, those that only the data knows.
fn coverages(
    entries: &[Entry],
    documents: &BTreeMap<String, Document>,
    file: &str,
    others: bool,
) -> Vec<Coverage> {
    let mut modules: BTreeSet<&str> = entries.iter().map(|entry| entry.module.as_str()).collect();
    if others {
        modules.extend(documents.keys().map(String::as_str));
    }
    let coverage = |module: &str| {
        let own: Vec<&Entry> = entries.iter().filter(|entry| entry.module == module).collect();
        let nothing = Document::new(module);
        let document = documents.get(module).unwrap_or(&nothing);
        Coverage::new(document, &own, &coverage::of_file(file, module, &own))
    };
    modules.into_iter().map(coverage).collect()
}

fn json(all: &[Coverage]) -> Result<String> {
    let mut text = String::new();
    for coverage in all {
        text += &serde_json::to_string(coverage)?;
        text.push('\n');
    }
    Ok(text)
}

fn text(all: &[Coverage], named: &BTreeSet<&str>) -> String {
    let mut text = table::table(all);
    for coverage in all {
        let lines = holes::lines(coverage);
        if !lines.is_empty() {
            let _ = write!(text, "\n{}\n{}\n", coverage.module, lines.join("\n"));
        }
    }
    text + "\n" + &total(all, named)
}

fn total(all: &[Coverage], named: &BTreeSet<&str>) -> String {
    let sum = |number: fn(&Coverage) -> usize| all.iter().map(number).sum::<usize>();
    let (known, buildable, recorded) = (sum(|c| c.known), sum(|c| c.buildable), sum(|c| c.recorded));
    let share = Share::new(recorded, buildable);
    let mut text = format!(
        "total: {} modules; {known} versions known, {buildable} buildable, {recorded} recorded ({share} %)\n",
        all.len()
    );
    let axes = sum(|c| c.axis_holes);
    if axes > 0 {
        let _ = writeln!(text, "of recorded versions {axes} axes are holes");
    }
    let short = all.iter().filter(|one| named.contains(one.module.as_str()) && !one.is_complete());
    let (missing, short): (Vec<&Coverage>, Vec<&Coverage>) = short.partition(|one| one.recorded == 0);
    let missing = missing.into_iter().map(|one| one.module.clone()).collect();
    let short = short.into_iter().map(|one| format!("{} ({} %)", one.module, one.percent)).collect();
    text + &list("below 99 % of buildable", short) + &list("nothing is recorded, not built yet", missing)
}

fn list(what: &str, items: Vec<String>) -> String {
    if items.is_empty() {
        return String::new();
    }
    format!("{what} ({}):\n{}\n", items.len(), holes::wrapped(&items).join("\n"))
}
