//! Linkers and their modes: cgo, position-independent, static, RELR; GNU ld, gold and LLD. Each with section headers and
//! without.

use analyzer::GoImage;
use anyhow::{Context, Result, ensure};
use object::elf::{PT_INTERP, SHT_RELA, SHT_RELR};
use object::{Object as _, ObjectSection as _};
use strobe_tests::built::Recipe;
use strobe_tests::golang::go;

use crate::{
    CGO, Expected, NEW, NEWEST, bare, build, elf, has_section, has_section_type, has_segment_type, is_fixed,
};
use crate::{read, stripped};

/// Symbols stay, for they say what is expected; DWARF goes.
const EXTERNAL: &str = "-ldflags=-w -linkmode=external";

/// Builds the cgo server in one way and as the toolchain does by default; the first must really be what it is meant to be.
fn holds(
    what: &str,
    version: &str,
    mode: &str,
    args: &[&str],
    is_meant: fn(&[u8]) -> Result<bool>,
) -> Result<()> {
    let files = [CGO];
    let recipe = Recipe { mode, args, ..Recipe::server(version, &files) };
    let linked = read(&build(&recipe)?)?;
    ensure!(is_meant(&linked)?, "{what}: the linker made something else");
    // For one release the normal build is made too: each costs a standard library.
    let expected = if version == NEW {
        let normal = Recipe { args: &["-ldflags=-w"], ..Recipe::server(version, &files) };
        Expected::of(&linked, &read(&build(&normal)?)?)?
    } else {
        Expected::of(&linked, &linked)?
    };
    expected.hold(&format!("{what}, Go {version}"), &stripped(&linked)?)?;
    expected.hold(&format!("{what}, Go {version}, no section headers"), &bare(&linked)?)
}

fn is_pie(bytes: &[u8]) -> Result<bool> {
    Ok(!is_fixed(bytes)? && has_segment_type(bytes, PT_INTERP)? && has_section_type(bytes, SHT_RELA)?)
}

/// LLD names itself in `.comment`.
fn is_by_lld(bytes: &[u8]) -> Result<bool> {
    let object = elf(bytes)?;
    let comment = object.section_by_name(".comment").context("no .comment")?;
    Ok(comment.data()?.windows(4).any(|w| w == b"LLD "))
}

#[test]
fn cgo_linked_by_gcc_at_a_fixed_address() -> Result<()> {
    let args = [r#"-ldflags=-w -linkmode=external "-extldflags=-no-pie""#];
    // The C start-up code comes first: Go's text begins behind the section's start.
    holds("cgo", NEW, "exe", &args, |b| Ok(is_fixed(b)? && has_segment_type(b, PT_INTERP)?))
}

#[test]
fn cgo_linked_by_gcc_as_pie() -> Result<()> {
    holds("cgo, PIE", NEW, "pie", &[EXTERNAL], is_pie)
}

#[test]
fn the_newest_go_s_types_have_a_section_that_a_pie_merges() -> Result<()> {
    holds("cgo, PIE", NEWEST, "pie", &[EXTERNAL], is_pie)
}

#[test]
fn up_to_go_1_24_an_external_pie_has_no_section_for_pclntab() -> Result<()> {
    let is_meant = |b: &[u8]| {
        let named = has_section(b, ".gopclntab")? || has_section(b, ".data.rel.ro.gopclntab")?;
        Ok(is_pie(b)? && !named)
    };
    holds("cgo, PIE without a pclntab section", go(24), "pie", &[EXTERNAL], is_meant)
}

#[test]
fn a_static_pie_has_no_interpreter() -> Result<()> {
    let args = [r#"-ldflags=-w -linkmode=external "-extldflags=-static-pie""#];
    holds("cgo, static PIE", NEW, "pie", &args, |b| Ok(!is_fixed(b)? && !has_segment_type(b, PT_INTERP)?))
}

#[test]
fn relr_keeps_addends_in_place() -> Result<()> {
    let args = [r#"-ldflags=-w -linkmode=external "-extldflags=-Wl,-z,pack-relative-relocs""#];
    // Up to 1.25 the function table itself has a relocated word.
    for version in [NEW, go(24)] {
        holds("cgo, PIE with RELR by GNU ld", version, "pie", &args, |b| has_section_type(b, SHT_RELR))?;
    }
    Ok(())
}

#[test]
fn lld_writes_relr_too() -> Result<()> {
    let args = [r#"-ldflags=-w -linkmode=external "-extldflags=-fuse-ld=lld -Wl,--pack-dyn-relocs=relr""#];
    holds("cgo, PIE with RELR by LLD", NEW, "pie", &args, |b| {
        Ok(has_section_type(b, SHT_RELR)? && is_by_lld(b)?)
    })
}

#[test]
fn lld_leaves_zeros_where_addends_are() -> Result<()> {
    let args = [r#"-ldflags=-w -linkmode=external "-extldflags=-fuse-ld=lld""#];
    holds("cgo, PIE by LLD", NEW, "pie", &args, |b| {
        let go = GoImage::parse(b)?;
        let in_file = go.image.word(go.module.vaddr);
        Ok(is_pie(b)? && is_by_lld(b)? && in_file == Some(0))
    })
}

#[test]
fn gold_links_a_pie() -> Result<()> {
    let args = [r#"-ldflags=-w -linkmode=external "-extldflags=-fuse-ld=gold""#];
    holds("cgo, PIE by gold", NEW, "pie", &args, |b| {
        Ok(is_pie(b)? && has_section(b, ".note.gnu.gold-version")?)
    })
}
