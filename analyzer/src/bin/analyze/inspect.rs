//! `analyze inspect`: a binary's tables as tab-separated text.

use std::io::{self, BufWriter, Write};

use analyzer::GoImage;
use analyzer::go::notes;
use analyzer::go::types::{NameBudget, closure, itabs};
use analyzer::go_image::Kind;
use analyzer::sites::{self, Code, Cost, Site};
use anyhow::Result;

use crate::cli::{Inspect, What};
use crate::input::Bytes;
use crate::outcome::Status;
use crate::output::{Output, clean};

/// Prints one table.
pub fn run(inspect: &Inspect) -> Result<Status> {
    // Its message has the system's in it already.
    let of_file = |kind| analyzer::Error { file: inspect.file.display().to_string(), kind };
    let map = Bytes::open(&inspect.file).map_err(of_file)?;
    let go = GoImage::parse(&map).map_err(of_file)?;
    let mut out = BufWriter::new(Output::new(io::stdout().lock()));
    match inspect.what {
        What::Functions => functions(&mut out, &go, &inspect.filter)?,
        What::Types => types(&mut out, &go, &inspect.filter)?,
        What::Modules => modules(&mut out, &go)?,
        What::Buildinfo => build_info(&mut out, &go)?,
        What::Sites => all_sites(&mut out, &go, &inspect.filter)?,
        What::Itabs => all_itabs(&mut out, &go, &inspect.filter)?,
        What::Lines => lines(&mut out, &go, &inspect.filter)?,
    }
    out.flush()?;
    Ok(Status::Ready)
}

fn functions(out: &mut impl Write, go: &GoImage<'_>, filter: &str) -> Result<()> {
    let functions = go.functions()?;
    for function in functions.iter() {
        let name = functions.name(&function);
        if name.contains(filter) {
            writeln!(out, "{:#x}\t{}\t{}", function.vaddr, function.size, clean(&name))?;
        }
    }
    Ok(())
}

fn types(out: &mut impl Write, go: &GoImage<'_>, filter: &str) -> Result<()> {
    let types = go.types();
    let (mut structs, mut names) = (closure::structs(&types)?, NameBudget::default());
    structs.sort();
    for (name, vaddr) in structs.iter().filter(|(name, _)| name.contains(filter)) {
        let Some(t) = types.get(*vaddr) else { continue };
        writeln!(out, "{}\t{}", clean(name), t.size())?;
        for field in types.fields(&t) {
            let kind = types.full_name_within(field.type_vaddr, &mut names)?.unwrap_or_default();
            let name = String::from_utf8_lossy(field.name);
            writeln!(out, "\t{}\t{}\t{}", field.offset, clean(&name), clean(&kind))?;
        }
    }
    Ok(())
}

fn modules(out: &mut impl Write, go: &GoImage<'_>) -> Result<()> {
    for module in go.build.iter().flat_map(|b| b.modules()) {
        write!(out, "{}\t{}", clean(&module.path), clean(&module.version))?;
        if let Some(other) = &module.replaced_by {
            write!(out, "\t=> {} {}", clean(&other.path), clean(&other.version))?;
        }
        writeln!(out)?;
    }
    Ok(())
}

fn build_info(out: &mut impl Write, go: &GoImage<'_>) -> Result<()> {
    let ids = notes::build_id(&go.image);
    let kind = match go.kind {
        Kind::Program => "Go program",
        Kind::Archive => "Go code in another program",
        Kind::NeedsOthers => "Go program linked against Go's shared libraries",
        Kind::Plugin => "Go plugin",
        Kind::Library => "Go shared library",
    };
    writeln!(out, "kind\t{kind}")?;
    writeln!(out, "go\t{}", clean(go.go_version().unwrap_or("unknown")))?;
    let path = go.build.as_ref().and_then(|b| b.path.as_deref());
    writeln!(out, "path\t{}", clean(path.unwrap_or_default()))?;
    writeln!(out, "go build id\t{}", clean(&ids.go.unwrap_or_default()))?;
    writeln!(out, "GNU build id\t{}", ids.gnu.unwrap_or_default())?;
    for (key, value) in go.build.iter().flat_map(|b| &b.settings) {
        writeln!(out, "build\t{}={}", clean(key), clean(value))?;
    }
    Ok(())
}

fn all_sites(out: &mut impl Write, go: &GoImage<'_>, filter: &str) -> Result<()> {
    let functions = go.functions()?;
    for function in functions.iter() {
        let name = functions.name(&function);
        if !name.contains(filter) {
            continue;
        }
        writeln!(out, "{}\t{}", clean(&name), functions.arg_shape(&function).unwrap_or_default())?;
        let Some(code) = Code::read(&go.image, &functions, function) else { continue };
        match sites::entry(&go.image, &code) {
            Some(site) => line(out, "entry", &site)?,
            None => writeln!(out, "\tentry\tnone that is sound")?,
        }
        match sites::exits(&go.image, &code) {
            Some(exits) => exits.iter().try_for_each(|site| line(out, "exit", site))?,
            None => writeln!(out, "\texit\tnone, or not all can be found")?,
        }
    }
    Ok(())
}

fn all_itabs(out: &mut impl Write, go: &GoImage<'_>, filter: &str) -> Result<()> {
    let types = go.types();
    for itab in itabs::all(&types) {
        let names = (types.full_name(itab.interface), types.full_name(itab.concrete));
        let (interface, concrete) = (names.0.unwrap_or_default(), names.1.unwrap_or_default());
        if interface.contains(filter) || concrete.contains(filter) {
            writeln!(out, "{:#x}\t{}\t{}", itab.vaddr, clean(&interface), clean(&concrete))?;
        }
    }
    Ok(())
}

fn lines(out: &mut impl Write, go: &GoImage<'_>, filter: &str) -> Result<()> {
    let functions = go.functions()?;
    for function in functions.iter() {
        let name = functions.name(&function);
        if name.contains(filter) {
            let (file, line) = functions.line(&function, 0).unwrap_or(("?".into(), 0));
            writeln!(out, "{:#x}\t{}:{line}\t{}", function.vaddr, clean(&file), clean(&name))?;
        }
    }
    Ok(())
}

fn line(out: &mut impl Write, when: &str, site: &Site) -> Result<()> {
    let cost = match site.cost {
        Cost::Emulated => "emulated",
        Cost::Stepped => "stepped",
    };
    write!(out, "\t{when}\t{:#x}\t{:#x}\t", site.vaddr, site.file_offset)?;
    site.bytes.iter().try_for_each(|byte| write!(out, "{byte:02x}"))?;
    writeln!(out, "\t{cost}")?;
    Ok(())
}
