//! The forms of other programs' tables, as their published files have them. Both are read by `compare` and `export --like`.

mod claim;
pub mod obi;
pub mod otel_auto;

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use offsets::{Database, Version};

pub use claim::Claim;

use super::figures::Field;

/// A table that was read.
pub enum Table {
    /// Of OpenTelemetry's Go auto-instrumentation.
    OtelAuto(Vec<otel_auto::Module>),
    /// Of OpenTelemetry's eBPF instrumentation, and of Beyla.
    Obi(obi::Offsets),
}

impl Table {
    /// Reads a file; its form is seen from the file.
    pub fn read(path: &Path) -> Result<Self> {
        let name = path.display();
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {name}"))?;
        match text.trim_start().chars().next() {
            Some('[') => Ok(Self::OtelAuto(
                serde_json::from_str(&text)
                    .with_context(|| format!("{name}: not the form of offset_results.json (otel-auto)"))?,
            )),
            Some('{') => Ok(Self::Obi(
                serde_json::from_str(&text)
                    .with_context(|| format!("{name}: not the form of offsets.json (obi)"))?,
            )),
            _ => bail!("{name}: neither a JSON array (otel-auto) nor an object (obi)"),
        }
    }

    /// The fields that it names, each once.
    pub fn fields(&self, database: &Database) -> Vec<Field> {
        let mut fields = match self {
            Self::OtelAuto(modules) => otel_auto::fields(modules, database),
            Self::Obi(offsets) => obi::fields(offsets, database),
        };
        fields.sort();
        fields.dedup();
        fields
    }

    /// What it says, by field and version.
    pub fn claims(&self, database: &Database) -> Vec<Claim> {
        let mut claims = match self {
            Self::OtelAuto(modules) => otel_auto::claims(modules, database),
            Self::Obi(offsets) => obi::claims(offsets, database),
        };
        claims.sort_by_cached_key(|claim| {
            let Claim { field, version, .. } = claim;
            (field.clone(), Version::parse(&field.module, version))
        });
        claims
    }
}
