//! One JSON object per field, version and architecture, for `jq`, `grep` and databases.

use anyhow::Result;
use offsets::{ARCHITECTURES, Database};
use serde::Serialize;

use crate::commands::figures::{Field, built};
use crate::output;

#[derive(Serialize)]
struct Line<'a> {
    module: &'a str,
    version: &'a str,
    arch: &'a str,
    r#type: &'a str,
    field: &'a str,
    /// None: that version has no such field.
    offset: Option<u64>,
    kind: Option<&'a str>,
}

/// Field by field, so that no more than one field's lines are in memory.
pub fn print(database: &Database, fields: &[Field]) -> Result<()> {
    for field in fields {
        output::print(&lines(database, field)?)?;
    }
    Ok(())
}

fn lines(database: &Database, field: &Field) -> Result<String> {
    let mut text = String::new();
    let document = database.document(&field.owner);
    for tested in document.into_iter().flat_map(|document| &document.versions) {
        for arch in ARCHITECTURES {
            let found = field.look_up(database, &tested.version, arch);
            let Some(offset) = built(found) else { continue };
            text += &serde_json::to_string(&Line {
                module: &field.owner,
                version: &tested.version,
                arch,
                r#type: &field.type_name,
                field: &field.name,
                offset,
                kind: found.kind(),
            })?;
            text.push('\n');
        }
    }
    Ok(text)
}
