//! DWARF that is compressed, and DWARF in a file of its own: a witness when it belongs to the binary, else unheard and said.

use std::fs;
use std::path::{Path, PathBuf};

use analyzer::plan::{Code, Plan, Witness};
use analyzer::{Options, plan_file};
use anyhow::{Context, Result, ensure};
use object::elf::{CompressionType, ELFCOMPRESS_ZLIB, ELFCOMPRESS_ZSTD};
use object::read::elf::SectionHeader as _;
use object::{LittleEndian, Object as _, ObjectSection as _};
use strobe_tests::built::Recipe;
use tempfile::TempDir;

use crate::{MAIN, NEW, WHOLE, analyze, build, elf, is_ready, objcopy, plan, read, server, witnessed};

const NAME: &str = "app.debug";

/// How a section is compressed, if it is.
fn compression(bytes: &[u8], name: &str) -> Result<Option<CompressionType>> {
    let elf = elf(bytes)?;
    let (_, section) =
        elf.elf_section_table().section_by_name(LittleEndian, name.as_bytes()).context("no such section")?;
    let header = section.compression(LittleEndian, bytes)?;
    Ok(header.map(|(header, ..)| header.ch_type.get(LittleEndian)))
}

fn unstripped() -> Result<Vec<u8>> {
    read(&build(&Recipe { args: &[WHOLE], ..Recipe::server(NEW, &[MAIN]) })?)
}

#[test]
fn compressed_dwarf_is_a_witness() -> Result<()> {
    let own = unstripped()?;
    let plain = objcopy(&["--decompress-debug-sections"], &own)?;
    let zstd = objcopy(&["--compress-debug-sections=zstd"], &plain)?;
    for (bytes, wanted) in [(&own, Some(ELFCOMPRESS_ZLIB)), (&plain, None), (&zstd, Some(ELFCOMPRESS_ZSTD))] {
        ensure!(compression(bytes, ".debug_info")? == wanted, "not compressed as meant: {wanted:?}");
        let plan = plan(bytes, &Options::default())?;
        is_ready(&plan)?;
        ensure!(witnessed(&plan, Witness::Dwarf)?, "DWARF of compression {wanted:?} is no witness");
    }
    Ok(())
}

/// A binary without DWARF, the file that has it, and a folder for both.
struct Apart {
    folder: TempDir,
    debug: Vec<u8>,
}

impl Apart {
    /// `link`: whether the binary names the file.
    fn new(link: bool) -> Result<Self> {
        let whole = unstripped()?;
        let folder = tempfile::tempdir()?;
        fs::create_dir(folder.path().join("bin"))?;
        let debug = objcopy(&["--only-keep-debug"], &whole)?;
        let mut binary = objcopy(&["--strip-all"], &whole)?;
        if link {
            let file = folder.path().join(NAME);
            fs::write(&file, &debug)?;
            binary = objcopy(&[&format!("--add-gnu-debuglink={}", file.display())], &binary)?;
            fs::remove_file(&file)?;
        }
        let apart = Apart { folder, debug };
        fs::write(apart.binary(), binary)?;
        ensure!(elf(&read(&apart.binary())?)?.section_by_name(".debug_info").is_none(), "DWARF is left");
        Ok(apart)
    }

