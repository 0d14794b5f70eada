//! The kernel's side of discovery: which programs start, who a command's descendants are, how processes are numbered.

use std::{
    fs::{self, File},
    io,
    os::{
        fd::{AsRawFd, RawFd},
        unix::fs::MetadataExt as _,
    },
};

use aya::{
    Ebpf, Pod,
    maps::{Array, HashMap, MapData, MapError, RingBuf},
    programs::RawTracePoint,
};
use runtime_ebpf::{
    process::{ExecEvent, FOLLOW, Layout, MAX_WANTED, Name, TREE, TaskEntry},
    sockets::Sockets,
};
use tracing::warn;

use super::{
    btf::Btf,
    error::WatchError,
    inode::{KernelInode, Mapping, is_on_overlay},
    iterator::{Iterator, Tasks, lines},
    layout::{layout, sockets},
    process::ProcessId,
    target::{Target, Targets},
};
use crate::programs::{Programs, Refusal};

/// Inode of the first PID namespace (include/uapi/linux/nsfs.h, `PID_NS_INIT_INO`; include/linux/proc_ns.h before 6.16).
const INITIAL_NAMESPACE_INO: u64 = 0xEFFF_FFFC;

/// [`Layout`] as a map's value.
#[repr(transparent)]
#[derive(Clone, Copy)]
struct LayoutValue(Layout);

// SAFETY: repr(C), integers only, no padding (its size is pinned by a test in runtime-ebpf).
unsafe impl Pod for LayoutValue {}

/// [`Sockets`] as a map's value.
#[repr(transparent)]
#[derive(Clone, Copy)]
struct SocketsValue(Sockets);

// SAFETY: as above.
unsafe impl Pod for SocketsValue {}

/// The events about programs that start. Readable when there are some.
pub struct ExecRing(RingBuf<MapData>);

impl AsRawFd for ExecRing {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl ExecRing {
    /// The next event, if there is one.
    pub fn next_event(&mut self) -> Option<ExecEvent> {
        let item = self.0.next()?;
        let [tgid, pid, followed, reserved] = lines::<4>(&item).next()?;
        Some(ExecEvent { tgid, pid, followed, reserved })
    }
}

/// What the kernel is asked to tell.
pub struct Watch {
    layout: Layout,
    /// Whether the layout's offsets are known.
    located: bool,
    layouts: Array<MapData, LayoutValue>,
    wanted: HashMap<MapData, Name, u32>,
    inodes: HashMap<MapData, u64, u32>,
    followed: HashMap<MapData, u32, u32>,
    tasks: Option<Iterator>,
    vmas: Vmas,
}

/// The iterator over mappings, loaded for the first file on an overlay.
enum Vmas {
    NotLoaded,
    Loaded(Iterator),
    /// It was tried, and said why not.
    Unavailable,
}

impl Watch {
    /// Starts the events. Raw tracepoints: kernel 4.17; the filter needs BTF (`CONFIG_DEBUG_INFO_BTF`), and so does an agent
    /// in a PID namespace of its own, which also needs `iter/task` (5.8): there its lack is an error, elsewhere it costs the
    /// agent a look at every program that starts.
    pub fn start(programs: &mut Programs, targets: &Targets) -> Result<(Self, ExecRing), WatchError> {
        let ebpf = programs.ebpf_mut();
        let nested = is_nested()?;
        let btf = Btf::of_kernel();
        if let Ok(btf) = &btf {
            write_sockets(ebpf, btf)?;
        }
        let layout = match btf.and_then(|btf| layout(&btf)) {
            Ok(layout) => layout,
            Err(error) if nested => return Err(WatchError::Namespace(Box::new(error.into()))),
            Err(error) => {
                warn!("{error}: strobe looks at every program that starts, which costs more");
                Layout::default()
            }
        };
        let located = layout.filter != 0;
        let mut watch = Self {
            layout,
            located,
            layouts: array(ebpf)?,
            wanted: hash(ebpf, "WANTED")?,
            inodes: hash(ebpf, "INODES")?,
            followed: hash(ebpf, "FOLLOWED")?,
            tasks: None,
            vmas: Vmas::NotLoaded,
        };
        watch.write_layout()?;
        if nested {
            let own = watch.own_namespace(ebpf).map_err(|error| WatchError::Namespace(Box::new(error)))?;
            (watch.layout.namespace, watch.layout.level) = (own.namespace, own.level);
            watch.write_layout()?;
        }
        watch.want(targets)?;
        let map = ebpf.take_map("EXECUTED").ok_or(WatchError::Missing { kind: "map", name: "EXECUTED" })?;
        let ring = RingBuf::try_from(map).map_err(|error| WatchError::Map { map: "EXECUTED", error })?;
        attach(ebpf, "process_exec", "sched_process_exec")?;
        if located {
            attach(ebpf, "process_exit", "sched_process_exit")?;
        }
        if located && matches!(targets.target(), Target::Tree(_)) {
            attach(ebpf, "process_fork", "sched_process_fork")?;
        }
        Ok((watch, ExecRing(ring)))
    }

