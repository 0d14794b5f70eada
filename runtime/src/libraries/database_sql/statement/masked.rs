//! A statement's text for people: what may be secret in it becomes `?`.

use std::fmt::Write as _;

use sqlparser::tokenizer::Token;

use super::dialect::Dialect;
use super::names::keyword;

/// The longest text that is shown.
const MOST_BYTES: usize = 2048;

/// The text of these tokens: literals are `?`, comments are gone, and whatever lies between two tokens is one space. `None`: what of it is a
/// comment depends on whose statement it is.
pub fn text(tokens: &[Token], dialect: Dialect) -> Option<String> {
    // A comment of MySQL, an operator of PostgreSQL, a name of SQL Server.
    let is_sharp = |token: &Token| match token {
        Token::Sharp => true,
        Token::Word(word) => word.quote_style.is_none() && word.value.starts_with('#'),
        _ => false,
    };
    if dialect == Dialect::Unknown && tokens.iter().any(is_sharp) {
        return None;
    }
    let mut text = String::new();
    let mut is_apart = false;
    let mut before: Option<&Token> = None;
    let mut bare = BareValues::new(tokens, dialect);
    for token in tokens {
        if text.len() > MOST_BYTES {
            break;
        }
        if let Token::Whitespace(_) = token {
            is_apart = true;
            continue;
        }
        // `0b101` and `1e5x` are a number and a word to some: the word is part of the literal.
        let is_numbers_end =
            !is_apart && matches!((before, token), (Some(Token::Number(..)), Token::Word(_)));
        if is_apart && !text.is_empty() {
            text.push(' ');
        }
        is_apart = false;
        if bare.is_data() {
            text.push('?');
            break;
        }
        if bare.has(token) || is_literal(token, dialect) {
            text.push('?');
        } else if !is_numbers_end {
            // Writing to a String cannot fail.
            let _ = write!(text, "{token}");
        }
        before = Some(token);
    }
    let keep = (0..=MOST_BYTES.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    text.truncate(keep);
    Some(text)
}

/// Values that need no quotes: Oracle's passwords (`IDENTIFIED BY tiger REPLACE lion`), those of settings (`SET a TO b`, `PRAGMA a = b`), and
/// ClickHouse's rows behind `FORMAT` of an `INSERT`.
struct BareValues {
    /// What the statement begins with.
    first: String,
    /// Whether rows may follow a `FORMAT`.
    may_have_data: bool,
    is_identified: bool,
    /// Whether settings are given values.
    has_settings: bool,
    /// The last word or sign, in capitals.
    last: String,
    /// `FORMAT` has been met, and its name.
    formats: u32,
}

impl BareValues {
    fn new(tokens: &[Token], dialect: Dialect) -> Self {
        let first = tokens.iter().find(|token| !matches!(token, Token::Whitespace(_)));
        let first = keyword(first).unwrap_or_default();
        Self {
            has_settings: first == "PRAGMA",
            first,
            may_have_data: matches!(dialect, Dialect::ClickHouse | Dialect::Unknown),
            is_identified: false,
            last: String::new(),
            formats: 0,
        }
    }

    /// Whether all that follows is data.
    fn is_data(&self) -> bool {
        self.formats > 1
    }

    /// Whether this is a value; it is taken in as what stands before the next.
    fn has(&mut self, token: &Token) -> bool {
        let word = keyword(Some(token)).unwrap_or_default();
        let is_word = matches!(token, Token::Word(_));
        let is_value = is_word
            && match self.last.as_str() {
                "BY" | "REPLACE" => self.is_identified,
                "=" | "TO" => self.has_settings,
                "(" | "," => self.first == "PRAGMA",
                _ => false,
            };
        self.is_identified |= word == "IDENTIFIED";
        self.has_settings |= word == "SET" && matches!(self.first.as_str(), "SET" | "ALTER");
        if self.formats > 0 || self.may_have_data && self.first == "INSERT" && word == "FORMAT" {
            self.formats += 1;
        }
        self.last = if is_word { word } else { token.to_string() };
        is_value
    }
}

fn is_literal(token: &Token, dialect: Dialect) -> bool {
    match token {
        Token::Word(word) => match word.quote_style {
            Some('"') => dialect.has_literals_in_double_quotes(),
            _ => false,
        },
        Token::Number(..)
        | Token::SingleQuotedString(_)
        | Token::DoubleQuotedString(_)
        | Token::TripleSingleQuotedString(_)
        | Token::TripleDoubleQuotedString(_)
        | Token::DollarQuotedString(_)
        | Token::SingleQuotedByteStringLiteral(_)
        | Token::DoubleQuotedByteStringLiteral(_)
        | Token::TripleSingleQuotedByteStringLiteral(_)
        | Token::TripleDoubleQuotedByteStringLiteral(_)
        | Token::SingleQuotedRawStringLiteral(_)
        | Token::DoubleQuotedRawStringLiteral(_)
        | Token::TripleSingleQuotedRawStringLiteral(_)
        | Token::TripleDoubleQuotedRawStringLiteral(_)
        | Token::NationalStringLiteral(_)
        | Token::QuoteDelimitedStringLiteral(_)
        | Token::NationalQuoteDelimitedStringLiteral(_)
        | Token::EscapedStringLiteral(_)
        | Token::UnicodeStringLiteral(_)
        | Token::HexStringLiteral(_)
        | Token::CopyData { .. } => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Dialect, read};

    #[track_caller]
    fn check(dialect: Dialect, text: &str, want: &str) {
        assert_eq!(read(text, false, dialect, true).text.as_deref().unwrap_or_default(), want, "{text}");
    }

    #[test]
    fn literals_become_question_marks() {
        for (text, want) in [
            ("SELECT a FROM b WHERE c = 'it''s' AND d=42", "SELECT a FROM b WHERE c = ? AND d=?"),
            ("SELECT a  FROM\n b", "SELECT a FROM b"),
            ("  SELECT 1.5e3, -7, 0xfe, true, NULL ", "SELECT ?, -?, ?, true, NULL"),
            ("SELECT E'x', N'y', X'00', $$secret$$, $t$secret$t$", "SELECT ?, ?, ?, ?, ?"),
            ("SELECT a FROM b WHERE c = $1 AND d = ANY($2)", "SELECT a FROM b WHERE c = $1 AND d = ANY($2)"),
            ("SELECT a -- secret\nFROM b /* secret */ WHERE c", "SELECT a FROM b WHERE c"),
            ("SELECT a/* secret */FROM b", "SELECT a FROM b"),
            ("SELECT \"Column\" FROM \"Table\"", "SELECT \"Column\" FROM \"Table\""),
            ("INSERT INTO a VALUES (1, 'x'), (2, 'y')", "INSERT INTO a VALUES (?, ?), (?, ?)"),
            ("SELECT DATE '2026-01-01', INTERVAL '1 day'", "SELECT DATE ?, INTERVAL ?"),
            ("SELECT a::text, b->>'key', c @> '{1}'", "SELECT a::text, b->>?, c @> ?"),
            ("ALTER USER u PASSWORD 'secret'", "ALTER USER u PASSWORD ?"),
            ("SELECT 'é', é FROM ü", "SELECT ?, é FROM ü"),
            ("SELEC a FRM b", "SELEC a FRM b"),
        ] {
            check(Dialect::Postgres, text, want);
        }
        for (text, want) in [
            ("SELECT \"secret\", `a` FROM `b` # secret", "SELECT ?, `a` FROM `b`"),
            ("SELECT a FROM b WHERE c = ? AND d = 0xfe", "SELECT a FROM b WHERE c = ? AND d = ?"),
            ("CREATE USER u IDENTIFIED BY 'secret'", "CREATE USER u IDENTIFIED BY ?"),
        ] {
            check(Dialect::MySql, text, want);
        }
        check(Dialect::Sqlite, "SELECT [a b] FROM c WHERE d = \"secret\"", "SELECT [a b] FROM c WHERE d = ?");
        check(Dialect::SqlServer, "SELECT [a] FROM b WHERE c = @p1", "SELECT [a] FROM b WHERE c = @p1");
        check(Dialect::Oracle, "ALTER USER u IDENTIFIED BY tiger", "ALTER USER u IDENTIFIED BY ?");
        check(Dialect::Oracle, "SELECT q'[secret]' FROM dual", "SELECT ? FROM dual");
        check(Dialect::Unknown, "SELECT \"secret\", 'secret' FROM b", "SELECT ?, ? FROM b");
    }

    #[test]
    fn what_is_secret_without_quotes_is_not_shown() {
        for (dialect, text, want) in [
            (
                Dialect::Oracle,
                "ALTER USER u IDENTIFIED BY tiger REPLACE secret",
                "ALTER USER u IDENTIFIED BY ? REPLACE ?",
            ),
            (
                Dialect::Unknown,
                "GRANT CONNECT TO u IDENTIFIED BY secret",
                "GRANT CONNECT TO u IDENTIFIED BY ?",
            ),
            (Dialect::ClickHouse, "INSERT INTO t FORMAT CSV secret,1", "INSERT INTO t FORMAT CSV ?"),
            (Dialect::ClickHouse, "INSERT INTO t (a) FORMAT TSV\nsecret", "INSERT INTO t (a) FORMAT TSV ?"),
            (Dialect::ClickHouse, "SELECT a FROM t FORMAT CSV", "SELECT a FROM t FORMAT CSV"),
            (Dialect::Sqlite, "PRAGMA key = secret", "PRAGMA key = ?"),
            (Dialect::Sqlite, "PRAGMA key(secret)", "PRAGMA key(?)"),
            (Dialect::Postgres, "SET app.token TO secret", "SET app.token TO ?"),
            (Dialect::Postgres, "SET app.token = secret", "SET app.token = ?"),
            (Dialect::Postgres, "ALTER ROLE r SET app.token TO secret", "ALTER ROLE r SET app.token TO ?"),
            (Dialect::Postgres, "UPDATE t SET a = b", "UPDATE t SET a = b"),
            (Dialect::Postgres, "ALTER TABLE a RENAME TO b", "ALTER TABLE a RENAME TO b"),
            (Dialect::Unknown, "SELECT a FROM t # secret", ""),
            (Dialect::Unknown, "SELECT a FROM t #secret", ""),
        ] {
            check(dialect, text, want);
        }
    }

    #[test]
    fn nothing_of_a_literal_is_left_in_any_dialect() {
        let literals = [
            "'secret'",
            "'it''s secret'",
            "X'5ec2e7'",
            "0x5ec2e7",
            "N'secret'",
            "'a' 'secret'",
            "'sec\nret'",
            "''''",
            "'--secret'",
            "'/*secret*/'",
        ];
        for dialect in Dialect::ALL {
            for literal in literals {
                let text = format!("SELECT a FROM b WHERE c = {literal} AND d");
                let shown = read(&text, false, dialect, true).text.unwrap_or_default();
                let is_left = ["secret", "sec", "5ec2e7", "'"].iter().any(|part| shown.contains(part));
                assert!(!is_left, "{dialect:?} {literal}: {shown}");
            }
        }
    }

    #[test]
    fn a_long_text_is_cut_at_a_character() {
        let text = format!("SELECT {}ü FROM b", "é".repeat(1100));
        let shown = read(&text, false, Dialect::Postgres, true).text.expect("a text");
        assert!(shown.len() <= 2048 && shown.len() > 2040 && shown.ends_with('é'), "{}", shown.len());
    }
}
