//! `offsetgen merge`: several folders of data become one. Where two of them contradict each other it ends;
//! a hole that another has filled is none. A build in the folder that they become part of is waited for; that folder may
//! be one of them.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use offsets::database::format::Document;

use crate::cli::MergeOptions;
use crate::data::document::{document_path, read_document, refuse_newer, write_document};
use crate::data::folder::{checked, lock};
use crate::progress::Progress;
use crate::record::observations::Observations;

/// Always true, or an error.
pub fn run(options: &MergeOptions) -> Result<bool> {
    let out = &options.out;
    fs::create_dir_all(out).with_context(|| format!("cannot create {}", out.display()))?;
    // A build there would undo this, or this the build.
    let _lock = lock(out, &Progress::new())?;
    for folder in &options.folders {
        let (files, database) = checked(folder)?;
        ensure!(!files.is_empty(), "no data in {}: it has no MODULE.json", folder.display());
        for (name, text) in files {
            refuse_newer(&name, &text)?;
        }
        for module in database.modules() {
            let Some(document) = database.document(module) else { continue };
            let path = document_path(out, module);
            let mut all = Observations::read(&read_document(&path, module)?);
            all.merge(Observations::read(document)).with_context(|| {
                format!("{module}: {} and {} cannot be merged", out.display(), folder.display())
            })?;
            all.refresh_followers();
            let merged: Document = all.into_document(module);
            write_document(&path, &merged)?;
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::data::folder::documents;
    use crate::data::text;

    const ONE: &str = "x.y/a/b_c";
    const OTHER: &str = "x.y/a_b/c";

    fn write(path: &Path, module: &str) {
        fs::write(path, text::json(&Document::new(module))).expect("written");
    }

    fn modules(folder: &Path) -> Vec<String> {
        documents(folder).expect("read").into_keys().collect()
    }

    fn merge(out: &Path, folders: &[&Path]) {
        let folders = folders.iter().map(|f| f.to_path_buf()).collect();
        assert!(run(&MergeOptions { out: out.to_owned(), folders }).expect("merged"));
    }

    #[test]
    fn modules_whose_paths_differ_in_a_slash_and_an_underline_stay_apart() {
        let root = tempfile::tempdir().expect("a folder");
        let [a, b, out] = ["a", "b", "out"].map(|name| root.path().join(name));
        for (folder, module) in [(&a, ONE), (&b, OTHER)] {
            fs::create_dir(folder).expect("a folder");
            write(&folder.join("x.y_a_b_c.json"), module);
        }
        merge(&out, &[&a, &b]);
        assert_eq!(modules(&out), [ONE, OTHER]);
        // What one of them was called before, it keeps.
        merge(&a, &[&b]);
        assert_eq!(modules(&a), [ONE, OTHER]);
        let names: Vec<_> = fs::read_dir(&a).expect("listed").flatten().map(|e| e.file_name()).collect();
        assert!(names.contains(&"x.y_a_b_c.json".into()) && names.contains(&"x.y_a%5Fb_c.json".into()));
    }
}
