//! `FUNCDATA_ArgInfo`: the shape of a function's arguments, which stripped binaries keep for tracebacks.
//!
//! | byte | meaning |
//! |---|---|
//! | `ff` | end |
//! | `fe`, `fd` | an aggregate begins, ends (struct, string, slice, interface, complex, array) |
//! | `fc` | more follows than is recorded |
//! | `fb` | offset too large to record |
//! | other | frame offset of a word, followed by its size |

/// Whether the compiler leaves the first parameter out of this function's record: it does so wherever the name has a bracket, in
/// order to hide the dictionary of type arguments (`cmd/compile/internal/ssagen/ssa.go`, `emitArgInfo`, in 1.18 to 1.27 alike). Behind
/// the receiver, where a method has the dictionary, and in closures, which have none, that hides another one.
pub fn omits_first(function: &str) -> bool {
    function.contains('[')
}

/// The recorder stops at 10 components and 5 levels, so this is far beyond any real one.
const MAX_BYTES: usize = 256;

/// The shape in the catalog's notation: sizes in bytes, braces around aggregates (`{8} {8 8} 8`).
pub fn shape(bytes: &[u8]) -> Option<String> {
    let mut out = String::new();
    let mut rest = bytes.iter().copied().take(MAX_BYTES);
    loop {
        let word = match rest.next()? {
            0xff => return Some(out),
            0xfe => "{".to_owned(),
            0xfd => "}".to_owned(),
            0xfc => "...".to_owned(),
            0xfb => "_".to_owned(),
            _ => rest.next()?.to_string(),
        };
        if !out.is_empty() && !out.ends_with('{') && word != "}" {
            out.push(' ');
        }
        out.push_str(&word);
    }
}

/// The frame offset of each word in order.
pub fn offsets(bytes: &[u8]) -> Option<Vec<Option<u8>>> {
    let mut out = Vec::new();
    let mut rest = bytes.iter().copied().take(MAX_BYTES);
    loop {
        match rest.next()? {
            0xff => return Some(out),
            0xfc..=0xfe => {}
            0xfb => out.push(None),
            offset => {
                rest.next()?;
                out.push(Some(offset));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_the_catalog_notation() {
        // serverHandler.ServeHTTP
        let bytes = [0xfe, 0, 8, 0xfd, 0xfe, 8, 8, 16, 8, 0xfd, 24, 8, 0xff];
        assert_eq!(shape(&bytes).as_deref(), Some("{8} {8 8} 8"));
        assert_eq!(shape(&[0, 8, 0xff]).as_deref(), Some("8"));
        assert_eq!(shape(&[0xff]).as_deref(), Some(""));
        assert_eq!(shape(&[0xfe, 0xfb, 0xfc, 0xfd, 0xff]).as_deref(), Some("{_ ...}"));
        assert_eq!(shape(&[0, 8]), None);
        assert_eq!(offsets(&bytes), Some(vec![Some(0), Some(8), Some(16), Some(24)]));
        assert_eq!(offsets(&[0xfe, 0xfb, 0xfc, 0xfd, 0xff]), Some(vec![None]));
        assert_eq!(offsets(&[0, 8]), None);
    }
}
