//! From a TOML text to an [`Entry`]: the file as it is written, and the checks that TOML's types cannot express.
//!
//! Every value carries its span, so that an error can say the line. Deliberately not here: checks that need a binary
//! or the database.

use std::collections::{HashMap, HashSet};

use serde::Deserialize;
use toml::Spanned;

use super::entry::{Entry, Field, Itab, Map, Status, Target, Variant};
use super::error::CatalogError;
use super::limits;
use super::operation::{self, RawOperation};
use super::range::Range;
use super::reader::{Reader, Text};
use super::role::{self, RawRole, RawUnless, Role};
use super::types::{self, RawType};
use crate::names;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEntry {
    id: Option<Text>,
    title: Option<Text>,
    module: Option<Text>,
    since: Option<Text>,
    until: Option<Text>,
    status: Option<Text>,
    present: Option<Spanned<Vec<Text>>>,
    #[serde(default)]
    absent: Vec<Text>,
    #[serde(default)]
    unless: Vec<RawUnless>,
    #[serde(default)]
    closures: Vec<Text>,
    #[serde(default)]
    structs: Vec<Text>,
    #[serde(default)]
    functions: Vec<Text>,
    target: Option<RawTarget>,
    #[serde(default)]
    instance: Vec<Spanned<RawInstance>>,
    #[serde(default)]
    role: Vec<Spanned<RawRole>>,
    #[serde(default)]
    field: Vec<Spanned<RawField>>,
    #[serde(default)]
    itab: Vec<Spanned<RawItab>>,
    #[serde(default)]
    map: Vec<Spanned<RawMap>>,
    #[serde(default)]
    size: Vec<Spanned<RawType>>,
    #[serde(default)]
    r#type: Vec<Spanned<RawType>>,
    #[serde(default)]
    operation: Vec<Spanned<RawOperation>>,
}

