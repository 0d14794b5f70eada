//! Struct tags as they stand in the name of an unnamed struct.

/// A space and the tag as `strconv.Quote` has it.
pub(super) fn quoted(tag: &[u8]) -> String {
    let mut out = " \"".to_owned();
    for chunk in tag.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' | '\\' => out.extend(['\\', c]),
                '\x07' => out.push_str("\\a"),
                '\x08' => out.push_str("\\b"),
                '\x0b' => out.push_str("\\v"),
                '\x0c' => out.push_str("\\f"),
                '\n' | '\r' | '\t' => out.extend(c.escape_default()),
                c if c.is_ascii_control() => out.push_str(&format!("\\x{:02x}", u32::from(c))),
                c if c.is_control() => out.push_str(&format!("\\u{:04x}", u32::from(c))),
                c => out.push(c),
            }
        }
        chunk.invalid().iter().for_each(|byte| out.push_str(&format!("\\x{byte:02x}")));
    }
    out + "\""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_quoted_as_go_does() {
        assert_eq!(quoted(b"json:\"h\" x:\"a\\tb\""), r#" "json:\"h\" x:\"a\\tb\"""#);
        assert_eq!(quoted(b"\x00\n\xff\xc3\xa9\x7f"), " \"\\x00\\n\\xff\u{e9}\\x7f\"");
    }
}
