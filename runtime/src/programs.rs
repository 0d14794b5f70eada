//! The eBPF programs in the kernel: loaded once for all processes, attached per file (field-notes §2; house.md, decision 4).

use std::{io, path::Path};

use aya::{
    Ebpf, EbpfLoader, Pod,
    maps::{HashMap, MapData, PerCpuArray, RingBuf},
    programs::{
        UProbe,
        uprobe::{UProbeAttachLocation, UProbeLink, UProbeScope},
    },
};
use runtime_ebpf::{counters, net_http_server as abi};

use crate::{features::PidNamespace, libraries::net_http_server};

/// What went wrong between the agent and the kernel.
#[derive(Debug, thiserror::Error)]
pub enum ProgramsError {
    /// The object did not load: the verifier, a missing map type, a missing privilege.
    #[error("loading the eBPF object: {0}")]
    Load(#[from] aya::EbpfError),
    /// One program did not load or attach.
    #[error("{action} the eBPF program `{program}`: {source}")]
    Program {
        /// `loading`, `attaching`.
        action: &'static str,
        /// Its name in the object.
        program: String,
        /// What the kernel said.
        source: Box<aya::programs::ProgramError>,
    },
    /// A map could not be read or written.
    #[error("the eBPF map `{map}`: {source}")]
    Map {
        /// Its name in the object.
        map: &'static str,
        /// What the kernel said.
        source: aya::maps::MapError,
    },
    /// The object lacks what the agent expects: they are of different versions.
    #[error("the eBPF object has no {kind} `{name}`: run scripts/build-ebpf")]
    Missing {
        /// `program` or `map`.
        kind: &'static str,
        /// Its name.
        name: String,
    },
}

/// A process's configuration as a map value.
#[repr(transparent)]
#[derive(Clone, Copy)]
struct ConfigValue(abi::Config);

// SAFETY: repr(C), integers only, no padding (its size is pinned by a test in runtime-ebpf).
unsafe impl Pod for ConfigValue {}

/// The key of an in-flight entry.
#[repr(C)]
#[derive(Clone, Copy)]
struct FlightKey {
    goroutine: u64,
    tgid: u64,
}

// SAFETY: repr(C), two words.
unsafe impl Pod for FlightKey {}

/// The value of an in-flight entry, of which user space reads nothing.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct FlightValue([u8; abi::IN_FLIGHT_BYTES]);

// SAFETY: bytes.
unsafe impl Pod for FlightValue {}

/// The loaded programs.
pub struct Programs {
    ebpf: Ebpf,
}

impl Programs {
    /// Loads and verifies everything but the bench's `floor` programs. Kernel 5.8.
    pub fn load(namespace: PidNamespace) -> Result<Self, ProgramsError> {
        let mut loader = EbpfLoader::new();
        loader.override_global("PID_NS_DEV", &namespace.dev, true);
        loader.override_global("PID_NS_INO", &namespace.ino, true);
        let mut ebpf = loader.load(runtime_ebpf::object())?;
        for (name, program) in ebpf.programs_mut() {
            // The bench's, and those that `discover` and `exec` load where they need them.
            if ["floor", "process_", "command_"].iter().any(|prefix| name.starts_with(prefix)) {
                continue;
            }
            let failed = |source| failed("loading", name, source);
            match program {
                aya::programs::Program::UProbe(program) => program.load().map_err(failed)?,
                _ => return Err(ProgramsError::Missing { kind: "uprobe program", name: name.to_owned() }),
            }
        }
        Ok(Self { ebpf })
    }

    /// The loaded object, for the programs about processes, which are `discover`'s.
    pub fn ebpf_mut(&mut self) -> &mut Ebpf {
        &mut self.ebpf
    }

    /// Takes a ring out, once.
    pub fn ring(&mut self, name: &'static str) -> Result<RingBuf<MapData>, ProgramsError> {
        let map = self.ebpf.take_map(name).ok_or_else(|| missing_map(name))?;
        RingBuf::try_from(map).map_err(|source| ProgramsError::Map { map: name, source })
    }

