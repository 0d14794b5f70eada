//! Text that comes from a file, for a terminal: nothing in it may move the cursor, end the line, or turn the reading direction
//! around, for each of them can make a line say what nobody wrote.

use std::borrow::Cow;

/// Whether a character shows what it is and does nothing else.
pub fn is_printable(c: char) -> bool {
    // What takes no place, what ends a line without being a control character, and what turns the text around.
    let acts = matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{e0000}'..='\u{e0fff}');
    !c.is_control() && !acts
}

/// The text, with what is not printable spelled out (`\u{1b}`).
pub fn printable(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_printable) {
        return Cow::Borrowed(text);
    }
    let spelled = |c: char| if is_printable(c) { c.to_string() } else { c.escape_default().to_string() };
    Cow::Owned(text.chars().map(spelled).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_on_a_terminal_is_spelled() {
        for (text, want) in [
            ("go1.27.4 é 漢", "go1.27.4 é 漢"),
            ("a\u{1b}[2J\nb", "a\\u{1b}[2J\\nb"),
            ("\u{9b}1m", "\\u{9b}1m"),
            ("gpj\u{202e}exe", "gpj\\u{202e}exe"),
        ] {
            assert_eq!(printable(text), want);
        }
    }
}
