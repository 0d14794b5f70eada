//! The files of a folder of data, as they are.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use offsets::database::format::INDEX;
use serde::Deserialize;

/// What tells whose a document is.
#[derive(Deserialize)]
struct Named {
    module: String,
}

/// Every `*.json` of a folder but its index: name and text, by name.
pub fn texts(folder: &Path) -> Result<Vec<(String, String)>> {
    let mut files = Vec::new();
    let context = || format!("cannot read the folder {}", folder.display());
    for entry in fs::read_dir(folder).with_context(context)? {
        let path = entry.with_context(context)?.path();
        if path.extension().is_some_and(|extension| extension == "json") && !path.ends_with(INDEX) {
            let text =
                fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            files.push((path.display().to_string(), text));
        }
    }
    files.sort();
    Ok(files)
}

/// Whose document a text is.
pub fn module(name: &str, text: &str) -> Result<String> {
    let Named { module } = serde_json::from_str(text).with_context(|| name.to_owned())?;
    Ok(module)
}

/// A file's name without its folders.
pub fn last(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or_default()
}
