//! The table of OpenTelemetry's Go auto-instrumentation: each version by name, so that nothing is said of any other.

use offsets::Database;

use super::left_out::LeftOut;
use crate::commands::figures::{Field, bare};
use crate::commands::tables::otel_auto::{Module, Offset, push};

/// All fields of one struct stand together in `fields`.
pub fn table(database: &Database, fields: &[Field], left_out: &mut LeftOut) -> Vec<Module> {
    let mut table = Vec::new();
    for field in fields {
        let offsets = offsets(database, field, left_out);
        if offsets.iter().any(|one| one.offset.is_some()) {
            push(&mut table, field, offsets);
        } else {
            left_out.empty(field);
        }
    }
    table
}

/// Versions with the same offset are one entry, whether or not they follow one another.
fn offsets(database: &Database, field: &Field, left_out: &mut LeftOut) -> Vec<Offset> {
    let mut offsets: Vec<Offset> = Vec::new();
    let recorded = database.document(&field.module).into_iter().flat_map(|document| &document.versions);
    for version in recorded.map(|tested| tested.version.as_str()) {
        let figure = field.figure(database, version);
        let Some(offset) = left_out.take(field, version, figure) else { continue };
        let spelled = bare(&field.module, version);
        match offsets.iter_mut().find(|one| one.offset == offset) {
            Some(one) => one.versions.push(spelled),
            None => offsets.push(Offset { offset, versions: vec![spelled] }),
        }
    }
    offsets
}