    fn binary(&self) -> PathBuf {
        self.folder.path().join("bin/app")
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    fn by_build_id(&self) -> Result<PathBuf> {
        let bytes = read(&self.binary())?;
        let id = elf(&bytes)?.build_id()?.context("no GNU build id")?;
        let id: String = id.iter().map(|b| format!("{b:02x}")).collect();
        Ok(self.root().join(".build-id").join(&id[..2]).join(format!("{}.debug", &id[2..])))
    }

    fn plan(&self) -> Result<Plan> {
        Ok(plan_file(&self.binary(), &Options::default(), &[self.root()])?)
    }

    /// With a file of these bytes there, DWARF is a witness, and the Plan says whose.
    fn is_heard(&self, at: &Path) -> Result<()> {
        put(at, &self.debug)?;
        let plan = self.plan()?;
        is_ready(&plan)?;
        ensure!(witnessed(&plan, Witness::Dwarf)?, "{} is no witness", at.display());
        let said = PathBuf::from(plan.debug_file.clone().context("the Plan names no debug file")?);
        ensure!(said.canonicalize()? == at.canonicalize()?, "{} was used", said.display());
        Ok(fs::remove_file(at)?)
    }

    /// With a file of other bytes there it is not used, and the reason says why.
    fn is_refused(&self, at: &Path, bytes: &[u8], why: &str) -> Result<()> {
        put(at, bytes)?;
        let plan = self.plan()?;
        is_ready(&plan)?;
        ensure!(!witnessed(&plan, Witness::Dwarf)?, "{} was heard", at.display());
        ensure!(plan.debug_file.is_none(), "{:?}", plan.debug_file);
        let findings = &server(&plan)?.findings;
        let heard = findings.iter().find(|finding| finding.code == Code::DwarfNotHeard);
        ensure!(heard.is_some_and(|finding| finding.message.contains(why)), "{findings:?}");
        Ok(fs::remove_file(at)?)
    }
}

fn put(at: &Path, bytes: &[u8]) -> Result<()> {
    fs::create_dir_all(at.parent().context("a folder")?)?;
    Ok(fs::write(at, bytes)?)
}

#[test]
fn a_debug_file_is_found_by_build_id() -> Result<()> {
    let apart = Apart::new(false)?;
    let place = apart.by_build_id()?;
    let none = apart.plan()?;
    ensure!(!witnessed(&none, Witness::Dwarf)? && server(&none)?.reason.is_none(), "{none:?}");
    apart.is_heard(&place)?;
    let other = build(&Recipe { args: &["-ldflags=-linkmode=external"], ..Recipe::server(NEW, &[MAIN]) })?;
    let other = objcopy(&["--only-keep-debug"], &read(&other)?)?;
    apart.is_refused(&place, &other, "its build id is")?;
    apart.is_refused(&place, b"no ELF file", "was not used")?;
    let mut torn = apart.debug.clone();
    let info = elf(&apart.debug)?
        .section_by_name(".debug_abbrev")
        .context("abbrev")?
        .file_range()
        .context("a range")?;
    torn[usize::try_from(info.0)?..][..usize::try_from(info.1)?].fill(0xff);
    put(&place, &torn)?;
    let reason = server(&apart.plan()?)?.reason.clone().unwrap_or_default();
    ensure!(reason.contains("malformed") || reason.contains(".debug_abbrev"), "{reason:?}");
    ensure!(reason.contains(".debug: "), "the file is not named: {reason:?}");
    Ok(())
}

#[test]
fn a_debug_file_is_found_by_its_link_in_three_places() -> Result<()> {
    let apart = Apart::new(true)?;
    let folder = apart.binary().canonicalize()?.parent().context("a folder")?.to_path_buf();
    let places = [
        folder.join(NAME),
        folder.join(".debug").join(NAME),
        apart.root().join(folder.strip_prefix("/")?).join(NAME),
    ];
    let mut changed = apart.debug.clone();
    changed.push(0);
    for place in &places {
        apart.is_heard(place)?;
        apart.is_refused(place, &changed, "its CRC is")?;
    }
    // A wrong file does not hide the right one behind it.
    put(&places[0], &changed)?;
    apart.is_heard(&places[2])
}

#[test]
fn a_binary_with_dwarf_of_its_own_asks_for_no_other() -> Result<()> {
    let apart = Apart::new(false)?;
    let place = apart.by_build_id()?;
    put(&place, b"no ELF file")?;
    fs::write(apart.binary(), unstripped()?)?;
    let plan = apart.plan()?;
    ensure!(witnessed(&plan, Witness::Dwarf)? && plan.debug_file.is_none(), "{:?}", plan.debug_file);
    ensure!(server(&plan)?.reason.is_none(), "{:?}", server(&plan)?.reason);
    Ok(())
}

#[test]
fn analyze_takes_the_folder_of_debug_files() -> Result<()> {
    let apart = Apart::new(false)?;
    put(&apart.by_build_id()?, &apart.debug)?;
    let root = apart.root();
    let root = root.to_string_lossy();
    let (status, text) = analyze(&["--debug-root", &root, "--explain", crate::ID], &apart.binary())?;
    ensure!(
        status == 0 && text.contains("The DWARF is that of") && !text.contains("0 by its DWARF"),
        "{text}"
    );
    let (status, text) = analyze(&["--explain", crate::ID], &apart.binary())?;
    ensure!(status == 0 && text.contains("0 by its DWARF"), "{text}");
    Ok(())
}
