//! What the user asked for, and whether a process is it.

use std::{
    fmt, fs, io,
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    path::{Path, PathBuf},
};

use runtime_ebpf::process::{NAME_BYTES, Name, TREE};

use super::process::Process;

/// What the user asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// One process, whatever it executes.
    Pid(u32),
    /// Every process of the executables at these paths: of the inode that a path names when the process starts, or, for a
    /// process in a container, that the path names there.
    Exe(Vec<PathBuf>),
    /// A command and all its descendants, by the command's process id.
    Tree(u32),
}

impl Target {
    /// Did the user name one thing alone, which the agent's own `OTEL_SERVICE_NAME` can be meant for?
    pub fn is_single(&self) -> bool {
        match self {
            Self::Pid(_) | Self::Tree(_) => true,
            Self::Exe(paths) => paths.len() <= 1,
        }
    }
}

/// A path of [`Target::Exe`].
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wanted {
    /// As given, made absolute: what containers are asked about.
    path: PathBuf,
    /// Where that leads here, links followed; the inode it is.
    resolved: Option<(PathBuf, (u64, u64))>,
}

/// The target, with its paths resolved.
#[derive(Debug, Clone)]
pub struct Targets {
    target: Target,
    wanted: Vec<Wanted>,
}

impl Targets {
    /// Fails only where a relative path has nothing that it is relative to.
    pub fn new(target: Target) -> io::Result<Self> {
        let paths = match &target {
            Target::Exe(paths) => paths.as_slice(),
            Target::Pid(_) | Target::Tree(_) => &[],
        };
        let wanted = paths.iter().map(|path| {
            let path = std::path::absolute(path)?;
            Ok(Wanted { resolved: resolve(&path), path })
        });
        let wanted = wanted.collect::<io::Result<_>>()?;
        Ok(Self { target, wanted })
    }

    /// What the user asked for.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Resolves the paths again; true if one leads elsewhere now: a link was changed, a file replaced. Then [`Self::names`]
    /// have changed, and processes that run already may have become wanted.
    pub fn refresh(&mut self) -> bool {
        let mut changed = false;
        for wanted in &mut self.wanted {
            let now = resolve(&wanted.path);
            changed |= now != wanted.resolved;
            wanted.resolved = now;
        }
        changed
    }

    /// Paths that name nothing here: they can be wanted in containers, or later.
    pub fn absent(&self) -> impl Iterator<Item = &Path> {
        self.wanted.iter().filter(|wanted| wanted.resolved.is_none()).map(|wanted| wanted.path.as_path())
    }

    /// Is this process wanted? `followed` is what the kernel's event said of it.
    pub fn wants(&self, process: &Process, followed: u32) -> bool {
        match self.target {
            Target::Pid(pid) => process.id.pid == pid,
            Target::Tree(root) => followed & TREE != 0 || descends(process.id.pid, root),
            Target::Exe(_) => self.wanted.iter().any(|wanted| {
                // Asked anew: a file that was put in the old one's place is started right after.
                inode(&wanted.path) == Some(process.inode()) || process.calls_its_executable(&wanted.path)
            }),
        }
    }

    /// By which names a wanted program may start: of the file that a path leads to, of the path's own last part (a link that
    /// leads elsewhere in a container, or by tomorrow), and the whole path, as programs are mostly called.
    pub fn names(&self) -> Vec<Name> {
        let mut names = Vec::new();
        for wanted in &self.wanted {
            names.push(name(wanted.path.as_os_str().as_bytes()));
            let resolved = wanted.resolved.as_ref().map(|(path, _)| path);
            for path in std::iter::once(&wanted.path).chain(resolved) {
                names.extend(path.file_name().map(|last| name(last.as_bytes())));
            }
        }
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The numbers of the inodes that the paths lead to here: a hard link of another name is found by that.
    pub fn inodes(&self) -> Vec<u64> {
        self.wanted.iter().filter_map(|wanted| wanted.resolved.as_ref().map(|(_, (_, ino))| *ino)).collect()
    }
}

impl fmt::Display for Targets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.target {
            Target::Pid(pid) => write!(f, "process {pid}"),
            Target::Tree(pid) => write!(f, "the command with process id {pid}"),
            Target::Exe(paths) => {
                let paths: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
                f.write_str(&paths.join(", "))
            }
        }
    }
}

