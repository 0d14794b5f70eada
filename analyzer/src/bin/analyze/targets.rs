//! From what was typed to a list of files. Folders are gone through without following symbolic links and without entering the
//! kernel's own file systems (procfs, sysfs and the like); in them only ELF files count, the others are counted.

use std::fs::{self, File};
use std::io::{Error as IoError, ErrorKind as IoErrorKind, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use analyzer::Error;

use crate::cli::Cli;
use crate::input::STDIN;
use crate::kernel_files;

/// Where a binary comes from.
#[derive(Debug)]
pub enum Source {
    /// A file.
    File(PathBuf),
    /// Standard input.
    Stdin,
}

/// A file to plan.
#[derive(Debug)]
pub struct Target {
    /// What to open.
    pub source: Source,
    /// What to call it.
    pub name: String,
    /// Whether a folder holds it, rather than that it was named.
    pub in_folder: bool,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
    /// The files, in the order of the command line, folders sorted.
    pub files: Vec<Target>,
    /// What could not be looked at.
    pub errors: Vec<Error>,
    /// How many folders were named.
    pub folders: usize,
    /// How many files of folders are no ELF files.
    pub not_elf: usize,
    /// How many file systems of the kernel's own were not entered.
    pub not_entered: usize,
}

/// Finds the files.
pub fn find(cli: &Cli) -> Found {
    let mut found = Found::default();
    if let Some(pid) = cli.pid {
        found.process(pid);
    }
    for path in &cli.paths {
        let name = path.to_string_lossy().into_owned();
        if path == Path::new(STDIN) {
            found.named(Source::Stdin, "standard input".to_owned());
        } else if path.is_dir() {
            found.folders += 1;
            found.folder(path);
        } else {
            found.named(Source::File(path.clone()), name);
        }
    }
    found
}

impl Found {
    fn named(&mut self, source: Source, name: String) {
        self.files.push(Target { source, name, in_folder: false });
    }

    fn fail(&mut self, file: impl Into<String>, error: IoError) {
        self.errors.push(Error { file: file.into(), kind: error.into() });
    }

    fn process(&mut self, pid: u32) {
        let link = PathBuf::from(format!("/proc/{pid}/exe"));
        let explain = |error: IoError| match error.kind() {
            IoErrorKind::NotFound if !Path::new(&format!("/proc/{pid}")).exists() => {
                IoError::new(IoErrorKind::NotFound, "the process is gone, or was never there")
            }
            IoErrorKind::NotFound => IoError::new(
                IoErrorKind::Unsupported,
                "it has no executable (it is a kernel thread or a zombie)",
            ),
            IoErrorKind::PermissionDenied => IoError::new(
                IoErrorKind::PermissionDenied,
                "its executable may not be read by this user: that takes root, or CAP_SYS_PTRACE",
            ),
            _ => error,
        };
        // The link's text is only a name; it is the link itself that leads to the file, even a deleted one.
        match fs::read_link(&link).and_then(|text| File::open(&link).map(|_| text)) {
            Ok(text) => {
                let name = format!("{} (process {pid})", text.to_string_lossy());
                self.named(Source::File(link), name);
            }
            Err(error) => self.fail(format!("process {pid}"), explain(error)),
        }
    }

    fn folder(&mut self, path: &Path) {
        let mut queue = vec![(path.to_path_buf(), device(path))];
        let mut candidates = Vec::new();
        while let Some((folder, device)) = queue.pop() {
            let entries = match fs::read_dir(&folder) {
                Ok(entries) => entries,
                Err(error) => {
                    self.fail(folder.to_string_lossy(), error);
                    continue;
                }
            };
            for entry in entries {
                let kind = entry.and_then(|entry| Ok((entry.path(), entry.file_type()?)));
                match kind {
                    Ok((path, kind)) if kind.is_dir() => self.enter(path, device, &mut queue),
                    Ok((path, kind)) if kind.is_file() => candidates.push(path),
                    Ok(_) => {}
                    Err(error) => self.fail(folder.to_string_lossy(), error),
                }
            }
        }
        candidates.sort();
        candidates.into_iter().for_each(|path| self.candidate(path));
    }

    /// Goes on into a folder, unless it is the root of a file system that the kernel makes up.
    fn enter(&mut self, path: PathBuf, parent: Option<u64>, queue: &mut Vec<(PathBuf, Option<u64>)>) {
        let device = device(&path);
        if device != parent && kernel_files::are_below(&path) {
            self.not_entered += 1;
        } else {
            queue.push((path, device));
        }
    }

    fn candidate(&mut self, path: PathBuf) {
        let name = path.to_string_lossy().into_owned();
        match is_elf(&path) {
            Ok(true) => self.files.push(Target { source: Source::File(path), name, in_folder: true }),
            Ok(false) => self.not_elf += 1,
            // Gone since the folder was read.
            Err(error) if error.kind() == IoErrorKind::NotFound => self.not_elf += 1,
            Err(error) => self.fail(name, error),
        }
    }
}

fn device(path: &Path) -> Option<u64> {
    fs::metadata(path).ok().map(|metadata| metadata.dev())
}

/// Whether a file has ELF's magic. One that is shorter than an ELF header is not opened: those of procfs and the like, of
/// which reading takes something away or waits, call themselves empty.
fn is_elf(path: &Path) -> std::io::Result<bool> {
    const HEADER_BYTES: u64 = 64;
    if fs::metadata(path)?.len() < HEADER_BYTES {
        return Ok(false);
    }
    let mut magic = [0; 4];
    match File::open(path)?.read_exact(&mut magic) {
        Ok(()) => Ok(magic == *b"\x7fELF"),
        Err(error) if error.kind() == IoErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}
