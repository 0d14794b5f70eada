//! The database: where each field of the catalog's structs lies, in which version, on which architecture, and how that
//! is known.
//!
//! One JSON document per Go module (`data/`, layout in [`format`]). [`Database`] answers for any version, and an answer
//! always says how good it is ([`Lookup`]): a bare number would invite taking a version for its neighbour.
//!
//! Deliberately not here: how figures are found (`offsetgen`), and what to do about a doubtful one (the analyzer).

pub mod format;
pub mod observations;
pub mod unknown;

mod axes;
mod compact;
mod index;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{LazyLock, OnceLock};

use sha2::{Digest, Sha256};

use crate::Version;
use format::Document;
use index::Index;

// `DATA`, every file of `data/`, `COMPACT`, the same for look-ups, and `DIGEST`; build.rs makes them.
include!(concat!(env!("OUT_DIR"), "/data.rs"));

/// A database that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseError {
    /// Not the JSON that [`format`] describes.
    #[error("{file}: line {line}, column {column}: {reason}")]
    Json {
        /// The file's name as the caller gave it.
        file: String,
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
        /// What the reader said.
        reason: String,
    },
    /// Written by another version of strobe.
    #[error("{file}: schema_version is {found}, this program reads {}", format::SCHEMA_VERSION)]
    Schema {
        /// The file's name as the caller gave it.
        file: String,
        /// Its `schema_version`.
        found: u64,
    },
    /// Well-formed, but it contradicts itself.
    #[error("{file}: {path}: {reason}")]
    Content {
        /// The file's name as the caller gave it.
        file: String,
        /// Where in it (`structs.net/http.Request.fields.Method`).
        path: String,
        /// What is wrong.
        reason: String,
    },
}

/// What the database knows of one field in one version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookup<'a> {
    /// That very version was built, and the field lies there.
    Exact {
        /// Bytes from the start of the struct.
        offset: u64,
        /// The field's Go type with full import paths.
        kind: &'a str,
    },
    /// The version was not built, but its tested neighbours on both sides agree in offset and kind.
    Between {
        /// Bytes from the start of the struct.
        offset: u64,
        /// The field's Go type with full import paths.
        kind: &'a str,
        /// The tested version below it.
        below: &'a str,
        /// The tested version above it.
        above: &'a str,
    },
    /// The version, or both of its neighbours, were built and have no such field (or no such struct).
    Absent(Basis<'a>),
    /// The version lies between two tested ones that disagree: it may have either's layout, or a third.
    Differs {
        /// The tested version below it.
        below: &'a str,
        /// The tested version above it.
        above: &'a str,
    },
    /// The version is older or newer than all that was tested, or was built with experiments.
    Outside,
    /// Never recorded: no such module, architecture, struct or field, or the text is no version.
    Unknown,
}

/// What an absence rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Basis<'a> {
    /// That very version was built.
    Exact,
    /// Its neighbours were.
    Between {
        /// The tested version below it.
        below: &'a str,
        /// The tested version above it.
        above: &'a str,
    },
}

/// Where a version stands among the tested ones of its module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VersionMatch {
    /// It was built itself.
    Exact,
    /// It lies between two that were, or is a vendor's build of one that was.
    Between,
    /// It is older or newer than all, or was built with experiments.
    Outside,
    /// The text is no version, or the module was never recorded.
    Unknown,
}

/// All recorded modules.
#[derive(Debug, Clone)]
pub struct Database {
    modules: BTreeMap<String, Module>,
    digest: String,
}

/// One module: what answers look-ups, and the whole document for those who want more; each made when it is first needed.
#[derive(Debug, Clone)]
struct Module {
    name: String,
    /// The embedded form; empty where the two below are there from the start.
    compact: &'static str,
    index: OnceLock<Index>,
    document: OnceLock<Document>,
}

impl Module {
    fn index(&self) -> &Index {
        self.index.get_or_init(|| compact::read(&self.name, self.compact))
    }

    /// The JSON is named in here and by [`Database::embedded_files`], and nowhere that a look-up leads to: a program that calls
    /// neither is linked without it, and carries the compact form alone.
    fn document(&self) -> &Document {
        self.document.get_or_init(|| {
            let texts = DATA.iter().zip(COMPACT);
            let mut texts = texts.filter(|(_, (module, _))| *module == self.name).map(|((_, text), _)| text);
            let read = Document::parse(&self.name, texts.next().copied().unwrap_or_default());
            // The embedded files are part of the program, and a test of this crate reads them all.
            read.unwrap_or_else(|error| panic!("embedded database: {error}"))
        })
    }
}

