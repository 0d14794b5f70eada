//! `offsets.json` of OpenTelemetry's eBPF instrumentation (`pkg/components/goexec`), and of Beyla, which it came from.
//!
//! ```text
//! data
//!   "net/http.Request"      struct with its full import path
//!     "Method"              field
//!       versions            oldest, newest ("1.17.0", "0.4.11": without "v"): nothing is said outside of them
//!       offsets[]           offset, since: from that version on, up to the next one's
//! ```
//!
//! No module (it follows from the import path), no architecture, and no way to say that a field is not there.

use std::collections::BTreeMap;

use offsets::{Database, Version};
use serde::{Deserialize, Serialize};

use super::claim::Claim;
use crate::commands::figures::{self, Field};

/// The whole table.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offsets {
    /// By struct and field.
    pub data: BTreeMap<String, BTreeMap<String, Record>>,
}

/// One field.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Where something is said.
    pub versions: Bounds,
    /// Ascending.
    pub offsets: Vec<Since>,
}

/// The versions of which something is said, both ends included.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    /// The first.
    pub oldest: String,
    /// The last.
    pub newest: String,
}

/// An offset from a version on.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Since {
    /// Bytes.
    pub offset: u64,
    /// The first version.
    pub since: String,
}

/// Every field with its record. A struct of no recorded module stands under its own package.
fn all<'a>(table: &'a Offsets, database: &Database) -> Vec<(Field, &'a Record)> {
    let mut all = Vec::new();
    for (type_name, fields) in &table.data {
        let package = type_name.rsplit_once('.').map_or("", |(package, _)| package);
        let module = figures::owner(database, type_name).unwrap_or(package);
        all.extend(fields.iter().map(|(name, r)| (Field::new(database, module, type_name, name), r)));
    }
    all
}

pub(super) fn fields(table: &Offsets, database: &Database) -> Vec<Field> {
    all(table, database).into_iter().map(|(field, _)| field).collect()
}

/// It names the ends of ranges: what it says of each recorded version between them. A field of no recorded module has one claim,
/// of its oldest version, so that it is counted.
pub(super) fn claims(table: &Offsets, database: &Database) -> Vec<Claim> {
    let mut claims = Vec::new();
    for (field, record) in all(table, database) {
        let before = claims.len();
        let recorded = database.document(&field.module).into_iter().flat_map(|document| &document.versions);
        for tested in recorded {
            if let Some(offset) = record.at(&field.module, &tested.version) {
                let (field, version) = (field.clone(), tested.version.clone());
                claims.push(Claim { field, version, offset: Some(offset) });
            }
        }
        if claims.len() == before {
            let version = figures::own(&field.module, &record.versions.oldest);
            let offset = record.offsets.first().map(|one| one.offset);
            claims.push(Claim { field, version, offset });
        }
    }
    claims
}

impl Record {
    /// What it says of a version: the last offset that begins with it or before.
    fn at(&self, module: &str, version: &str) -> Option<u64> {
        let parse = |text: &str| Version::parse(module, &figures::own(module, text));
        let version = parse(version)?;
        if version < parse(&self.versions.oldest)? || version > parse(&self.versions.newest)? {
            return None;
        }
        let begins = |one: &&Since| parse(&one.since).is_some_and(|since| since <= version);
        self.offsets.iter().rev().find(begins).map(|one| one.offset)
    }
}
