//! The JSON of one module (`data/*.json`; `schema.json` says the same for other readers).
//!
//! ```text
//! schema_version   1
//! module           "std"
//! versions[]       one per tested version, ascending
//!   version        "1.22.12"
//!   arch[]         the architectures it was compiled for
//!   toolchain      the Go that compiled it: version, module, hash (h1: of that module's zip)
//!   hash           of the module itself; std has none, it is part of the toolchain
//! structs          by name with full import path
//!   tested[]       in which of the versions the struct was looked for: from, to, arch[]
//!   fields         by name: runs of from, to, arch[], offset, type
//! ```
//!
//! A run stands for every tested version from `from` to `to`, both included, and for no other. A field without a run for
//! a version that its struct was tested in does not exist there.
//!
//! The text is deterministic: keys in a fixed order, one run per line, so that a change is a readable diff.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::DatabaseError;

/// The version of the JSON that this module reads and writes.
pub const SCHEMA_VERSION: u64 = 1;

/// One module's figures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u64,
    /// Module path; `std` is the standard library.
    pub module: String,
    /// The tested versions, ascending.
    pub versions: Vec<Tested>,
    /// The structs that the catalog names (or named when a version was built).
    pub structs: BTreeMap<String, Struct>,
}

/// One version that was built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tested {
    /// Without a leading `go` for std.
    pub version: String,
    /// What it was compiled for.
    pub arch: Vec<String>,
    /// What compiled it.
    pub toolchain: Toolchain,
    /// `h1:` of the module; none for std.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
}

/// A Go toolchain, as a version of the module `golang.org/toolchain`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Toolchain {
    /// `go1.22.12`.
    pub version: String,
    /// `golang.org/toolchain@v0.0.1-go1.22.12.linux-amd64`.
    pub module: String,
    /// `h1:` of that module's zip, as the checksum database has it.
    pub hash: String,
}

/// One struct.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Struct {
    /// Where it was looked for.
    pub tested: Vec<Span>,
    /// All its fields, in any version.
    pub fields: BTreeMap<String, Vec<Run>>,
}

/// Tested versions from one to another, both included.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Span {
    /// First version.
    pub from: String,
    /// Last version.
    pub to: String,
    /// Architectures.
    pub arch: Vec<String>,
}

/// A field's place in a range of tested versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// First version.
    pub from: String,
    /// Last version.
    pub to: String,
    /// Architectures.
    pub arch: Vec<String>,
    /// Bytes from the start of the struct.
    pub offset: u64,
    /// The field's Go type with full import paths.
    pub r#type: String,
}

impl Document {
    /// A document of a module of which nothing is known.
    pub fn new(module: &str) -> Self {
        let (versions, structs) = (Vec::new(), BTreeMap::new());
        Self { schema_version: SCHEMA_VERSION, module: module.to_owned(), versions, structs }
    }

    /// Reads a document; `file` is for messages. Its content is checked when it is put into a database.
    pub fn parse(file: &str, text: &str) -> Result<Self, DatabaseError> {
        #[derive(Deserialize)]
        struct Versioned {
            schema_version: u64,
        }
        let json = |error: serde_json::Error| DatabaseError::Json {
            file: file.to_owned(),
            line: error.line(),
            column: error.column(),
            reason: error.to_string(),
        };
        let Versioned { schema_version: found } = serde_json::from_str(text).map_err(json)?;
        if found != SCHEMA_VERSION {
            return Err(DatabaseError::Schema { file: file.to_owned(), found });
        }
        serde_json::from_str(text).map_err(json)
    }

    /// The one text of this document.
    pub fn to_json(&self) -> String {
        let mut out = String::new();
        let _ = write!(out, "{{\n  \"schema_version\": {},\n", self.schema_version);
        let _ = write!(out, "  \"module\": {},\n  \"versions\": ", line(&self.module));
        list(&mut out, 2, &self.versions);
        out.push_str(",\n  \"structs\": {");
        for (index, (name, record)) in self.structs.iter().enumerate() {
            let _ = write!(out, "{}\n    {}: {{\n      \"tested\": ", comma(index), line(name));
            list(&mut out, 6, &record.tested);
            out.push_str(",\n      \"fields\": {");
            for (index, (name, runs)) in record.fields.iter().enumerate() {
                let _ = write!(out, "{}\n        {}: ", comma(index), line(name));
                list(&mut out, 8, runs);
            }
            out.push_str(if record.fields.is_empty() { "}\n    }" } else { "\n      }\n    }" });
        }
        out.push_str(if self.structs.is_empty() { "}\n}\n" } else { "\n  }\n}\n" });
        out
    }
}

fn comma(index: usize) -> &'static str {
    if index == 0 { "" } else { "," }
}

/// A JSON array with one element per line.
fn list<T: Serialize>(out: &mut String, indent: usize, items: &[T]) {
    out.push('[');
    for (index, item) in items.iter().enumerate() {
        let _ = write!(out, "{}\n{:indent$}  {}", comma(index), "", line(item));
    }
    if !items.is_empty() {
        let _ = write!(out, "\n{:indent$}", "");
    }
    out.push(']');
}

/// Compact JSON. The types above hold strings, numbers and lists of them, which always serialize.
fn line<T: Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
