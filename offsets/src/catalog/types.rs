//! `[[size]]` and `[[type]]`: what the agent has to know of a type beside its fields.

use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::error::CatalogError;
use super::range::Range;
use super::reader::{Reader, Text};
use crate::names;

/// A type whose size or whose descriptor's address is wanted.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WantedType {
    /// With its full import path: `github.com/segmentio/kafka-go.Message`, of a descriptor also `*errors.errorString`.
    pub type_name: String,
    /// The versions of the type's owner that have it.
    pub versions: Range,
    /// Whether the library is refused without it.
    pub required: bool,
    /// Whether nothing is missing where the program has no such type: what it has no descriptor of is in none of its interface values.
    pub if_present: bool,
    /// What will be missing without it.
    pub gives: Option<String>,
    /// Line in [`Entry::file`](super::Entry::file).
    pub line: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawType {
    r#type: Text,
    since: Option<Text>,
    until: Option<Text>,
    #[serde(default)]
    required: bool,
    #[serde(default)]
    if_present: bool,
    gives: Option<Text>,
}

/// The table of types whose descriptors are wanted.
const DESCRIPTOR: &str = "type";

/// Reads the tables of one kind, which is what errors call them.
pub(super) fn parse(
    reader: &Reader<'_>,
    module: &str,
    table: &str,
    raw: Vec<Spanned<RawType>>,
) -> Result<Vec<WantedType>, CatalogError> {
    raw.into_iter().map(|one| self::one(reader, module, table, one)).collect()
}

fn one(
    reader: &Reader<'_>,
    module: &str,
    table: &str,
    raw: Spanned<RawType>,
) -> Result<WantedType, CatalogError> {
    let offset = raw.span().start;
    let raw = raw.into_inner();
    let key = |key: &str| format!("{table}.{key}");
    if !raw.required && raw.gives.is_none() {
        let reason = format!("an optional {table} must say what it gives");
        return Err(reader.error(offset, &key("gives"), reason));
    }
    if raw.if_present && table != DESCRIPTOR {
        let reason = format!("stands in a {table}; only a {DESCRIPTOR} may be absent");
        return Err(reader.error(offset, &key("if_present"), reason));
    }
    let place = raw.r#type.span().start;
    let type_name = reader.name(&key("type"), raw.r#type)?;
    // A pointer to a defined type has a descriptor of its own; its size is known without asking.
    let pointed = type_name.strip_prefix('*').filter(|_| table == DESCRIPTOR);
    let package = names::package(pointed.unwrap_or(&type_name)).filter(|package| !package.starts_with('*'));
    let package = package.ok_or_else(|| reader.error(place, &key("type"), "is no IMPORT/PATH.Type"))?;
    let owner = match package {
        names::MAIN => module,
        _ => names::owner(package, [module]).unwrap_or(package),
    };
    Ok(WantedType {
        versions: reader.range(owner, &format!("{table}."), raw.since, raw.until)?,
        required: raw.required,
        if_present: raw.if_present,
        gives: reader.optional(&key("gives"), raw.gives)?,
        line: reader.line_of(offset),
        type_name,
    })
}
