//! The long form (`-v`): behind each library's line its findings, functions and sites, fields, itabs and maps.

use std::io::Write;

use analyzer::plan::{
    Caller, Field, Finding, Function, Library, Plan, ResultSlots, Site, SizeClaim, Witness,
};
use anyhow::Result;
use comfy_table::Table;

use super::lines::{self, Columns};
use super::{Width, table, text, words};
use crate::output::clean;

/// How far what belongs to a library stands to the right.
const INDENT: &str = "    ";

/// Prints a file.
pub fn print(out: &mut impl Write, plan: &Plan, width: Width) -> Result<()> {
    lines::heading(out, plan, width)?;
    let mut about =
        format!("{} dependencies, database {}", plan.modules.len().saturating_sub(1), plan.database);
    if let Some(file) = &plan.debug_file {
        about += &format!(", DWARF of {file}");
    }
    text::wrap(&about, width.less(2)).iter().try_for_each(|line| writeln!(out, "  {line}"))?;
    if plan.libraries.is_empty() {
        writeln!(out, "  {}", text::cut("nothing in it that strobe knows", width.less(2)))?;
    }
    let columns = Columns::of(&plan.libraries, width);
    for library in &plan.libraries {
        writeln!(out)?;
        lines::line(out, library, columns)?;
        self::library(out, library, width)?;
    }
    Ok(())
}

fn library(out: &mut impl Write, library: &Library, width: Width) -> Result<()> {
    let version = library.version.as_deref().unwrap_or("of unknown version");
    let about = format!("{} {version}: {}", library.module, words::matched(library.version_match));
    let findings = library.findings.iter().map(finding);
    for paragraph in std::iter::once(about).chain(findings) {
        for line in text::wrap(&paragraph, width.less(INDENT.len())) {
            writeln!(out, "{INDENT}{line}")?;
        }
    }
    [
        sites(library, width),
        values(library, width),
        surroundings(library, width),
        fields(&library.fields, width),
        itabs(library, width),
        maps(library, width),
        types(library, width),
        variables(library, width),
    ]
    .iter()
    .try_for_each(|rows| table::print(out, rows, INDENT))
}

fn finding(finding: &Finding) -> String {
    format!("{} ({}): {}", words::severity(finding.severity), finding.code, finding.message)
}

fn sites(library: &Library, width: Width) -> Table {
    let mut rows = table::new(width, INDENT.len(), &["role", "function", "address", "when", "cost"]);
    for function in &library.functions {
        for site in &function.sites {
            let address = format!("{:#x}", site.vaddr);
            let (when, cost) = (words::when(site.when), words::cost(site.cost));
            let role = role(function);
            let name = match &function.inlined {
                Some(body) => format!("{}, copied into {}", body, function.name),
                None => function.name.clone(),
            };
            rows.add_row([role.as_str(), &clean(&name), &address, when, cost]);
        }
    }
    rows
}

/// The role, and which of its alternatives was taken where that has a name.
fn role(function: &Function) -> String {
    match &function.site {
        Some(site) => format!("{} ({site})", function.role),
        None => function.role.clone(),
    }
}

fn values(library: &Library, width: Width) -> Table {
    let mut rows = table::new(width, INDENT.len(), &["role", "value", "source", "where", "witnesses"]);
    for function in &library.functions {
        for value in &function.values {
            let place: Vec<String> = value.words.iter().cloned().map(String::from).collect();
            let witnesses: Vec<&str> = value.witnesses.iter().map(|w| words::witness(*w)).collect();
            let witnesses = if witnesses.is_empty() { "catalog".to_owned() } else { witnesses.join(", ") };
            let role = role(function);
            rows.add_row([role.as_str(), &value.name, &value.source, &place.join(" "), &witnesses]);
        }
    }
    rows
}

