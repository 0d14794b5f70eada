//! `[[operation]]`: what comes of a library that is traced, for docs/libraries.md and for the tests that hold it against the code.
//!
//! No program needs it at run time, so that it is left out of what is embedded ([`super::embedded`]).

use serde::Deserialize;
use toml::Spanned;

use super::error::CatalogError;
use super::range::Range;
use super::reader::{Reader, Text, defect};

/// Something that a library does, of which there is a span, or that adds to the span of another library.
#[derive(Debug, Clone)]
pub struct Operation {
    /// What one of them is: `a request that reaches a handler`.
    pub what: String,
    /// The module's versions of which there are any; where it says nothing, they are the entry's.
    pub versions: Range,
    /// What is made of it.
    pub makes: Makes,
    /// How many probes one hits: at least one number, each but a single one with the case that it is for.
    pub hits: Vec<Hits>,
    /// Where these numbers were seen.
    pub hits_from: String,
    /// The attributes that it gives a span, in the order of the file.
    pub attributes: Vec<Attribute>,
    /// Whether its span has whatever attributes the program gives it; then there may be no others.
    pub own_attributes: bool,
    /// What is written into the target for it, if anything is.
    pub writes: Option<String>,
    /// Line in [`Entry::file`](super::Entry::file).
    pub line: usize,
}

/// What is made of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Makes {
    /// A span: the forms of its name, of which the first is taken whose parts are known, and its kind.
    Span {
        /// `{method} {route}`.
        names: Vec<String>,
        /// As the semantic conventions have it.
        kind: SpanKind,
    },
    /// Attributes of the spans of these libraries, by their ids, and no span.
    AddsTo(Vec<String>),
}

/// The kind of a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpanKind {
    /// Within a process.
    Internal,
    /// Answers a remote request.
    Server,
    /// Makes one.
    Client,
    /// Sends a message.
    Producer,
    /// Takes one.
    Consumer,
}

impl SpanKind {
    /// Every kind, by the word that the catalog has for it.
    pub const WORDS: [(&str, Self); 5] = [
        ("internal", Self::Internal),
        ("server", Self::Server),
        ("client", Self::Client),
        ("producer", Self::Producer),
        ("consumer", Self::Consumer),
    ];
}

/// How many probes an operation hits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hits {
    /// So many.
    pub number: u32,
    /// In this case; none is every case.
    pub when: Option<String>,
}

/// An attribute that an operation may give a span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    /// `http.route`.
    pub key: String,
    /// When a span has it; none is always.
    pub when: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawOperation {
    what: Text,
    since: Option<Text>,
    until: Option<Text>,
    span: Option<Spanned<Vec<Text>>>,
    kind: Option<Text>,
    adds_to: Option<Spanned<Vec<Text>>>,
    hits: Spanned<toml::Value>,
    hits_from: Text,
    attributes: Option<Spanned<Vec<Text>>>,
    #[serde(default)]
    own_attributes: bool,
    writes: Option<Text>,
}

/// Reads the tables of an entry, of which only a library that is traced may have any.
pub(super) fn parse(
    reader: &Reader<'_>,
    module: &str,
    is_traced: bool,
    raw: Vec<Spanned<RawOperation>>,
) -> Result<Vec<Operation>, CatalogError> {
    match raw.first() {
        Some(first) if !is_traced => {
            let reason = "only a library whose status is \"instrumented\" has any";
            Err(reader.error(first.span().start, "operation", reason))
        }
        _ => raw.into_iter().map(|one| self::one(reader, module, one)).collect(),
    }
}

fn one(reader: &Reader<'_>, module: &str, raw: Spanned<RawOperation>) -> Result<Operation, CatalogError> {
    let offset = raw.span().start;
    let raw = raw.into_inner();
    let makes = match (raw.span, raw.kind, raw.adds_to) {
        (Some(names), Some(kind), None) => {
            Makes::Span { names: texts(reader, "operation.span", names)?, kind: self::kind(reader, &kind)? }
        }
        (None, None, Some(ids)) => Makes::AddsTo(texts(reader, "operation.adds_to", ids)?),
        _ => {
            let reason =
                "needs `span` and `kind`, or `adds_to` where another library's span gets its attributes";
            return Err(reader.error(offset, "operation", reason));
        }
    };
    Ok(Operation {
        what: reader.text("operation.what", raw.what)?,
        versions: reader.range(module, "operation.", raw.since, raw.until)?,
        makes,
        hits: hits(reader, raw.hits)?,
        hits_from: reader.text("operation.hits_from", raw.hits_from)?,
        attributes: match raw.attributes {
            Some(attributes) => self::attributes(reader, attributes)?,
            None if raw.own_attributes => Vec::new(),
            None => {
                return Err(reader.error(
                    offset,
                    "operation",
                    "needs `attributes`, or `own_attributes = true`",
                ));
            }
        },
        own_attributes: raw.own_attributes,
        writes: reader.optional("operation.writes", raw.writes)?,
        line: reader.line_of(offset),
    })
}

