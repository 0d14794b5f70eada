//! `[[role]]`: something that happens in the library, and the sites where it can be seen.

use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::error::CatalogError;
use super::reader::{Reader, Text};
use super::site::{self, At, RawSite, Site};

/// Something that happens in the library, and the sites where it can be seen.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Role {
    /// `start`; the agent's program has the same name behind the entry's (`net_http_server_start`).
    pub name: String,
    /// Whether the library is refused without it.
    pub required: bool,
    /// Whether it is hit by every request, so that a stepped site is worth a word.
    pub hot: bool,
    /// Whether nothing is missing where none of its functions is in the program: what is not there is never called.
    pub if_present: bool,
    /// A function whose copies in this role's functions are this role's: it exists where there is such a copy.
    pub instead_of: Option<String>,
    /// The value of its sites, all calls, that is a package's variable: its address is what is wanted, and nothing is probed.
    pub variable: Option<String>,
    /// What makes the role none of the program's concern.
    pub unless: Vec<Unless>,
    /// What will be missing without it.
    pub gives: Option<String>,
    /// Alternatives in order of preference.
    pub sites: Vec<Site>,
    /// Line in [`Entry::file`](super::Entry::file).
    pub line: usize,
}

/// What a program has that does without a role.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Unless {
    /// What it is.
    pub has: Has,
    /// Why, for people: what follows `because the program`.
    pub because: String,
    /// Whether it does with it all the same where it is told the ids of its spans.
    pub but_with_ids: bool,
}

/// Something that a program has.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Has {
    /// A function, by its linker name.
    Function(String),
    /// A type of its own for this interface, beside those.
    Implementer {
        /// Its full name.
        interface: String,
        /// Full names of types that do not count.
        but: Vec<String>,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRole {
    name: Text,
    #[serde(default)]
    required: bool,
    #[serde(default)]
    hot: bool,
    #[serde(default)]
    if_present: bool,
    instead_of: Option<Text>,
    variable: Option<Text>,
    #[serde(default)]
    unless: Vec<RawUnless>,
    gives: Option<Text>,
    #[serde(default)]
    site: Vec<Spanned<RawSite>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawUnless {
    function: Option<Text>,
    implements: Option<Text>,
    #[serde(default)]
    but: Vec<Text>,
    because: Text,
    #[serde(default)]
    but_with_ids: bool,
}

/// Reads one role.
pub(super) fn parse(reader: &Reader<'_>, module: &str, raw: Spanned<RawRole>) -> Result<Role, CatalogError> {
    let offset = raw.span().start;
    let raw = raw.into_inner();
    if raw.site.is_empty() {
        return Err(reader.error(offset, "role.site", "a role needs at least one site"));
    }
    if !raw.required && raw.gives.is_none() {
        return Err(reader.error(offset, "role.gives", "an optional role must say what it gives"));
    }
    let sites: Vec<Site> =
        raw.site.into_iter().map(|site| site::parse(reader, module, site)).collect::<Result<_, _>>()?;
    if let Some(variable) = &raw.variable {
        let has_it =
            |site: &Site| site.at == At::Call && site.values.iter().any(|v| v.name == *variable.as_ref());
        if !sites.iter().all(has_it) {
            let reason = "names no value that each site has, and each is at \"call\"";
            return Err(reader.error(variable.span().start, "role.variable", reason));
        }
    }
    Ok(Role {
        name: reader.text("role.name", raw.name)?,
        required: raw.required,
        hot: raw.hot,
        if_present: raw.if_present,
        instead_of: raw.instead_of.map(|name| reader.name("role.instead_of", name)).transpose()?,
        variable: reader.optional("role.variable", raw.variable)?,
        unless: unless(reader, "role.unless", raw.unless)?,
        gives: reader.optional("role.gives", raw.gives)?,
        sites,
        line: reader.line_of(offset),
    })
}

/// Reads what makes a role, or a whole entry, none of a program's concern.
pub(super) fn unless(
    reader: &Reader<'_>,
    key: &str,
    raw: Vec<RawUnless>,
) -> Result<Vec<Unless>, CatalogError> {
    let of = |part: &str| format!("{key}.{part}");
    let one = |raw: RawUnless| {
        let has = match (raw.function, raw.implements) {
            (Some(function), None) if raw.but.is_empty() => {
                Has::Function(reader.name(&of("function"), function)?)
            }
            (None, Some(interface)) => {
                let but = raw.but.into_iter().map(|name| reader.name(&of("but"), name));
                Has::Implementer {
                    interface: reader.name(&of("implements"), interface)?,
                    but: but.collect::<Result<_, _>>()?,
                }
            }
            _ => {
                let reason = "wants `function`, or `implements` with or without `but`";
                return Err(reader.error(raw.because.span().start, key, reason));
            }
        };
        let because = reader.text(&of("because"), raw.because)?;
        Ok(Unless { has, because, but_with_ids: raw.but_with_ids })
    };
    raw.into_iter().map(one).collect()
}
