//! Type data of real binaries against the offset database: every field of every struct that both know lies where the
//! database says, and nothing that the database says is missing.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;

use analyzer::go::types::closure;
use analyzer::plan::{Module, Plan, Witness};
use analyzer::{GoImage, Options};
use anyhow::{Context, Result, ensure};
use offsets::catalog::{self, Field};
use offsets::{Database, Lookup};
use strobe_tests::corpus::{self, Fetched};

/// What came of the fields of one module.
#[derive(Debug, Default, Clone, Copy)]
struct Count {
    binaries: usize,
    structs: usize,
    exact: usize,
    between: usize,
    /// The database does not vouch for this version.
    unknown: usize,
}

#[test]
fn type_data_and_database_agree() -> Result<()> {
    let (mut counts, mut binaries, mut wrong) = (BTreeMap::<&str, Count>::new(), 0, Vec::new());
    for (entry, fetched) in corpus::all()? {
        let Fetched::File(path) = fetched else { continue };
        match compare(&path, &mut counts) {
            Ok(Compared { fields: 0, .. }) => {}
            Ok(compared) => {
                binaries += 1;
                wrong.extend(compared.differences.into_iter().map(|d| format!("{}: {d}", entry.name())));
            }
            // Packed, or of a Go that is not supported: the other test holds what must be readable.
            Err(error) => println!("  not compared: {}: {error:#}", entry.name()),
        }
    }
    println!(
        "{:<45} {:>8} {:>7} {:>9} {:>9} {:>9}",
        "module", "binaries", "structs", "exact", "between", "unknown"
    );
    for (module, count) in &counts {
        println!(
            "{module:<45} {:>8} {:>7} {:>9} {:>9} {:>9}",
            count.binaries, count.structs, count.exact, count.between, count.unknown
        );
    }
    println!("{binaries} binaries compared, {} fields disagree", wrong.len());
    ensure!(wrong.is_empty(), "{} fields disagree:\n{}", wrong.len(), wrong.join("\n"));
    ensure!(binaries >= 30, "only {binaries} binaries with a field that both know");
    Ok(())
}

struct Compared {
    fields: usize,
    differences: Vec<String>,
}

fn compare(path: &Path, counts: &mut BTreeMap<&'static str, Count>) -> Result<Compared> {
    let bytes = fs::read(path)?;
    let go = GoImage::parse(&bytes)?;
    let plan = analyzer::plan(&bytes, "corpus", &Options { database: false, ..Options::default() })?;
    let owners: HashMap<&str, &'static str> = catalog::entries()
        .iter()
        .flat_map(|e| e.structs().into_iter().map(|name| (name, e.module.as_str())))
        .collect();
    let arch = plan.arch.name();
    let types = go.types();
    let mut asked: BTreeMap<&str, Vec<Field>> = BTreeMap::new();
    let (mut out, mut seen) = (Compared { fields: 0, differences: Vec::new() }, BTreeMap::new());
    for (name, vaddr) in closure::structs(&types)? {
        let Some(&module) = owners.get(name.as_str()) else { continue };
        let Some(version) = version(&plan, module) else { continue };
        let found = types.get(vaddr).with_context(|| format!("the type of {name}"))?;
        let count: &mut Count = seen.entry(module).or_default();
        count.structs += 1;
        if let Some(first) = types.fields(&found).find(|field| field.name != b"_") {
            let kind = types.full_name(first.type_vaddr).unwrap_or_default();
            asked.entry(module).or_default().push(field(&name, &String::from_utf8_lossy(first.name), kind));
        }
        for field in types.fields(&found) {
            let field_name = String::from_utf8_lossy(field.name);
            // All blank fields have one name.
            if field_name == "_" {
                continue;
            }
            match Database::embedded().lookup(module, &version, arch, &name, &field_name) {
                Lookup::Exact { offset, .. } if offset == field.offset => count.exact += 1,
                Lookup::Between { offset, .. } if offset == field.offset => count.between += 1,
                Lookup::Differs { .. } | Lookup::Outside | Lookup::Unknown => count.unknown += 1,
                other => out.differences.push(format!(
                    "{module} {version} {arch} {name}.{field_name}: type data {}, database {other:?}",
                    field.offset
                )),
            }
        }
    }
    out.differences.extend(unheard(&bytes, asked)?);
    for (module, count) in seen {
        out.fields += count.exact + count.between;
        let total = counts.entry(module).or_default();
        total.binaries += 1;
        total.structs += count.structs;
        total.exact += count.exact;
        total.between += count.between;
        total.unknown += count.unknown;
    }
    Ok(out)
}

/// The structs whose type data the planner does not hear. It is asked as by a catalog that reads one field of each struct: that
/// the tables hold them, `compare` has just seen for itself.
fn unheard(bytes: &[u8], asked: BTreeMap<&str, Vec<Field>>) -> Result<Vec<String>> {
    let entries = asked.into_iter().map(|(module, fields)| {
        let any = catalog::entries().iter().find(|entry| entry.module == module);
        let mut entry = any.with_context(|| format!("an entry of {module}"))?.clone();
        (entry.id, entry.present, entry.fields) =
            (module.to_owned(), vec!["runtime.main".to_owned()], fields.into());
        (entry.roles, entry.itabs, entry.maps) = (Vec::new(), offsets::Later::default(), Vec::new());
        (entry.sizes, entry.types) = (offsets::Later::default(), offsets::Later::default());
        Ok(entry)
    });
    // The catalog lives as long as the program; a test may make one for each binary.
    let entries: &'static [catalog::Entry] = Vec::leak(entries.collect::<Result<_>>()?);
    let plan = analyzer::plan(bytes, "corpus", &Options { entries, database: false, ..Options::default() })?;
    let count = entries.iter().map(|entry| entry.fields.len()).sum::<usize>();
    let planned: Vec<_> = plan.libraries.iter().flat_map(|library| &library.fields).collect();
    ensure!(planned.len() == count, "{} fields of {count} are planned", planned.len());
    let deaf = planned.into_iter().filter(|field| !field.witnesses.contains(&Witness::Types));
    Ok(deaf.map(|field| format!("the planner does not hear the type data of {}", field.type_name)).collect())
}

fn field(type_name: &str, name: &str, kind: String) -> Field {
    Field {
        type_name: type_name.to_owned(),
        name: name.to_owned(),
        kind,
        versions: catalog::Range::default(),
        required: true,
        if_present: false,
        gives: None,
        line: 0,
    }
}

/// The version that counts for a module's structs in this binary.
fn version(plan: &Plan, module: &str) -> Option<String> {
    if module == "std" {
        return Some(plan.go_version.as_ref()?.strip_prefix("go")?.to_owned());
    }
    let found: &Module = plan.modules.iter().find(|m| m.path == module)?;
    match &found.replaced_by {
        None => Some(found.version.clone()),
        Some(by) if by.path == module => Some(by.version.clone()),
        Some(_) => None,
    }
}
