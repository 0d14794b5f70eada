//! `db.query.summary`: the operations of a statement and the tables that each is about, in the order in which they stand there.
//!
//! | statement | summary |
//! |---|---|
//! | `INSERT INTO a (x) SELECT x FROM b, c` | `INSERT a SELECT b c` |
//! | `SELECT x FROM (SELECT y FROM a JOIN b ON …)` | `SELECT SELECT a b` |
//! | `WITH t AS (SELECT x FROM a) SELECT x FROM t` | `SELECT a SELECT` |
//! | `CREATE TABLE IF NOT EXISTS a (…)` | `CREATE TABLE a` |
//! | `PRAGMA table_info(a)` | `PRAGMA` |
//!
//! Names are as they are written. A name of the statement's own (`WITH`), a function and a parameter are no tables. Without an operation
//! that is known in front there is no summary.

use sqlparser::tokenizer::Token;

use super::names::{keyword, name};
use super::words::{AFTER_TABLES, BETWEEN_QUERIES};

/// The longest summary.
const MOST_BYTES: usize = 255;
/// Parentheses within parentheses that are followed.
const MOST_LEVELS: usize = 64;

/// What the words of a level are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    /// No query: an expression, a list of columns, arguments.
    Expression,
    Select,
    Insert,
    Update,
    Delete,
    Merge,
}

/// Where in a `WITH` a level is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum With {
    No,
    Name,
    As,
    Body,
    After,
}

/// What stands between two parentheses, or all of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Level {
    pub(super) about: About,
    pub(super) with: With,
    /// An operation may begin here.
    pub(super) is_fresh: bool,
    /// A table has to follow.
    wants_table: bool,
    /// A comma is followed by another table.
    pub(super) in_tables: bool,
    /// `FROM` has been met, and another one is part of an expression.
    had_from: bool,
}

const FRESH: Level = Level {
    about: About::Expression,
    with: With::No,
    is_fresh: true,
    wants_table: false,
    in_tables: false,
    had_from: false,
};

/// The summary of a statement, or of what is there of one that was cut.
pub fn summary(tokens: &[Token], is_cut: bool) -> Option<String> {
    let mut reading =
        Reading { tokens, at: 0, is_cut, parts: Vec::new(), own: Vec::new(), levels: vec![FRESH] };
    reading.all()?;
    reading.joined()
}

/// What is read, and what was found.
pub(super) struct Reading<'a> {
    pub(super) tokens: &'a [Token],
    pub(super) at: usize,
    is_cut: bool,
    pub(super) parts: Vec<String>,
    /// Names that the statement itself gives.
    own: Vec<String>,
    pub(super) levels: Vec<Level>,
}

