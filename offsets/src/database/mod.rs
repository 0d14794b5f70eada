//! The database: where each field of the catalog's structs lies, in which version, on which architecture, and how that
//! is known.
//!
//! One JSON document per Go module (`data/`, layout in [`format`]). [`Database`] answers for any version, and an answer
//! always says how good it is ([`Lookup`]): a bare number would invite taking a version for its neighbour.
//!
//! Deliberately not here: how figures are found (`offsetgen`), and what to do about a doubtful one (the analyzer).

pub mod format;

mod answer;
mod axes;
mod block;
mod error;
mod figures;
mod index;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{LazyLock, OnceLock};

use sha2::{Digest, Sha256};

pub use answer::{Answer, Basis, Lookup, Signature, VersionMatch};
pub use error::DatabaseError;

use crate::Version;
use crate::later::Later;
use format::Document;
use index::Index;

// `DATA`, every file of `data/`, `COMPACT`, the same for look-ups, and `DIGEST`; build.rs makes them.
include!(concat!(env!("OUT_DIR"), "/data.rs"));

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
    index: Later<Index>,
    document: OnceLock<Document>,
}

impl Module {
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
                let (index, document) = (Later::encoded(compact), OnceLock::new());
                let name = (*name).to_owned();
                (name.clone(), Module { name, index, document })
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
            figures::check(file, &document)?;
            let module = document.module.clone();
            let index = Later::from(Index::new(file, &document)?);
            let document = OnceLock::from(document);
            let read = Module { name: module.clone(), index, document };
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
            (Some(module), Some(version)) => module.index.version_match(&version),
            _ => VersionMatch::Unknown,
        }
    }

    /// The size of a struct in bytes.
    pub fn size(&self, module: &str, version: &str, arch: &str, type_name: &str) -> Answer<'_, u64> {
        match (self.modules.get(module), Version::parse(module, version)) {
            (Some(module), Some(version)) => module.index.size(&version, arch, type_name),
            _ => Answer::Unknown,
        }
    }

    /// How a function is called: types and places of its parameters and results. `name` is the linker's, plainly written
    /// (`net/http.(*conn).serve`). The places are those of Go's calling convention ([`crate::abi`]): where the program that was
    /// built has the function inlined everywhere they are what a copy would have.
    pub fn function(&self, module: &str, version: &str, arch: &str, name: &str) -> Answer<'_, Signature> {
        match (self.modules.get(module), Version::parse(module, version)) {
            (Some(module), Some(version)) => module.index.function(&version, arch, name),
            _ => Answer::Unknown,
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
            (Some(module), Some(version)) => module.index.lookup(&version, arch, type_name, field),
            _ => Lookup::Unknown,
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
