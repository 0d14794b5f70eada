//! Finds the catalog's and the database's files, so that a new library is a file and no line of Rust.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use serde_json::Value;
use sha2::{Digest, Sha256};

fn main() -> io::Result<()> {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=catalog");
    println!("cargo::rerun-if-changed=data");
    let catalog = root.join("catalog");
    let targets = list(&catalog.join("targets"), "go", "TARGETS")?;
    fs::write(out.join("catalog.rs"), list(&catalog, "toml", "CATALOG")? + &targets)?;
    let data = root.join("data");
    let digest = format!("const DIGEST: &str = {:?};\n", digest(&data)?);
    fs::write(out.join("data.rs"), list(&data, "json", "DATA")? + &digest + &compacted(&data, &out)?)
}

/// `const COMPACT: &[(&str, &str)]`: each module's name, and its embedded form (src/database/compact.rs).
fn compacted(folder: &Path, out: &Path) -> io::Result<String> {
    let mut text = "const COMPACT: &[(&str, &str)] = &[\n".to_owned();
    for path in files(folder, "json")? {
        let document: Value = serde_json::from_slice(&fs::read(&path)?)?;
        let target = out.join(path.with_extension("tsv").file_name().unwrap_or_default());
        fs::write(&target, compact(&document))?;
        let _ = writeln!(
            text,
            "    ({:?}, include_str!({:?})),",
            word(&document["module"]),
            target.display().to_string()
        );
    }
    Ok(text + "];\n")
}

fn compact(document: &Value) -> String {
    let versions = items(&document["versions"]);
    let position = |value: &Value| versions.iter().position(|v| v["version"] == *value).unwrap_or(usize::MAX);
    let mut axes: Vec<&str> = versions.iter().flat_map(|v| items(&v["arch"])).map(word).collect();
    axes.sort_unstable();
    axes.dedup();
    let mask = |value: &Value| {
        let bits = items(value).iter().filter_map(|axis| axes.iter().position(|known| *known == word(axis)));
        hex(bits.collect())
    };
    let range =
        |run: &Value| format!("{}\t{}\t{}", position(&run["from"]), position(&run["to"]), mask(&run["arch"]));
    let mut text = axes.iter().fold(String::new(), |text, axis| text + "A\t" + axis + "\n");
    for version in versions {
        let agrees = usize::from(!items(&version["agrees"]).is_empty());
        let _ = writeln!(text, "V\t{}\t{}\t{agrees}", word(&version["version"]), mask(&version["arch"]));
    }
    for (name, record) in document["structs"].as_object().into_iter().flatten() {
        let _ = writeln!(text, "S\t{name}");
        for span in items(&record["tested"]) {
            let _ = writeln!(text, "T\t{}", range(span));
        }
        for run in items(&record["sizes"]) {
            let _ = writeln!(text, "Z\t{}\t{}", range(run), run["size"]);
        }
        for (field, runs) in record["fields"].as_object().into_iter().flatten() {
            for run in items(runs) {
                let _ =
                    writeln!(text, "F\t{field}\t{}\t{}\t{}", range(run), run["offset"], word(&run["type"]));
            }
        }
    }
    for (name, record) in document["functions"].as_object().into_iter().flatten() {
        let _ = writeln!(text, "N\t{name}");
        for span in items(&record["tested"]) {
            let _ = writeln!(text, "T\t{}", range(span));
        }
        for run in items(&record["runs"]) {
            let _ = writeln!(text, "R\t{}\t{}", range(run), word(&run["inlined"]));
            for (line, list) in [("P", "params"), ("Q", "results")] {
                for one in items(&run[list]) {
                    let [name, kind, at] = ["name", "type", "at"].map(|key| word(&one[key]));
                    let _ = writeln!(text, "{line}\t{name}\t{kind}\t{at}");
                }
            }
        }
    }
    text
}

/// A set of positions as a hexadecimal mask, digit by digit: there may be more axes than any integer has bits.
fn hex(bits: Vec<usize>) -> String {
    let last = bits.iter().max().map_or(0, |bit| bit / 4);
    let digit =
        |place: usize| bits.iter().filter(|bit| **bit / 4 == place).fold(0, |d, bit| d | 1 << (bit % 4));
    (0..=last).rev().map(|place| char::from_digit(digit(place), 16).expect("four bits")).collect()
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The digest that `Database::digest` gives for the files of a folder; a test compares the two.
fn digest(folder: &Path) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut paths = files(folder, "json")?;
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        for part in [name.into_bytes(), fs::read(&path)?] {
            hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
            hash.update(part);
        }
    }
    Ok(hash.finalize().iter().fold("sha256:".to_owned(), |text, byte| text + &format!("{byte:02x}")))
}

/// What offsetgen says of the files of `data/` in one: no module's document. `format::INDEX` is the same name.
const INDEX: &str = "index.json";

/// A folder's files with that extension, by the name without it; but for the index of the data.
fn files(folder: &Path, extension: &str) -> io::Result<Vec<PathBuf>> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    files.retain(|path| path.extension().is_some_and(|own| own == extension));
    files.retain(|path| path.file_name().is_none_or(|name| name != INDEX));
    files.sort_by_key(|path| path.file_stem().map(ToOwned::to_owned));
    Ok(files)
}

/// `const NAME: &[(&str, &str)]`: each file's name and text, by the name without its extension.
fn list(folder: &Path, extension: &str, name: &str) -> io::Result<String> {
    let mut text = format!("const {name}: &[(&str, &str)] = &[\n");
    for path in files(folder, extension)? {
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let _ = writeln!(text, "    ({file:?}, include_str!({:?})),", path.display().to_string());
    }
    text.push_str("];\n");
    Ok(text)
}
