//! The eBPF programs in the kernel: one object for all processes, attached per file (field-notes §2; house.md, decision 4).
//!
//! Its maps are made when it is loaded; a library's programs are loaded when the first file needs them.

mod error;
mod give_way;
mod multi;
mod open;
mod raw;
mod refusal;
mod rings;
mod sweep;
mod tables;
mod verified;

use std::{
    io,
    os::fd::{AsFd as _, AsRawFd as _, BorrowedFd},
    time::Instant,
};

use aya::{
    Ebpf, EbpfLoader, VerifierLogLevel,
    maps::{MapData, PerCpuArray, RingBuf},
    programs::UProbe,
};
use runtime_ebpf::{abi, counters, libraries as kernel, sockets::Connections};

use crate::libraries::{self, Flight, Library, bytes_of};
use crate::records::Gone;
pub use error::ProgramsError;
use error::{failed, missing_map};
use multi::Multi;
pub use multi::support as multi_support;
use open::Open;
use raw::{RawMap, raw};
pub use refusal::Refusal;
pub use rings::Rings;
use rings::{WAKE, Wake, large_bytes};
use sweep::Generations;
use tables::Table;
use verified::verified_instructions;

/// What is decided at load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoadOptions {
    /// Requests in flight and connections kept, over all processes, of each library.
    pub in_flight_entries: u32,
    /// Bytes of the record ring: a power of two, and a multiple of the page size.
    pub ring_bytes: u32,
    /// Whether requests are given their trace context.
    pub carries: bool,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self { in_flight_entries: 65_536, ring_bytes: 4 * 1024 * 1024, carries: true }
    }
}

/// A counter of the programs, summed over the processors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// Its exported name.
    pub name: &'static str,
    /// Its value.
    pub value: u64,
    /// Whether data is missing because of what it counts.
    pub is_loss: bool,
}

const PROCESSES: &str = "PROCESSES";
const FILES: &str = "FILES";
const TRACE_STATES: &str = "TRACE_STATES";
const CONTEXTS: &str = "CONTEXTS";
const CONNECTIONS: &str = "CONNECTIONS";
const CURRENT: &str = "CURRENT";
const COUNTERS: &str = "COUNTERS";

/// The loaded programs.
pub struct Programs {
    ebpf: Ebpf,
    generations: Generations,
    tables: Vec<Table>,
    /// The tables of which something is lost when a process ends.
    open: Vec<Open>,
    /// Of the larger ring.
    ring_bytes: usize,
    /// Where the kernel has `uprobe_multi`.
    multi: Option<Multi>,
}

impl Programs {
    /// Makes the maps. Programs are loaded by whoever needs them: a library's by [`Programs::set_file`]. Kernel 5.8.
    pub fn load(options: &LoadOptions) -> Result<Self, ProgramsError> {
        let secrets = [random()?, random()?];
        let wake_above = u64::from(options.ring_bytes) / 2;
        let flights = flights();
        let mut loader = EbpfLoader::new();
        // A refused program is verified again for its log, and again for a larger buffer: this log, the reason alone, is short.
        loader.verifier_log_level(VerifierLogLevel::STATS);
        loader.override_global("SECRET_A", &secrets[0], true).override_global("SECRET_B", &secrets[1], true);
        loader.override_global("WAKE_ABOVE_BYTES", &wake_above, true);
        let large = large_bytes(options.ring_bytes);
        let wake_above_large = u64::from(large) / 2;
        loader.override_global("WAKE_ABOVE_LARGE_BYTES", &wake_above_large, true);
        loader.map_max_entries("RECORDS", options.ring_bytes).map_max_entries("LARGE_RECORDS", large);
        loader.map_max_entries(CURRENT, options.in_flight_entries.saturating_mul(abi::PLACES));
        if !options.carries {
            loader.map_max_entries(TRACE_STATES, 1);
        }
        let sizes: Vec<u64> =
            flights.iter().map(|flight| u64::from(options.in_flight_entries / flight.part)).collect();
        for (flight, size) in flights.iter().zip(&sizes) {
            loader.override_global(flight.entries_global, size, true);
            loader.map_max_entries(flight.map, options.in_flight_entries / flight.part);
        }
        let ebpf = loader.load(runtime_ebpf::object())?;
        let multi = match multi::support() {
            Ok(()) => Some(Multi::new(runtime_ebpf::object(), &ebpf).map_err(ProgramsError::Relocate)?),
            Err(_) => None, // An older kernel. `Facts` has tried the same and says what a privilege is lacking for.
        };
        let open_at_exit = flights.iter().filter_map(Open::of).collect();
        let current = Table::of_nobody(CURRENT, size_of::<abi::Current>());
        let tables = flights.iter().zip(sizes).map(|(flight, size)| Table::of(flight, size));
        let tables = tables.chain([current]).collect();
        Ok(Self {
            ebpf,
            generations: Generations::default(),
            tables,
            open: open_at_exit,
            ring_bytes: options.ring_bytes.max(large) as usize,
            multi,
        })
    }

