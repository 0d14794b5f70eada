//! One field in one version, for tables that have room for a number and for nothing else.
//!
//! The database answers with its reasons ([`Lookup`]); a table of another program has an offset, and mostly no architecture. So
//! only what was built itself counts here, and on the second architecture what nothing speaks against.

use offsets::{ARCHITECTURES, Basis, Database, Lookup, STD, Version, catalog};

/// A field in a module of the database.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Field {
    /// The module in whose versions a table counts.
    pub module: String,
    /// The module that defines the struct.
    pub owner: String,
    /// The struct with its full import path.
    pub type_name: String,
    /// Its field.
    pub name: String,
}

/// What both architectures together say of a field in one version; `None` is that there is no such field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Figure {
    /// That version was built for amd64. On arm64 it was built, too, or lies between two that were, with the same result.
    Both(Option<u64>),
    /// amd64 and arm64 differ.
    Apart(Option<u64>, Option<u64>),
    /// Built for amd64; nothing is known for arm64.
    Alone(Option<u64>),
    /// It was not built, or does not reach the struct, or another Go or dependency moves the field.
    Doubtful,
}

impl Field {
    /// A field as a table names it. One of another module has that module's layout, in the version of the same number: of a module
    /// that is not released together with the other, there is none.
    pub fn new(database: &Database, module: &str, type_name: &str, name: &str) -> Self {
        let owner = owner(database, type_name).unwrap_or(module).to_owned();
        let [module, type_name, name] = [module, type_name, name].map(ToOwned::to_owned);
        Self { module, owner, type_name, name }
    }

    /// What the database says of it for one architecture.
    pub fn look_up<'a>(&self, database: &'a Database, version: &str, arch: &str) -> Lookup<'a> {
        database.lookup(&self.owner, version, arch, &self.type_name, &self.name)
    }

    /// What both architectures say of it.
    pub fn figure(&self, database: &Database, version: &str) -> Figure {
        let [amd64, arm64] = ARCHITECTURES.map(|arch| self.look_up(database, version, arch));
        match (built(amd64), vouched(arm64)) {
            (Some(first), Some(second)) if first == second => Figure::Both(first),
            (Some(first), Some(second)) => Figure::Apart(first, second),
            (Some(first), None) => Figure::Alone(first),
            (None, _) => Figure::Doubtful,
        }
    }

    /// For people.
    pub fn spelled(&self) -> String {
        format!("{} {}.{}", self.module, self.type_name, self.name)
    }
}

/// Where that very version was built: the offset, or that there is no such field.
pub fn built(lookup: Lookup<'_>) -> Option<Option<u64>> {
    match lookup {
        Lookup::Exact { offset, .. } => Some(Some(offset)),
        Lookup::Absent(Basis::Exact) => Some(None),
        _ => None,
    }
}

/// Where it was built, or its neighbours were and agree.
fn vouched(lookup: Lookup<'_>) -> Option<Option<u64>> {
    match lookup {
        Lookup::Absent(_) => Some(None),
        _ => lookup.offset().map(Some),
    }
}

/// The module that defines a type, if it is recorded.
pub fn owner<'a>(database: &'a Database, type_name: &str) -> Option<&'a str> {
    let owner = catalog::owner(type_name, database.modules())?;
    database.modules().find(|module| *module == owner)
}

/// A version as other tables have it (`1.20.0`, `0.4.47`), of one that the database has (`1.20`, `v0.4.47`).
pub fn bare(module: &str, version: &str) -> String {
    match Version::parse(module, version) {
        Some(parsed) if module == STD => parsed.to_string(),
        _ => version.strip_prefix('v').unwrap_or(version).to_owned(),
    }
}

/// A version as the database asks for it, of one that another table has.
pub fn own(module: &str, version: &str) -> String {
    let bare = version.trim_start_matches('v');
    if module == STD { bare.to_owned() } else { format!("v{bare}") }
}

/// Versions for people: the first and the last, and how many where there are more.
pub fn folded(versions: &[String]) -> String {
    match versions {
        [] => String::new(),
        [one] => one.clone(),
        [first, .., last] => format!("{first} … {last} ({})", versions.len()),
    }
}

/// An offset for people.
pub fn said(offset: Option<u64>) -> String {
    offset.map_or_else(|| "none".to_owned(), |offset| offset.to_string())
}

#[cfg(test)]
mod tests {
    use offsets::database::format::Document;

    use super::*;
    use crate::data::text::json;

    #[test]
    fn a_struct_belongs_to_the_module_with_the_longest_path() {
        let texts = [STD, "example.org/a", "example.org/a/b"].map(|module| json(&Document::new(module)));
        let names = ["std.json", "a.json", "b.json"];
        let files = names.iter().copied().zip(texts.iter().map(String::as_str));
        let database = Database::from_json(files).expect("a database");
        for (type_name, expected) in [
            ("example.org/a.T", Some("example.org/a")),
            ("example.org/a/c.T", Some("example.org/a")),
            ("example.org/a/b.T", Some("example.org/a/b")),
            ("example.org/a/b/c.T", Some("example.org/a/b")),
            ("example.org/ab.T", None),
            ("gopkg.in/yaml.v3.Node", None),
            ("net/http.Request", Some(STD)),
            ("vendor/golang.org/x/net/http2/hpack.Encoder", Some(STD)),
            ("T", None),
        ] {
            assert_eq!(owner(&database, type_name), expected, "{type_name}");
        }
    }

    #[test]
    fn versions_are_spelled_as_others_do() {
        for (module, ours, theirs) in [
            (STD, "1.20", "1.20.0"),
            (STD, "1.22.12", "1.22.12"),
            ("m", "v0.4.47", "0.4.47"),
            ("m", "v1.58.0-dev", "1.58.0-dev"),
        ] {
            assert_eq!(bare(module, ours), theirs);
            let back = Version::parse(module, &own(module, theirs));
            assert_eq!(back, Version::parse(module, ours), "{theirs}");
        }
    }
}
