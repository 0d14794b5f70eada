//! `offsetgen lookup`: what the database knows of a field or a function, and how well.
//!
//! The output is a contract (docs/offsetgen.md): one line per field, `TYPE.FIELD<TAB>offset<TAB>word`, then one per function,
//! `NAME<TAB>(parameters) (results)<TAB>word`.

use anyhow::Result;
use offsets::database::Signature;
use offsets::database::format::{Inlined, Parameter};
use offsets::{Basis, Database, Lookup};
use serde::Serialize;

use crate::cli::LookupOptions;
use crate::data::folder;
use crate::output;

#[derive(Serialize)]
struct Report<'a> {
    module: &'a str,
    version: &'a str,
    arch: &'a str,
    database: &'a str,
    fields: Vec<Answer<'a>>,
    functions: Vec<Function<'a>>,
}

#[derive(Serialize)]
struct Function<'a> {
    name: &'a str,
    inlined: Option<Inlined>,
    params: Option<&'a [Parameter]>,
    results: Option<&'a [Parameter]>,
    r#match: &'a str,
    below: Option<&'a str>,
    above: Option<&'a str>,
}

#[derive(Serialize)]
struct Answer<'a> {
    r#type: &'a str,
    field: &'a str,
    offset: Option<u64>,
    kind: Option<&'a str>,
    r#match: &'a str,
    /// The tested neighbours that the answer rests on.
    below: Option<&'a str>,
    above: Option<&'a str>,
}

/// True when everything was found, or is known to be absent.
pub fn run(options: &LookupOptions) -> Result<bool> {
    let own;
    let database = match &options.data {
        Some(folder) => {
            own = folder::database(folder)?;
            &own
        }
        None => Database::embedded(),
    };
    let answers: Vec<Answer<'_>> =
        options.fields.iter().map(|field| answer(options, database, field)).collect();
    let functions: Vec<Function<'_>> =
        options.functions.iter().map(|name| function(options, database, name)).collect();
    let mut words = answers.iter().map(|one| one.r#match).chain(functions.iter().map(|one| one.r#match));
    let known = words.all(|word| matches!(word, "exact" | "between" | "absent"));
    if options.json {
        let (module, version, arch) = (&options.module, &options.version, &options.arch);
        let report =
            Report { module, version, arch, database: database.digest(), fields: answers, functions };
        output::print(&(serde_json::to_string(&report)? + "\n"))?;
    } else {
        let lines = answers.iter().map(line).chain(functions.iter().map(function_line));
        output::print(&lines.collect::<String>())?;
    }
    Ok(known)
}

fn line(answer: &Answer<'_>) -> String {
    let Answer { r#type, field, offset, r#match, .. } = answer;
    let offset = offset.map_or_else(|| "-".to_owned(), |offset| offset.to_string());
    format!("{type}.{field}\t{offset}\t{match}\n")
}

fn function_line(function: &Function<'_>) -> String {
    let list = |list: &[Parameter]| {
        let one = |p: &Parameter| format!("{} {}", p.name, p.at).trim().to_owned();
        format!("({})", list.iter().map(one).collect::<Vec<_>>().join(", "))
    };
    let places = match (function.params, function.results) {
        (Some(params), Some(results)) => format!("{} {}", list(params), list(results)),
        _ => "-".to_owned(),
    };
    format!("{}\t{places}\t{}\n", function.name, function.r#match)
}

fn function<'a>(options: &'a LookupOptions, database: &'a Database, name: &'a str) -> Function<'a> {
    let found = database.function(&options.module, &options.version, &options.arch, name);
    let (below, above) = found.neighbours().unzip();
    let signature: Option<&Signature> = found.known();
    Function {
        name,
        inlined: signature.map(|signature| signature.inlined),
        params: signature.map(|signature| signature.params.as_slice()),
        results: signature.map(|signature| signature.results.as_slice()),
        r#match: found.word(),
        below,
        above,
    }
}

fn answer<'a>(options: &LookupOptions, database: &'a Database, field: &'a (String, String)) -> Answer<'a> {
    let (owner, field) = field;
    let lookup = database.lookup(&options.module, &options.version, &options.arch, owner, field);
    let (below, above) = match lookup {
        Lookup::Between { below, above, .. }
        | Lookup::Differs { below, above }
        | Lookup::Absent(Basis::Between { below, above }) => (Some(below), Some(above)),
        _ => (None, None),
    };
    let (offset, kind) = (lookup.offset(), lookup.kind());
    Answer { r#type: owner, field, offset, kind, r#match: lookup.word(), below, above }
}