fn resolve(path: &Path) -> Option<(PathBuf, (u64, u64))> {
    Some((fs::canonicalize(path).ok()?, inode(path)?))
}

fn inode(path: &Path) -> Option<(u64, u64)> {
    fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino()))
}

/// Is `root` the process, its parent, or its parent's parent, and so on? By /proc, for processes of before the kernel was told
/// and for kernels that cannot be told; a parent that has ended breaks the chain.
fn descends(pid: u32, root: u32) -> bool {
    /// Deeper than any tree of wrappers; ends a chain that a reused id has closed to a ring.
    const MAX_ANCESTORS: usize = 64;
    let ancestors = std::iter::successors(Some(pid), |pid| Process::parent(*pid).ok().filter(|pid| *pid > 1));
    ancestors.take(MAX_ANCESTORS).any(|pid| pid == root)
}

/// A key of the map `WANTED`: cut to its size with a zero at the end, as the kernel's side reads names.
pub fn name(text: &[u8]) -> Name {
    let mut bytes = [0; NAME_BYTES];
    for (to, from) in bytes.iter_mut().zip(text.iter().take(NAME_BYTES - 1)) {
        *to = *from;
    }
    let mut words = Name::default();
    for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(8)) {
        *word = bytes.first_chunk().map_or(0, |bytes| u64::from_ne_bytes(*bytes));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discover::{ProcessId, open};

    #[test]
    fn a_changed_link_changes_the_names() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        for file in ["one", "two"] {
            fs::write(at(file), file).expect("written");
        }
        std::os::unix::fs::symlink(at("one"), at("link")).expect("linked");
        let mut targets = Targets::new(Target::Exe(vec![at("link")])).expect("targets");
        assert!(!targets.refresh());
        for expected in [name(b"link"), name(b"one"), name(at("link").as_os_str().as_bytes())] {
            assert!(targets.names().contains(&expected));
        }
        fs::remove_file(at("link")).expect("removed");
        std::os::unix::fs::symlink(at("two"), at("link")).expect("linked");
        assert!(targets.refresh() && !targets.refresh());
        assert!(targets.names().contains(&name(b"two")) && !targets.names().contains(&name(b"one")));
        assert_eq!(targets.inodes().len(), 1);
        assert_eq!(targets.absent().count(), 0);
        fs::remove_file(at("link")).expect("removed");
        assert!(targets.refresh());
        assert_eq!(targets.absent().collect::<Vec<_>>(), [at("link")]);
    }

    #[test]
    fn long_names_are_cut_as_the_kernel_cuts_them() {
        assert_eq!(name(&[b'x'; 63]), name(&[b'x'; 200]));
        assert_eq!(name(b"ab")[0].to_ne_bytes(), *b"ab\0\0\0\0\0\0");
    }

    #[test]
    fn processes_are_told_apart() {
        let pid = std::process::id();
        let process = open(ProcessId { pid, tgid: pid }).expect("opened");
        let wants = |target| Targets::new(target).expect("targets").wants(&process, 0);
        assert!(wants(Target::Pid(pid)) && !wants(Target::Pid(1)));
        assert!(wants(Target::Exe(vec!["/nowhere".into(), "/proc/self/exe".into()])));
        assert!(!wants(Target::Exe(vec!["/nowhere".into()])));
        let parent = Process::parent(pid).expect("a parent");
        assert!(wants(Target::Tree(pid)) && wants(Target::Tree(parent)) && !wants(Target::Tree(u32::MAX)));
    }
}
