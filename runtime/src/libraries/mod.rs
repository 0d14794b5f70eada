//! The libraries that this agent traces: what each one's programs are, and how a Plan becomes their configuration.
//!
//! One module per library, one line in the table below. Nothing outside a library's own modules names it.

pub mod join;

use analyzer::{
    Plan,
    plan::{self, Arch, Function, MapImplementation, MapLayout},
};
use runtime_ebpf::{
    abi::{
        self, CHECK_BELOW, CHECK_BELOW_OR_EQUAL, CHECK_NONE, HEADERS_HMAP, HEADERS_NONE, HEADERS_SWISS,
        MapWalk, NO_OFFSET, SWITCH_IGNORE_PARENT, SWITCH_NO_TEXT,
    },
    sampler::Sampler,
};

macro_rules! libraries {
    ($($module:ident::$library:ident;)+) => {
        $(mod $module;)+

        /// All libraries that this agent traces.
        pub const ALL: &[&dyn Library] = &[$(&$module::$library),+];
    };
}

// The agent's table: a line per library.
libraries! {
    net_http_server::NetHttpServer;
}

/// What the agent has to know of a library.
pub trait Library: Sync {
    /// Catalog id.
    fn id(&self) -> &'static str;
    /// Its code in a record's head (`runtime_ebpf::libraries`).
    fn code(&self) -> u16;
    /// The program for each role of the catalog entry; what begins a span stands in front of what ends it.
    fn programs(&self) -> &'static [(&'static str, &'static str)];
    /// Programs that the others go on in, in the order of their places in [`Library::tail_map`].
    fn tails(&self) -> &'static [&'static str] {
        &[]
    }
    /// The map that holds them.
    fn tail_map(&self) -> &'static str {
        ""
    }
    /// The map of its configurations, an array by file index.
    fn file_map(&self) -> &'static str;
    /// The map of what is open between two hits, if it has one.
    fn flight(&self) -> Option<Flight> {
        None
    }
    /// The value of [`Library::file_map`] for the files of a Plan.
    fn config(&self, library: &plan::Library, plan: &Plan) -> Result<Vec<u8>, ConfigError>;
    /// What makes spans of its records.
    fn joiner(&self) -> Box<dyn join::Joiner>;
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
}

/// The library of this catalog id, if this agent traces it.
pub fn by_id(id: &str) -> Option<&'static dyn Library> {
    ALL.iter().copied().find(|library| library.id() == id)
}

/// Ids of the catalog entries that this agent traces, for messages.
pub fn ids() -> String {
    ALL.iter().map(|library| library.id()).collect::<Vec<_>>().join(", ")
}

/// What joins the records of each library, by the library's code.
pub fn joiners() -> Vec<(u16, Box<dyn join::Joiner>)> {
    ALL.iter().map(|library| (library.code(), library.joiner())).collect()
}

/// Whose trace a request belongs to and whether it is recorded: the same for every library.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sampling {
    /// Who is sampled.
    pub sampler: Sampler,
    /// Whether a remote parent is looked for.
    pub extract: bool,
    /// Whether requests are taken field by field, never as text.
    pub fields_only: bool,
}

impl Sampling {
    /// `SWITCH_` bits.
    pub fn switches(self) -> u32 {
        let unless = |condition: bool, switch| if condition { 0 } else { switch };
        unless(self.extract, SWITCH_IGNORE_PARENT) | unless(!self.fields_only, SWITCH_NO_TEXT)
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

/// What the core needs to know of a file, from whichever of its libraries' fields name it.
pub fn core(plan: &Plan) -> abi::File {
    let field = |type_name: &str, field: &str, multiple: u64| {
        let found = plan.libraries.iter().map(|library| offset_of(library, type_name, field, multiple));
        found.flatten().next().unwrap_or(NO_OFFSET)
    };
    abi::File {
        g_goid: field("runtime.g", "goid", 8),
        g_panic: field("runtime.g", "_panic", 8),
        panic_arg: field("runtime._panic", "arg", 8),
        panic_goexit: field("runtime._panic", "goexit", 1),
    }
}

/// The bytes of a map's value.
///
/// # Safety
///
/// `V` is repr(C), of integers and byte arrays, without padding.
pub unsafe fn bytes_of<V: Copy>(value: &V) -> Vec<u8> {
    // SAFETY: the value is borrowed for as long as the slice, and all its bytes are initialised, having no padding.
    unsafe { std::slice::from_raw_parts(std::ptr::from_ref(value).cast::<u8>(), size_of::<V>()) }.to_vec()
}

/// The offset of a field, or [`NO_OFFSET`] where nobody knows it or the programs cannot use it.
fn offset(library: &plan::Library, type_name: &str, field: &str, limit: u64) -> u16 {
    offset_of(library, type_name, field, 8).filter(|offset| u64::from(*offset) <= limit).unwrap_or(NO_OFFSET)
}

/// The offset of a field, if it is a multiple of that and the programs can use it.
fn offset_of(library: &plan::Library, type_name: &str, field: &str, multiple: u64) -> Option<u16> {
    let found = library.fields.iter().find(|f| f.type_name == type_name && f.field == field)?;
    let offset = u16::try_from(found.offset?).ok()?;
    (offset <= abi::MAX_OFFSET && u64::from(offset).is_multiple_of(multiple)).then_some(offset)
}

/// The function that the Plan chose for a role.
fn role<'a>(library: &'a plan::Library, role: &str) -> Option<&'a Function> {
    library.functions.iter().find(|f| f.role == role && !f.sites.is_empty())
}

