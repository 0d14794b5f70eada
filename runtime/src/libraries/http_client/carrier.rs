//! What the program needs to know of a binary that writes the trace context into requests over HTTP/1.x, from the library's part of the
//! Plan (docs/decisions/propagation-writes.md).

use analyzer::{
    Plan,
    plan::{self, When, Word},
};
use offsets::abi::integer_registers;
use runtime_ebpf::{
    abi::{HEADERS_NONE, NO_OFFSET},
    http_client::Carrier,
};

use crate::libraries::values::{offset, role, walk};

const WRITER: &str = "bufio.Writer";
/// Roles without which nothing is written.
const ROLES: [&str; 2] = ["conn", "header"];
/// Beyond these a `bufio.Writer`, of 64 bytes, has nothing.
const WRITER_BYTES: u64 = 64;
/// The values of the site, and the words of the arguments that the program takes for them.
const VALUES: [(&str, &[usize]); 3] = [("header", &[0]), ("writer", &[1, 2]), ("exclude", &[3])];

/// As far as it is known.
pub fn carrier(library: &plan::Library) -> Carrier {
    let itab = |concrete: &str| {
        let is_it = |itab: &&plan::Itab| itab.interface == "io.Writer" && itab.concrete == concrete;
        library.itabs.iter().find(is_it).and_then(|itab| itab.vaddr).unwrap_or(0)
    };
    let field = |name, bytes| offset(library, WRITER, name, WRITER_BYTES - bytes);
    Carrier {
        buffered_itab: itab("*bufio.Writer"),
        connection_itab: itab("net/http.persistConnWriter"),
        walk: walk(library.maps.iter().find(|map| map.type_name == "map[string][]string")),
        buffer: field("buf", 16),
        used: field("n", 8),
        below: field("wr", 16),
        reserved: [0; 6],
    }
}

/// Whether all is known that writing takes, and the arguments are where the program takes them from.
pub fn is_sure(library: &plan::Library, plan: &Plan) -> bool {
    let carrier = carrier(library);
    let offsets = [carrier.buffer, carrier.used, carrier.below];
    let knows_all = carrier.buffered_itab != 0
        && carrier.connection_itab != 0
        && carrier.walk.kind != HEADERS_NONE
        && !offsets.contains(&NO_OFFSET);
    knows_all && ROLES.iter().all(|name| role(library, name).is_some()) && has_arguments(library, plan)
}

fn has_arguments(library: &plan::Library, plan: &Plan) -> bool {
    let Some(header) = role(library, "header") else { return false };
    let registers = integer_registers(plan.arch.name());
    let is_there = |(name, words): (&str, &[usize])| {
        let Some(value) = header.values.iter().find(|value| value.name == name) else { return false };
        let wanted = words.iter().map(|word| registers.get(*word).copied());
        let found = value.words.iter().map(|word| match word {
            Word::Register(register) => Some(register.as_str()),
            _ => None,
        });
        found.eq(wanted)
    };
    header.sites.iter().all(|site| site.when == When::Call) && VALUES.into_iter().all(is_there)
}
