//! A Go binary opened: its image, its build information, its function table and its moduledata.
//!
//! Opening finds and checks the roots only; functions and types are read when they are asked for.

use crate::error::{ErrorKind, Result};
use crate::go::buildinfo::{self, BuildInfo};
use crate::go::functions::{Function, Functions};
use crate::go::moduledata::{self, ModuleData, Places};
use crate::go::pclntab::{self, Found, Header};
use crate::go::release::{self, Minor};
use crate::go::types::Types;
use crate::go::version;
use crate::image::{self, Image};

/// What a file with Go code in it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A Go program.
    Program,
    /// A program in another language with Go code linked in (`-buildmode=c-archive`).
    Archive,
    /// A Go program whose packages are in shared libraries (`-linkshared`).
    NeedsOthers,
    /// A plugin.
    Plugin,
    /// A shared library (`-buildmode=c-shared` or `shared`).
    Library,
}

/// A Go binary.
#[derive(Debug)]
pub struct GoImage<'a> {
    /// The file and its address space.
    pub image: Image<'a>,
    /// Build information; some builders leave none.
    pub build: Option<BuildInfo>,
    /// The function table's header.
    pub pclntab: Header,
    /// The root of the rest.
    pub module: ModuleData,
    /// What it is: only programs can be planned, all can be looked into.
    pub kind: Kind,
    /// The version that the run time knows itself by, where there is no build information.
    left_behind: Option<String>,
}

impl<'a> GoImage<'a> {
    /// Opens a file.
    pub fn parse(file: &'a [u8]) -> Result<Self> {
        Self::open(file).map_err(|error| match error {
            // Those are told by what they lack.
            ErrorKind::NotGo
            | ErrorKind::NotGoLibrary
            | ErrorKind::NotExecutable { .. }
            | ErrorKind::Truncated { .. }
            | ErrorKind::Missing { .. }
            | ErrorKind::Malformed { .. }
                if image::is_debug_file(file) =>
            {
                ErrorKind::DebugFile
            }
            other => other,
        })
    }

    fn open(file: &'a [u8]) -> Result<Self> {
        let image = Image::parse(file)?;
        let build = buildinfo::read(&image)?;
        let minor = build.as_ref().and_then(BuildInfo::minor);
        if let (Some(minor), Some(build)) = (minor, &build)
            && minor < release::oldest()
        {
            return Err(ErrorKind::GoTooOld { version: build.go_version.clone() });
        }
        let mut found = pclntab::locate(&image);
        let (pclntab, mut module) = match program(&image, &found, minor) {
            Some(pair) => pair,
            None => {
                // The named section may be that of a file within the file, or begin with an archive's table.
                pclntab::scan(&image, &mut found);
                pair(&image, &found, minor).map_err(|e| explain(&image, e, &found, build.as_ref()))?
            }
        };
        let kind = kind(&image, &module);
        let left_behind = if build.is_none() { version::left_behind(&image, &module) } else { None };
        if minor.is_none() && module.releases().any(|release| release.doubled_offsets) {
            module.doubled_offsets = version::offsets_are_doubled(&Types::new(&image, &module));
        }
        Ok(GoImage { image, build, pclntab, module, kind, left_behind })
    }

    /// Its functions.
    pub fn functions(&self) -> Result<Functions<'_>> {
        Functions::open(&self.image, self.pclntab, &self.module)
    }

    /// Its types.
    pub fn types(&self) -> Types<'_> {
        Types::new(&self.image, &self.module)
    }

    /// The Go version as the binary says it.
    pub fn go_version(&self) -> Option<&str> {
        self.build.as_ref().map(|b| b.go_version.as_str()).or(self.left_behind.as_deref())
    }

    /// Its minor release, where anything says it.
    pub fn minor(&self) -> Option<Minor> {
        self.go_version().and_then(Minor::of_version)
    }

    /// Whether the compiler made this function as a wrapper. Without a version every release with these tables may have made
    /// it: what one of them marks as a wrapper is at most a function of the run time in another.
    pub fn is_wrapper(&self, function: &Function<'_>) -> bool {
        match self.minor().and_then(release::of) {
            Some(release) => release.wrapper == function.func_id(),
            None => self.module.releases().any(|release| release.wrapper == function.func_id()),
        }
    }
}

fn kind(image: &Image<'_>, module: &ModuleData) -> Kind {
    match (module.has_main, image.is_program) {
        (true, _) if module.needs_others => Kind::NeedsOthers,
        (true, _) => Kind::Program,
        (false, _) if module.is_plugin => Kind::Plugin,
        (false, true) => Kind::Archive,
        (false, false) => Kind::Library,
    }
}

