//! A traced file: its Plan, its probes, and the configuration that each of its processes gets.
//!
//! Analysis and probes use one open descriptor, so that both speak of the same inode. Planning and attaching fail per
//! library (house.md, decision 2).

use std::fs::File;

use analyzer::{
    Plan,
    plan::{Library, Status, Verdict},
};
use anyhow::{Context as _, bail};
use aya::programs::uprobe::UProbeLink;
use tracing::{info, warn};

use crate::{
    files::{FileIdentity, check_site, descriptor_path},
    libraries,
    programs::Programs,
};

/// Probes of one file. Dropping it removes them.
pub struct Attached {
    links: Vec<UProbeLink>,
}

/// The libraries of a Plan that this agent can trace; each one that it cannot is logged with the reason.
fn traceable(plan: &Plan) -> Vec<&Library> {
    let mut found = Vec::new();
    for library in plan.libraries.iter().filter(|library| library.status == Status::Instrumented) {
        let reason = library.reason.as_deref().unwrap_or("no reason given");
        match library.verdict {
            _ if libraries::by_id(&library.id).is_none() => {
                warn!(file = plan.file, "{}: not traced by this version of strobe", library.id);
            }
            Verdict::Refused => warn!(file = plan.file, "{}: not traced: {reason}", library.id),
            Verdict::Partial => {
                warn!(file = plan.file, "{}: traced in part: {reason}", library.id);
                found.push(library);
            }
            Verdict::Ready => found.push(library),
        }
    }
    found
}

/// Why nothing in this file can be traced, in the Plan's own words.
pub fn refusal(plan: &Plan) -> String {
    let reasons: Vec<String> = plan
        .libraries
        .iter()
        .filter_map(|library| library.reason.as_ref().map(|reason| format!("{}: {reason}", library.id)))
        .collect();
    if reasons.is_empty() {
        format!("nothing in it that strobe traces ({}); `analyze` shows what it has", libraries::ids())
    } else {
        reasons.join("; ")
    }
}

/// Tells the programs what the file of this index is, and puts the probes of every traceable library into it.
pub fn attach(programs: &mut Programs, index: u32, file: &File, plan: &Plan) -> anyhow::Result<Attached> {
    let before = FileIdentity::of(file).context("looking at the file before attaching")?;
    let mut attached = Attached { links: Vec::new() };
    for library in traceable(plan) {
        match attach_library(programs, index, file, plan, library) {
            Ok(links) => attached.links.extend(links),
            Err(error) => warn!(file = plan.file, "{}: not traced: {error:#}", library.id),
        }
    }
    if FileIdentity::of(file).context("looking at the file after attaching")? != before {
        bail!("{}: the file changed while probes were being attached", plan.file);
    }
    if attached.links.is_empty() {
        bail!("{}: {}", plan.file, refusal(plan));
    }
    Ok(attached)
}

fn attach_library(
    programs: &mut Programs,
    index: u32,
    file: &File,
    plan: &Plan,
    library: &Library,
) -> anyhow::Result<Vec<UProbeLink>> {
    let traced = libraries::by_id(&library.id).context("not traced by this version of strobe")?;
    let config = traced.config(library, plan)?;
    programs.set_file(index, &libraries::core(plan), &[(traced, config)])?;
    let path = descriptor_path(file);
    let mut links = Vec::new();
    for function in &library.functions {
        let program = libraries::program(traced, &function.role);
        let program = program.with_context(|| format!("no program for the role `{}`", function.role))?;
        for site in &function.sites {
            check_site(file, site).with_context(|| function.name.clone())?;
            let link = programs.attach(program, &path, site.file_offset);
            links.push(link.with_context(|| format!("{} at {:#x}", function.name, site.vaddr))?);
        }
    }
    info!(file = plan.file, probes = links.len(), "{}: probes attached", library.id);
    Ok(links)
}

impl Attached {
    /// Number of probes.
    pub fn probes(&self) -> usize {
        self.links.len()
    }
}
