//! How an operation's error is told: the name of its type, that of the innermost error that it holds, and that one's text where it is
//! an `*errors.errorString`. Every library that ends with an error sends these strings.

/// Types of errors that hold another which a library can name.
pub const WRAPPERS: usize = 4;

/// What programs need to know of a file to tell errors: a part of a library's own configuration.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Errors {
    /// Where the type data begins in the file, from which names of types are counted; 0: unknown.
    pub types_vaddr: u64,
    /// Address in the file of the descriptor of `*errors.errorString`; 0: unknown.
    pub error_string_vaddr: u64,
    /// Addresses in the file of the descriptors of errors that hold another; 0: none.
    pub wrapper_vaddrs: [u64; WRAPPERS],
    /// Where each holds it.
    pub wrapper_offsets: [u16; WRAPPERS],
}

/// The name of the error's type, as type data has it: a byte of flags, its length as a varint, and `*net.OpError`.
pub const ERROR_TYPE: usize = 0;
/// The same of the innermost error, if that one holds another; else absent.
pub const ERROR_INNER_TYPE: usize = 1;
/// The text of the innermost error, if it is an `*errors.errorString`; else absent.
pub const ERROR_TEXT: usize = 2;
/// Number of them.
pub const ERROR_SLOT_COUNT: usize = 3;
/// Their sizes in bytes.
pub const ERROR_SLOTS: [usize; ERROR_SLOT_COUNT] = [80, 80, 64];
/// Bytes of all of them.
pub const ERROR_BYTES: usize = ERROR_SLOTS[0] + ERROR_SLOTS[1] + ERROR_SLOTS[2];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_has_no_padding() {
        assert_eq!(size_of::<Errors>(), 2 * 8 + WRAPPERS * 10);
    }
}
