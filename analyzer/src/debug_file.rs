//! DWARF in a file of its own, as distributions ship it and `objcopy --only-keep-debug` makes it.
//!
//! Looked for as gdb does, in this order; only of a binary without DWARF of its own:
//!
//! | where | belongs to the binary when |
//! |---|---|
//! | `ROOT/.build-id/xx/yyyy.debug`, after GNU's build id xxyyyy | it has that very build id |
//! | the name in section `.gnu_debuglink` in the binary's folder, in `.debug` below it, in `ROOT/FOLDER` | its CRC-32 is the one in that section |
//!
//! A file that is there and does not belong is not used, and said. Besides `plan_file` this is all I/O of this crate; it costs a
//! stripped binary one `stat` for each root, and three more with a `.gnu_debuglink`. Not here: reading the DWARF.

use std::fs;
use std::path::{Path, PathBuf};

use object::read::elf::ElfFile64;
use object::{LittleEndian, Object as _};

/// Where distributions put the debug files of their packages.
pub const DEFAULT_ROOT: &str = "/usr/lib/debug";
/// Longest link that is followed; file systems have no longer names.
const MAX_NAME_BYTES: usize = 255;
/// Largest file that is looked at: its checksum takes a second for each 2 GiB.
const MAX_FILE_BYTES: u64 = 4 << 30;

/// Where to look.
#[derive(Debug, Clone, Copy, Default)]
pub struct Search<'a> {
    /// The binary, whose folder is one of the places.
    pub binary: Option<&'a Path>,
    /// Folders such as [`DEFAULT_ROOT`].
    pub roots: &'a [PathBuf],
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// The file that belongs to the binary.
    pub found: Option<(PathBuf, crate::Mapped)>,
    /// Files that are there and do not belong, with the reason.
    pub rejected: Vec<String>,
}

impl Search<'_> {
    /// Looks for the debug file of the binary with these bytes and this build id (GNU's, in hex).
    pub(crate) fn run(&self, bytes: &[u8], build_id: Option<&str>) -> Outcome {
        let mut outcome = Outcome::default();
        if let Some(id) = build_id {
            let fits = |file: &[u8]| same_build(file, id);
            self.by_build_id(id).any(|path| outcome.take(path, fits));
        }
        if outcome.found.is_none()
            && let Some((name, crc)) = link(bytes)
        {
            let fits = |file: &[u8]| same_crc(file, crc);
            self.by_link(&name).into_iter().any(|path| outcome.take(path, fits));
        }
        outcome
    }

    fn by_build_id(&self, id: &str) -> impl Iterator<Item = PathBuf> {
        let parts = id.split_at_checked(2).filter(|(_, rest)| !rest.is_empty());
        let name = parts.map(|(first, rest)| format!(".build-id/{first}/{rest}.debug"));
        self.roots.iter().filter_map(move |root| Some(root.join(name.as_ref()?)))
    }

    fn by_link(&self, name: &str) -> Vec<PathBuf> {
        // The real folder: what is started by a symbolic link has its debug file where it lies itself.
        let binary = self.binary.and_then(|path| fs::canonicalize(path).ok());
        let Some(folder) = binary.as_deref().and_then(Path::parent) else { return Vec::new() };
        let below = folder.strip_prefix("/").unwrap_or(folder);
        let mut places = vec![folder.join(name), folder.join(".debug").join(name)];
        places.extend(self.roots.iter().map(|root| root.join(below).join(name)));
        // A link may have the binary's own name, meant for another folder.
        places.retain(|place| Some(place) != binary.as_ref());
        places
    }
}

impl Outcome {
    /// Takes a file if it is there and fits.
    fn take(&mut self, path: PathBuf, fits: impl Fn(&[u8]) -> Result<(), String>) -> bool {
        // What is no regular file is not opened: a pipe would never end.
        let Some(size) = fs::metadata(&path).ok().filter(fs::Metadata::is_file).map(|m| m.len()) else {
            return false;
        };
        let check = || {
            if size > MAX_FILE_BYTES {
                return Err(format!("it has {size} bytes, the limit is {MAX_FILE_BYTES}"));
            }
            let map = crate::map(&path).map_err(|error| error.to_string())?;
            fits(&map).map(|()| map)
        };
        match check() {
            Ok(map) => self.found = Some((path, map)),
            Err(why) => self.rejected.push(format!("{} was not used: {why}", path.display())),
        }
        self.found.is_some()
    }
}

/// The name and the checksum in `.gnu_debuglink`. A name that leaves the folder is none.
fn link(bytes: &[u8]) -> Option<(String, u32)> {
    let elf = ElfFile64::<LittleEndian>::parse(bytes).ok()?;
    let (name, crc) = elf.gnu_debuglink().ok()??;
    let name = std::str::from_utf8(name).ok().filter(|n| n.len() <= MAX_NAME_BYTES)?;
    let is_plain = !name.is_empty() && !name.contains('/') && name != "..";
    is_plain.then(|| (name.to_owned(), crc))
}

fn same_build(file: &[u8], wanted: &str) -> Result<(), String> {
    let elf = ElfFile64::<LittleEndian>::parse(file).map_err(|e| e.to_string())?;
    let id = elf.build_id().map_err(|e| e.to_string())?.ok_or("it has no build id")?;
    let id: String = id.iter().map(|b| format!("{b:02x}")).collect();
    if id == wanted { Ok(()) } else { Err(format!("its build id is {id}, the binary's is {wanted}")) }
}

fn same_crc(file: &[u8], wanted: u32) -> Result<(), String> {
    let crc = crc32fast::hash(file);
    let differs = || format!("its CRC is {crc:08x}, the binary's .gnu_debuglink has {wanted:08x}");
    if crc == wanted { Ok(()) } else { Err(differs()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_id_is_two_digits_of_folder_and_the_rest() {
        let roots = [PathBuf::from("/a"), PathBuf::from("/b")];
        let search = Search { binary: None, roots: &roots };
        let paths: Vec<_> = search.by_build_id("abcdef").collect();
        assert_eq!(paths, ["/a/.build-id/ab/cdef.debug", "/b/.build-id/ab/cdef.debug"].map(PathBuf::from));
        assert_eq!(search.by_build_id("ab").count() + search.by_build_id("").count(), 0);
    }

    #[test]
    fn a_link_is_looked_for_in_three_places_and_never_in_the_binary_itself() {
        let folder = tempfile::tempdir().expect("a folder");
        let real = folder.path().canonicalize().expect("its real path");
        let binary = real.join("app");
        fs::write(&binary, "").expect("a file");
        let roots = [PathBuf::from("/root")];
        let search = Search { binary: Some(&binary), roots: &roots };
        let below = PathBuf::from("/root").join(real.strip_prefix("/").expect("an absolute path"));
        let wanted = [real.join("x.debug"), real.join(".debug/x.debug"), below.join("x.debug")];
        assert_eq!(search.by_link("x.debug"), wanted);
        assert_eq!(search.by_link("app"), [real.join(".debug/app"), below.join("app")]);
        assert!(Search::default().by_link("x.debug").is_empty());
    }

    #[test]
    fn what_is_no_elf_file_has_no_link_and_no_build() {
        assert_eq!(link(b"\x7fELF"), None);
        assert!(same_build(b"", "abcd").is_err());
        assert!(same_crc(b"123456789", 0xcbf4_3926).is_ok(), "the CRC of gdb is that of ISO-HDLC");
    }
}
