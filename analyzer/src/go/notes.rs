//! Build identifiers from the ELF notes: Go's (name `Go`, type 4) and GNU's (name `GNU`, type 3).
//!
//! A note is: name size u32, description size u32, type u32, name and description each padded to 4 bytes.

use crate::bytes;
use crate::image::Image;

const MAX_NOTES: usize = 64;
const MAX_ID_BYTES: usize = 256;

/// The identifiers that linkers leave.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BuildId {
    /// Go's own.
    pub go: Option<String>,
    /// GNU's, in hex.
    pub gnu: Option<String>,
}

/// Reads both identifiers.
pub fn build_id(image: &Image<'_>) -> BuildId {
    let mut out = BuildId::default();
    for segment in image.notes() {
        let mut rest = segment;
        for _ in 0..MAX_NOTES {
            let Some((name, kind, description, tail)) = note(rest) else { break };
            let end = name.iter().position(|&b| b == 0).unwrap_or(name.len());
            match (name.get(..end).unwrap_or_default(), kind) {
                (b"Go", 4) => out.go = Some(String::from_utf8_lossy(description).into_owned()),
                (b"GNU", 3) => out.gnu = Some(description.iter().map(|b| format!("{b:02x}")).collect()),
                _ => {}
            }
            rest = tail;
        }
    }
    out
}

/// Name, type and description of the first note, and what follows it.
type Note<'a> = (&'a [u8], u32, &'a [u8], &'a [u8]);

fn note(bytes: &[u8]) -> Option<Note<'_>> {
    let name_size = usize::try_from(bytes::u32(bytes, 0)?).ok()?;
    let size = usize::try_from(bytes::u32(bytes, 4)?).ok()?;
    let name_end = name_size.checked_add(12)?;
    let start = name_end.checked_next_multiple_of(4)?;
    let description = bytes.get(start..start.checked_add(size)?)?;
    let end = start.checked_add(size)?.checked_next_multiple_of(4)?;
    let shown = description.get(..size.min(MAX_ID_BYTES))?;
    Some((bytes.get(12..name_end)?, bytes::u32(bytes, 8)?, shown, bytes.get(end..).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_name_type_description() {
        let mut bytes = vec![4, 0, 0, 0, 5, 0, 0, 0, 4, 0, 0, 0];
        bytes.extend(b"Go\0\0a/b/c\0\0\0next");
        let (name, kind, description, rest) = note(&bytes).expect("a note");
        assert_eq!((name, kind, description, rest), (&b"Go\0\0"[..], 4, &b"a/b/c"[..], &b"next"[..]));
        bytes[4] = 0xff;
        assert!(note(&bytes).is_none());
    }
}
