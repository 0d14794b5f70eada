//! How much a catalog may ask for. What is planned grows with it, for each binary anew, and whoever names a folder with
//! `--catalog` need not have written what lies in it.

use super::entry::Entry;
use super::error::CatalogError;
use super::role::Has;

/// Most instances of one file: for each of them its text is read anew. HTTP/2 lives in three packages.
pub(super) const MAX_INSTANCES: usize = 16;
/// Most ranges of versions of one field.
pub(super) const MAX_RANGES: usize = 100;
/// Most bytes of a file's text with an instance's names put in.
pub(super) const MAX_TEXT_BYTES: usize = 1 << 21;
/// Most entries of the user's own, an instance counted as one: each has its own bound on what is decoded for it.
const MAX_OWN_ENTRIES: usize = 64;
/// Most things that the user's own entries ask for together; all the embedded ones together ask for fewer.
const MAX_OWN_WANTS: usize = 2000;

/// Whether the user's own entries ask for no more than can be planned in a moment.
pub(super) fn check_own(entries: &[Entry]) -> Result<(), CatalogError> {
    let mut sum = 0;
    for (i, entry) in entries.iter().enumerate() {
        sum += wants(entry);
        let reason = if i >= MAX_OWN_ENTRIES {
            format!("more than {MAX_OWN_ENTRIES} entries in all files of the catalog")
        } else if sum > MAX_OWN_WANTS {
            format!(
                "more than {MAX_OWN_WANTS} roles, sites, values, fields, types, maps, itabs and functions in all files of the catalog"
            )
        } else {
            continue;
        };
        return Err(CatalogError { file: entry.file.clone(), line: 1, key: "(file)".to_owned(), reason });
    }
    Ok(())
}

/// How many things an entry asks for.
fn wants(entry: &Entry) -> usize {
    let sites = entry.roles.iter().flat_map(|role| &role.sites);
    let of_sites: usize =
        sites.map(|site| 1 + site.callers.len() + site.through.len() + site.values.len()).sum();
    let unless = entry.roles.iter().flat_map(|role| &role.unless).chain(&entry.unless);
    let unless: usize = unless
        .map(|unless| match &unless.has {
            Has::Function(_) => 1,
            Has::Implementer { but, .. } => 1 + but.len(),
        })
        .sum();
    let lists = [
        entry.present.len(),
        entry.absent.len(),
        entry.closures.len(),
        entry.structs.len(),
        entry.functions.len(),
        entry.roles.len(),
        entry.fields.len(),
        entry.itabs.len(),
        entry.maps.len(),
        entry.sizes.len(),
        entry.types.len(),
    ];
    of_sites + unless + lists.iter().sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog;

    #[test]
    fn strobes_own_entries_would_pass_as_a_users() {
        let entries = catalog::entries();
        assert!(
            check_own(entries).is_ok(),
            "{} entries, {}",
            entries.len(),
            entries.iter().map(wants).sum::<usize>()
        );
    }

    #[test]
    fn more_than_anybody_writes_is_refused() {
        let entry = catalog::entries().first().expect("one").borrowed("a.b/c", Vec::new(), Vec::new());
        let said = |entries: &[Entry]| check_own(entries).expect_err("too many").to_string();
        assert!(said(&vec![entry.clone(); MAX_OWN_ENTRIES + 1]).contains(": (file): more than 64 entries"));
        let mut long = entry;
        long.structs = vec!["a.B".to_owned(); MAX_OWN_WANTS + 1].into();
        assert!(said(&[long]).contains("more than 2000 roles"));
    }
}
