//! `values` of a site: parameters and results by their place in the source, `{ frame = "arg 1", err = "result 1" }`.
//!
//! Where such a value lies in a given binary the analyzer works out, and holds it against what the binary and the database
//! say. Deliberately not here: parts of a value. What lies in a struct is a field, and read as one.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::reader;

/// Parameters and results count to here; no function that is worth a probe has more.
const MAX_POSITION: usize = 31;

/// A parameter or result that the agent reads at a site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Value {
    /// What the agent calls it.
    pub name: String,
    /// Which it is.
    pub source: Source,
}

/// A parameter or a result, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    /// A parameter; the receiver of a method is the first.
    Arg(usize),
    /// A result.
    Result(usize),
}

/// As the catalog writes it.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Arg(position) => write!(f, "arg {position}"),
            Source::Result(position) => write!(f, "result {position}"),
        }
    }
}

impl Source {
    /// What this text says; none if it is neither `arg N` nor `result N`.
    pub fn parse(text: &str) -> Option<Self> {
        let (word, digits) = text.split_once(' ')?;
        let is_number = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
        let position = digits.parse().ok().filter(|position| is_number && *position <= MAX_POSITION)?;
        match word {
            "arg" => Some(Source::Arg(position)),
            "result" => Some(Source::Result(position)),
            _ => None,
        }
    }
}

/// The `values` as they are written: by name, so in one order whatever the file's is.
pub(super) type RawValues = BTreeMap<String, Spanned<String>>;

/// What is wrong with one of them, and where in the text.
pub(super) struct Defect {
    pub offset: usize,
    pub reason: String,
}

/// Reads the values of a site: whether the arguments are in place there, else results are, and whether it has `args`.
pub(super) fn read(raw: RawValues, sees_arguments: bool, has_args: bool) -> Result<Vec<Value>, Defect> {
    let one = |(name, text): (String, Spanned<String>)| {
        let offset = text.span().start;
        let defect = |reason: String| Defect { offset, reason };
        let text = text.into_inner();
        if let Some(reason) = reader::defect(&name) {
            return Err(defect(format!("the value's name {reason}")));
        }
        let source = Source::parse(&text).ok_or_else(|| {
            defect(format!(
                "{text:?} is neither \"arg N\" nor \"result N\", counted from 0 to {MAX_POSITION}"
            ))
        })?;
        match source {
            Source::Arg(_) if !sees_arguments => {
                Err(defect("the site no longer has the arguments".to_owned()))
            }
            Source::Result(_) if sees_arguments => Err(defect("the site has no results yet".to_owned())),
            Source::Arg(_) if !has_args => {
                Err(defect("a site says where an argument lies by its `args`, which it lacks".to_owned()))
            }
            _ => Ok(Value { name, source }),
        }
    };
    raw.into_iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_in_the_source() {
        for (text, want) in [
            ("arg 0", Some(Source::Arg(0))),
            ("result 12", Some(Source::Result(12))),
            ("arg 32", None),
            ("arg +1", None),
            ("arg -1", None),
            ("arg", None),
            ("arg ", None),
            ("arg  1", None),
            ("argument 1", None),
        ] {
            assert_eq!(Source::parse(text), want, "{text:?}");
            assert!(want.is_none_or(|source| source.to_string() == text));
        }
    }
}
