//! Go string literals, as `strconv.Quote` writes them into build settings.

/// The value of the literal that a text begins with, and what follows it.
pub(super) fn unquote_prefix(text: &str) -> Option<(String, &str)> {
    if let Some(raw) = text.strip_prefix('`') {
        let (value, rest) = raw.split_once('`')?;
        return Some((value.replace('\r', ""), rest));
    }
    let mut rest = text.strip_prefix('"')?;
    let mut out = Vec::new();
    loop {
        let next = rest.chars().next()?;
        rest = rest.get(next.len_utf8()..)?;
        match next {
            '"' => return Some((String::from_utf8_lossy(&out).into_owned(), rest)),
            '\\' => rest = escape(rest, &mut out)?,
            _ => push(&mut out, next),
        }
    }
}

fn push(out: &mut Vec<u8>, value: char) {
    out.extend(value.encode_utf8(&mut [0; 4]).as_bytes());
}

/// What stands behind a backslash.
fn escape<'t>(text: &'t str, out: &mut Vec<u8>) -> Option<&'t str> {
    let kind = text.chars().next()?;
    let rest = text.get(kind.len_utf8()..)?;
    let byte = match kind {
        'a' => 7,
        'b' => 8,
        'f' => 12,
        'n' => 10,
        'r' => 13,
        't' => 9,
        'v' => 11,
        '\\' | '"' => u8::try_from(kind).ok()?,
        'x' => u8::try_from(number(rest, 2, 16)?).ok()?,
        '0'..='7' => u8::try_from(number(text, 3, 8)?).ok()?,
        'u' => return code_point(rest, 4, out),
        'U' => return code_point(rest, 8, out),
        _ => return None,
    };
    out.push(byte);
    match kind {
        'x' => rest.get(2..),
        '0'..='7' => text.get(3..),
        _ => Some(rest),
    }
}

fn code_point<'t>(text: &'t str, digits: usize, out: &mut Vec<u8>) -> Option<&'t str> {
    push(out, char::from_u32(number(text, digits, 16)?)?);
    text.get(digits..)
}

fn number(text: &str, digits: usize, radix: u32) -> Option<u32> {
    u32::from_str_radix(text.get(..digits).filter(|t| !t.starts_with('+'))?, radix).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_go_s() {
        for (text, want) in [
            (r#""-s -w""#, "-s -w"),
            (r#""a\"b\\c\n\x41\101\u00e9\U0001f600""#, "a\"b\\c\nAA\u{e9}\u{1f600}"),
            ("`raw \\n`", "raw \\n"),
            (r#""\xc3\xa9""#, "\u{e9}"),
        ] {
            assert_eq!(unquote_prefix(&format!("{text}=rest")), Some((want.to_owned(), "=rest")), "{text}");
        }
        for bad in ["\"open", r#""\q""#, r#""\x4""#, r#""\ud800""#, "plain", "`open"] {
            assert_eq!(unquote_prefix(bad), None, "{bad}");
        }
    }
}