    /// Loads and verifies every library's programs; those that write into the target where the kernel allows that.
    pub fn load_all(&mut self, telling: bool) -> Result<(), ProgramsError> {
        libraries::ALL.iter().try_for_each(|library| self.load_library(*library))?;
        let writing: Vec<&str> =
            libraries::ALL.iter().flat_map(|library| library.telling()).map(|(_, name)| *name).collect();
        if telling { self.load_programs(&writing) } else { Ok(()) }
    }

    /// The library's program that the verifier had most work with, of those that are loaded, and how many instructions it walked for that. `None`:
    /// the kernel does not say (before Linux 5.16), or no program is loaded.
    pub fn largest(&self) -> Option<(&'static str, u32)> {
        let of = |library: &&'static dyn Library| {
            let roles = library.programs().iter().chain(library.telling()).map(|(_, name)| *name);
            roles.chain(library.tails().iter().copied())
        };
        let walked = |name: &'static str| Some((name, verified_instructions(self.descriptor(name).ok()?)?));
        libraries::ALL.iter().flat_map(of).filter_map(walked).max_by_key(|(_, walked)| *walked)
    }

    /// The object itself, for what brings programs of its own that serve no library (discovery, signals).
    pub fn ebpf_mut(&mut self) -> &mut Ebpf {
        &mut self.ebpf
    }

    /// Loads and verifies a library's programs, if they are not.
    pub fn load_library(&mut self, library: &dyn Library) -> Result<(), ProgramsError> {
        let roles = library.programs().iter().map(|(_, program)| *program);
        self.load_programs(&library.tails().iter().copied().chain(roles).collect::<Vec<_>>())?;
        let map = library.tail_map();
        for (index, name) in (0u32..).zip(library.tails()) {
            let fd = self.descriptor(name)?.as_raw_fd();
            let set = self.tails(map)?.update(&index.to_ne_bytes(), &fd.to_ne_bytes());
            set.map_err(|source| ProgramsError::Element { action: "writing to", map, source })?;
        }
        Ok(())
    }

    /// Loads and verifies these programs, by the way that all are attached, if they are not loaded.
    pub fn load_programs(&mut self, names: &[&'static str]) -> Result<(), ProgramsError> {
        if let Some(multi) = &mut self.multi {
            return multi.load(names);
        }
        for name in names {
            let program: &mut UProbe = self.program(name)?;
            match program.load() {
                Ok(()) | Err(aya::programs::ProgramError::AlreadyLoaded) => {}
                Err(source) => return Err(failed("loading", name, source)),
            }
        }
        Ok(())
    }

    /// A map of programs, which are numbers of descriptors to whoever writes to it.
    fn tails(&self, map: &'static str) -> Result<RawMap<'_>, ProgramsError> {
        match self.ebpf.map(map) {
            Some(aya::maps::Map::ProgramArray(map)) => Ok(RawMap { map, key_bytes: 4, value_bytes: 4 }),
            _ => Err(missing_map(map)),
        }
    }

    /// Takes the rings of records out, once.
    pub fn records(&mut self) -> Result<Rings, ProgramsError> {
        let wake = self.ebpf.take_map(WAKE).ok_or_else(|| missing_map(WAKE))?;
        let aya::maps::Map::Array(wake) = wake else { return Err(missing_map(WAKE)) };
        let rings = [self.ring("RECORDS")?, self.ring("LARGE_RECORDS")?];
        Ok(Rings::new(rings, Wake(wake), self.ring_bytes))
    }

    fn ring(&mut self, name: &'static str) -> Result<RingBuf<MapData>, ProgramsError> {
        let map = self.ebpf.take_map(name).ok_or_else(|| missing_map(name))?;
        RingBuf::try_from(map).map_err(|source| ProgramsError::Map { map: name, source })
    }

    /// The descriptor of a library's loaded program, for whoever attaches it (`guard::keeper`).
    pub fn descriptor(&self, name: &str) -> Result<BorrowedFd<'_>, ProgramsError> {
        let missing = || ProgramsError::Missing { kind: "program", name: name.to_owned() };
        if let Some(multi) = &self.multi {
            return multi.descriptor(name).ok_or_else(missing);
        }
        match self.ebpf.program(name).ok_or_else(missing)? {
            aya::programs::Program::UProbe(program) => {
                Ok(program.fd().map_err(|source| failed("using", name, source))?.as_fd())
            }
            _ => Err(missing()),
        }
    }

    /// Were the libraries' programs loaded for `uprobe_multi`?
    pub fn is_multi(&self) -> bool {
        self.multi.is_some()
    }

    fn program<'a, P>(&'a mut self, name: &str) -> Result<&'a mut P, ProgramsError>
    where
        &'a mut P: TryFrom<&'a mut aya::programs::Program, Error = aya::programs::ProgramError>,
    {
        let missing = || ProgramsError::Missing { kind: "program", name: name.to_owned() };
        let program = self.ebpf.program_mut(name).ok_or_else(missing)?;
        program.try_into().map_err(|source| failed("using", name, source))
    }

    /// Says what the file of this index is, to the core and to each of its libraries (whose values are
    /// [`Library::config`]'s), and loads the programs that it needs. Before any of its processes is traced.
    pub fn set_file(
        &mut self,
        index: u32,
        core: &abi::File,
        contexts: &abi::Contexts,
        connections: &Connections,
        libraries: &[(&'static dyn Library, Vec<u8>)],
    ) -> Result<(), ProgramsError> {
        // SAFETY: a File of the core is repr(C), integers without padding (pinned by a test in runtime-ebpf).
        self.write(FILES, &index.to_ne_bytes(), &unsafe { bytes_of(core) })?;
        if core.parents != 0 {
            // SAFETY: Contexts are repr(C), integers without padding (pinned by a test in runtime-ebpf).
            self.write(CONTEXTS, &index.to_ne_bytes(), &unsafe { bytes_of(contexts) })?;
        }
        // SAFETY: as above.
        self.write(CONNECTIONS, &index.to_ne_bytes(), &unsafe { bytes_of(connections) })?;
        self.add_libraries(index, libraries)
    }

    /// More of what is in that file.
    pub fn add_libraries(
        &mut self,
        index: u32,
        libraries: &[(&'static dyn Library, Vec<u8>)],
    ) -> Result<(), ProgramsError> {
        for (library, value) in libraries {
            self.load_library(*library)?;
            if let Some(map) = library.file_map() {
                self.write(map, &index.to_ne_bytes(), value)?;
            }
        }
        Ok(())
    }

    /// From now on the programs trace this process. Its `generation` must be one that this tgid has not had.
    pub fn trace(&mut self, tgid: u32, process: abi::Process) -> Result<(), ProgramsError> {
        tables::forget(&mut self.tables, &self.ebpf, tgid)?;
        // SAFETY: a Process is repr(C), integers without padding (pinned by a test in runtime-ebpf).
        self.write(PROCESSES, &tgid.to_ne_bytes(), &unsafe { bytes_of(&process) })?;
        self.generations.begin(tgid, process.generation, Instant::now());
        Ok(())
    }

    /// From now on they do not, since it has ended or goes on without. What it has in flight is as good as none, and swept later.
    pub fn forget(&mut self, tgid: u32, has_ended: bool) -> Result<(), ProgramsError> {
        let key = tgid.to_ne_bytes();
        let deleted = self.raw(PROCESSES, key.len(), size_of::<abi::Process>())?.delete(&key);
        deleted.map_err(|source| ProgramsError::Element { action: "writing to", map: PROCESSES, source })?;
        let before = self.generations.end(tgid, Instant::now(), has_ended);
        tables::forget(&mut self.tables, &self.ebpf, tgid)?;
        if let Some(generation) = before {
            open::count(&mut self.open, &self.ebpf, tgid, generation)?;
        }
        Ok(())
    }

    /// Removes some of what processes that have ended left in the in-flight tables, and of what a process has too much of; gives how many
    /// entries. To be called now and then: each call looks at a part of each table where anything is to go, and at none otherwise.
    pub fn sweep(&mut self) -> Result<u64, ProgramsError> {
        let mut removed = 0;
        if self.generations.forget_old(Instant::now()) {
            self.tables.iter_mut().for_each(Table::wake);
        }
        for table in &mut self.tables {
            removed += table.sweep(&self.ebpf, &self.generations)?;
        }
        Ok(removed)
    }

    /// Whether it is to be called again at once: there is room to be made that others need.
    pub fn is_in_haste(&self) -> bool {
        self.generations.has_news() || self.tables.iter().any(|table| table.is_in_haste)
    }

    /// What processes have left that go on: it is gone from the tables and counted, since the last call.
    pub fn gone(&mut self) -> Vec<Gone> {
        self.tables.iter_mut().flat_map(Table::gone).collect()
    }

    fn raw(
        &self,
        map: &'static str,
        key_bytes: usize,
        value_bytes: usize,
    ) -> Result<RawMap<'_>, ProgramsError> {
        raw(&self.ebpf, map, key_bytes, value_bytes)
    }

    fn write(&self, map: &'static str, key: &[u8], value: &[u8]) -> Result<(), ProgramsError> {
        let written = self.raw(map, key.len(), value.len())?.update(key, value);
        written.map_err(|source| ProgramsError::Element { action: "writing to", map, source })
    }

    /// All counters, the core's and every library's.
    pub fn counters(&self) -> Result<Vec<Counted>, ProgramsError> {
        let error = |source| ProgramsError::Map { map: COUNTERS, source };
        let data = self.ebpf.map(COUNTERS).ok_or_else(|| missing_map(COUNTERS))?;
        let array: PerCpuArray<_, u64> = PerCpuArray::try_from(data).map_err(error)?;
        let core = (0, counters::ALL);
        let all = kernel::ALL.iter().map(|library| (u32::from(library.code), library.counters));
        let mut counted = Vec::new();
        for (code, table) in std::iter::once(core).chain(all) {
            for (index, count) in (code * counters::PER_LIBRARY..).zip(table) {
                let value = array.get(&index, 0).map_err(error)?.iter().sum();
                counted.push(Counted { name: count.name, value, is_loss: count.is_loss });
            }
        }
        let open = self.open.iter();
        counted.extend(open.map(|open| Counted {
            name: open.lost.at_exit,
            value: open.count,
            is_loss: true,
        }));
        let gave_way = self.tables.iter().filter_map(|table| table.give_way.as_ref());
        counted.extend(gave_way.map(|table| {
            let (name, is_loss) = table.counter();
            Counted { name, value: table.count, is_loss }
        }));
        let read_again = self.tables.iter().map(|table| table.read_again).sum();
        counted.push(Counted { name: "tables.read_again", value: read_again, is_loss: false });
        Ok(counted)
    }
}

/// The libraries' in-flight tables, each once: libraries of a kind share one.
fn flights() -> Vec<Flight> {
    let mut flights: Vec<Flight> = Vec::new();
    for flight in libraries::ALL.iter().filter_map(|library| library.flight()) {
        if !flights.contains(&flight) {
            flights.push(flight);
        }
    }
    flights
}

/// Eight random bytes.
fn random() -> Result<u64, ProgramsError> {
    let mut bytes = [0u8; 8];
    // SAFETY: the buffer is ours and its size is stated. Up to 256 bytes come whole, or the call fails.
    let got = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
    if got != 8 {
        return Err(ProgramsError::Random(io::Error::last_os_error()));
    }
    Ok(u64::from_ne_bytes(bytes))
}

#[cfg(test)]
mod tests;