/// What else the agent may look at when a site is reached: who called, where results are kept, and the cases of a `select`.
fn surroundings(library: &Library, width: Width) -> Table {
    let mut rows = table::new(width, INDENT.len(), &["role", "also", "where"]);
    let stack = |offset: &i64| format!("sp{offset:+}");
    for function in &library.functions {
        let called = |caller: &Caller| {
            let end = caller.vaddr.saturating_add(caller.size);
            (format!("called by {}", caller.name), format!("{:#x} to {end:#x}", caller.vaddr))
        };
        let kept = |kept: &ResultSlots| {
            let places: Vec<String> = kept.slots.iter().map(stack).collect();
            (format!("results of {}", kept.function), places.join(" "))
        };
        let cases = |site: &Site| {
            let cases = site.select_cases.as_ref()?;
            Some((format!("cases of the select before {:#x}", site.vaddr), stack(cases)))
        };
        let role = role(function);
        let found = function.callers.iter().map(called).chain(function.result_slots.iter().map(kept));
        for (what, place) in found.chain(function.sites.iter().filter_map(cases)) {
            rows.add_row([role.as_str(), &clean(&what), &place]);
        }
    }
    rows
}

fn fields(fields: &[Field], width: Width) -> Table {
    let mut rows = table::new(width, INDENT.len(), &["field", "offset", "witnesses"]);
    for field in fields {
        let witnesses: Vec<&str> = field.witnesses.iter().map(|w| words::witness(*w)).collect();
        let witnesses = match witnesses.join(", ") {
            _ if !field.disputed.is_empty() => "disputed".to_owned(),
            none if none.is_empty() => "nobody".to_owned(),
            all => all,
        };
        let name = format!("{}.{}", field.type_name, field.field);
        rows.add_row([name.as_str(), &clean(&words::offset(field)), &witnesses]);
    }
    rows
}

fn itabs(library: &Library, width: Width) -> Table {
    let mut header = vec!["interface", "concrete type", "itab"];
    let holds = library.itabs.iter().any(|itab| itab.holds.is_some());
    header.extend(holds.then_some("holds"));
    let mut rows = table::new(width, INDENT.len(), &header);
    for itab in &library.itabs {
        let address = itab.vaddr.map_or("not found".to_owned(), |vaddr| format!("{vaddr:#x}"));
        let held = itab.holds.as_ref().map(|held| format!("{} at {}", held.type_name, held.offset));
        let concrete = clean(&itab.concrete).into_owned();
        let mut row = vec![itab.interface.clone(), concrete, address];
        row.extend(holds.then(|| held.unwrap_or_default()));
        rows.add_row(row);
    }
    rows
}

fn maps(library: &Library, width: Width) -> Table {
    let mut rows = table::new(width, INDENT.len(), &["map", "implementation"]);
    for map in &library.maps {
        let behind = match (map.indirect_keys, map.indirect_elems) {
            (true, true) => ", keys and elements behind pointers",
            (true, false) => ", keys behind pointers",
            (false, true) => ", elements behind pointers",
            (false, false) => "",
        };
        rows.add_row([&map.type_name, &format!("{}{behind}", words::implementation(map.implementation))]);
    }
    rows
}

/// Sizes and descriptors.
fn types(library: &Library, width: Width) -> Table {
    let mut rows = table::new(width, INDENT.len(), &["type", "size", "descriptor", "witnesses"]);
    let names = |witnesses: &[Witness]| match witnesses {
        [] => "nobody".to_owned(),
        some => some.iter().map(|w| words::witness(*w)).collect::<Vec<_>>().join(", "),
    };
    for size in &library.sizes {
        let sides = |claim: &SizeClaim| format!("{} {}", claim.size, words::witness(claim.witness));
        let sides: Vec<String> = size.disputed.iter().map(sides).collect();
        let (bytes, witnesses) = match size.size {
            Some(bytes) => (bytes.to_string(), names(&size.witnesses)),
            None if sides.is_empty() => ("not found".to_owned(), names(&[])),
            None => (sides.join(" / "), "disputed".to_owned()),
        };
        rows.add_row([size.type_name.as_str(), &bytes, "", &witnesses]);
    }
    for found in &library.types {
        let address = found.vaddr.map_or("not found".to_owned(), |vaddr| format!("{vaddr:#x}"));
        rows.add_row([found.type_name.as_str(), "", &address, &names(&found.witnesses)]);
    }
    rows
}

/// Variables of packages.
fn variables(library: &Library, width: Width) -> Table {
    let mut rows = table::new(width, INDENT.len(), &["variable", "function", "address"]);
    for found in &library.variables {
        rows.add_row([found.name.as_str(), &found.function, &format!("{:#x}", found.vaddr)]);
    }
    rows
}
