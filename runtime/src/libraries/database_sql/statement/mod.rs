//! What a span says of a statement: its summary, and its text without what is secret. By the tokens that `sqlparser` finds, never by its
//! grammar: what a database takes for a statement is its own matter.
//!
//! ```text
//!  text ──► tokens ──► summary   operations and tables, in their order
//!                 └──► masked    literals become `?`, comments go
//! ```
//! What is no token of the dialect, or could be read in two ways, has neither.

mod dialect;
mod masked;
mod names;
mod operations;
mod summary;
mod words;

use sqlparser::tokenizer::{Token, Tokenizer};

pub use dialect::Dialect;

/// What is known of a statement.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Statement {
    /// `db.query.summary`.
    pub summary: Option<String>,
    /// `db.query.text`.
    pub text: Option<String>,
}

/// Reads a statement, or the beginning of one (`is_cut`).
pub fn read(text: &str, is_cut: bool, dialect: Dialect, wants_text: bool) -> Statement {
    let Some(tokens) = tokens(text, is_cut, dialect) else { return Statement::default() };
    let masked = wants_text.then(|| masked::text(&tokens, dialect)).flatten();
    let masked = masked.filter(|text| !text.is_empty());
    let meant: Vec<Token> =
        tokens.into_iter().filter(|token| !matches!(token, Token::Whitespace(_))).collect();
    Statement { summary: summary::summary(&meant, is_cut), text: masked }
}

/// The tokens of a text; of one that is cut, those that are surely whole.
fn tokens(text: &str, is_cut: bool, dialect: Dialect) -> Option<Vec<Token>> {
    if has_escaped_quote(text) || (dialect != Dialect::Postgres && text.contains("$$")) {
        return None;
    }
    let mut found = Vec::new();
    let parser = dialect.tokens();
    let outcome =
        Tokenizer::new(&*parser, text).with_unescape(false).tokenize_with_location_into_buf(&mut found);
    if outcome.is_err() && !is_cut {
        return None;
    }
    if is_cut {
        // It may be the beginning of a longer one.
        found.pop();
    }
    Some(found.into_iter().map(|token| token.token).collect())
}

/// A backslash before a quote: whether it ends the literal depends on a setting of the server, or of the session. (`$$` opens a literal in
/// PostgreSQL, and elsewhere it belongs to a name; but whose statement it is may be known wrongly.)
fn has_escaped_quote(text: &str) -> bool {
    text.as_bytes().windows(2).any(|pair| matches!(pair, [b'\\', b'\'' | b'"' | b'`']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_read_in_two_ways_is_not_shown() {
        for text in [r"SELECT a FROM b WHERE c = 'it\'s'", r"SELECT 'a\', secret, '", r#"SELECT "a\"""#] {
            for dialect in Dialect::ALL {
                assert_eq!(read(text, false, dialect, true), Statement::default(), "{text}");
            }
        }
    }

    #[test]
    fn no_text_makes_a_panic_or_is_shown_where_it_ends_in_a_literal() {
        let texts =
            ["SELECT 'secret", "SELECT /* secret", "'", "\"", "`", "$$secret", "[", "(", ")", "\u{0}", "é"];
        for dialect in Dialect::ALL {
            for text in texts {
                let shown = read(text, false, dialect, true);
                let text = shown.text.unwrap_or_default();
                assert!(!text.contains("secret"), "{dialect:?}: {text}");
            }
        }
    }

    #[test]
    fn what_is_cut_has_what_is_whole() {
        let whole = "SELECT a FROM first_table WHERE b = 'secret' AND c IN (SELECT d FROM second_table)";
        for len in 0..whole.len() {
            let cut = read(&whole[..len], true, Dialect::Postgres, true);
            let summary = cut.summary.unwrap_or_default();
            let due = ["", "SELECT", "SELECT first_table", "SELECT first_table SELECT"];
            let is_due =
                due.contains(&summary.as_str()) || summary == "SELECT first_table SELECT second_table";
            assert!(is_due, "{len}: {summary}");
            assert!(!cut.text.unwrap_or_default().contains("secret"), "{len}");
        }
    }
}
