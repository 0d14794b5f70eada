//! What the agent has to know of a library, whichever it is.

use analyzer::{Plan, plan};
use runtime_ebpf::abi::{SPAN_BYTES, SPAN_STATE_AT};

use super::join;
use crate::spans::Kind;

/// What the agent has to know of a library.
pub trait Library: Sync {
    /// Catalog id.
    fn id(&self) -> &'static str;
    /// Its code in a record's head (`runtime_ebpf::libraries`).
    fn code(&self) -> u16;
    /// What its spans are, by which they can be switched off together.
    fn kind(&self) -> Kind;
    /// Whether it makes spans. Otherwise it adds to those of servers, and means nothing in a file without one that is traced.
    fn makes_spans(&self) -> bool {
        true
    }
    /// Whether its probes are put into a file only when a server's spans there lack what it adds ([`crate::guard::Wish`]).
    fn waits_until_missed(&self) -> bool {
        false
    }
    /// The program for each role of the catalog entry; what begins a span stands in front of what ends it.
    fn programs(&self) -> &'static [(&'static str, &'static str)];
    /// Roles that are there so that a trace goes on in another service, and are of no use otherwise.
    fn correlating(&self) -> &'static [&'static str] {
        &[]
    }
    /// Whether a role's probes are put into this file: some are of use only together, or where the binary says enough, and some only where its
    /// requests carry trace contexts, or do not.
    fn takes(&self, _role: &str, _library: &plan::Library, _carries: bool) -> bool {
        true
    }
    /// Roles, and the programs that they have where the kernel lets probes write, in place of their own or for the first time: these write the
    /// ids of spans into the target.
    fn telling(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }
    /// What they do for those whom the program calls, in its requests, where that is what they do, and not for the program itself.
    fn carriers(&self) -> &'static [Carrier] {
        &[]
    }
    /// Whether what a carrier's programs take for granted is so in this file.
    fn may_carry(&self, _carrier: &Carrier, _library: &plan::Library, _plan: &Plan) -> bool {
        false
    }
    /// The same of programs that tell the program itself.
    fn may_tell(&self, _library: &plan::Library, _plan: &Plan) -> bool {
        false
    }
    /// Programs that the others go on in, in the order of their places in [`Library::tail_map`].
    fn tails(&self) -> &'static [&'static str] {
        &[]
    }
    /// The map that holds them.
    fn tail_map(&self) -> &'static str {
        ""
    }
    /// The map of its configurations, an array by file index, if it has any.
    fn file_map(&self) -> Option<&'static str>;
    /// The map of what is open between two hits, if it has one.
    fn flight(&self) -> Option<Flight> {
        None
    }
    /// Whether it asks for parents within the process: it makes calls.
    fn asks_for_parents(&self) -> bool {
        false
    }
    /// Whether its operations may be parts of another server's, in a file that has one: then they ask for parents, too.
    fn is_served_within_another(&self) -> bool {
        false
    }
    /// The value of [`Library::file_map`] for the files of a Plan.
    fn config(&self, library: &plan::Library, plan: &Plan) -> Result<Vec<u8>, ConfigError>;
    /// What makes spans of its records.
    fn joiner(&self) -> Box<dyn join::Joiner>;
}

/// A way in which trace contexts go out with a program's requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Carrier {
    /// What carries them.
    pub what: &'static str,
    /// The roles that are needed for it.
    pub roles: &'static [&'static str],
}

/// A library's in-flight table, as far as the agent has to know it. Keys are two words, goroutine and tgid; a value's first four
/// bytes are its generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flight {
    /// The table.
    pub map: &'static str,
    /// Bytes of a value.
    pub value_bytes: usize,
    /// The map whose word 1 takes the number of entries that the agent has removed.
    pub use_map: &'static str,
    /// The global that is told the table's size.
    pub entries_global: &'static str,
    /// It has room for one of so many of the requests that may be in flight: 1 for all of them.
    pub part: u32,
    /// What of it is lost when it never ends, where the agent knows of no beginning.
    pub lost: Option<NeverEnded>,
    /// What of it gives way when a process has too much, the oldest first; `None`: nothing does.
    pub gives_way: Option<GivesWay>,
}

/// Entries that the agent removes before a process has no room for others: what it never ends may be more than any table has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GivesWay {
    /// Where those are counted that did; of those that are lost so, if any are.
    pub counter: &'static str,
    /// Whether the agent knows of no beginning, so that nobody else counts them.
    pub is_loss: bool,
    /// The state of such an entry has one of these bits.
    pub states: u32,
    /// Where such an entry says the address by which it is found, if others of the table are found by other addresses, and belong to goroutines.
    pub address_at: Option<usize>,
    /// The table's place among those that count how much of them a process has.
    pub table: usize,
}

impl GivesWay {
    /// Whether it is one of those. Keys begin with the address.
    pub fn is(&self, key: &[u8], entry: &[u8]) -> bool {
        let is_found_by_it =
            |at: usize| key.first_chunk::<8>().map(<[u8; 8]>::as_slice) == entry.get(at..at + 8);
        word(entry, SPAN_STATE_AT).is_some_and(|state| state & self.states != 0)
            && self.address_at.is_none_or(is_found_by_it)
    }
}

/// A word of an entry.
fn word(entry: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(entry.get(at..at + 4)?.try_into().ok()?))
}

/// Entries of which a span would have come, had they ended. They begin with a `Span` of the programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NeverEnded {
    /// Where those are counted that their process had when it ended.
    pub at_exit: &'static str,
    /// The bits that their state has.
    pub state: u32,
    /// The library's own numbers of the operations that count.
    pub kinds: &'static [u32],
}

impl NeverEnded {
    /// Whether an entry is one of those.
    pub fn is(&self, entry: &[u8], generation: u32) -> bool {
        const OWN: usize = SPAN_BYTES - 4;
        let is_recorded = |state: u32| state & self.state == self.state;
        word(entry, 0) == Some(generation)
            && word(entry, SPAN_STATE_AT).is_some_and(is_recorded)
            && word(entry, OWN).is_some_and(|own| self.kinds.contains(&own))
    }
}

/// Why a ready library of a Plan could not be turned into a configuration: the Plan and the agent disagree.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A role without which nothing works has no site.
    #[error("{library}: the plan has no site for the role `{role}`")]
    NoSite {
        /// Catalog id.
        library: &'static str,
        /// Role name.
        role: &'static str,
    },
    /// A required offset is missing or beyond what the programs can read.
    #[error(
        "{library}: {type_name}.{field}: the offset {offset:?} is not usable (a multiple of 8 up to {limit})"
    )]
    Offset {
        /// Catalog id.
        library: &'static str,
        /// Go type.
        type_name: &'static str,
        /// Its field.
        field: &'static str,
        /// What the plan says.
        offset: Option<u64>,
        /// What the programs can do.
        limit: u64,
    },
    /// A required itab is missing.
    #[error("{library}: the plan has no address for the itab ({interface}, {concrete})")]
    Itab {
        /// Catalog id.
        library: &'static str,
        /// Interface type.
        interface: &'static str,
        /// Concrete type.
        concrete: &'static str,
    },
}
