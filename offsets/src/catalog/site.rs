//! `[[role.site]]`: one place where a role can be seen.

use serde::Deserialize;
use toml::Spanned;

use super::Range;
use super::error::{CatalogError, line_of};
use super::reader::{Reader, Text};

/// Integer results in registers: nine on amd64 (Go's ABIInternal), more on arm64.
const MAX_RESULTS: u8 = 9;

/// One place where a role can be seen.
#[derive(Debug, Clone)]
pub struct Site {
    /// Linker name of the function.
    pub function: String,
    /// Where in it.
    pub at: At,
    /// For [`At::AfterCall`]: linker name of the function whose return is seen.
    pub callee: Option<String>,
    /// The function's argument words as FUNCDATA_ArgInfo has them, single spaces between (`{8} {8 8} 8`).
    pub args: Option<String>,
    /// For [`At::AfterCall`]: how many registers hold results, which must be untouched at the site.
    pub results: u8,
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSite {
    function: Text,
    at: Text,
    callee: Option<Text>,
    args: Option<Text>,
    results: Option<Spanned<u8>>,
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
    let results = raw.results.as_ref().map_or(0, |results| *results.as_ref());
    if (at == At::AfterCall) != (1..=MAX_RESULTS).contains(&results) {
        let at = raw.results.as_ref().map_or(offset, |results| results.span().start);
        let reason = "a site at \"after_call\" says how many registers hold results (1 to 9), no other does";
        return Err(reader.error(at, "role.site.results", reason));
    }
    let args_offset = raw.args.as_ref().map_or(offset, |args| args.span().start);
    let args = reader.optional("role.site.args", raw.args)?;
    if args.as_ref().is_some_and(|args| !is_arg_shape(args)) {
        let reason =
            "is not argument words as in \"{8} {8 8} 8\": sizes in bytes, braces around an aggregate";
        return Err(reader.error(args_offset, "role.site.args", reason));
    }
    Ok(Site {
        function: reader.name("role.site.function", raw.function)?,
        at,
        callee: raw.callee.map(|callee| reader.name("role.site.callee", callee)).transpose()?,
        args,
        results,
        note: reader.optional("role.site.note", raw.note)?,
        versions: reader.range(module, "role.site.", raw.since, raw.until)?,
        line: line_of(reader.text, offset),
    })
}

/// `{8} {8 8} 8`: sizes, balanced braces, `...` where the compiler cut a long list and `_` where it has no offset.
fn is_arg_shape(text: &str) -> bool {
    let spaced = text.replace('{', " { ").replace('}', " } ");
    let mut depth = 0_usize;
    for token in spaced.split_whitespace() {
        match token {
            "{" => depth += 1,
            "}" if depth == 0 => return false,
            "}" => depth -= 1,
            "..." | "_" => {}
            size if size.parse::<u8>().is_ok() => {}
            _ => return false,
        }
    }
    depth == 0 && !text.contains("  ")
}