/// How a `map[string][]string` of this layout is walked; not at all where the programs do not know it.
fn walk(map: Option<&MapLayout>) -> MapWalk {
    let none = MapWalk {
        stride: 0,
        key_stride: 0,
        elems: 0,
        elem_stride: 0,
        overflow: 0,
        kind: HEADERS_NONE,
        reserved: 0,
    };
    let Some(map) = map else { return none };
    let (kind, overflow) = match map.implementation {
        Some(MapImplementation::Swiss) => (HEADERS_SWISS, 0),
        // A bucket's last word.
        Some(MapImplementation::Hmap) => (HEADERS_HMAP, map.group_size.saturating_sub(8)),
        None => return none,
    };
    let numbers = [map.group_size, map.key_stride, map.elems_offset, map.elem_stride, overflow];
    let fits = numbers.iter().all(|number| *number < u64::from(abi::MAX_OFFSET)) && map.keys_offset == 8;
    let [stride, key_stride, elems, elem_stride, overflow] =
        numbers.map(|number| u16::try_from(number).unwrap_or(0));
    if fits { MapWalk { stride, key_stride, elems, elem_stride, overflow, kind, reserved: 0 } } else { none }
}

/// Which flags mean, at the site with these bytes, that the stack check fails and the function starts again.
///
/// amd64: `jbe` is 76 or 0f 86, `jb` 72 or 0f 82 (Intel SDM vol. 2, Jcc). arm64: `b.cond` is 0x54 in the top byte with the
/// condition in the low nibble, 9 for LS and 3 for LO (Arm ARM, C1.2.4).
pub fn stack_check(arch: Arch, bytes: &str) -> u8 {
    match arch {
        Arch::Amd64 if bytes.starts_with("76") || bytes.starts_with("0f86") => CHECK_BELOW_OR_EQUAL,
        Arch::Amd64 if bytes.starts_with("72") || bytes.starts_with("0f82") => CHECK_BELOW,
        // Little endian: the low nibble of the first byte, the opcode in the last.
        Arch::Arm64 if bytes.len() == 8 && bytes.ends_with("54") && bytes[..2].ends_with('9') => {
            CHECK_BELOW_OR_EQUAL
        }
        Arch::Arm64 if bytes.len() == 8 && bytes.ends_with("54") && bytes[..2].ends_with('3') => CHECK_BELOW,
        _ => CHECK_NONE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stack_checks_are_told_by_their_bytes() {
        for (arch, bytes, expected) in [
            (Arch::Amd64, "55", CHECK_NONE),
            (Arch::Amd64, "7640", CHECK_BELOW_OR_EQUAL),
            (Arch::Amd64, "0f8612030000", CHECK_BELOW_OR_EQUAL),
            (Arch::Amd64, "0f8212030000", CHECK_BELOW),
            (Arch::Arm64, "e9050054", CHECK_BELOW_OR_EQUAL),
            (Arch::Arm64, "e3050054", CHECK_BELOW),
            (Arch::Arm64, "fe0f1ff8", CHECK_NONE),
        ] {
            assert_eq!(stack_check(arch, bytes), expected, "{arch:?} {bytes}");
        }
    }
}
