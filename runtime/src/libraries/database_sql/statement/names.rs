//! Names in a statement: tables, and what they are called.

use sqlparser::tokenizer::{Token, Word};

/// A name, whose parts have dots between them, as it is written; and how many tokens it has. `None`: there is none, or its end was cut off.
pub fn name(tokens: &[Token], is_cut: bool) -> Option<(String, usize)> {
    let mut rest = tokens.iter();
    let mut name = match rest.next()? {
        Token::Word(word) if word.quote_style.is_some() && is_a_place(&word.value) => return None,
        Token::Word(word) => word.to_string(),
        // SQL has some as literals: `FROM 'table'`.
        Token::SingleQuotedString(text) | Token::DoubleQuotedString(text) if is_a_place(text) => return None,
        text @ (Token::SingleQuotedString(_) | Token::DoubleQuotedString(_)) => text.to_string(),
        _ => return None,
    };
    let mut count = 1;
    loop {
        match (rest.next(), rest.next()) {
            (Some(Token::Period), Some(Token::Word(word))) => {
                name.push('.');
                name.push_str(&word.to_string());
                count += 2;
            }
            (Some(Token::Period), _) => return None,
            (None, _) if is_cut => return None,
            _ => return Some((name, count)),
        }
    }
}

/// Whether what stands in quotes in place of a table is a file or a URL, as DuckDB and others have it: that may have credentials in it.
fn is_a_place(text: &str) -> bool {
    text.contains(['/', '\\', ':', '=', '?', '&', '@'])
}

/// The word of a token, as a keyword would be written.
pub fn keyword(token: Option<&Token>) -> Option<String> {
    match token? {
        Token::Word(Word { value, quote_style: None, .. }) => Some(value.to_ascii_uppercase()),
        _ => None,
    }
}