/// One of the packages that a library lives in.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawInstance {
    id: Text,
    title: Text,
    module: Text,
    package: Text,
    #[serde(default)]
    prefix: String,
    since: Option<Text>,
    until: Option<Text>,
    target: Option<RawTarget>,
    #[serde(default)]
    field: Vec<Spanned<RawField>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTarget {
    file: Text,
    #[serde(default)]
    variant: Vec<RawVariant>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawVariant {
    since: Option<Text>,
    until: Option<Text>,
    file: Text,
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
    #[serde(default)]
    if_present: bool,
    gives: Option<Text>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawItab {
    interface: Text,
    concrete: Option<Text>,
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

/// What an instance's package and prefix are written for.
const PACKAGE: &str = "{pkg}";
const PREFIX: &str = "{prefix}";

/// Reads one catalog file: an entry, or one for each of its instances. An instance's are put into the text, whose lines stay what they
/// are, so that everything behind this sees plain entries.
pub(super) fn parse(file: &str, text: &str) -> Result<Vec<Entry>, CatalogError> {
    let reader = Reader::new(file, text);
    let raw = reader.read()?;
    let Some(first) = raw.instance.first() else {
        if let Some(at) = text.find(PACKAGE).or_else(|| text.find(PREFIX)) {
            return Err(reader.error(at, "instance", "stands for an instance's, and the file has none"));
        }
        return Ok(vec![reader.entry(raw)?]);
    };
    for (key, value) in [("id", &raw.id), ("title", &raw.title), ("module", &raw.module)] {
        if let Some(value) = value {
            return Err(reader.error(value.span().start, key, "each instance has its own"));
        }
    }
    if !text.contains(PACKAGE) {
        return Err(reader.error(
            first.span().start,
            "instance",
            "no name has {pkg} in it: all would be the same",
        ));
    }
    if let Some(more) = raw.instance.get(limits::MAX_INSTANCES) {
        let reason = format!("more than {} of them", limits::MAX_INSTANCES);
        return Err(reader.error(more.span().start, "instance", reason));
    }
    let names = raw.instance.iter().map(|one| (one.as_ref().package.as_ref(), &one.as_ref().prefix));
    let one = |(position, (package, prefix)): (usize, (&String, &String))| {
        let text = put_in(text, PACKAGE, package).and_then(|text| put_in(&text, PREFIX, prefix));
        let text =
            text.ok_or_else(|| reader.error(0, "instance", "with its names put in the file is too long"))?;
        let reader = Reader::new(file, &text);
        let mut raw = reader.read()?;
        let instance = raw.instance.swap_remove(position).into_inner();
        (raw.id, raw.title, raw.module) = (Some(instance.id), Some(instance.title), Some(instance.module));
        (raw.since, raw.until) = (instance.since, instance.until);
        raw.target = instance.target.or(raw.target);
        raw.field.extend(instance.field);
        reader.entry(raw)
    };
    names.enumerate().map(one).collect()
}

/// The text with a name put in wherever the word stands for it; none if that is too long.
fn put_in(text: &str, word: &str, name: &str) -> Option<String> {
    let added = text.matches(word).count().checked_mul(name.len())?;
    (text.len().checked_add(added)? <= limits::MAX_TEXT_BYTES).then(|| text.replace(word, name))
}

impl Reader<'_> {
    fn read(&self) -> Result<RawEntry, CatalogError> {
        toml::from_str(self.text).map_err(|error| self.syntax(&error))
    }

    /// A text that has to be there.
    fn required(&self, key: &str, value: Option<Text>) -> Result<String, CatalogError> {
        let value = value.ok_or_else(|| self.error(0, key, "is missing"))?;
        self.text(key, value)
    }

    fn entry(&self, raw: RawEntry) -> Result<Entry, CatalogError> {
        let module = self.required("module", raw.module)?;
        let status = match &raw.status {
            None => Status::Custom,
            Some(status) => match status.as_ref().as_str() {
                "instrumented" => Status::Instrumented,
                "recorded" => Status::Recorded,
                "custom" => Status::Custom,
                other => {
                    return Err(self.unknown(status, "status", other, "instrumented, recorded or custom"));
                }
            },
        };
        let present = self.present(raw.present)?;
        let structs = self.structs(raw.structs)?;
        let (mut roles, mut names): (Vec<Role>, HashSet<String>) = Default::default();
        for role in raw.role {
            let role = role::parse(self, &module, role)?;
            if !names.insert(role.name.clone()) {
                return Err(self.at_line(role.line, "role.name", format!("{:?} occurs twice", role.name)));
            }
            roles.push(role);
        }
        Ok(Entry {
            id: self.required("id", raw.id)?,
            title: self.required("title", raw.title)?,
            versions: self.range(&module, "", raw.since, raw.until)?,
            status,
            present,
            absent: self.names("absent", raw.absent)?,
            unless: role::unless(self, "unless", raw.unless)?,
            closures: self.names("closures", raw.closures)?,
            structs: structs.into(),
            functions: self.names("functions", raw.functions)?.into(),
            target: raw.target.map(|target| self.target(&module, target)).transpose()?,
            roles,
            fields: self.fields(&module, raw.field)?.into(),
            itabs: raw.itab.into_iter().map(|itab| self.itab(itab)).collect::<Result<Vec<_>, _>>()?.into(),
            maps: raw.map.into_iter().map(|map| self.map(map)).collect::<Result<_, _>>()?,
            sizes: types::parse(self, &module, "size", raw.size)?.into(),
            types: types::parse(self, &module, "type", raw.r#type)?.into(),
            operations: operation::parse(self, &module, status == Status::Instrumented, raw.operation)?,
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
            Ok(Variant { versions, file: self.file("target.variant.file", raw.file)? })
        };
        let variants = raw.variant.into_iter().map(variant).collect::<Result<_, CatalogError>>()?;
        Ok(Target { file: self.file("target.file", raw.file)?, variants })
    }

    /// The name of a file of `targets/`, and of nothing outside of it.
    fn file(&self, key: &str, value: Text) -> Result<String, CatalogError> {
        let name = value.as_ref();
        if name.contains(['/', '\\']) || name.starts_with('.') || !name.ends_with(".go") {
            return Err(self.error(value.span().start, key, "is no NAME.go in targets/"));
        }
        self.text(key, value)
    }

    fn fields(&self, module: &str, raw: Vec<Spanned<RawField>>) -> Result<Vec<Field>, CatalogError> {
        let mut fields: Vec<Field> = Vec::new();
        let mut lines: HashMap<(String, String), Vec<(Range, usize)>> = HashMap::new();
        for field in raw {
            let field = self.field(module, field)?;
            let same = lines.entry((field.type_name.clone(), field.name.clone())).or_default();
            if same.len() >= limits::MAX_RANGES {
                let reason = format!("{} of {} has too many ranges of versions", field.name, field.type_name);
                return Err(self.at_line(field.line, "field.name", reason));
            }
            if let Some((_, line)) = same.iter().find(|(versions, _)| versions.overlaps(&field.versions)) {
                let reason = format!("{} of {} stands on line {line} too", field.name, field.type_name);
                return Err(self.at_line(field.line, "field.name", reason));
            }
            same.push((field.versions.clone(), field.line));
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
        let owner = match package {
            names::MAIN => module,
            _ => names::owner(package, [module]).unwrap_or(package),
        };
        Ok(Field {
            name: self.text("field.name", raw.name)?,
            kind: self.text("field.kind", raw.kind)?,
            versions: self.range(owner, "field.", raw.since, raw.until)?,
            required: raw.required,
            if_present: raw.if_present,
            gives: self.optional("field.gives", raw.gives)?,
            line: self.line_of(offset),
            type_name,
        })
    }

    fn itab(&self, raw: Spanned<RawItab>) -> Result<Itab, CatalogError> {
        let line = self.line_of(raw.span().start);
        let raw = raw.into_inner();
        Ok(Itab {
            interface: self.text("itab.interface", raw.interface)?,
            concrete: self.optional("itab.concrete", raw.concrete)?,
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
            line: self.line_of(offset),
        })
    }
}