    /// Puts a probe at `file_offset` of the file that `path` names, for all its processes. Dropping the link removes it.
    pub fn attach(&mut self, name: &str, path: &Path, file_offset: u64) -> Result<UProbeLink, ProgramsError> {
        let failed = |source| failed("attaching", name, source);
        let program: &mut UProbe = self.program(name)?;
        let location = UProbeAttachLocation::AbsoluteOffset(file_offset);
        let id = program.attach(location, path, UProbeScope::AllProcesses).map_err(failed)?;
        program.take_link(id).map_err(failed)
    }

    fn program<'a, P>(&'a mut self, name: &str) -> Result<&'a mut P, ProgramsError>
    where
        &'a mut P: TryFrom<&'a mut aya::programs::Program, Error = aya::programs::ProgramError>,
    {
        let missing = || ProgramsError::Missing { kind: "program", name: name.to_owned() };
        let program = self.ebpf.program_mut(name).ok_or_else(missing)?;
        program.try_into().map_err(|source| failed("using", name, source))
    }

    /// From now on the programs trace this process.
    pub fn configure(&mut self, tgid: u32, config: abi::Config) -> Result<(), ProgramsError> {
        let map = net_http_server::PROCESSES;
        let error = |source| ProgramsError::Map { map, source };
        self.processes()?.insert(tgid, ConfigValue(config), 0).map_err(error)
    }

    /// From now on they do not; gives the number of its requests that were in flight.
    pub fn forget(&mut self, tgid: u32) -> Result<usize, ProgramsError> {
        let map = net_http_server::PROCESSES;
        match self.processes()?.remove(&tgid) {
            Ok(()) | Err(aya::maps::MapError::KeyNotFound) => {}
            Err(aya::maps::MapError::SyscallError(e)) if e.io_error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(ProgramsError::Map { map, source }),
        }
        let map = net_http_server::IN_FLIGHT;
        let error = |source| ProgramsError::Map { map, source };
        let data = self.ebpf.map_mut(map).ok_or_else(|| missing_map(map))?;
        let mut flights: HashMap<_, FlightKey, FlightValue> = HashMap::try_from(data).map_err(error)?;
        let mut open: Vec<FlightKey> = Vec::new();
        for key in flights.keys() {
            let key = key.map_err(error)?;
            if key.tgid == u64::from(tgid) {
                open.push(key);
            }
        }
        let mut removed = 0;
        for key in open {
            removed += usize::from(flights.remove(&key).is_ok());
        }
        Ok(removed)
    }

    fn processes(&mut self) -> Result<HashMap<&mut MapData, u32, ConfigValue>, ProgramsError> {
        let map = net_http_server::PROCESSES;
        let data = self.ebpf.map_mut(map).ok_or_else(|| missing_map(map))?;
        HashMap::try_from(data).map_err(|source| ProgramsError::Map { map, source })
    }

    /// All counters, summed over the processors.
    pub fn counters(&self) -> Result<Vec<(&'static str, u64)>, ProgramsError> {
        let map = "COUNTERS";
        let error = |source| ProgramsError::Map { map, source };
        let data = self.ebpf.map(map).ok_or_else(|| missing_map(map))?;
        let array: PerCpuArray<_, u64> = PerCpuArray::try_from(data).map_err(error)?;
        let read = |&(counter, name): &(counters::Counter, &'static str)| {
            let values = array.get(&(counter as u32), 0).map_err(error)?;
            Ok((name, values.iter().sum()))
        };
        counters::ALL.iter().map(read).collect()
    }
}

fn failed(action: &'static str, program: &str, source: aya::programs::ProgramError) -> ProgramsError {
    ProgramsError::Program { action, program: program.to_owned(), source: Box::new(source) }
}

fn missing_map(name: &str) -> ProgramsError {
    ProgramsError::Missing { kind: "map", name: name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Needs root and a kernel with BPF: a verifier is the only judge of these programs.
    #[test]
    fn the_verifier_accepts_all_programs() {
        let namespace = PidNamespace::current().expect("a PID namespace");
        let mut programs = Programs::load(namespace).unwrap_or_else(|error| {
            let mut source: Option<&dyn std::error::Error> = Some(&error);
            let mut text = String::from("this test needs root and BPF: ");
            while let Some(error) = source {
                text.push_str(&error.to_string());
                text.push('\n');
                source = error.source();
            }
            panic!("{text}")
        });
        assert!(programs.counters().expect("counters").iter().all(|(_, value)| *value == 0));
        assert_eq!(programs.forget(1).expect("no process"), 0);
    }
}
