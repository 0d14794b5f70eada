//! Where a parameter or a result lies at a site: word by word, as the agent reads it.

use serde::{Deserialize, Serialize};

use super::witness::Witness;

/// A parameter or a result that the agent reads at a function's sites.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Value {
    /// What the catalog calls it (`frame`).
    pub name: String,
    /// Its place in the source, counted from 0 with the receiver as the first: `arg 1`, `result 0`.
    pub source: String,
    /// Its words in order: of a string or an interface two. None of a value without bytes.
    pub words: Vec<Word>,
    /// All who vouch for them; empty where the catalog alone says how many words the function's results have.
    pub witnesses: Vec<Witness>,
}

/// One word, in JSON `rbx` or `sp+16`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Word {
    /// In a register, as Go spells it: `rax`, on arm64 `r0`.
    Register(String),
    /// So many bytes above the stack pointer, as that stands at the site.
    Stack(u64),
}

impl From<Word> for String {
    fn from(word: Word) -> Self {
        match word {
            Word::Register(name) => name,
            Word::Stack(offset) => format!("sp+{offset}"),
        }
    }
}

impl TryFrom<String> for Word {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.strip_prefix("sp+") {
            Some(offset) => offset.parse().map(Word::Stack).map_err(|_| format!("{text:?} is no word")),
            None if text.bytes().all(|byte| byte.is_ascii_alphanumeric()) && !text.is_empty() => {
                Ok(Word::Register(text))
            }
            None => Err(format!("{text:?} is no word")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_as_they_are_written() {
        for (text, word) in [("rax", Word::Register("rax".into())), ("sp+16", Word::Stack(16))] {
            let json = serde_json::to_value(&word).expect("JSON");
            assert_eq!(json, text);
            assert_eq!(serde_json::from_value::<Word>(json).expect("a word"), word);
        }
        for text in ["", "sp+", "sp+x", "rax rbx"] {
            assert!(serde_json::from_value::<Word>(text.into()).is_err(), "{text:?}");
        }
    }
}