    /// Is the agent in a PID namespace of its own?
    pub fn is_nested(&self) -> bool {
        self.layout.namespace != 0
    }

    fn write_layout(&mut self) -> Result<(), WatchError> {
        let error = |error| WatchError::Map { map: "LAYOUT", error };
        self.layouts.set(0, LayoutValue(self.layout), 0).map_err(error)
    }

    fn own_namespace(&mut self, ebpf: &mut Ebpf) -> Result<TaskEntry, WatchError> {
        self.tasks = Some(Iterator::load(ebpf, "process_task", "task")?);
        let own = self.tasks()?.into_iter().find(|entry| entry.pid == std::process::id());
        own.ok_or(WatchError::Iterator {
            program: "process_task",
            error: io::Error::other("it does not list strobe itself"),
        })
    }

    fn tasks(&self) -> Result<Vec<TaskEntry>, WatchError> {
        let Some(iterator) = &self.tasks else { return Ok(Vec::new()) };
        let bytes = iterator.read(Tasks::All)?;
        let entries = lines::<6>(&bytes).map(|[tgid, pid, low, high, level, reserved]| TaskEntry {
            tgid,
            pid,
            namespace: join(low, high),
            level,
            reserved,
        });
        Ok(entries.collect())
    }

    /// All processes that the agent can see, with both of their numbers.
    pub fn running(&self) -> Result<Vec<ProcessId>, WatchError> {
        if self.is_nested() {
            let ids = self.tasks()?.into_iter().map(|TaskEntry { tgid, pid, .. }| ProcessId { pid, tgid });
            return Ok(ids.collect());
        }
        let failed = |error| WatchError::Proc { what: "listing /proc", error };
        let mut ids = Vec::new();
        for entry in fs::read_dir("/proc").map_err(failed)? {
            if let Some(pid) = entry.map_err(failed)?.file_name().to_str().and_then(|name| name.parse().ok())
            {
                ids.push(ProcessId { pid, tgid: pid });
            }
        }
        Ok(ids)
    }

    /// Both numbers of a process; `None` if there is none. Open its pidfd before and ask it afterwards, since a number may be
    /// another process's by now.
    pub fn id_of(&self, pid: u32) -> Result<Option<ProcessId>, WatchError> {
        if self.is_nested() {
            return Ok(self.running()?.into_iter().find(|id| id.pid == pid));
        }
        Ok(Some(ProcessId { pid, tgid: pid }))
    }

