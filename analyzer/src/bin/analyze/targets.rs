//! From what was typed to a list of files. Folders are gone through without following symbolic links; in them only ELF
//! files count, the others are counted.

use std::fs::{self, File};
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use crate::cli::Cli;

/// A file to plan.
#[derive(Debug)]
pub struct Target {
    /// What to open.
    pub path: PathBuf,
    /// What to call it.
    pub name: String,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
    /// The files, in the order of the command line, folders sorted.
    pub files: Vec<Target>,
    /// What could not be looked at.
    pub errors: Vec<String>,
    /// How many folders were named.
    pub folders: usize,
    /// How many files of folders are no ELF files.
    pub skipped: usize,
}

/// Finds the files.
pub fn find(cli: &Cli) -> Found {
    let mut found = Found::default();
    if let Some(pid) = cli.pid {
        found.process(pid);
    }
    for path in &cli.paths {
        if path.is_dir() {
            found.folders += 1;
            found.folder(path);
        } else {
            found.files.push(Target { path: path.clone(), name: path.to_string_lossy().into_owned() });
        }
    }
    found
}

impl Found {
    fn process(&mut self, pid: u32) {
        let link = PathBuf::from(format!("/proc/{pid}/exe"));
        let explain = |error: std::io::Error| match error.kind() {
            ErrorKind::NotFound if !Path::new(&format!("/proc/{pid}")).exists() => {
                format!("process {pid}: gone, or never there")
            }
            ErrorKind::NotFound => {
                format!("process {pid}: it has no executable (a kernel thread or a zombie)")
            }
            ErrorKind::PermissionDenied => {
                format!(
                    "process {pid}: its executable may not be read by this user: it takes root, or CAP_SYS_PTRACE"
                )
            }
            _ => format!("process {pid}: {}: {error}", link.display()),
        };
        // The link's text is only a name; it is the link itself that leads to the file, even a deleted one.
        match fs::read_link(&link).and_then(|text| File::open(&link).map(|_| text)) {
            Ok(text) => {
                let name = format!("{} (process {pid})", text.to_string_lossy());
                self.files.push(Target { path: link, name });
            }
            Err(error) => self.errors.push(explain(error)),
        }
    }

    fn folder(&mut self, path: &Path) {
        let mut queue = vec![path.to_path_buf()];
        let first = self.files.len();
        while let Some(folder) = queue.pop() {
            let entries = match fs::read_dir(&folder) {
                Ok(entries) => entries,
                Err(error) => {
                    self.errors.push(format!("{}: {error}", folder.display()));
                    continue;
                }
            };
            for entry in entries {
                let kind = entry.and_then(|entry| Ok((entry.path(), entry.file_type()?)));
                match kind {
                    Ok((path, kind)) if kind.is_dir() => queue.push(path),
                    Ok((path, kind)) if kind.is_file() => self.candidate(path),
                    Ok(_) => {}
                    Err(error) => self.errors.push(format!("{}: {error}", folder.display())),
                }
            }
        }
        if let Some(new) = self.files.get_mut(first..) {
            new.sort_by(|a, b| a.path.cmp(&b.path));
        }
    }

    fn candidate(&mut self, path: PathBuf) {
        match is_elf(&path) {
            Ok(true) => {
                let name = path.to_string_lossy().into_owned();
                self.files.push(Target { path, name });
            }
            Ok(false) => self.skipped += 1,
            // Gone since the folder was read.
            Err(error) if error.kind() == ErrorKind::NotFound => self.skipped += 1,
            Err(error) => self.errors.push(format!("{}: {error}", path.display())),
        }
    }
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
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}
