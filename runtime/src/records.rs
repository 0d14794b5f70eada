//! Decoding of ring-buffer records: raw bytes to checked views, without judging what they mean.
//!
//! What comes from the kernel side was copied out of another process's memory and is trusted no further than that: a length
//! decides nothing before it has been compared with the slot and with the bytes that are there. Strings stay borrowed from
//! the record. Pure: no I/O, no counters; the caller counts the errors by [`DecodeError::reason`].
//!
//! Here is what all libraries' records have in common: the head, fixed parts read out of bytes, strings in slots. What one
//! library's records hold is in its own module under [`crate::spans`].

use runtime_ebpf::record::{ABSENT, Head};

/// A record that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Fewer bytes than a record of its kind has.
    #[error("record is {got} bytes, {needed} needed")]
    Truncated {
        /// Bytes that a record of this kind has at least.
        needed: usize,
        /// Bytes that were there.
        got: usize,
    },
    /// A library that this agent does not know.
    #[error("record of unknown library {0}: are the eBPF object and the agent of the same version?")]
    UnknownLibrary(u16),
    /// A kind that the library does not have.
    #[error("record of unknown kind {0}: are the eBPF object and the agent of the same version?")]
    UnknownKind(u16),
    /// A trace or span id of zeros, which OTLP forbids.
    #[error("record with an all-zero {0}")]
    ZeroId(&'static str),
    /// What the program has written down is not what it should be.
    #[error("what the program has written down is no {0}")]
    Unreadable(&'static str),
    /// Parts of the record contradict each other: the kernel's side promises that they agree.
    #[error("the record's {0} disagree")]
    Contradiction(&'static str),
}

impl DecodeError {
    /// A short constant name for counters.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Truncated { .. } => "truncated",
            Self::UnknownLibrary(_) => "unknown_library",
            Self::UnknownKind(_) => "unknown_kind",
            Self::ZeroId(_) => "zero_id",
            Self::Unreadable(_) => "unreadable",
            Self::Contradiction(_) => "contradiction",
        }
    }
}

/// A string as it lies in a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Text<'a> {
    /// What the record holds of it.
    pub bytes: &'a [u8],
    /// Its length in the target: larger than `bytes` if the record holds only its beginning.
    pub full_len: usize,
}

impl<'a> Text<'a> {
    /// A string that is held whole.
    pub fn whole(bytes: &'a [u8]) -> Self {
        Self { bytes, full_len: bytes.len() }
    }

    /// A string of which `room` has the first bytes; `None` if the kernel's side could not read it.
    pub fn held_in(room: &'a [u8], len: u32) -> Option<Self> {
        if len == ABSENT {
            return None;
        }
        let full_len = usize::try_from(len).ok()?;
        Some(Self { bytes: room.get(..full_len).unwrap_or(room), full_len })
    }

    /// Whether less is held than the target's string.
    pub fn is_cut(&self) -> bool {
        self.full_len > self.bytes.len()
    }

    /// The same string, held up to `limit` bytes.
    pub fn up_to(self, limit: usize) -> Self {
        Self { bytes: self.bytes.get(..limit).unwrap_or(self.bytes), ..self }
    }
}

/// A fixed part of a record.
///
/// # Safety
///
/// The type is `repr(C)`, made of integers and arrays of integers only, and has no padding: every bit pattern is a value.
pub unsafe trait Plain: Copy {}

// SAFETY: repr(C), integers and byte arrays; runtime-ebpf's tests pin that it has no padding.
unsafe impl Plain for Head {}

/// The fixed part that lies at `at`.
pub fn read<T: Plain>(bytes: &[u8], at: usize) -> Result<T, DecodeError> {
    let needed = at.saturating_add(size_of::<T>());
    let part = bytes.get(at..needed).ok_or(DecodeError::Truncated { needed, got: bytes.len() })?;
    // SAFETY: `part` has as many bytes as T, every bit pattern is a T (Plain), and read_unaligned asks for no alignment.
    Ok(unsafe { part.as_ptr().cast::<T>().read_unaligned() })
}

/// The head, and the part of `bytes` that means something: the ring rounds sizes up.
pub fn head(bytes: &[u8]) -> Result<(Head, &[u8]), DecodeError> {
    let head: Head = read(bytes, 0)?;
    let needed = usize::try_from(head.len).unwrap_or(usize::MAX).max(size_of::<Head>());
    let meant = bytes.get(..needed).ok_or(DecodeError::Truncated { needed, got: bytes.len() })?;
    Ok((head, meant))
}

