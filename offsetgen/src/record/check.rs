//! What the figures say against the catalog.
//!
//! A field that no tested version has, or has with another type, is a mistake of the catalog: file, line and key are
//! named, and nothing is written.

use offsets::catalog::{self, Entry, Field};

use super::observations::Observations;

/// What is wrong with the catalog, by what was built: one line each.
pub fn check(entries: &[Entry], all: &Observations) -> Vec<String> {
    let is_own = |entry: &Entry, field: &Field| {
        catalog::owner(&field.type_name, [entry.module.as_str()]) == Some(&*entry.module)
    };
    let fields = entries.iter().flat_map(|entry| entry.fields.iter().map(move |field| (entry, field)));
    let fields = fields.filter(|(entry, field)| is_own(entry, field));
    fields.filter_map(|(entry, field)| check_field(entry, field, all)).collect()
}

fn check_field(entry: &Entry, field: &Field, all: &Observations) -> Option<String> {
    let Field { type_name, name, kind, line, .. } = field;
    let (mut tested, mut found) = (Vec::new(), false);
    for version in all.versions().filter(|version| entry.versions.contains(version)) {
        if !field.versions.contains(version) {
            continue;
        }
        tested.push(version.to_string());
        for other in all.kinds(version, type_name, name) {
            found = true;
            if other != kind {
                let file = &entry.file;
                return Some(format!(
                    "{file}:{line}: field.kind: {type_name}.{name} is {other} in {version}, not {kind}"
                ));
            }
        }
    }
    let (first, last) = (tested.first()?, tested.last()?);
    (!found).then(|| {
        format!(
            "{}:{line}: field.name: no tested version ({first} to {last}) has {type_name}.{name}",
            entry.file
        )
    })
}
