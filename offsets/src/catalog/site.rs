//! `[[role.site]]`: one place where a role can be seen.

use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::error::CatalogError;
use super::range::Range;
use super::reader::{Reader, Text};
use super::values::{self, RawValues, Value};
use crate::abi::shape;

/// One place where a role can be seen.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Site {
    /// What the agent calls this alternative, where it has to know which was taken.
    pub name: Option<String>,
    /// Linker name of the function.
    pub function: String,
    /// Where in it.
    pub at: At,
    /// For [`At::AfterCall`] and [`At::Call`]: linker name of the function that is called; none where `indirect` says it.
    pub callee: Option<String>,
    /// For [`At::AfterCall`]: what is called where that has no name.
    pub indirect: Option<Indirect>,
    /// Beside `indirect`: what a profile makes the compiler call by name in its place, which counts as well; and behind each function the
    /// one that it does nothing but call.
    pub by_name: Vec<String>,
    /// For [`At::AfterCall`]: the site may be reached from behind other calls too, and means the same there.
    pub also_reached: bool,
    /// For [`At::AfterCall`]: where nothing that the kernel emulates follows, an instruction that it steps will do.
    pub stepped: bool,
    /// For [`At::AfterCall`]: one call may be seen twice there, which means no more than once.
    pub repeats: bool,
    /// For [`At::AfterCall`]: which of `values` is not nil at the site, where the calls whose result is nil do not come by.
    pub unless_nil: Option<String>,
    /// For [`At::AfterCall`] and [`At::Call`]: also in every function that the compiler copied this one's body into.
    pub inlined: bool,
    /// For [`At::Entry`] of a deferred function: the function that deferred it, whose results are wanted.
    pub results_of: Option<String>,
    /// For [`At::Entry`]: functions that the return address is compared with.
    pub callers: Vec<String>,
    /// Beside `callers`: functions between them and this one that the compiler mostly copies into them. Where a caller calls one of them by
    /// name, its calls are not told from others.
    pub through: Vec<String>,
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum At {
    /// Once per call, before an argument register is changed.
    Entry,
    /// At its returns.
    Exit,
    /// After the return of a callee.
    AfterCall,
    /// At the call of a callee, its arguments in place.
    Call,
}

/// What a call without a callee's name calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Indirect {
    /// The method of that number of some interface, in the order of the methods' names.
    Method(u8),
    /// What a function value holds.
    Closure,
}

