//! `[[role.site]]`: one place where a role can be seen.

use serde::Deserialize;
use toml::Spanned;

use super::error::{CatalogError, line_of};
use super::range::Range;
use super::reader::{Reader, Text};
use super::values::{self, RawValues, Value};
use crate::abi::shape;

/// One place where a role can be seen.
#[derive(Debug, Clone)]
pub struct Site {
    /// What the agent calls this alternative, where it has to know which was taken.
    pub name: Option<String>,
    /// Linker name of the function.
    pub function: String,
    /// Where in it.
    pub at: At,
    /// For [`At::AfterCall`]: linker name of the function whose return is seen.
    pub callee: Option<String>,
    /// The function's argument words as FUNCDATA_ArgInfo has them, single spaces between (`{8} {8 8} 8`).
    pub args: Option<String>,
    /// The words of the results that the site sees in the notation of `args`: the function's at an exit, the callee's after a
    /// call.
    pub returns: Option<String>,
    /// Parameters and results that the agent reads there.
    pub values: Vec<Value>,
    /// What is different where this site is taken.
    pub note: Option<String>,
    /// The module's versions in which the site means what the role says.
    pub versions: Range,
    /// Line in [`Entry::file`].
    pub line: usize,
}

/// Where in a function a site is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// Once per call, before an argument register is changed.
    Entry,
    /// At its returns.
    Exit,
    /// After the return of a callee.
    AfterCall,
}

impl At {
    /// Whether parameters are in place at such a site; else results are.
    pub fn sees_arguments(self) -> bool {
        match self {
            At::Entry => true,
            At::Exit | At::AfterCall => false,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSite {
    name: Option<Text>,
    function: Text,
    at: Text,
    callee: Option<Text>,
    args: Option<Text>,
    returns: Option<Text>,
    #[serde(default)]
    values: RawValues,
    note: Option<Text>,
    since: Option<Text>,
    until: Option<Text>,
}

/// Reads one site of a role.
pub(super) fn parse(reader: &Reader<'_>, module: &str, raw: Spanned<RawSite>) -> Result<Site, CatalogError> {
    let offset = raw.span().start;
    let raw = raw.into_inner();
    let at = match raw.at.as_ref().as_str() {
        "entry" => At::Entry,
        "exit" => At::Exit,
        "after_call" => At::AfterCall,
        other => return Err(reader.unknown(&raw.at, "role.site.at", other, "entry, exit or after_call")),
    };
    if (at == At::AfterCall) != raw.callee.is_some() {
        let reason = "a site at \"after_call\" names its callee, no other does";
        return Err(reader.error(raw.at.span().start, "role.site.callee", reason));
    }
    let args = shape(reader, "role.site.args", raw.args)?;
    let returns_offset = raw.returns.as_ref().map_or(offset, |returns| returns.span().start);
    let returns = shape(reader, "role.site.returns", raw.returns)?;
    if returns.is_some() && at.sees_arguments() {
        let reason = "the site has no results yet";
        return Err(reader.error(returns_offset, "role.site.returns", reason));
    }
    let values = values::read(raw.values, at.sees_arguments(), args.is_some());
    let values = values.map_err(|defect| reader.error(defect.offset, "role.site.values", defect.reason))?;
    Ok(Site {
        name: reader.optional("role.site.name", raw.name)?,
        function: reader.name("role.site.function", raw.function)?,
        at,
        callee: raw.callee.map(|callee| reader.name("role.site.callee", callee)).transpose()?,
        args,
        returns,
        values,
        note: reader.optional("role.site.note", raw.note)?,
        versions: reader.range(module, "role.site.", raw.since, raw.until)?,
        line: line_of(reader.text, offset),
    })
}

/// Argument or result words.
fn shape(reader: &Reader<'_>, key: &str, value: Option<Text>) -> Result<Option<String>, CatalogError> {
    let offset = value.as_ref().map_or(0, |value| value.span().start);
    let shape = reader.optional(key, value)?;
    if shape.as_ref().is_some_and(|text| text.contains("  ") || shape::parse(text).is_none()) {
        let reason = "is not words as in \"{8} {8 8} 8\": sizes in bytes, braces around an aggregate";
        return Err(reader.error(offset, key, reason));
    }
    Ok(shape)
}
