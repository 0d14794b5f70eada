//! From a TOML text to an [`Entry`]: the file as it is written, and the checks that TOML's types cannot express.
//!
//! Every value carries its span, so that an error can say the line. Deliberately not here: checks that need a binary
//! or the database.

use serde::Deserialize;
use toml::Spanned;

use super::error::line_of;
use super::{At, CatalogError, Entry, Field, Itab, Map, Range, Role, Site, Status, Target, Variant};
use crate::{Version, names};

type Text = Spanned<String>;

/// Integer results in registers: nine on amd64 (Go's ABIInternal), more on arm64.
const MAX_RESULTS: u8 = 9;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEntry {
    id: Text,
    title: Text,
    module: Text,
    since: Option<Text>,
    until: Option<Text>,
    status: Text,
    present: Option<Spanned<Vec<Text>>>,
    #[serde(default)]
    structs: Vec<Text>,
    #[serde(default)]
    functions: Vec<Text>,
    target: RawTarget,
    #[serde(default)]
    role: Vec<Spanned<RawRole>>,
    #[serde(default)]
    field: Vec<Spanned<RawField>>,
    #[serde(default)]
    itab: Vec<Spanned<RawItab>>,
    #[serde(default)]
    map: Vec<Spanned<RawMap>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTarget {
    source: Text,
    #[serde(default)]
    variant: Vec<RawVariant>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawVariant {
    since: Option<Text>,
    until: Option<Text>,
    source: Text,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRole {
    name: Text,
    #[serde(default)]
    required: bool,
    #[serde(default)]
    hot: bool,
    #[serde(default)]
    if_present: bool,
    gives: Option<Text>,
    #[serde(default)]
    site: Vec<Spanned<RawSite>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSite {
    function: Text,
    at: Text,
    callee: Option<Text>,
    args: Option<Text>,
    results: Option<Spanned<u8>>,
    note: Option<Text>,
    since: Option<Text>,
    until: Option<Text>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawField {
    r#type: Text,
    name: Text,
    kind: Text,
    since: Option<Text>,
    until: Option<Text>,
    #[serde(default)]
    required: bool,
    gives: Option<Text>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawItab {
    interface: Text,
    concrete: Text,
    #[serde(default)]
    required: bool,
    gives: Option<Text>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMap {
    r#type: Text,
    #[serde(default)]
    required: bool,
    gives: Option<Text>,
}

/// Reads one catalog file.
pub(super) fn parse(file: &str, text: &str) -> Result<Entry, CatalogError> {
    let reader = Reader { file, text };
    let raw: RawEntry = toml::from_str(text).map_err(|error| reader.syntax(&error))?;
    reader.entry(raw)
}

struct Reader<'a> {
    file: &'a str,
    text: &'a str,
}

impl Reader<'_> {
    fn error(&self, offset: usize, key: &str, reason: impl Into<String>) -> CatalogError {
        let line = line_of(self.text, offset);
        CatalogError { file: self.file.to_owned(), line, key: key.to_owned(), reason: reason.into() }
    }

    /// An error of the TOML reader: its span is the key or value; the key is the first word of that line.
    fn syntax(&self, error: &toml::de::Error) -> CatalogError {
        let offset = error.span().map_or(0, |span| span.start);
        let line = self.text.lines().nth(line_of(self.text, offset) - 1).unwrap_or_default();
        let key = line.split('=').next().unwrap_or_default().trim();
        self.error(offset, if key.is_empty() { "(file)" } else { key }, error.message().trim())
    }

    fn text(&self, key: &str, value: Text) -> Result<String, CatalogError> {
        let offset = value.span().start;
        let value = value.into_inner();
        if value.trim().is_empty() { Err(self.error(offset, key, "is empty")) } else { Ok(value) }
    }

    /// The name of a function or a type, which the catalog writes plainly.
    fn name(&self, key: &str, value: Text) -> Result<String, CatalogError> {
        let offset = value.span().start;
        let name = self.text(key, value)?;
        match names::plain_text(&name) {
            plain if *plain == name => Ok(name),
            plain => {
                Err(self.error(offset, key, format!("{name:?} is the linker's spelling: write {plain:?}")))
            }
        }
    }

    fn optional(&self, key: &str, value: Option<Text>) -> Result<Option<String>, CatalogError> {
        value.map(|value| self.text(key, value)).transpose()
    }

    fn version(&self, module: &str, key: &str, value: Option<Text>) -> Result<Option<Version>, CatalogError> {
        let Some(value) = value else { return Ok(None) };
        let parsed = Version::parse(module, value.as_ref()).filter(|version| version.suffix().is_empty());
        parsed.map(Some).ok_or_else(|| {
            self.error(value.span().start, key, format!("{:?} is no version of {module}", value.as_ref()))
        })
    }

    fn range(
        &self,
        module: &str,
        table: &str,
        since: Option<Text>,
        until: Option<Text>,
    ) -> Result<Range, CatalogError> {
        let offset = until.as_ref().map_or(0, |until| until.span().start);
        let since = self.version(module, &format!("{table}since"), since)?;
        let until = self.version(module, &format!("{table}until"), until)?;
        match (&since, &until) {
            (Some(since), Some(until)) if until <= since => {
                let reason = format!("{until} is not after since = {since} (until is exclusive)");
                Err(self.error(offset, &format!("{table}until"), reason))
            }
            _ => Ok(Range { since, until }),
        }
    }

    fn entry(&self, raw: RawEntry) -> Result<Entry, CatalogError> {
        let module = self.text("module", raw.module)?;
        let status = match raw.status.as_ref().as_str() {
            "instrumented" => Status::Instrumented,
            "recorded" => Status::Recorded,
            other => return Err(self.unknown(&raw.status, "status", other, "instrumented or recorded")),
        };
        let present = self.present(raw.present)?;
        let structs = self.structs(raw.structs)?;
        let mut roles: Vec<Role> = Vec::new();
        for role in raw.role {
            let role = self.role(&module, role)?;
            if roles.iter().any(|other| other.name == role.name) {
                return Err(self.at_line(role.line, "role.name", format!("{:?} occurs twice", role.name)));
            }
            roles.push(role);
        }
        Ok(Entry {
            id: self.text("id", raw.id)?,
            title: self.text("title", raw.title)?,
            versions: self.range(&module, "", raw.since, raw.until)?,
            status,
            present,
            structs,
            functions: self.names("functions", raw.functions)?,
            target: self.target(&module, raw.target)?,
            roles,
            fields: self.fields(&module, raw.field)?,
            itabs: raw.itab.into_iter().map(|itab| self.itab(itab)).collect::<Result<_, _>>()?,
            maps: raw.map.into_iter().map(|map| self.map(map)).collect::<Result<_, _>>()?,
            module,
            file: self.file.to_owned(),
        })
    }

    fn names(&self, key: &str, values: Vec<Text>) -> Result<Vec<String>, CatalogError> {
        values.into_iter().map(|value| self.name(key, value)).collect()
    }

    fn present(&self, raw: Option<Spanned<Vec<Text>>>) -> Result<Vec<String>, CatalogError> {
        let Some(names) = raw else { return Ok(Vec::new()) };
        if names.as_ref().is_empty() {
            return Err(self.error(names.span().start, "present", "names no function"));
        }
        self.names("present", names.into_inner())
    }

    fn structs(&self, raw: Vec<Text>) -> Result<Vec<String>, CatalogError> {
        for name in &raw {
            if !name.as_ref().contains('.') {
                return Err(self.error(name.span().start, "structs", "is no IMPORT/PATH.Type"));
            }
        }
        self.names("structs", raw)
    }

    fn target(&self, module: &str, raw: RawTarget) -> Result<Target, CatalogError> {
        let variant = |raw: RawVariant| {
            let versions = self.range(module, "target.variant.", raw.since, raw.until)?;
            Ok(Variant { versions, source: self.text("target.variant.source", raw.source)? })
        };
        let variants = raw.variant.into_iter().map(variant).collect::<Result<_, CatalogError>>()?;
        Ok(Target { source: self.text("target.source", raw.source)?, variants })
    }

    fn unknown(&self, value: &Text, key: &str, found: &str, expected: &str) -> CatalogError {
        self.error(value.span().start, key, format!("{found:?} is not {expected}"))
    }

    fn at_line(&self, line: usize, key: &str, reason: String) -> CatalogError {
        CatalogError { file: self.file.to_owned(), line, key: key.to_owned(), reason }
    }

    fn role(&self, module: &str, raw: Spanned<RawRole>) -> Result<Role, CatalogError> {
        let offset = raw.span().start;
        let raw = raw.into_inner();
        if raw.site.is_empty() {
            return Err(self.error(offset, "role.site", "a role needs at least one site"));
        }
        if !raw.required && raw.gives.is_none() {
            return Err(self.error(offset, "role.gives", "an optional role must say what it gives"));
        }
        Ok(Role {
            name: self.text("role.name", raw.name)?,
            required: raw.required,
            hot: raw.hot,
            if_present: raw.if_present,
            gives: self.optional("role.gives", raw.gives)?,
            sites: raw.site.into_iter().map(|site| self.site(module, site)).collect::<Result<_, _>>()?,
            line: line_of(self.text, offset),
        })
    }

    fn site(&self, module: &str, raw: Spanned<RawSite>) -> Result<Site, CatalogError> {
        let offset = raw.span().start;
        let raw = raw.into_inner();
        let at = match raw.at.as_ref().as_str() {
            "entry" => At::Entry,
            "exit" => At::Exit,
            "after_call" => At::AfterCall,
            other => return Err(self.unknown(&raw.at, "role.site.at", other, "entry, exit or after_call")),
        };
        if (at == At::AfterCall) != raw.callee.is_some() {
            let reason = "a site at \"after_call\" names its callee, no other does";
            return Err(self.error(raw.at.span().start, "role.site.callee", reason));
        }
        let results = raw.results.as_ref().map_or(0, |results| *results.as_ref());
        if (at == At::AfterCall) != (1..=MAX_RESULTS).contains(&results) {
            let at = raw.results.as_ref().map_or(offset, |results| results.span().start);
            let reason =
                "a site at \"after_call\" says how many registers hold results (1 to 9), no other does";
            return Err(self.error(at, "role.site.results", reason));
        }
        let args_offset = raw.args.as_ref().map_or(offset, |args| args.span().start);
        let args = self.optional("role.site.args", raw.args)?;
        if args.as_ref().is_some_and(|args| !is_arg_shape(args)) {
            let reason =
                "is not argument words as in \"{8} {8 8} 8\": sizes in bytes, braces around an aggregate";
            return Err(self.error(args_offset, "role.site.args", reason));
        }
        Ok(Site {
            function: self.name("role.site.function", raw.function)?,
            at,
            callee: raw.callee.map(|callee| self.name("role.site.callee", callee)).transpose()?,
            args,
            results,
            note: self.optional("role.site.note", raw.note)?,
            versions: self.range(module, "role.site.", raw.since, raw.until)?,
            line: line_of(self.text, offset),
        })
    }

    fn fields(&self, module: &str, raw: Vec<Spanned<RawField>>) -> Result<Vec<Field>, CatalogError> {
        let mut fields: Vec<Field> = Vec::new();
        for field in raw {
            let field = self.field(module, field)?;
            let same = |other: &&Field| other.type_name == field.type_name && other.name == field.name;
            if let Some(other) =
                fields.iter().filter(same).find(|other| overlap(&other.versions, &field.versions))
            {
                let reason =
                    format!("{} of {} stands on line {} too", field.name, field.type_name, other.line);
                return Err(self.at_line(field.line, "field.name", reason));
            }
            fields.push(field);
        }
        Ok(fields)
    }

    fn field(&self, module: &str, raw: Spanned<RawField>) -> Result<Field, CatalogError> {
        let offset = raw.span().start;
        let raw = raw.into_inner();
        if !raw.required && raw.gives.is_none() {
            return Err(self.error(offset, "field.gives", "an optional field must say what it gives"));
        }
        if !raw.r#type.as_ref().contains('.') {
            return Err(self.error(raw.r#type.span().start, "field.type", "is no IMPORT/PATH.Type"));
        }
        let type_name = self.name("field.type", raw.r#type)?;
        // A struct's versions are its owner's, and those of the standard library are written another way than a module's.
        let package = names::package(&type_name).unwrap_or_default();
        let owner = names::owner(package, [module]).unwrap_or(package);
        Ok(Field {
            name: self.text("field.name", raw.name)?,
            kind: self.text("field.kind", raw.kind)?,
            versions: self.range(owner, "field.", raw.since, raw.until)?,
            required: raw.required,
            gives: self.optional("field.gives", raw.gives)?,
            line: line_of(self.text, offset),
            type_name,
        })
    }

    fn itab(&self, raw: Spanned<RawItab>) -> Result<Itab, CatalogError> {
        let line = line_of(self.text, raw.span().start);
        let raw = raw.into_inner();
        Ok(Itab {
            interface: self.text("itab.interface", raw.interface)?,
            concrete: self.text("itab.concrete", raw.concrete)?,
            required: raw.required,
            gives: self.optional("itab.gives", raw.gives)?,
            line,
        })
    }

    fn map(&self, raw: Spanned<RawMap>) -> Result<Map, CatalogError> {
        let offset = raw.span().start;
        let raw = raw.into_inner();
        if !raw.r#type.as_ref().starts_with("map[") {
            return Err(self.error(raw.r#type.span().start, "map.type", "is no map type"));
        }
        Ok(Map {
            type_name: self.text("map.type", raw.r#type)?,
            required: raw.required,
            gives: self.optional("map.gives", raw.gives)?,
            line: line_of(self.text, offset),
        })
    }
}

/// Whether two ranges have a version in common.
fn overlap(a: &Range, b: &Range) -> bool {
    let before =
        |x: &Range, y: &Range| matches!((&x.until, &y.since), (Some(until), Some(since)) if until <= since);
    !before(a, b) && !before(b, a)
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
