//! Go's build information (`.go.buildinfo`): the Go version and the modules.
//!
//! | at | what |
//! |---|---|
//! | 0 | 14 bytes `ff " Go buildinf:"` |
//! | 14 | pointer size |
//! | 15 | flags: 1 big endian, 2 inline strings (always, since 1.18) |
//! | 16, 24 | without inline strings: pointers to the headers of two strings |
//! | 32 | uvarint length + version, uvarint length + module text between two 16-byte sentinels |
//!
//! A file may hold several copies (a program that embeds another, or that reads build information): the one in a
//! writable segment is the program's own.

mod quoted;

use super::release::Minor;
use crate::bytes;
use crate::error::{ErrorKind, Result, malformed};
use crate::image::Image;

const MAGIC: &[u8; 14] = b"\xff Go buildinf:";
const ALIGN: usize = 16;
/// Longest version that is read.
const MAX_VERSION_BYTES: u64 = 256;
/// Longest module text that is read.
const MAX_MODULES_BYTES: u64 = 16 << 20;
/// Most lines of it, a module or a setting each. The shortest have four bytes, and take thirty times as much memory.
const MAX_LINES: usize = 1 << 16;

/// Build information.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BuildInfo {
    /// `go1.26.8`, experiments included.
    pub go_version: String,
    /// Import path of the main package.
    pub path: Option<String>,
    /// The main module; builders without modules name none.
    pub main: Option<BuiltModule>,
    /// Its dependencies.
    pub deps: Vec<BuiltModule>,
    /// `build` lines: `-ldflags`, `CGO_ENABLED`, `vcs.revision` and the like, unquoted.
    pub settings: Vec<(String, String)>,
}

/// A module, as the `mod`, `dep` and `=>` lines have it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BuiltModule {
    /// Import path, or the folder that replaces it.
    pub path: String,
    /// Version; empty or `(devel)` for a folder.
    pub version: String,
    /// `h1:…`; empty where there is none.
    pub sum: String,
    /// What really stands in for it.
    pub replaced_by: Option<Box<BuiltModule>>,
}

impl BuildInfo {
    /// The minor release, when the version names one.
    pub fn minor(&self) -> Option<Minor> {
        Minor::of_version(&self.go_version)
    }

    /// Main module first, then the dependencies.
    pub fn modules(&self) -> impl Iterator<Item = &BuiltModule> {
        self.main.iter().chain(&self.deps)
    }
}

impl BuiltModule {
    fn read<'t>(mut columns: impl Iterator<Item = &'t str>) -> Self {
        let mut next = || columns.next().unwrap_or_default().to_owned();
        BuiltModule { path: next(), version: next(), sum: next(), replaced_by: None }
    }
}

/// Finds and reads the program's own build information.
pub fn read(image: &Image<'_>) -> Result<Option<BuildInfo>> {
    match locate(image) {
        Some((vaddr, blob)) => parse(image, vaddr, blob).map(Some),
        None => Ok(None),
    }
}

fn locate<'a>(image: &Image<'a>) -> Option<(u64, &'a [u8])> {
    if let Some(section) = image.section(".go.buildinfo") {
        let tail = image.tail(section.vaddr).unwrap_or_default();
        if tail.starts_with(MAGIC) {
            return Some((section.vaddr, tail));
        }
    }
    let writable = image.segments.iter().filter(|s| s.is_writable() && !s.is_executable());
    let others = image.segments.iter().filter(|s| !s.is_writable() || s.is_executable());
    writable.chain(others).find_map(|segment| {
        // Aligned is the address: a segment may begin anywhere.
        let skip = segment.vaddr.wrapping_neg() % ALIGN as u64;
        let first = segment.vaddr.checked_add(skip)?;
        let tail = image.tail(first)?;
        let at = tail.chunks(ALIGN).position(|c| c.starts_with(MAGIC))? * ALIGN;
        Some((first.checked_add(at as u64)?, tail.get(at..)?))
    })
}