/// Texts of which there is at least one.
fn texts(reader: &Reader<'_>, key: &str, raw: Spanned<Vec<Text>>) -> Result<Vec<String>, CatalogError> {
    if raw.as_ref().is_empty() {
        return Err(reader.error(raw.span().start, key, "is empty"));
    }
    raw.into_inner().into_iter().map(|text| reader.text(key, text)).collect()
}

fn kind(reader: &Reader<'_>, word: &Text) -> Result<SpanKind, CatalogError> {
    let known = SpanKind::WORDS.iter().find(|(known, _)| known == word.as_ref());
    known.map(|(_, kind)| *kind).ok_or_else(|| {
        let expected = "internal, server, client, producer or consumer";
        reader.unknown(word, "operation.kind", word.as_ref(), expected)
    })
}

/// A number, or a list with a text for each case: `3 over HTTP/1.1`.
fn hits(reader: &Reader<'_>, raw: Spanned<toml::Value>) -> Result<Vec<Hits>, CatalogError> {
    let offset = raw.span().start;
    let wrong = |reason: String| reader.error(offset, "operation.hits", reason);
    let cases = match raw.into_inner() {
        toml::Value::Integer(number) => {
            let number = u32::try_from(number).map_err(|_| wrong(format!("{number} is no count")))?;
            return Ok(vec![Hits { number, when: None }]);
        }
        toml::Value::Array(cases) if !cases.is_empty() => cases,
        _ => return Err(wrong("is neither a number nor a list with a text for each case".to_owned())),
    };
    let case = |case: toml::Value| {
        let text = case.as_str().unwrap_or_default();
        let (number, when) = text.split_once(' ').unwrap_or_default();
        match (number.parse(), defect(when)) {
            (Ok(number), None) => Ok(Hits { number, when: Some(when.to_owned()) }),
            _ => Err(wrong(format!("{text:?} is no number with its case behind it"))),
        }
    };
    cases.into_iter().map(case).collect()
}

/// Each is `KEY`, or `KEY: WHEN` where a span has it only then.
fn attributes(reader: &Reader<'_>, raw: Spanned<Vec<Text>>) -> Result<Vec<Attribute>, CatalogError> {
    const KEY: &str = "operation.attributes";
    if raw.as_ref().is_empty() {
        return Err(reader.error(raw.span().start, KEY, "is empty"));
    }
    let mut all: Vec<Attribute> = Vec::new();
    for text in raw.into_inner() {
        let offset = text.span().start;
        let text = reader.text(KEY, text)?;
        let (key, when) =
            text.split_once(": ").map_or((text.as_str(), None), |(key, when)| (key, Some(when)));
        if !is_key(key) {
            let reason =
                format!("{key:?} is no attribute's key; what stands behind `: ` says when it is there");
            return Err(reader.error(offset, KEY, reason));
        }
        if all.iter().any(|other| other.key == key) {
            return Err(reader.error(offset, KEY, format!("{key:?} occurs twice")));
        }
        if let Some(reason) = when.and_then(defect) {
            return Err(reader.error(offset, KEY, reason));
        }
        all.push(Attribute { key: key.to_owned(), when: when.map(ToOwned::to_owned) });
    }
    Ok(all)
}

/// Whether a text is written as the semantic conventions write keys: words of a namespace, with dots between them.
fn is_key(text: &str) -> bool {
    let is_word = |word: &str| {
        word.starts_with(|c: char| c.is_ascii_lowercase())
            && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    text.contains('.') && text.split('.').all(is_word)
}

#[cfg(test)]
#[path = "operation_tests.rs"]
mod tests;
