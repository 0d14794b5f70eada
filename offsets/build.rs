//! Finds the catalog's and the database's files, so that a new library is a file and no line of Rust.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    println!("cargo::rerun-if-changed=build.rs");
    for (folder, extension, name) in [("catalog", "toml", "CATALOG"), ("data", "json", "DATA")] {
        println!("cargo::rerun-if-changed={folder}");
        let text = list(&root.join(folder), extension, name)?;
        fs::write(out.join(format!("{folder}.rs")), text)?;
    }
    Ok(())
}

/// `const NAME: &[(&str, &str)]`: each file's name and text, by the name without its extension.
fn list(folder: &Path, extension: &str, name: &str) -> io::Result<String> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    files.retain(|path| path.extension().is_some_and(|own| own == extension));
    files.sort_by_key(|path| path.file_stem().map(ToOwned::to_owned));
    let mut text = format!("const {name}: &[(&str, &str)] = &[\n");
    for path in files {
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let _ = writeln!(text, "    ({file:?}, include_str!({:?})),", path.display().to_string());
    }
    text.push_str("];\n");
    Ok(text)
}