fn parse(image: &Image<'_>, vaddr: u64, blob: &[u8]) -> Result<BuildInfo> {
    let bad = |why: &str| malformed("build information", vaddr, why);
    let flags = bytes::u8(blob, 15).ok_or_else(|| bad("it ends before its flags at +15"))?;
    if flags & 2 == 0 {
        let version = by_pointer(image, blob, 16).unwrap_or_else(|| "a Go of before 1.18".into());
        return Err(ErrorKind::GoTooOld { version });
    }
    let mut at = 32;
    let version = string(blob, &mut at, MAX_VERSION_BYTES)
        .ok_or_else(|| bad("the version at +32 is longer than the file or than 256 bytes"))?;
    let text = string(blob, &mut at, MAX_MODULES_BYTES)
        .ok_or_else(|| bad("the module text behind the version is longer than the file or than 16 MiB"))?;
    let mut info = BuildInfo { go_version: lossy(version), ..BuildInfo::default() };
    if let Some(text) = between_sentinels(text) {
        let lines = memchr::memchr_iter(b'\n', text).count();
        if lines > MAX_LINES {
            let (what, count) = ("lines of module text", lines as u64);
            return Err(ErrorKind::Budget { what, count, limit: MAX_LINES as u64 });
        }
        info.read_lines(&lossy(text));
    }
    Ok(info)
}

fn string<'a>(blob: &'a [u8], at: &mut usize, limit: u64) -> Option<&'a [u8]> {
    let len = bytes::uvarint(blob, at).filter(|&l| l <= limit)?;
    let end = at.checked_add(usize::try_from(len).ok()?)?;
    let out = blob.get(*at..end)?;
    *at = end;
    Some(out)
}

/// The version of a binary of before 1.18: a pointer to a string header.
fn by_pointer(image: &Image<'_>, blob: &[u8], at: usize) -> Option<String> {
    let header = bytes::u64(blob, at)?;
    let len = image.word(header.checked_add(8)?)?.min(MAX_VERSION_BYTES);
    image.bytes(image.pointer(header)?, len).map(lossy)
}

fn between_sentinels(text: &[u8]) -> Option<&[u8]> {
    let end = text.len().checked_sub(16)?;
    let inner = text.get(16..end)?;
    (inner.last() == Some(&b'\n')).then_some(inner)
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl BuildInfo {
    fn read_lines(&mut self, text: &str) {
        let mut in_dependency = false;
        for line in text.lines() {
            let (key, rest) = line.split_once('\t').unwrap_or((line, ""));
            let columns = rest.split('\t');
            match key {
                "path" => self.path = Some(rest.to_owned()),
                "mod" => {
                    self.main = Some(BuiltModule::read(columns));
                    in_dependency = false;
                }
                "dep" => {
                    self.deps.push(BuiltModule::read(columns));
                    in_dependency = true;
                }
                "=>" => {
                    let last = if in_dependency { self.deps.last_mut() } else { self.main.as_mut() };
                    if let Some(module) = last {
                        module.replaced_by = Some(Box::new(BuiltModule::read(columns)));
                    }
                }
                "build" => self.settings.extend(setting(rest)),
                _ => {}
            }
        }
    }
}

/// `key=value`; either may be quoted as Go quotes strings.
fn setting(text: &str) -> Option<(String, String)> {
    let (key, rest) = if text.starts_with(['"', '`']) {
        quoted::unquote_prefix(text)?
    } else {
        let (key, _) = text.split_once('=')?;
        (key.to_owned(), text.get(key.len()..)?)
    };
    let value = rest.strip_prefix('=')?;
    if value.starts_with(['"', '`']) {
        let (value, rest) = quoted::unquote_prefix(value)?;
        return rest.is_empty().then_some((key, value));
    }
    Some((key, value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_modules_with_both_sides_of_a_replacement() {
        let mut info = BuildInfo::default();
        info.read_lines(
            "path\texample.com/app\nmod\texample.com/app\t(devel)\t\ndep\tgithub.com/a/b\tv1.2.3\th1:x=\n=>\t../b\t\n\
             dep\tgithub.com/c/d\tv0.0.0-20260101000000-abcdefabcdef\th1:y=\nbuild\t-ldflags=\"-s -w\"\n",
        );
        assert_eq!(info.deps.len(), 2);
        assert_eq!(info.main.as_ref().map(|m| m.version.as_str()), Some("(devel)"));
        let [folder, pseudo] = info.deps.as_slice() else { panic!("{:?}", info.deps) };
        let replacement = folder.replaced_by.as_deref().expect("a replacement");
        assert_eq!((replacement.path.as_str(), replacement.version.as_str()), ("../b", ""));
        assert_eq!(pseudo.version, "v0.0.0-20260101000000-abcdefabcdef");
        assert_eq!(pseudo.sum, "h1:y=");
        assert_eq!(info.settings, [("-ldflags".to_owned(), "-s -w".to_owned())]);
    }
}
