//! The user's own catalog on its way to the planning child, which may open nothing: it goes by the child's environment.

use std::{path::Path, process::Command, sync::Arc};

use anyhow::Context as _;
use offsets::catalog::{self, Entry};

/// The child's variable, a list of pairs of file name and text in JSON.
const VARIABLE: &str = "STROBE_OWN_CATALOG";
/// One variable with its name may have 32 pages (`MAX_ARG_STRLEN` of include/uapi/linux/binfmts.h), where pages are 4 KiB.
const MAX_BYTES: usize = 32 * 4096 - 64;

/// The files of `--catalog DIR`, read and checked; none by default.
#[derive(Debug, Clone, Default)]
pub struct Own(Option<Arc<str>>);

impl Own {
    /// Reads a folder; the error says which file, which line, and why.
    pub fn read(folder: &str) -> Result<Self, String> {
        let files = analyzer::own::read(Path::new(folder)).map_err(|error| error.to_string())?;
        analyzer::own::entries(&files).map_err(|error| error.to_string())?;
        let text = serde_json::to_string(&files).map_err(|error| error.to_string())?;
        if text.len() > MAX_BYTES {
            let bytes = text.len();
            return Err(format!(
                "{folder}: its .toml files have {bytes} bytes as strings of JSON, as which they are handed on, and may have {MAX_BYTES}"
            ));
        }
        Ok(Self(Some(text.into())))
    }

    /// Gives it to a child that is being started.
    pub(super) fn hand_to(&self, child: &mut Command) {
        if let Some(text) = &self.0 {
            child.env(VARIABLE, &**text);
        }
    }

    /// In the child: what is planned with.
    pub(super) fn handed() -> anyhow::Result<&'static [Entry]> {
        let Some(text) = std::env::var_os(VARIABLE) else { return Ok(catalog::entries()) };
        let text = text.into_string().ok().context("the catalog that was handed over is no text")?;
        let files: Vec<(String, String)> =
            serde_json::from_str(&text).context("the catalog that was handed over")?;
        Ok(analyzer::own::entries(&files)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_read_and_checked_before_anything_is_traced() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().to_str().expect("a path");
        assert!(Own::read(path).expect_err("nothing in it").contains("no .toml file"));
        assert!(Own::read("/nowhere/at/all").expect_err("no folder").contains("/nowhere/at/all"));
        let file = folder.path().join("mine.toml");
        std::fs::write(&file, "id = \"mine\"\ntitle = 1\n").expect("written");
        let why = Own::read(path).expect_err("no catalog");
        assert!(why.contains("mine.toml:2: title"), "{why}");
        let entry = "id = \"mine\"\ntitle = \"mine\"\nmodule = \"a.b/c\"\npresent = [\"a.b/c.F\"]\n";
        std::fs::write(&file, entry).expect("written");
        let mut child = Command::new("true");
        Own::read(path).expect("a catalog").hand_to(&mut child);
        let (name, value) = child.get_envs().next().expect("a variable");
        assert!(name == VARIABLE && value.is_some_and(|text| text.to_string_lossy().contains("a.b/c.F")));
        // Each line's end is two bytes in JSON, so this file has less than may be handed on, and its JSON more.
        std::fs::write(&file, entry.to_owned() + &"\n".repeat(70_000)).expect("written");
        let why = Own::read(path).expect_err("too much");
        assert!(why.contains("have 140") && why.contains("bytes as strings of JSON"), "{why}");
    }
}
