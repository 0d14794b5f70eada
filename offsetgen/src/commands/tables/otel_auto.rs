//! `internal/pkg/inject/offset_results.json` of `go.opentelemetry.io/auto`.
//!
//! ```text
//! []                        module ("std" is the standard library)
//!   packages[]              package (import path)
//!     structs[]             struct (without the package)
//!       fields[]            field
//!         offsets[]         offset (null: no such field), versions[] ("1.22.0", "0.4.47": without "v", with the patch)
//! ```
//!
//! No architecture: it stands for both.

use offsets::Database;
use serde::{Deserialize, Serialize};

use super::claim::Claim;
use crate::commands::figures::{self, Field};

/// One Go module.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Module {
    /// Its path.
    pub module: String,
    /// Those with structs.
    pub packages: Vec<Package>,
}

/// One package.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    /// Its import path.
    pub package: String,
    /// Its structs.
    pub structs: Vec<Struct>,
}

/// One struct.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Struct {
    /// Its name in the package.
    pub r#struct: String,
    /// Its fields.
    pub fields: Vec<Offsets>,
}

/// One field.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offsets {
    /// Its name.
    pub field: String,
    /// Ascending by their first version.
    pub offsets: Vec<Offset>,
}

/// An offset, and where it is so.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offset {
    /// None: there is no such field.
    pub offset: Option<u64>,
    /// Ascending.
    pub versions: Vec<String>,
}

/// Every field with its record.
fn all<'a>(modules: &'a [Module], database: &Database) -> Vec<(Field, &'a Offsets)> {
    let mut all = Vec::new();
    for module in modules {
        for package in &module.packages {
            for record in &package.structs {
                let type_name = format!("{}.{}", package.package, record.r#struct);
                let fields = record.fields.iter();
                all.extend(fields.map(|f| (Field::new(database, &module.module, &type_name, &f.field), f)));
            }
        }
    }
    all
}

pub(super) fn fields(modules: &[Module], database: &Database) -> Vec<Field> {
    all(modules, database).into_iter().map(|(field, _)| field).collect()
}

pub(super) fn claims(modules: &[Module], database: &Database) -> Vec<Claim> {
    let mut claims = Vec::new();
    for (field, record) in all(modules, database) {
        for Offset { offset, versions } in &record.offsets {
            for version in versions {
                let version = figures::own(&field.module, version);
                claims.push(Claim { field: field.clone(), version, offset: *offset });
            }
        }
    }
    claims
}

/// Puts a field behind the others; those of one module, package and struct have to follow one another.
pub fn push(modules: &mut Vec<Module>, field: &Field, offsets: Vec<Offset>) {
    let (package, name) = field.type_name.rsplit_once('.').unwrap_or_default();
    let module = last(
        modules,
        |one| one.module == field.module,
        || Module { module: field.module.clone(), ..Module::default() },
    );
    let package = last(
        &mut module.packages,
        |one| one.package == package,
        || Package { package: package.to_owned(), ..Package::default() },
    );
    let record = last(
        &mut package.structs,
        |one| one.r#struct == name,
        || Struct { r#struct: name.to_owned(), ..Struct::default() },
    );
    record.fields.push(Offsets { field: field.name.clone(), offsets });
}

/// The last of a list where it is that one, else a new one behind it.
fn last<T>(all: &mut Vec<T>, is: impl Fn(&T) -> bool, new: impl Fn() -> T) -> &mut T {
    if !all.last().is_some_and(is) {
        all.push(new());
    }
    let end = all.len() - 1;
    &mut all[end]
}
