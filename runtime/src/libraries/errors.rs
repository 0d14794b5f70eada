//! Errors as every library's records tell them: what the programs have to know of a file, and what their strings say.

use std::borrow::Cow;

use analyzer::{Plan, plan};
use runtime_ebpf::{
    abi::{MAX_OFFSET, NO_OFFSET},
    errors::{ERROR_INNER_TYPE, ERROR_SLOT_COUNT, ERROR_SLOTS, ERROR_TEXT, ERROR_TYPE, Errors, WRAPPERS},
};

use super::values::offset;
use crate::records::{DecodeError, Text, slots};

const ERROR_STRING: &str = "*errors.errorString";

/// A type of errors that hold another: descriptor, struct, field.
pub type Wrapper = (&'static str, &'static str, &'static str);

/// What the programs have to know to tell a library's errors.
pub fn config(library: &plan::Library, plan: &Plan, wrappers: &[Wrapper]) -> Errors {
    let vaddr = |name| library.types.iter().find(|t| t.type_name == name).and_then(|t| t.vaddr).unwrap_or(0);
    let mut errors = Errors {
        types_vaddr: plan.types_vaddr.unwrap_or(0),
        error_string_vaddr: vaddr(ERROR_STRING),
        wrapper_vaddrs: [0; WRAPPERS],
        wrapper_offsets: [NO_OFFSET; WRAPPERS],
    };
    let places = errors.wrapper_vaddrs.iter_mut().zip(&mut errors.wrapper_offsets);
    for ((descriptor, type_name, field), (address, at)) in wrappers.iter().zip(places) {
        *at = offset(library, type_name, field, u64::from(MAX_OFFSET));
        *address = if *at == NO_OFFSET { 0 } else { vaddr(descriptor) };
    }
    errors
}

/// An error's strings.
#[derive(Debug, Clone, Copy)]
pub struct ErrorTexts<'a>([Option<Text<'a>>; ERROR_SLOT_COUNT]);

impl<'a> ErrorTexts<'a> {
    /// Those that stand in a record from `at`.
    pub fn read(bytes: &'a [u8], at: usize, lens: &[u32; ERROR_SLOT_COUNT]) -> Result<Self, DecodeError> {
        Ok(Self(slots(bytes, at, &ERROR_SLOTS, lens)?))
    }

    /// The name of the error's type as Go prints it: `*net.OpError`.
    pub fn type_name(&self) -> Option<&'a [u8]> {
        self.name(ERROR_TYPE)
    }

    /// The same of the innermost error, where that one holds another.
    pub fn inner_type_name(&self) -> Option<&'a [u8]> {
        self.name(ERROR_INNER_TYPE)
    }

    /// The text of the innermost error, if it is an `*errors.errorString`.
    pub fn text(&self) -> Option<&'a [u8]> {
        self.0.get(ERROR_TEXT).copied().flatten().map(|text| text.bytes)
    }

    /// What the conventions want in `error.type`: the innermost error's type without the star of a pointer.
    pub fn error_type(&self) -> Option<Cow<'a, str>> {
        self.inner_type_name().or_else(|| self.type_name()).map(without_star)
    }

    fn name(&self, slot: usize) -> Option<&'a [u8]> {
        name(self.0.get(slot).copied().flatten()?.bytes)
    }
}

/// A name as type data has it: a byte of flags, its length as a varint, its bytes (internal/abi/type.go, `Name`).
pub fn name(bytes: &[u8]) -> Option<&[u8]> {
    let (low, high) = (*bytes.get(1)?, *bytes.get(2)?);
    let (len, from) = match low {
        0..0x80 => (usize::from(low), 2),
        _ if high < 0x80 => (usize::from(low & 0x7f) | usize::from(high) << 7, 3),
        _ => return None,
    };
    // A longer one than its slot is cut, as every string is.
    let name = bytes.get(from..)?;
    Some(name.get(..len).unwrap_or(name)).filter(|name| !name.is_empty())
}

/// `net.OpError` of `*net.OpError`.
pub fn without_star(name: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(name.strip_prefix(b"*").unwrap_or(name))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::records::tests::fill;

    /// The slots of an error of this type, and their lengths.
    pub fn written(name: &str, text: Option<&[u8]>) -> (Vec<u8>, [u32; ERROR_SLOT_COUNT]) {
        let mut with_len = vec![0, u8::try_from(name.len()).expect("short")];
        with_len.extend(name.as_bytes());
        with_len.resize(ERROR_SLOTS[ERROR_TYPE], b'?');
        fill(&ERROR_SLOTS, &[Some(&with_len), None, text])
    }

    #[test]
    fn names_of_types_are_taken_apart_whatever_they_hold() {
        let name = |bytes: &[u8]| {
            let (slots, lens) = fill(&ERROR_SLOTS, &[Some(bytes), None, None]);
            let texts = ErrorTexts::read(&slots, 0, &lens).expect("whole");
            texts.type_name().map(<[u8]>::to_vec)
        };
        assert_eq!(name(b"\x01\x0c*net.OpErrorjunk"), Some(b"*net.OpError".to_vec()));
        let long = [&[0u8, 0x80 | 40, 1], [b'x'; 200].as_slice()].concat();
        assert_eq!(name(&long).map(|name| name.len()), Some(77));
        for bytes in [&b""[..], b"\0", b"\0\0\0", b"\0\x80\x80\x01"] {
            assert_eq!(name(bytes), None, "{bytes:?}");
        }
    }
}
