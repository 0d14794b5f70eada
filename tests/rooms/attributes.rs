//! Attributes that the agent's source can give a span, held against those that the catalog's operations name.
//!
//! A library's source is its module of `runtime/src/libraries` and what that imports of the same folder. Each name of
//! `spans/semconv.rs` there is the key of an attribute, if `names!` has it; so is a text in front of a `Value`, in a pair of both.
//! Libraries that share what makes their spans are taken together: which side of it sets what is not seen here.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use syn::visit::{self, Visit};

use super::circles;
use super::names::Meaning;
use super::tree::{Crate, Read};

/// Below the crate's root.
const LIBRARIES: &str = "libraries";
const NAMES: &str = "spans/semconv.rs";
/// The macro that makes constants of keys.
const TABLE: &str = "names";

/// The keys of a library, and the files that have them.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// Files, by their path below the crate's root.
    pub files: BTreeSet<PathBuf>,
    /// Keys.
    pub keys: BTreeSet<String>,
}

/// What the source of each module in a crate's table of libraries can set.
pub fn of(root: &Path, modules: &[&str], read: Read<'_>) -> Result<BTreeMap<String, Source>> {
    let all = Crate::read(root, read)?;
    let folder = root.parent().unwrap_or(Path::new(""));
    let (libraries, names) = (folder.join(LIBRARIES), folder.join(NAMES));
    let table = table(&read(&names).with_context(|| format!("there is no {}", names.display()))?)?;
    let keys = keys(&all, &names, &table);
    let imports = circles::imports(&all);
    let mut found = BTreeMap::new();
    for module in modules {
        let start = libraries.join(format!("{module}.rs"));
        let mut files = BTreeSet::new();
        let mut due = vec![start.as_path()];
        while let Some(file) = due.pop() {
            if file.starts_with(&libraries) && files.insert(file.to_owned()) {
                due.extend(imports.get(file).into_iter().flat_map(BTreeMap::keys));
            }
        }
        let mut source = Source::default();
        for file in files {
            let text = read(&file).with_context(|| format!("there is no {}", file.display()))?;
            let mut own = literals(&text)?;
            own.extend(keys.get(file.as_path()).into_iter().flatten().cloned());
            if !own.is_empty() {
                source.files.insert(file.strip_prefix(folder).unwrap_or(&file).to_owned());
                source.keys.append(&mut own);
            }
        }
        found.insert((*module).to_owned(), source);
    }
    Ok(found)
}

/// The keys that each file of a crate names.
fn keys<'c>(
    all: &'c Crate,
    names: &Path,
    table: &BTreeMap<String, String>,
) -> BTreeMap<&'c Path, BTreeSet<String>> {
    let mut keys: BTreeMap<&Path, BTreeSet<String>> = BTreeMap::new();
    for (id, module) in all.modules.iter().enumerate() {
        let aliases = module.words.aliases.iter().map(|(path, _)| path);
        for path in aliases.chain(&module.words.paths) {
            let is_named = matches!(all.meaning(id, path), Some(Meaning::Item(file)) if file == names);
            if let Some(key) = path.last().and_then(|last| table.get(last)).filter(|_| is_named) {
                keys.entry(&module.file).or_default().insert(key.clone());
            }
        }
    }
    keys
}

/// The constants of the macro, with the keys that they are.
fn table(text: &str) -> Result<BTreeMap<String, String>> {
    let mut table = BTreeMap::new();
    for item in syn::parse_file(text)?.items {
        let syn::Item::Macro(call) = item else { continue };
        if call.ident.is_some() || !call.mac.path.is_ident(TABLE) {
            continue;
        }
        let text = call.mac.tokens.to_string();
        for pair in text.split(',').filter_map(|line| line.split_once('=')) {
            table.insert(pair.0.trim().to_owned(), pair.1.trim().trim_matches('"').to_owned());
        }
    }
    Ok(table)
}

/// Texts that stand in front of a `Value`, unless unit tests alone have them.
fn literals(text: &str) -> Result<BTreeSet<String>> {
    struct Pairs(BTreeSet<String>);
    impl<'ast> Visit<'ast> for Pairs {
        fn visit_expr_tuple(&mut self, tuple: &'ast syn::ExprTuple) {
            let mut parts = tuple.elems.iter();
            if let (Some(syn::Expr::Lit(key)), Some(syn::Expr::Call(value))) = (parts.next(), parts.next())
                && let (syn::Lit::Str(key), syn::Expr::Path(value)) = (&key.lit, &*value.func)
                && value.path.segments.iter().any(|word| word.ident == "Value")
            {
                self.0.insert(key.value());
            }
            visit::visit_expr_tuple(self, tuple);
        }
        fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
            if !module.attrs.iter().any(super::words::is_test_alone) {
                visit::visit_item_mod(self, module);
            }
        }
    }
    let mut pairs = Pairs(BTreeSet::new());
    pairs.visit_file(&syn::parse_file(text)?);
    Ok(pairs.0)
}

/// One line for each attribute that one side has and the other has not: `said` is what the catalog has of each module.
pub fn differences(
    source: &BTreeMap<String, Source>,
    said: &BTreeMap<String, BTreeSet<String>>,
) -> Vec<String> {
    let mut wrong = Vec::new();
    for (module, Source { files, keys }) in source {
        // Those whose spans are made by the same files.
        let shares = |other: &&String| source.get(*other).is_some_and(|source| source.files == *files);
        let together: BTreeSet<&String> =
            said.keys().filter(shares).filter_map(|one| said.get(one)).flatten().collect();
        let own = said.get(module).cloned().unwrap_or_default();
        let surplus = own.iter().filter(|key| !keys.contains(*key));
        wrong.extend(
            surplus.map(|key| format!("{module}: the catalog names {key}, which its source does not set")),
        );
        let missing = keys.iter().filter(|key| !together.contains(key));
        wrong.extend(
            missing
                .map(|key| format!("{module}: {key} is set in {files:?}, and the catalog does not name it")),
        );
    }
    wrong
}