    /// From now on tells of programs that [`Targets::names`] and [`Targets::inodes`] name, in place of those before. Of all
    /// programs where those are more than the kernel's side has room for: the agent sorts them out.
    pub fn want(&mut self, targets: &Targets) -> Result<(), WatchError> {
        let (names, inodes) = (targets.names(), targets.inodes());
        // Half: the new ones come in before the old ones go.
        let room = MAX_WANTED as usize / 2;
        let fits = names.len() <= room && inodes.len() <= room;
        if self.located && !fits {
            warn!(
                names = names.len(),
                "more names of executables than the kernel's filter has room for ({room}): strobe looks at every program that \
                 starts, which costs more"
            );
        }
        self.layout.filter = u32::from(self.located && fits);
        if self.layout.filter == 0 {
            return self.write_layout();
        }
        // The new ones first, so that none is missing for a moment.
        replace(&mut self.wanted, "WANTED", &names)?;
        replace(&mut self.inodes, "INODES", &inodes)?;
        self.write_layout()
    }

    /// From now on tells of everything that this process executes. To be called before [`super::Process::still_the_same`] is
    /// asked, so that no exec goes unseen in between. The kernel's side forgets it when the process ends.
    pub fn follow(&mut self, tgid: u32) -> Result<(), WatchError> {
        self.follow_as(tgid, FOLLOW)
    }

    /// The same, and of everything that its descendants execute, those that are made from now on.
    pub fn follow_tree(&mut self, tgid: u32) -> Result<(), WatchError> {
        self.follow_as(tgid, FOLLOW | TREE)
    }

    fn follow_as(&mut self, tgid: u32, flags: u32) -> Result<(), WatchError> {
        if !self.located {
            // Everything is told, and nothing would ever be removed from the map.
            return Ok(());
        }
        let error = |error| WatchError::Map { map: "FOLLOWED", error };
        let before = match self.followed.get(&tgid, 0) {
            Ok(flags) => flags,
            Err(MapError::KeyNotFound) => 0,
            Err(source) => return Err(error(source)),
        };
        self.followed.insert(tgid, before | flags, 0).map_err(error)
    }

    /// Stops telling of a process that is not traced. One that has ended is forgotten by the kernel's side.
    pub fn unfollow(&mut self, tgid: u32) -> Result<(), WatchError> {
        match self.followed.remove(&tgid) {
            Ok(()) | Err(MapError::KeyNotFound) => Ok(()),
            Err(error) => Err(WatchError::Map { map: "FOLLOWED", error }),
        }
    }

    /// The inode that a probe in this file belongs to.
    pub fn kernel_inode(&mut self, programs: &mut Programs, file: &File) -> io::Result<KernelInode> {
        let by_stat = KernelInode::by_stat(file)?;
        if !is_on_overlay(file)? {
            return Ok(by_stat);
        }
        let mapping = Mapping::of(file)?;
        let by_maps = mapping.by_maps()?;
        if by_maps != by_stat {
            // A kernel before 6.8, which shows the real one there.
            return Ok(by_maps);
        }
        match self.by_vma(programs.ebpf_mut(), &mapping) {
            Ok(Some(inode)) => Ok(inode),
            Ok(None) => Ok(by_stat),
            Err(error) => {
                warn!(
                    "the inode behind an overlay cannot be told, so its probes may be doubled (and ignored): {error}"
                );
                self.vmas = Vmas::Unavailable;
                Ok(by_stat)
            }
        }
    }

