//! Text in lines: how wide it is on a terminal, where it is cut, where it is wrapped.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::Width;
use crate::output::clean;

/// How many columns a text takes; without escape sequences in it.
pub fn columns(text: &str) -> usize {
    text.width()
}

/// The text, or so much of its beginning as fits, with an ellipsis.
pub fn cut(text: &str, width: Width) -> String {
    match width.0 {
        Some(width) if columns(text) > width => fill(text.chars(), width.saturating_sub(1)) + "…",
        _ => text.to_owned(),
    }
}

/// The text, or so much of its end as fits: of a path the end tells more.
pub fn cut_front(text: &str, width: Width) -> String {
    match width.0 {
        Some(width) if columns(text) > width => {
            let end = fill(text.chars().rev(), width.saturating_sub(1));
            std::iter::once('…').chain(end.chars().rev()).collect()
        }
        _ => text.to_owned(),
    }
}

/// As many of the characters as fit.
fn fill(chars: impl Iterator<Item = char>, width: usize) -> String {
    let mut left = width;
    let mut fits = |c: &char| match left.checked_sub(c.width().unwrap_or(0)) {
        Some(less) => {
            left = less;
            true
        }
        None => false,
    };
    chars.take_while(|c| fits(c)).collect()
}

/// Words in lines; a word that is longer than a line is taken apart.
pub fn wrap(text: &str, width: Width) -> Vec<String> {
    let Some(limit) = width.0 else { return vec![clean(text).into_owned()] };
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace().map(clean) {
        match lines.last_mut() {
            Some(line) if columns(line) + 1 + columns(&word) <= limit => {
                line.push(' ');
                line.push_str(&word);
            }
            _ => lines.extend(chop(&word, limit)),
        }
    }
    lines
}

/// A text in pieces that each fit.
pub fn chop(text: &str, limit: usize) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let mut used = 0;
    for c in text.chars() {
        let takes = c.width().unwrap_or(0);
        if used + takes > limit && used > 0 {
            pieces.push(String::new());
            used = 0;
        }
        used += takes;
        pieces.last_mut().into_iter().for_each(|piece| piece.push(c));
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wide(columns: usize) -> Width {
        Width(Some(columns))
    }

    #[test]
    fn wraps_between_words_and_takes_long_ones_apart() {
        assert_eq!(wrap("one two three", wide(7)), ["one two", "three"]);
        assert_eq!(wrap("extraordinarily long", wide(8)), ["extraord", "inarily", "long"]);
        assert_eq!(wrap("a b", Width(None)), ["a b"]);
    }

    #[test]
    fn cuts_by_columns_and_not_by_characters() {
        assert_eq!(cut("abcdef", wide(6)), "abcdef");
        assert_eq!(cut("abcdef", wide(4)), "abc…");
        assert_eq!(cut_front("a/b/cdef", wide(5)), "…cdef");
        // Each of these takes two columns.
        assert_eq!(cut("漢字漢字", wide(6)), "漢字…");
        assert_eq!(chop("漢字漢", 5), ["漢字", "漢"]);
    }
}