impl Database {
    /// The database that is part of this program. A program that asks for one module pays for that one alone.
    pub fn embedded() -> &'static Self {
        static EMBEDDED: LazyLock<Database> = LazyLock::new(|| {
            let modules = COMPACT.iter().map(|(name, compact)| {
                let (index, document) = (OnceLock::new(), OnceLock::new());
                let name = (*name).to_owned();
                (name.clone(), Module { name, compact, index, document })
            });
            Database { modules: modules.collect(), digest: DIGEST.to_owned() }
        });
        &EMBEDDED
    }

    /// The documents that are part of a program that calls this: file name and text.
    pub fn embedded_files() -> &'static [(&'static str, &'static str)] {
        DATA
    }

    /// A database that knows nothing: every answer is [`Lookup::Unknown`].
    pub fn empty() -> Self {
        Self { modules: BTreeMap::new(), digest: digest(&[]) }
    }

    /// Reads documents that the caller has: pairs of file name and text.
    pub fn from_json<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, DatabaseError> {
        let mut files: Vec<(&str, &str)> = files.into_iter().collect();
        files.sort_unstable();
        let mut modules = BTreeMap::new();
        for (file, text) in &files {
            let document = Document::parse(file, text)?;
            let module = document.module.clone();
            let index = OnceLock::from(Index::new(file, &document)?);
            let document = OnceLock::from(document);
            let read = Module { name: module.clone(), compact: "", index, document };
            if modules.insert(module.clone(), read).is_some() {
                let reason = format!("another file has module {module} too");
                return Err(DatabaseError::Content {
                    file: (*file).to_owned(),
                    path: "module".to_owned(),
                    reason,
                });
            }
        }
        Ok(Self { modules, digest: digest(&files) })
    }

    /// `sha256:…` over the names (without folders) and bytes of the documents' files, in the order of the names. docs/database.md
    /// has it in full.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The recorded modules.
    pub fn modules(&self) -> impl Iterator<Item = &str> {
        self.modules.keys().map(String::as_str)
    }

    /// The document of a module.
    pub fn document(&self, module: &str) -> Option<&Document> {
        self.modules.get(module).map(Module::document)
    }

    /// Where a version of a module stands among the tested ones.
    pub fn version_match(&self, module: &str, version: &str) -> VersionMatch {
        match (self.modules.get(module), Version::parse(module, version)) {
            (Some(module), Some(version)) => module.index().version_match(&version),
            _ => VersionMatch::Unknown,
        }
    }

    /// Where a field lies. `arch` is as Go spells it (`amd64`), `type_name` has its full import path.
    pub fn lookup(
        &self,
        module: &str,
        version: &str,
        arch: &str,
        type_name: &str,
        field: &str,
    ) -> Lookup<'_> {
        match (self.modules.get(module), Version::parse(module, version)) {
            (Some(module), Some(version)) => module.index().lookup(&version, arch, type_name, field),
            _ => Lookup::Unknown,
        }
    }
}

impl<'a> Lookup<'a> {
    /// The offset where the version itself, or both its neighbours, vouch for it.
    pub fn offset(&self) -> Option<u64> {
        match *self {
            Lookup::Exact { offset, .. } | Lookup::Between { offset, .. } => Some(offset),
            _ => None,
        }
    }

    /// The kind that goes with [`Lookup::offset`].
    pub fn kind(&self) -> Option<&'a str> {
        match *self {
            Lookup::Exact { kind, .. } | Lookup::Between { kind, .. } => Some(kind),
            _ => None,
        }
    }

    /// The word that `offsetgen lookup` prints. Neighbours that disagree vouch for nothing: such a version is outside.
    pub fn word(&self) -> &'static str {
        match self {
            Lookup::Exact { .. } => "exact",
            Lookup::Between { .. } => "between",
            Lookup::Absent(_) => "absent",
            Lookup::Differs { .. } | Lookup::Outside => "outside",
            Lookup::Unknown => "unknown",
        }
    }
}

fn digest(files: &[(&str, &str)]) -> String {
    let name = |file: &'_ str| file.rsplit('/').next().unwrap_or_default().to_owned();
    let mut files: Vec<(String, &str)> = files.iter().map(|(file, text)| (name(file), *text)).collect();
    files.sort_unstable();
    let mut hash = Sha256::new();
    for (file, text) in files {
        for part in [file.as_bytes(), text.as_bytes()] {
            hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
            hash.update(part);
        }
    }
    hash.finalize().iter().fold("sha256:".to_owned(), |text, byte| text + &format!("{byte:02x}"))
}