    /// `None` where it was said before that it cannot be told.
    fn by_vma(&mut self, ebpf: &mut Ebpf, mapping: &Mapping) -> Result<Option<KernelInode>, WatchError> {
        if !self.located {
            // Said at the start; without the offsets the program would read anything.
            return Ok(None);
        }
        if matches!(self.vmas, Vmas::NotLoaded) {
            self.vmas = Vmas::Loaded(Iterator::load(ebpf, "process_vma", "task_vma")?);
        }
        self.layout.mapping = mapping.address();
        self.write_layout()?;
        let Vmas::Loaded(iterator) = &self.vmas else { return Ok(None) };
        let bytes = iterator.read(Tasks::ThisThread)?;
        let nothing = || io::Error::other("it does not list the mapping of the file");
        let [low, high, dev, _] = lines::<4>(&bytes)
            .next()
            .ok_or_else(|| WatchError::Iterator { program: "process_vma", error: nothing() })?;
        Ok(Some(KernelInode::from_kernel(dev, join(low, high))))
    }
}

fn join(low: u32, high: u32) -> u64 {
    let [a, b, c, d] = low.to_ne_bytes();
    let [e, f, g, h] = high.to_ne_bytes();
    u64::from_ne_bytes([a, b, c, d, e, f, g, h])
}

/// Is the agent in another PID namespace than the initial one? Its /proc must be of the same.
fn is_nested() -> Result<bool, WatchError> {
    let failed = |what, error| WatchError::Proc { what, error };
    let own = fs::read_link("/proc/self")
        .map_err(|error| failed("reading /proc/self (is /proc mounted?)", error))?;
    if own.to_str() != Some(std::process::id().to_string().as_str()) {
        return Err(WatchError::ForeignProc);
    }
    let namespace =
        fs::metadata("/proc/self/ns/pid").map_err(|error| failed("reading /proc/self/ns/pid", error))?;
    Ok(namespace.ino() != INITIAL_NAMESPACE_INO)
}

fn attach(ebpf: &mut Ebpf, program: &'static str, tracepoint: &str) -> Result<(), WatchError> {
    let failed =
        |action, error| WatchError::Program { action, program, error: Box::new(Refusal::from(error)) };
    let found = ebpf.program_mut(program).ok_or(WatchError::Missing { kind: "program", name: program })?;
    let found: &mut RawTracePoint = found.try_into().map_err(|source| failed("using", source))?;
    found.load().map_err(|source| failed("loading", source))?;
    found.attach(tracepoint).map_err(|source| failed("attaching", source))?;
    Ok(())
}

/// Says where the kernel keeps what tells a connection. Where it does not say so itself nobody is told who sends a request, which
/// `strobe features` says.
fn write_sockets(ebpf: &mut Ebpf, btf: &Btf) -> Result<(), WatchError> {
    let map = "SOCKETS";
    let at = match sockets(btf) {
        Ok(at) => at,
        Err(error) => {
            warn!("{error}: both ends of a connection cannot be brought together");
            return Ok(());
        }
    };
    // It stays where it is: the libraries' programs are loaded with its descriptor later.
    let data = ebpf.map_mut(map).ok_or(WatchError::Missing { kind: "map", name: map })?;
    let error = |error| WatchError::Map { map, error };
    let mut sockets: Array<_, SocketsValue> = Array::try_from(data).map_err(error)?;
    sockets.set(0, SocketsValue(at), 0).map_err(error)
}

fn array(ebpf: &mut Ebpf) -> Result<Array<MapData, LayoutValue>, WatchError> {
    let map = "LAYOUT";
    let data = ebpf.take_map(map).ok_or(WatchError::Missing { kind: "map", name: map })?;
    Array::try_from(data).map_err(|error| WatchError::Map { map, error })
}

fn hash<K: Pod>(ebpf: &mut Ebpf, map: &'static str) -> Result<HashMap<MapData, K, u32>, WatchError> {
    let data = ebpf.take_map(map).ok_or(WatchError::Missing { kind: "map", name: map })?;
    HashMap::try_from(data).map_err(|error| WatchError::Map { map, error })
}

/// Makes `keys` what the map holds.
fn replace<K: Pod + PartialEq>(
    map: &mut HashMap<MapData, K, u32>,
    name: &'static str,
    keys: &[K],
) -> Result<(), WatchError> {
    let error = |error| WatchError::Map { map: name, error };
    for key in keys {
        map.insert(key, 1, 0).map_err(error)?;
    }
    let stale: Vec<K> = map
        .keys()
        .filter(|key| !matches!(key, Ok(key) if keys.contains(key)))
        .collect::<Result<_, _>>()
        .map_err(error)?;
    for key in stale {
        map.remove(&key).map_err(error)?;
    }
    Ok(())
}
