//! The operations that a statement, or a part of it, may begin with.

use sqlparser::tokenizer::Token;

use super::names::keyword;
use super::summary::{About, Reading, With};
use super::words::{ALONE, BEFORE_KIND, BEFORE_NAME, BEFORE_TABLE, MODES, NAMED, UNNAMED, Words};

impl Reading<'_> {
    /// Where an operation may begin. Whether one does.
    pub(super) fn operation(&mut self, word: &str) -> Option<bool> {
        let is_outermost = self.levels.len() == 1;
        let is_call = matches!(self.tokens.get(self.at + 1), Some(Token::LParen));
        match word {
            "WITH" => {
                self.level()?.with = With::Name;
                self.at += 1;
            }
            "SELECT" => return Some(false),
            "INSERT" => self.of_table(About::Insert),
            "REPLACE" if !is_call => self.of_table(About::Insert),
            "MERGE" => self.of_table(About::Merge),
            "UPDATE" => self.of_table(About::Update),
            "DELETE" => {
                self.push(&self.written());
                self.level()?.about = About::Delete;
                self.at += 1;
            }
            "TRUNCATE" if is_outermost => self.of_table(About::Update),
            "EXPLAIN" if is_outermost => self.explain()?,
            "CREATE" | "ALTER" | "DROP" if is_outermost => self.definition(word)?,
            "CALL" | "EXEC" | "EXECUTE" if is_outermost => {
                self.push(&self.written());
                self.at += 1;
                if let Some((called, _)) =
                    self.name().filter(|(called, _)| !called.eq_ignore_ascii_case("IMMEDIATE"))
                {
                    self.parts.push(called);
                }
                self.skip();
            }
            // The beginning of a program, or of a transaction.
            "BEGIN" if is_outermost && !self.begins_transaction() => return None,
            _ if is_outermost && ALONE.has(word) => {
                self.push(&self.written());
                self.skip();
            }
            _ => return Some(false),
        }
        Some(true)
    }

    fn begins_transaction(&self) -> bool {
        let next = self.tokens.get(self.at + 1);
        let is_mode = |word: String| MODES.has(&word);
        matches!(next, None | Some(Token::SemiColon)) || keyword(next).is_some_and(is_mode)
    }

    /// `INSERT`, `UPDATE` and the like: the table follows.
    fn of_table(&mut self, about: About) {
        self.push(&self.written());
        self.at += 1;
        while keyword(self.tokens.get(self.at)).is_some_and(|word| BEFORE_TABLE.has(&word)) {
            self.at += 1;
        }
        let is_list = about == About::Update;
        if let Some((table, count)) = self.name() {
            self.parts.push(table);
            self.at += count;
        }
        if let Some(level) = self.level() {
            level.about = about;
            level.in_tables = is_list;
        }
    }

    /// `EXPLAIN ANALYZE SELECT …`: another operation follows.
    fn explain(&mut self) -> Option<()> {
        self.push(&self.written());
        self.at += 1;
        let is_more =
            |word: String| ["ANALYZE", "VERBOSE", "QUERY", "PLAN", "EXTENDED"].contains(&word.as_str());
        while keyword(self.tokens.get(self.at)).is_some_and(is_more) {
            self.at += 1;
        }
        if matches!(self.tokens.get(self.at), Some(Token::LParen)) {
            // Options.
            while !matches!(self.tokens.get(self.at), None | Some(Token::RParen)) {
                self.at += 1;
            }
            self.at += 1;
        }
        self.level()?.is_fresh = true;
        Some(())
    }

    /// `CREATE`, `ALTER`, `DROP`: the kind, and of some the names.
    fn definition(&mut self, verb: &str) -> Option<()> {
        self.push(&self.written());
        self.at += 1;
        while keyword(self.tokens.get(self.at)).is_some_and(|word| BEFORE_KIND.has(&word)) {
            self.at += 1;
        }
        let kind = keyword(self.tokens.get(self.at)).unwrap_or_default();
        if NAMED.has(&kind) {
            self.push(&self.written());
            self.at += 1;
            self.named(verb);
        } else if UNNAMED.has(&kind) {
            // What follows may be a program, whose statements are not this one's.
            self.push(&self.written());
            self.at = self.tokens.len();
        } else {
            self.at = self.tokens.len();
        }
        // `CREATE TABLE a AS SELECT …`.
        if verb != "CREATE" {
            self.skip();
        }
        Some(())
    }

    fn named(&mut self, verb: &str) {
        let is_word =
            |token: Option<&Token>, words: Words| keyword(token).is_some_and(|word| words.has(&word));
        while is_word(self.tokens.get(self.at), BEFORE_NAME) {
            self.at += 1;
        }
        // An index need not have a name.
        if keyword(self.tokens.get(self.at)).is_some_and(|word| word == "ON") {
            return self.skip();
        }
        while let Some((one, count)) = self.name() {
            self.parts.push(one);
            self.at += count;
            let has_more = verb == "DROP" && matches!(self.tokens.get(self.at), Some(Token::Comma));
            if !has_more {
                return;
            }
            self.at += 1;
        }
    }

    /// Goes to the end of the statement.
    fn skip(&mut self) {
        while !matches!(self.tokens.get(self.at), None | Some(Token::SemiColon)) {
            self.at += 1;
        }
    }
}
