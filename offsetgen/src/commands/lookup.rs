//! `offsetgen lookup`: what the database knows of a field, and how well.
//!
//! The output is a contract (docs/offsetgen.md): one line per field, `TYPE.FIELD<TAB>offset<TAB>word`.

use anyhow::Result;
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

/// True when every field was found, or is known to be absent.
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
    let known = answers.iter().all(|answer| matches!(answer.r#match, "exact" | "between" | "absent"));
    if options.json {
        let (module, version, arch) = (&options.module, &options.version, &options.arch);
        let report = Report { module, version, arch, database: database.digest(), fields: answers };
        output::print(&(serde_json::to_string(&report)? + "\n"))?;
    } else {
        output::print(&answers.iter().map(line).collect::<String>())?;
    }
    Ok(known)
}

fn line(answer: &Answer<'_>) -> String {
    let Answer { r#type, field, offset, r#match, .. } = answer;
    let offset = offset.map_or_else(|| "-".to_owned(), |offset| offset.to_string());
    format!("{type}.{field}\t{offset}\t{match}\n")
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
