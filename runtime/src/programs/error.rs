//! What went wrong between the agent and the kernel.

use std::io;

use aya::maps::MapError;

use super::refusal::Refusal;
use crate::causes::chain;

/// What went wrong between the agent and the kernel.
#[derive(Debug, thiserror::Error)]
pub enum ProgramsError {
    /// The object did not load: a missing map type, a missing privilege.
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
        source: Box<Refusal>,
    },
    /// A map could not be used.
    #[error("the eBPF map `{map}`: {}", chain(source))]
    Map {
        /// Its name in the object.
        map: &'static str,
        /// What the kernel said.
        source: MapError,
    },
    /// An element of a map could not be read or written.
    #[error("{action} the eBPF map `{map}`: {source}")]
    Element {
        /// `reading`, `writing to`, `sweeping`.
        action: &'static str,
        /// Its name in the object.
        map: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// The object lacks what the agent expects: they are of different versions.
    #[error("the eBPF object has no {kind} `{name}`: run scripts/build-ebpf")]
    Missing {
        /// `program` or `map`.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// The programs of the object could not be joined with its maps.
    #[error("relocating the eBPF object: {0:#}")]
    Relocate(anyhow::Error),
    /// A program did not load for `uprobe_multi`.
    #[error("loading the eBPF program `{program}` for uprobe_multi: {source}")]
    Multi {
        /// Its name in the object.
        program: &'static str,
        /// What the kernel said.
        source: Box<Refusal>,
    },
    /// There are no random numbers for the ids of spans.
    #[error("asking the kernel for random numbers (getrandom): {0}")]
    Random(io::Error),
}

pub(super) fn failed(
    action: &'static str,
    program: &str,
    source: aya::programs::ProgramError,
) -> ProgramsError {
    ProgramsError::Program { action, program: program.to_owned(), source: Box::new(source.into()) }
}

pub(super) fn missing_map(name: &str) -> ProgramsError {
    ProgramsError::Missing { kind: "map", name: name.to_owned() }
}
