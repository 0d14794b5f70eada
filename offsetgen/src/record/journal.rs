//! What a run has found so far, one small file per build in the cache: a run that is killed goes on from there.
//!
//! ```text
//! CACHE/journal/MODULE/VERSION/AXIS.json   written in one step
//! ```
//!
//! An entry counts only for the same catalog (its key), the same generator, and the same `--go` and `--trust-on-first-use`. Failures are not kept: they are tried again.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use offsets::database::format::{Tested, Toolchain};
use serde::{Deserialize, Serialize};

use super::GENERATOR;
use crate::cli::BuildOptions;
use crate::files::write_atomically;
use crate::probe::shape::Shape;

/// What one build has shown, or whom a version follows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Built {
    /// What it was built for ([`crate::probe::wanted::Wanted::key`]).
    pub key: String,
    /// Those of the command line that count; the journal fills them in.
    #[serde(default)]
    pub options: String,
    /// The record, without its axes.
    pub tested: Tested,
    /// What compiled it.
    pub toolchain: Toolchain,
    /// What was seen; of one that follows, nothing.
    pub shape: Shape,
    /// The packages of all structs that lie inside of the wanted ones by value.
    pub embedded: BTreeSet<String>,
    /// Digest of the packages that the catalog names.
    pub base: String,
    /// Digest of those and the embedded ones.
    pub source: String,
}

/// The journal of one module.
pub struct Journal {
    folder: PathBuf,
    /// What else than the catalog an entry depends on; empty by default.
    options: String,
}

impl Journal {
    /// In a cache.
    pub fn new(cache: &Path, module: &str, options: &BuildOptions) -> Self {
        let trust = if options.trust_on_first_use { "first-use " } else { "" };
        let options = format!("{trust}{}", options.go.join(","));
        Self { folder: cache.join("journal").join(module.replace('/', "!")), options }
    }

    fn path(&self, version: &str, axis: &str) -> PathBuf {
        self.folder.join(version).join(format!("{}.json", axis.replace('/', "!")))
    }

    /// An earlier result that still counts. Files are whole or absent; one that is neither is an absent one.
    pub fn read(&self, version: &str, axis: &str, key: &str) -> Option<Built> {
        let text = fs::read_to_string(self.path(version, axis)).ok()?;
        let built: Built = serde_json::from_str(&text).ok()?;
        (built.key == key && built.options == self.options && built.tested.generator == GENERATOR)
            .then_some(built)
    }

    /// Keeps a result.
    pub fn write(&self, version: &str, axis: &str, built: &Built) -> Result<()> {
        let built = Built { options: self.options.clone(), ..built.clone() };
        write_atomically(&self.path(version, axis), &serde_json::to_vec(&built)?)
    }
}