impl At {
    /// Whether parameters are in place at such a site; else results are.
    pub fn sees_arguments(self) -> bool {
        match self {
            At::Entry | At::Call => true,
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
    indirect: Option<Text>,
    #[serde(default)]
    by_name: Vec<Text>,
    #[serde(default)]
    also_reached: bool,
    #[serde(default)]
    stepped: bool,
    #[serde(default)]
    repeats: bool,
    unless_nil: Option<Text>,
    #[serde(default)]
    inlined: bool,
    results_of: Option<Text>,
    #[serde(default)]
    callers: Vec<Text>,
    #[serde(default)]
    through: Vec<Text>,
    args: Option<Text>,
    returns: Option<Text>,
    #[serde(default)]
    values: RawValues,
    note: Option<Text>,
    since: Option<Text>,
    until: Option<Text>,
}

impl RawSite {
    /// Whether its keys are those of a site at such a place.
    fn suits(&self, reader: &Reader<'_>, at: At) -> Result<(), CatalogError> {
        let (behind, calls) = (at == At::AfterCall, matches!(at, At::AfterCall | At::Call));
        let names = usize::from(self.callee.is_some()) + usize::from(self.indirect.is_some());
        let entry = at == At::Entry;
        for (key, wrong, reason) in [
            (
                "callee",
                (names == 1) != calls,
                "a site at \"after_call\" or \"call\" says what is called, once",
            ),
            ("indirect", self.indirect.is_some() && !behind, "is for a site at \"after_call\""),
            ("by_name", !self.by_name.is_empty() && self.indirect.is_none(), "is for a site with `indirect`"),
            ("also_reached", self.also_reached && !behind, "is for a site at \"after_call\""),
            ("stepped", self.stepped && !behind, "is for a site at \"after_call\""),
            ("repeats", self.repeats && !behind, "is for a site at \"after_call\""),
            ("unless_nil", self.unless_nil.is_some() && !behind, "is for a site at \"after_call\""),
            (
                "unless_nil",
                self.unless_nil.is_some() && (self.also_reached || self.stepped || self.repeats),
                "is for a site without `also_reached`, `stepped` and `repeats`",
            ),
            ("inlined", self.inlined && !calls, "is for a site at \"after_call\" or \"call\""),
            ("results_of", self.results_of.is_some() && !entry, "is for a site at \"entry\""),
            ("callers", !self.callers.is_empty() && !entry, "is for a site at \"entry\""),
            ("through", !self.through.is_empty() && self.callers.is_empty(), "is for a site with `callers`"),
        ] {
            if wrong {
                return Err(reader.error(self.at.span().start, &format!("role.site.{key}"), reason));
            }
        }
        Ok(())
    }
}

/// `method 0`, `closure`.
fn indirect(reader: &Reader<'_>, text: &Text) -> Result<Indirect, CatalogError> {
    let word = text.as_ref().as_str();
    let method = word.strip_prefix("method ").and_then(|number| number.parse().ok()).map(Indirect::Method);
    let found = if word == "closure" { Some(Indirect::Closure) } else { method };
    found.ok_or_else(|| reader.unknown(text, "role.site.indirect", word, "closure or method N (0 to 255)"))
}

/// Reads one site of a role.
pub(super) fn parse(reader: &Reader<'_>, module: &str, raw: Spanned<RawSite>) -> Result<Site, CatalogError> {
    let offset = raw.span().start;
    let raw = raw.into_inner();
    let at = match raw.at.as_ref().as_str() {
        "entry" => At::Entry,
        "exit" => At::Exit,
        "after_call" => At::AfterCall,
        "call" => At::Call,
        other => {
            return Err(reader.unknown(&raw.at, "role.site.at", other, "entry, exit, after_call or call"));
        }
    };
    raw.suits(reader, at)?;
    let indirect = raw.indirect.as_ref().map(|text| indirect(reader, text)).transpose()?;
    let args = shape(reader, "role.site.args", raw.args)?;
    let returns_offset = raw.returns.as_ref().map_or(offset, |returns| returns.span().start);
    let returns = shape(reader, "role.site.returns", raw.returns)?;
    if returns.is_some() && at.sees_arguments() && raw.results_of.is_none() {
        let reason = "the site has no results yet";
        return Err(reader.error(returns_offset, "role.site.returns", reason));
    }
    if returns.is_none()
        && let Some(function) = &raw.results_of
    {
        let reason = "needs `returns`, the words of that function's results";
        return Err(reader.error(function.span().start, "role.site.results_of", reason));
    }
    let values = values::read(raw.values, at.sees_arguments(), args.is_some());
    let values = values.map_err(|defect| reader.error(defect.offset, "role.site.values", defect.reason))?;
    let unless_nil = raw.unless_nil.as_ref().map(|name| {
        let is_value = values.iter().any(|value| value.name == *name.as_ref());
        let reason = "is none of the site's `values`";
        is_value
            .then(|| name.as_ref().clone())
            .ok_or_else(|| reader.error(name.span().start, "role.site.unless_nil", reason))
    });
    Ok(Site {
        name: reader.optional("role.site.name", raw.name)?,
        function: reader.name("role.site.function", raw.function)?,
        at,
        callee: raw.callee.map(|callee| reader.name("role.site.callee", callee)).transpose()?,
        indirect,
        by_name: raw
            .by_name
            .into_iter()
            .map(|name| reader.name("role.site.by_name", name))
            .collect::<Result<_, _>>()?,
        also_reached: raw.also_reached,
        stepped: raw.stepped,
        repeats: raw.repeats,
        unless_nil: unless_nil.transpose()?,
        inlined: raw.inlined,
        results_of: raw.results_of.map(|name| reader.name("role.site.results_of", name)).transpose()?,
        callers: raw
            .callers
            .into_iter()
            .map(|caller| reader.name("role.site.callers", caller))
            .collect::<Result<_, _>>()?,
        through: raw
            .through
            .into_iter()
            .map(|name| reader.name("role.site.through", name))
            .collect::<Result<_, _>>()?,
        args,
        returns,
        values,
        note: reader.optional("role.site.note", raw.note)?,
        versions: reader.range(module, "role.site.", raw.since, raw.until)?,
        line: reader.line_of(offset),
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
