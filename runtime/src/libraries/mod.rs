//! What the agent knows of each library it traces: its programs, its maps, and how a Plan becomes its configuration.
//!
//! One module per library. A program's name is the library's id and the role, `net_http_server_start`.

pub mod join;
pub mod net_http_server;

use analyzer::plan::{Arch, Function, Library};
use runtime_ebpf::{
    libraries::NET_HTTP_SERVER,
    net_http_server::{CHECK_BELOW, CHECK_BELOW_OR_EQUAL, CHECK_NONE, NO_OFFSET},
    sampler::Sampler,
};

/// Ids of the catalog entries that this agent traces.
pub const TRACED: &[&str] = &[net_http_server::ID];

/// What joins the records of each library, by the library's code.
pub fn joiners() -> Vec<(u16, Box<dyn join::Joiner>)> {
    vec![(NET_HTTP_SERVER.code, Box::new(crate::spans::net_http_server::Joiner::default()))]
}

/// Whose trace a request belongs to and whether it is recorded: the same for every library.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sampling {
    /// Who is sampled.
    pub sampler: Sampler,
    /// Whether a remote parent is looked for.
    pub extract: bool,
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

/// The name of the program that serves `role` of the library `id`.
pub fn program_name(id: &str, role: &str) -> String {
    let mut name: String = id.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    name.push('_');
    name.push_str(role);
    name
}

/// The offset of a field, or [`NO_OFFSET`] where nobody knows it or the programs cannot use it.
fn offset(library: &Library, type_name: &str, field: &str, limit: u64) -> u16 {
    let found = library.fields.iter().find(|f| f.type_name == type_name && f.field == field);
    match found.and_then(|f| f.offset) {
        Some(offset) if offset <= limit && offset % 8 == 0 => u16::try_from(offset).unwrap_or(NO_OFFSET),
        _ => NO_OFFSET,
    }
}

/// The function that the Plan chose for a role.
fn role<'a>(library: &'a Library, role: &str) -> Option<&'a Function> {
    library.functions.iter().find(|f| f.role == role && !f.sites.is_empty())
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

    #[test]
    fn programs_are_named_after_library_and_role() {
        assert_eq!(program_name("net/http.server", "start"), "net_http_server_start");
    }
}
