//! What a Plan says, as the programs want to be told it.

use analyzer::{
    Plan,
    plan::{self, Arch, Function, MapImplementation, MapLayout, When, Word},
};
use offsets::abi::integer_registers;
use runtime_ebpf::abi::{
    self, CHECK_BELOW, CHECK_BELOW_OR_EQUAL, CHECK_NONE, HEADERS_HMAP, HEADERS_NONE, HEADERS_SWISS, MapWalk,
    NO_OFFSET,
};

use super::library::ConfigError;

/// For a field that is read by itself.
pub(super) const ANYWHERE: u64 = abi::MAX_OFFSET as u64;

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
        g_parent_goid: field("runtime.g", "parentGoid", 8),
        parents: 0,
        // runtime.stack is {lo, hi uintptr}, as assembly of every Go since 1.4 relies on (runtime/runtime2.go).
        g_stack_hi: field("runtime.g", "stack", 8).checked_add(8).unwrap_or(NO_OFFSET),
        reserved: 0,
        libraries: 0,
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
pub(super) fn offset(library: &plan::Library, type_name: &str, field: &str, limit: u64) -> u16 {
    offset_of(library, type_name, field, 8).filter(|offset| u64::from(*offset) <= limit).unwrap_or(NO_OFFSET)
}

/// The same of four bytes.
pub(super) fn offset_of_half(library: &plan::Library, type_name: &str, field: &str, limit: u64) -> u16 {
    offset_of(library, type_name, field, 4).filter(|offset| u64::from(*offset) <= limit).unwrap_or(NO_OFFSET)
}

/// The offset of a field without which the programs have nothing to go by.
pub(super) fn needed(
    library: &plan::Library,
    id: &'static str,
    (type_name, field): (&'static str, &'static str),
    limit: u64,
) -> Result<u16, ConfigError> {
    match offset(library, type_name, field, limit) {
        NO_OFFSET => Err(unusable(library, id, (type_name, field), limit)),
        known => Ok(known),
    }
}

/// Why there is nothing to go by: what the Plan says of that field, if anything.
pub(super) fn unusable(
    library: &plan::Library,
    id: &'static str,
    (type_name, field): (&'static str, &'static str),
    limit: u64,
) -> ConfigError {
    let planned = library.fields.iter().find(|f| f.type_name == type_name && f.field == field);
    let offset = planned.and_then(|f| f.offset);
    ConfigError::Offset { library: id, type_name, field, offset, limit }
}

/// The offset of a field, if it is a multiple of that and the programs can use it.
pub(super) fn offset_of(library: &plan::Library, type_name: &str, field: &str, multiple: u64) -> Option<u16> {
    let found = library.fields.iter().find(|f| f.type_name == type_name && f.field == field)?;
    let offset = u16::try_from(found.offset?).ok()?;
    (offset <= abi::MAX_OFFSET && u64::from(offset).is_multiple_of(multiple)).then_some(offset)
}

/// The function that the Plan chose for a role.
pub(super) fn role<'a>(library: &'a plan::Library, role: &str) -> Option<&'a Function> {
    library.functions.iter().find(|f| f.role == role && !f.sites.is_empty())
}

/// Whether the sites of a role are calls, with these values in the registers of these words of their arguments, and nowhere else.
pub(super) fn is_called_with(
    library: &plan::Library,
    plan: &Plan,
    name: &str,
    values: &[(&str, &[usize])],
) -> bool {
    let Some(function) = role(library, name) else { return false };
    let registers = integer_registers(plan.arch.name());
    let is_there = |(name, words): &(&str, &[usize])| {
        let Some(value) = function.values.iter().find(|value| value.name == *name) else { return false };
        let wanted = words.iter().map(|word| registers.get(*word).copied());
        let found = value.words.iter().map(|word| match word {
            Word::Register(register) => Some(register.as_str()),
            _ => None,
        });
        found.eq(wanted)
    };
    function.sites.iter().all(|site| site.when == When::Call) && values.iter().all(is_there)
}

/// How a `map[string][]string` of this layout is walked; not at all where the programs do not know it.
pub(super) fn walk(map: Option<&MapLayout>) -> MapWalk {
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
