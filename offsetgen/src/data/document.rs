//! One module's document: found, read to be written again, and written.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use offsets::Database;
use offsets::database::format::{Document, file_name};

use super::{index, text, unknown};
use crate::files::write_atomically;
use crate::output;

/// Where a module's document is, or is to be. A folder that was written before underlines were told apart keeps the name that
/// the module has there.
pub fn document_path(folder: &Path, module: &str) -> PathBuf {
    let former = folder.join(format!("{}.json", module.replace('/', "_")));
    let is_its = |text: String| {
        let document = Document::parse(&former.display().to_string(), &text);
        document.is_ok_and(|document| document.module == module)
    };
    let keeps = module.contains('_') && fs::read_to_string(&former).is_ok_and(is_its);
    if keeps { former } else { folder.join(file_name(module)) }
}

/// The document of a module, to be written again; an empty one where there is no file.
pub fn read_document(path: &Path, module: &str) -> Result<Document> {
    match fs::read_to_string(path) {
        Ok(text) => {
            let name = path.display().to_string();
            // Putting it into a database checks it.
            Database::from_json([(name.as_str(), text.as_str())])?;
            refuse_newer(&name, &text)?;
            let document = Document::parse(&name, &text)?;
            if document.module != module {
                bail!(
                    "{name} is the file of {module} by its name, and has the data of {} in it: name it {}",
                    document.module,
                    file_name(&document.module)
                );
            }
            Ok(document)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Document::new(module)),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// Writes a document unless it is there already, and the folder's index; says which.
pub fn write_document(path: &Path, document: &Document) -> Result<()> {
    let text = text::json(document);
    let same = fs::read(path).is_ok_and(|bytes| bytes == text.as_bytes());
    if !same {
        write_atomically(path, text.as_bytes())?;
    }
    index::write(path.parent().unwrap_or(Path::new("")))?;
    let what = if same { "unchanged" } else { "written" };
    output::print(&format!("{}: {what}\n", path.display()))
}

/// An error if a document that is to be written again has keys that this program does not know: they would be lost.
pub fn refuse_newer(name: &str, text: &str) -> Result<()> {
    let keys = unknown::keys(name, text)?;
    let first = keys.first().map(String::as_str).unwrap_or_default();
    ensure!(
        keys.is_empty(),
        "{name}: {first} is a key that this offsetgen {} does not know and would lose ({} in all); the file is as it was. Use \
         the offsetgen that has written it",
        env!("CARGO_PKG_VERSION"),
        keys.len()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_another_module_is_not_taken_for_this_one_s() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x.y_c.json");
        fs::write(&path, text::json(&Document::new("x.y/d"))).expect("written");
        let error = read_document(&path, "x.y/c").expect_err("another's").to_string();
        assert!(error.contains("x.y/c by its name") && error.contains("name it x.y_d.json"), "{error}");
    }
}
