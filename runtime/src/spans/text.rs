//! Strings out of another process's memory: always UTF-8 in the end, never cut inside a character or an escape.

use std::borrow::Cow;

use crate::records::Text;
use crate::spans::counts::Counts;

/// The string, repaired: what is not UTF-8 becomes U+FFFD; a character that the slot cut in two is left off.
pub fn lossy<'a>(text: Text<'a>, counts: &mut Counts) -> Cow<'a, str> {
    let bytes = if text.is_cut() {
        counts.texts_cut += 1;
        without_partial_char(text.bytes)
    } else {
        text.bytes
    };
    let repaired = String::from_utf8_lossy(bytes);
    counts.texts_repaired += u64::from(matches!(repaired, Cow::Owned(_)));
    repaired
}

/// The string as part of a URL: like [`lossy`], and an escape (`%XX`) that the slot cut is left off, too.
pub fn lossy_url<'a>(text: Text<'a>, counts: &mut Counts) -> Cow<'a, str> {
    let mut repaired = lossy(text, counts);
    if text.is_cut() {
        let keep = before_partial_escape(&repaired);
        cut(&mut repaired, keep);
    }
    repaired
}

/// Bytes up to the last whole character, if the end is the beginning of one.
pub fn without_partial_char(bytes: &[u8]) -> &[u8] {
    match std::str::from_utf8(bytes.get(bytes.len().saturating_sub(4)..).unwrap_or_default()) {
        Ok(_) => bytes,
        Err(_) => {
            let partial = (1..=3.min(bytes.len())).find(|back| {
                let tail = bytes.get(bytes.len() - back..).unwrap_or_default();
                matches!(std::str::from_utf8(tail), Err(error) if error.error_len().is_none() && error.valid_up_to() == 0)
            });
            bytes.get(..bytes.len() - partial.unwrap_or(0)).unwrap_or(bytes)
        }
    }
}

/// Where to cut so that the string does not end in `%` or `%X`.
fn before_partial_escape(text: &str) -> usize {
    let tail = text.as_bytes();
    match tail {
        [.., b'%'] => tail.len() - 1,
        [.., b'%', _] => tail.len() - 2,
        _ => tail.len(),
    }
}

/// Keeps the first `keep` bytes, a character boundary.
pub fn cut(text: &mut Cow<'_, str>, keep: usize) {
    match text {
        Cow::Borrowed(borrowed) => *borrowed = borrowed.get(..keep).unwrap_or(borrowed),
        Cow::Owned(owned) => owned.truncate(keep),
    }
}

/// Keeps at most `limit` characters.
pub fn truncate_chars(text: &mut Cow<'_, str>, limit: usize) {
    if text.len() > limit
        && let Some((keep, _)) = text.char_indices().nth(limit)
    {
        cut(text, keep);
    }
}

/// Splits at a byte offset, borrowing where it can.
pub fn split_at(text: Cow<'_, str>, at: usize) -> (Cow<'_, str>, Cow<'_, str>) {
    match text {
        Cow::Borrowed(text) => {
            let (head, tail) = text.split_at_checked(at).unwrap_or((text, ""));
            (head.into(), tail.into())
        }
        Cow::Owned(mut text) => {
            let tail = if text.is_char_boundary(at) { text.split_off(at) } else { String::new() };
            (text.into(), tail.into())
        }
    }
}

/// Decodes `%XX`; `None` if an escape is broken.
pub fn percent_decode(text: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        if *first != b'%' {
            decoded.push(*first);
            rest = tail;
            continue;
        }
        let [high, low, tail @ ..] = tail else { return None };
        let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        decoded.push(digit(high)? << 4 | digit(low)?);
        rest = tail;
    }
    Some(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(bytes: &[u8], full_len: usize) -> Text<'_> {
        Text { bytes, full_len }
    }

    #[test]
    fn repairs_and_cuts() {
        for (bytes, full_len, want) in [
            (&b"plain"[..], 5, "plain"),
            (b"/%ff", 4, "/%ff"),
            (b"a\xffb", 3, "a\u{fffd}b"),
            (b"a\xc3", 2, "a\u{fffd}"),
            (b"a\xc3", 3, "a"),
            ("aé".as_bytes(), 9, "aé"),
            (b"a\xe2\x82", 9, "a"),
            (b"a\xf0\x9f\x98", 9, "a"),
            (b"\xc3", 9, ""),
            (b"a\x80\x80\x80\x80", 9, "a\u{fffd}\u{fffd}\u{fffd}\u{fffd}"),
            (b"/a%", 9, "/a"),
            (b"/a%4", 9, "/a"),
            (b"/a%41", 9, "/a%41"),
            (b"/a%4", 4, "/a%4"),
            (b"", 9, ""),
        ] {
            assert_eq!(
                lossy_url(held(bytes, full_len), &mut Counts::default()),
                want,
                "{bytes:?} of {full_len}"
            );
        }
    }

    #[test]
    fn counts_what_it_did() {
        let mut counts = Counts::default();
        lossy(held(b"a\xffb", 9), &mut counts);
        lossy(held(b"ab", 2), &mut counts);
        assert_eq!((counts.texts_cut, counts.texts_repaired), (1, 1));
    }

    #[test]
    fn truncates_by_characters() {
        for (text, limit, want) in [("aéb", 2, "aé"), ("aéb", 3, "aéb"), ("aéb", 0, ""), ("", 3, "")] {
            let mut value = Cow::Borrowed(text);
            truncate_chars(&mut value, limit);
            assert_eq!(value, want);
            let mut value: Cow<'_, str> = Cow::Owned(text.to_owned());
            truncate_chars(&mut value, limit);
            assert_eq!(value, want);
        }
    }

    #[test]
    fn decodes_percent() {
        assert_eq!(percent_decode(b"a%2Cb%3d"), Some(b"a,b=".to_vec()));
        assert_eq!(percent_decode(b"a%2"), None);
        assert_eq!(percent_decode(b"a%zz"), None);
    }
}