/// The strings in slots of these sizes that begin at `at`.
pub fn slots<'a, const N: usize>(
    bytes: &'a [u8],
    at: usize,
    sizes: &[usize; N],
    lens: &[u32; N],
) -> Result<[Option<Text<'a>>; N], DecodeError> {
    let needed = at + sizes.iter().sum::<usize>();
    let mut rest = bytes.get(at..needed).ok_or(DecodeError::Truncated { needed, got: bytes.len() })?;
    let mut texts = [None; N];
    for ((text, size), len) in texts.iter_mut().zip(sizes).zip(lens) {
        let (slot, behind) = rest.split_at_checked(*size).unwrap_or((rest, &[]));
        *text = Text::held_in(slot, *len);
        rest = behind;
    }
    Ok(texts)
}

/// Of what this process never ends nothing is left in the kernel that began no later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gone {
    /// The process, in the kernel.
    pub tgid: u32,
    /// Its generation.
    pub generation: u32,
    /// CLOCK_MONOTONIC.
    pub until_ns: u64,
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use runtime_ebpf::record::PARENT_NONE;

    /// A head with ids, of process 42 in generation 1.
    pub(crate) fn some_head(library: u16, kind: u16) -> Head {
        Head {
            library,
            kind,
            len: 0,
            tgid: 42,
            generation: 1,
            start_ns: 1_000,
            end_ns: 0,
            trace_id: [7; 16],
            span_id: [9; 8],
            parent_span_id: [0; 8],
            trace_flags: 1,
            parent: PARENT_NONE,
            reserved: [0; 6],
        }
    }

    /// The bytes of a fixed part.
    pub(crate) fn bytes_of<T: Plain>(part: &T) -> Vec<u8> {
        // SAFETY: a Plain type is integers without padding, so each of its bytes is initialised.
        unsafe { std::slice::from_raw_parts(std::ptr::from_ref(part).cast::<u8>(), size_of::<T>()) }.to_vec()
    }

    /// Slots with these strings, cut as the kernel's side cuts them, and their lengths.
    pub(crate) fn fill<const N: usize>(
        sizes: &[usize; N],
        texts: &[Option<&[u8]>; N],
    ) -> (Vec<u8>, [u32; N]) {
        let (mut bytes, mut lens) = (Vec::new(), [ABSENT; N]);
        for ((size, text), len) in sizes.iter().zip(texts).zip(&mut lens) {
            let mut slot = vec![0; *size];
            if let Some(text) = text {
                *len = u32::try_from(text.len()).expect("a test's string fits u32");
                let held = text.len().min(*size);
                slot[..held].copy_from_slice(&text[..held]);
            }
            bytes.extend(slot);
        }
        (bytes, lens)
    }

    #[test]
    fn strings_are_held_cut_empty_or_absent() {
        let long = [b'x'; 30];
        let texts: [Option<&[u8]>; 4] = [Some(b"GET"), Some(&long), Some(b""), None];
        let (bytes, lens) = fill(&[8, 16, 4, 4], &texts);
        let got = slots(&bytes, 0, &[8, 16, 4, 4], &lens).expect("decodes");
        assert_eq!(got[0], Some(Text::whole(b"GET")));
        assert_eq!(got[1].map(|t| (t.bytes.len(), t.full_len, t.is_cut())), Some((16, 30, true)));
        assert_eq!((got[2], got[3]), (Some(Text::whole(b"")), None));
        for len in 0..bytes.len() {
            let error = slots(&bytes[..len], 0, &[8, 16, 4, 4], &lens).expect_err("truncated");
            assert_eq!(error.reason(), "truncated");
        }
    }

    #[test]
    fn absurd_lengths_are_cut_to_the_slot() {
        let got = slots(&[0; 12], 0, &[8, 4], &[ABSENT - 1; 2]).expect("decodes");
        assert_eq!(got.map(|text| text.map(|t| t.bytes.len())), [Some(8), Some(4)]);
    }

    #[test]
    fn a_head_is_read_whole_or_not_at_all() {
        let mut head_of_80 = some_head(1, 1);
        head_of_80.len = 80;
        let bytes = [bytes_of(&head_of_80), vec![0; 8]].concat();
        for len in 0..bytes.len() {
            assert_eq!(head(&bytes[..len]).expect_err("truncated").reason(), "truncated", "cut at {len}");
        }
        let (read, meant) = head(&bytes).expect("whole");
        assert_eq!((read, meant.len()), (head_of_80, 80));
        let padded = [&[0], bytes.as_slice(), &[0xff; 7]].concat();
        assert_eq!(head(&padded[1..]).map(|(_, meant)| meant.len()), Ok(80), "unaligned, padded by the ring");
    }

    #[test]
    fn a_head_that_claims_less_than_itself_is_still_whole() {
        let bytes = bytes_of(&some_head(1, 1));
        assert_eq!(head(&bytes).map(|(_, meant)| meant.len()), Ok(size_of::<Head>()));
    }
}
