//! The JSON of one module (`data/*.json`; `schema.json` says the same for other readers).
//!
//! ```text
//! $schema, $id     names of the layout and of this document
//! license          "Apache-2.0"
//! schema_version   3
//! module           "std"
//! settings         by generator version: how it compiles
//! toolchains[]     the Go releases that compiled something: version, module, hash (h1: of that module's zip)
//! versions[]       one per recorded version, ascending
//!   version        "1.22.12"
//!   arch[]         what it was compiled for: "amd64", and "amd64+go1.19.13", "amd64+MODULE@V" or "amd64+X:noswissmap" where
//!                  another Go, a newer dependency or an experiment lays something out otherwise
//!   agrees[]       what it was compiled for too, with the same result as "amd64"
//!   toolchain      "go1.22.12"
//!   generator      the version of offsetgen
//!   hash           of the module itself; std has none, it is part of the toolchain
//!   go             the oldest Go that its go.mod and those of its dependencies allow, or a newer one where that does not
//!                  compile it; std has none
//!   modules[]      the dependencies that it was compiled with: "path@version"; those that its own go.mod asks for
//!   trust          "first-use" where no checksum database vouched for the hash
//!   embeds[]       those of them of which a type lies by value in what is recorded
//!   same_as        not compiled: its relevant packages have the same source as this version's
//!   prerelease, retracted
//! holes[]          what is known and not recorded: version, axis (of a recorded version; none for all of it), stage, reason
//! structs          by name with full import path
//!   tested[]       in which of the versions the struct was looked for: from, to, arch[]
//!   unreached[]    where its source declares it and the probe target does not reach it: nothing is known of it there
//!   sizes[]        runs of from, to, arch[], size; none where the struct does not exist
//!   fields         by name: runs of from, to, arch[], offset, type
//! functions        by linker name
//!   tested[], unreached[]   as above
//!   runs[]         from, to, arch[], inlined, params[], results[]; none where there is no such function
//! ```
//!
//! A run stands for every recorded version from `from` to `to`, both included, that was compiled for its `arch`, and for no
//! other. A field without a run for a version that its struct was tested in does not exist there.
//!
//! Keys are added within a schema version: a reader passes over those that it does not know. Whoever reads a file to write it
//! again has to ask for them first, since it would lose them (offsetgen does).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::error::DatabaseError;

/// The version of the JSON that this module reads and writes.
pub const SCHEMA_VERSION: u64 = 3;
/// `$id` of `schema.json`, `$schema` of each document.
pub const SCHEMA_ID: &str = "https://github.com/strobe-tracing/strobe/offsets/schema/3";
/// What the `$id` of each document begins with; its file's name follows.
pub const DATA_ID: &str = "https://github.com/strobe-tracing/strobe/offsets/data/";
/// The licence of the data, as SPDX spells it.
pub const LICENSE: &str = "Apache-2.0";
/// The file that offsetgen writes beside the documents of a folder, and that is none.
pub const INDEX: &str = "index.json";

/// The name of a module's file in a folder of data: slashes become underlines, and an underline, which few paths have, the `%5F`
/// that no path has. So no two modules have one name (`x.y/a/b_c` and `x.y/a_b/c` both were `x.y_a_b_c.json`).
pub fn file_name(module: &str) -> String {
    format!("{}.json", module.replace('_', "%5F").replace('/', "_"))
}

/// One module's figures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u64,
    /// Module path; `std` is the standard library.
    pub module: String,
    /// By generator version: how it compiles.
    pub settings: BTreeMap<String, String>,
    /// What compiled the versions, ascending.
    pub toolchains: Vec<Toolchain>,
    /// The recorded versions, ascending.
    pub versions: Vec<Tested>,
    /// Known versions that are not recorded, ascending.
    pub holes: Vec<Hole>,
    /// The structs that the catalog names (or named when a version was built).
    pub structs: BTreeMap<String, Struct>,
    /// The functions that it names.
    pub functions: BTreeMap<String, Function>,
}