/// The first function table that a moduledata with a main package points back at.
fn program(image: &Image<'_>, found: &Found, minor: Option<Minor>) -> Option<(Header, ModuleData)> {
    let places = Places::find(image, &found.headers);
    let one = |header: &Header| Some((*header, moduledata::locate(image, header, minor, &places).ok()?));
    found.headers.iter().filter_map(one).find(|(_, module)| module.has_main)
}

/// The same, else the only one without a main package.
fn pair(image: &Image<'_>, found: &Found, minor: Option<Minor>) -> Result<(Header, ModuleData)> {
    let mut others = Vec::new();
    let mut last = ErrorKind::NotGo;
    let places = Places::find(image, &found.headers);
    for header in &found.headers {
        match moduledata::locate(image, header, minor, &places) {
            Ok(module) if module.has_main => return Ok((*header, module)),
            Ok(module) => others.push((*header, module)),
            Err(error) => last = error,
        }
    }
    match others.len() {
        0 | 1 => others.pop().ok_or(last),
        count => Err(ErrorKind::SeveralRuntimes { count }),
    }
}

/// What it means that there are no tables.
fn explain(image: &Image<'_>, error: ErrorKind, found: &Found, build: Option<&BuildInfo>) -> ErrorKind {
    if matches!(error, ErrorKind::NotGo) {
        if let Some(packer) = packer(image.file) {
            return ErrorKind::Packed { packer };
        }
        if !found.too_old
            && let Some((header, magic)) = disguised(image)
        {
            return ErrorKind::Obfuscated { vaddr: header.vaddr, magic };
        }
    }
    match (&error, build) {
        (ErrorKind::NotGo, _) if found.too_old => {
            let version = build.map_or_else(|| "a Go of before 1.18".into(), |b| b.go_version.clone());
            ErrorKind::GoTooOld { version }
        }
        (ErrorKind::NotGo, Some(build)) => ErrorKind::Missing {
            what: "pclntab",
            why: format!(
                "there is build information ({}) but no function table of Go 1.18 or newer: packed, obfuscated or damaged",
                build.go_version
            ),
        },
        (ErrorKind::NotGo, None) if !image.is_program => ErrorKind::NotGoLibrary,
        _ => error,
    }
}

/// A function table with a magic of its own that a moduledata points back at.
fn disguised(image: &Image<'_>) -> Option<(Header, u32)> {
    let tables = pclntab::disguised(image);
    let headers: Vec<Header> = tables.iter().map(|(header, _)| *header).collect();
    let places = Places::find(image, &headers);
    tables.into_iter().find(|(header, _)| !places.of(header).is_empty())
}

/// UPX writes its magic behind the program headers and at the end of the file.
fn packer(file: &[u8]) -> Option<&'static str> {
    const UPX: &[u8] = b"UPX!";
    let head = file.get(..file.len().min(1024)).unwrap_or_default();
    let tail = file.get(file.len().saturating_sub(64)..).unwrap_or_default();
    let has = |part: &[u8]| part.windows(UPX.len()).any(|w| w == UPX);
    (has(head) && has(tail)).then_some("UPX")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A shared library with one segment and these sections: name, `sh_type`, `sh_flags`.
    fn library(sections: &[(&str, u32, u64)]) -> Vec<u8> {
        let mut file = vec![0u8; 0x400];
        file[..6].copy_from_slice(b"\x7fELF\x02\x01");
        (file[16], file[18], file[32], file[54], file[56]) = (3, 62, 64, 56, 1);
        file[64] = 1;
        file[64 + 32] = 200;
        // Names from 0x100 on, headers from 0x200 on; the first section is that of the names.
        (file[41], file[58], file[60]) = (2, 64, u8::try_from(sections.len() + 1).expect("few"));
        let mut names = vec![0u8];
        file[0x200 + 25] = 1;
        for (i, (name, kind, flags)) in sections.iter().enumerate() {
            let header = &mut file[0x200 + 64 * (i + 1)..][..64];
            header[0] = u8::try_from(names.len()).expect("short");
            header[4..8].copy_from_slice(&kind.to_le_bytes());
            header[8..16].copy_from_slice(&flags.to_le_bytes());
            header[32] = 8;
            names.extend(name.as_bytes());
            names.push(0);
        }
        file[0x200 + 32] = u8::try_from(names.len()).expect("short");
        file[0x100..0x100 + names.len()].copy_from_slice(&names);
        file
    }

    #[test]
    fn a_debug_file_is_told_from_a_library() {
        let (code, no_code, debug) = ((".text", 1, 6), (".text", 8, 6), (".debug_info", 1, 0));
        let error = |sections: &[_]| GoImage::parse(&library(sections)).expect_err("no Go");
        assert!(matches!(error(&[no_code, debug]), ErrorKind::DebugFile));
        assert!(matches!(error(&[code, debug]), ErrorKind::NotGoLibrary));
        assert!(matches!(error(&[code]), ErrorKind::NotGoLibrary));
    }
}