impl Reading<'_> {
    /// As many parts as there is room for.
    fn joined(self) -> Option<String> {
        let mut joined = String::new();
        for part in self.parts {
            let space = usize::from(!joined.is_empty());
            if joined.len() + space + part.len() > MOST_BYTES {
                break;
            }
            if space > 0 {
                joined.push(' ');
            }
            joined.push_str(&part);
        }
        (!joined.is_empty()).then_some(joined)
    }

    /// Reads everything. `None`: it cannot be told.
    fn all(&mut self) -> Option<()> {
        while let Some(token) = self.tokens.get(self.at) {
            match token {
                Token::LParen => self.open()?,
                Token::RParen => {
                    self.levels.pop();
                    self.level()?.wants_table = false;
                    self.at += 1;
                }
                Token::SemiColon => {
                    self.levels = vec![FRESH];
                    self.own.clear();
                    self.at += 1;
                }
                Token::Comma => {
                    let level = self.level()?;
                    level.wants_table = level.in_tables;
                    if level.with == With::After {
                        level.with = With::Name;
                    }
                    self.at += 1;
                }
                _ => self.word()?,
            }
        }
        Some(())
    }

    pub(super) fn level(&mut self) -> Option<&mut Level> {
        self.levels.last_mut()
    }

    /// A parenthesis: a query, a part of the list of tables, or something that has neither.
    fn open(&mut self) -> Option<()> {
        if self.levels.len() >= MOST_LEVELS {
            return None;
        }
        let level = self.level()?;
        let inner = Level {
            // `FROM (a JOIN b)`.
            wants_table: level.wants_table,
            in_tables: level.wants_table,
            ..FRESH
        };
        level.wants_table = false;
        if level.with == With::Body {
            level.with = With::After;
        }
        if level.with != With::As && level.with != With::After {
            // Operations begin in parentheses of their own, if at all.
            level.is_fresh = false;
        }
        self.levels.push(inner);
        self.at += 1;
        Some(())
    }

    fn before(&self, back: usize) -> Option<&Token> {
        self.tokens.get(self.at.checked_sub(back)?)
    }

    fn word(&mut self) -> Option<()> {
        let word = keyword(self.tokens.get(self.at));
        let word = word.filter(|_| !matches!(self.before(1), Some(Token::Period))).unwrap_or_default();
        let is_outermost = self.levels.len() == 1;
        let level = *self.level()?;
        if level.with != With::No && self.with(&word)? {
            return Some(());
        }
        // An operation may follow a list of names.
        let is_fresh = self.level()?.is_fresh;
        self.level()?.is_fresh = false;
        if is_fresh && self.operation(&word)? {
            return Some(());
        }
        if is_fresh && is_outermost && word != "SELECT" {
            // Nobody knows what begins like this.
            return None;
        }
        if self.level()?.wants_table {
            return self.table(&word);
        }
        self.within(&word)
    }

    /// Within the names of a `WITH`. Whether the word was one of it.
    fn with(&mut self, word: &str) -> Option<bool> {
        let here = self.name();
        let level = self.level()?;
        let (with, is_part) = match (level.with, word) {
            (With::Name, "RECURSIVE") => (With::Name, true),
            (With::Name, _) => (With::As, true),
            (With::As, "AS") => (With::Body, true),
            (With::As, _) => (With::As, true),
            (With::Body, "NOT" | "MATERIALIZED") => (With::Body, true),
            (With::Body, _) => return None,
            (With::After | With::No, _) => (With::No, false),
        };
        let is_name = level.with == With::Name && with == With::As;
        level.with = with;
        level.is_fresh |= !is_part;
        if is_name {
            self.own.push(here?.0);
        }
        self.at += usize::from(is_part);
        Some(is_part)
    }

    pub(super) fn name(&self) -> Option<(String, usize)> {
        name(self.tokens.get(self.at..)?, self.is_cut)
    }

    pub(super) fn push(&mut self, part: &str) {
        self.parts.push(part.to_owned());
    }

    /// The word as it is written.
    pub(super) fn written(&self) -> String {
        self.tokens.get(self.at).map(ToString::to_string).unwrap_or_default()
    }

    /// What follows `FROM` and the like.
    fn table(&mut self, word: &str) -> Option<()> {
        if ["ONLY", "LATERAL", "TABLE", "ROWS", "UNNEST"].contains(&word)
            && !matches!(self.tokens.get(self.at + 1), Some(Token::LParen | Token::Period))
        {
            self.at += 1;
            return Some(());
        }
        if word == "SELECT" {
            return self.within(word);
        }
        self.level()?.wants_table = false;
        let Some((table, count)) = self.name() else {
            // A parameter, or what was cut.
            self.at += 1;
            return Some(());
        };
        self.at += count;
        let is_function = matches!(self.tokens.get(self.at), Some(Token::LParen));
        let is_own = self.own.iter().any(|own| own.eq_ignore_ascii_case(&table));
        if !is_function && !is_own {
            self.parts.push(table);
        }
        Some(())
    }

    /// Within an operation.
    fn within(&mut self, word: &str) -> Option<()> {
        let is_comparison = keyword(self.before(1)).is_some_and(|before| before == "DISTINCT")
            && keyword(self.before(2)).is_some_and(|before| ["IS", "NOT"].contains(&before.as_str()));
        let is_call = matches!(self.tokens.get(self.at + 1), Some(Token::LParen));
        let written = self.written();
        let level = self.level()?;
        match word {
            "SELECT" => {
                *level = Level { about: About::Select, is_fresh: false, ..FRESH };
                self.parts.push(written);
            }
            "FROM" if level.about != About::Expression && !level.had_from && !is_comparison => {
                level.had_from = true;
                level.wants_table = true;
                level.in_tables = true;
            }
            // Of a join it has columns.
            "USING" if level.about == About::Delete && !is_call => {
                level.wants_table = true;
                level.in_tables = true;
            }
            "USING" if level.about == About::Merge => level.wants_table = true,
            "JOIN" | "STRAIGHT_JOIN" => {
                level.wants_table = true;
                level.in_tables = true;
            }
            _ if BETWEEN_QUERIES.has(word) => *level = Level { is_fresh: false, ..FRESH },
            _ if AFTER_TABLES.has(word) => level.in_tables = false,
            _ => {}
        }
        self.at += 1;
        Some(())
    }
}

#[cfg(test)]
#[path = "summary_tests.rs"]
mod tests;
