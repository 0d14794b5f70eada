//! What the programs of a library read of Go's runtime, held against the fields that the library's own entry asks for.
//!
//! The core knows a field of `runtime.g` if any library of the file asks for it. A library that relies on another one to ask works in
//! every test whose program uses both, and not in the program that uses it alone.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, Result};

/// What a program calls, and the field of `runtime.g` that it needs for that.
pub const NEEDS: [(&str, &str); 4] = [
    (".depth(", "stack"),
    ("parent::find(", "parentGoid"),
    ("parent::creators(", "parentGoid"),
    ("how(hit,", "_panic"),
];

/// The fields that the programs of a library need: of its module, its folder, and of the modules beside it that it names.
pub fn needed(programs: &Path, module: &str) -> Result<BTreeSet<&'static str>> {
    let (mut seen, mut due) = (BTreeSet::new(), vec![module.to_owned()]);
    let mut fields = BTreeSet::new();
    while let Some(module) = due.pop() {
        if !seen.insert(module.clone()) {
            continue;
        }
        let text = source(programs, &module)?;
        fields.extend(NEEDS.iter().filter(|(call, _)| text.contains(call)).map(|(_, field)| *field));
        let names = |other: &str| {
            text.contains(&format!("super::{other}")) || text.contains(&format!("    {other}::"))
        };
        let beside = ["grpc", "http2_server", "http_client", "http_server"];
        due.extend(beside.into_iter().filter(|other| names(other)).map(ToOwned::to_owned));
    }
    Ok(fields)
}

/// All of a module.
fn source(programs: &Path, module: &str) -> Result<String> {
    let mut text = String::new();
    let own = programs.join(format!("{module}.rs"));
    let mut files: Vec<_> = own.is_file().then_some(own).into_iter().collect();
    if let Ok(folder) = std::fs::read_dir(programs.join(module)) {
        for entry in folder {
            files.push(entry?.path());
        }
    }
    anyhow::ensure!(!files.is_empty(), "{module} has no file");
    for file in files {
        text += &std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
    }
    Ok(text)
}