/// One recorded version.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tested {
    /// Without a leading `go` for std.
    pub version: String,
    /// What it was compiled for.
    pub arch: Vec<String>,
    /// What else it was compiled for, with the same result.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub agrees: Vec<String>,
    /// What compiled it: one of [`Document::toolchains`].
    pub toolchain: String,
    /// Which offsetgen: a key of [`Document::settings`].
    pub generator: String,
    /// `h1:` of the module; none for std.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    /// `first-use` where no checksum database vouched for the hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust: Option<String>,
    /// The oldest Go that its go.mod and those of its dependencies allow (`1.21`), or where that does not compile it, the next
    /// one that does or is not tried; none for std.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub go: Option<String>,
    /// The dependencies that it was compiled with, `path@version`, ascending.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub modules: Vec<String>,
    /// Those of them of which a type lies by value in what is recorded: another version of one may change a layout.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub embeds: Vec<String>,
    /// The version whose relevant packages have the same source, and which was compiled in place of this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub same_as: Option<String>,
    /// A release candidate or the like.
    #[serde(default, skip_serializing_if = "is_false")]
    pub prerelease: bool,
    /// Its maker has taken it back (a `retract` line of a later go.mod).
    #[serde(default, skip_serializing_if = "is_false")]
    pub retracted: bool,
}

/// A Go toolchain, as a version of the module `golang.org/toolchain`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Toolchain {
    /// `go1.22.12`.
    pub version: String,
    /// `golang.org/toolchain@v0.0.1-go1.22.12.linux-amd64`.
    pub module: String,
    /// `h1:` of that module's zip, as the checksum database has it.
    pub hash: String,
}

/// A version that is known to exist and is not recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hole {
    /// Which.
    pub version: String,
    /// The axis of a recorded version; none where nothing of the version is recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub axis: Option<String>,
    /// `pending` (not tried yet), `withheld` (proxy or checksum database have no
    /// such version, or not the Go that it asks for), `fetch` (it could not be had),
    /// `compile` (it does not compile, or nothing can be read from it).
    pub stage: String,
    /// What was said, by the compiler mostly.
    pub reason: String,
}

/// One struct.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Struct {
    /// Where it was looked for.
    pub tested: Vec<Span>,
    /// Where its source declares it and the probe target does not reach it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreached: Vec<Span>,
    /// Its size, where it exists.
    pub sizes: Vec<SizeRun>,
    /// All its fields, in any version.
    pub fields: BTreeMap<String, Vec<FieldRun>>,
}

/// One function.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Function {
    /// Where it was looked for.
    pub tested: Vec<Span>,
    /// Where its source declares it and the probe target does not have it: it is not reached, or nothing is left of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreached: Vec<Span>,
    /// Where it is, and how it is called.
    pub runs: Vec<FunctionRun>,
}

/// Recorded versions from one to another, both included.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// First version.
    pub from: String,
    /// Last version.
    pub to: String,
    /// Architectures.
    pub arch: Vec<String>,
}

/// A struct's size in a range of recorded versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SizeRun {
    /// First version.
    pub from: String,
    /// Last version.
    pub to: String,
    /// Architectures.
    pub arch: Vec<String>,
    /// Bytes.
    pub size: u64,
}

/// A field's place in a range of recorded versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldRun {
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

/// How a function is called in a range of recorded versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunctionRun {
    /// First version.
    pub from: String,
    /// Last version.
    pub to: String,
    /// Architectures.
    pub arch: Vec<String>,
    /// In the probe target: `no`, `partly` (some calls), or `always` (there is no copy that is called).
    pub inlined: Inlined,
    /// Receiver first.
    pub params: Vec<Parameter>,
    /// In order.
    pub results: Vec<Parameter>,
}

/// Whether calls of a function are compiled into its callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Inlined {
    /// None is.
    No,
    /// Some are, and there is a copy that is called.
    Partly,
    /// All are.
    Always,
}

impl Inlined {
    /// As JSON spells it.
    pub fn word(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::Partly => "partly",
            Self::Always => "always",
        }
    }
}

/// A parameter at a function's entry, or a result at its return.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Parameter {
    /// As the source has it; `~r0` and the like where it has none.
    pub name: String,
    /// Go type with full import paths.
    pub r#type: String,
    /// Registers in order (`rax rbx`), or the place above the return address on the stack (`stack+8`). Empty: no bytes.
    pub at: String,
}

impl Document {
    /// A document of a module of which nothing is known.
    pub fn new(module: &str) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            module: module.to_owned(),
            settings: BTreeMap::new(),
            toolchains: Vec::new(),
            versions: Vec::new(),
            holes: Vec::new(),
            structs: BTreeMap::new(),
            functions: BTreeMap::new(),
        }
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
            return Err(DatabaseError::Schema { file: file.to_owned(), found, known: SCHEMA_VERSION });
        }
        serde_json::from_str(text).map_err(json)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_false(value: &bool) -> bool {
    !value
}
