//! `offsetgen export`: the database as a table that another program reads.
//!
//! | form | read by |
//! |---|---|
//! | `otel-auto` | OpenTelemetry's Go auto-instrumentation |
//! | `obi` | OpenTelemetry's eBPF instrumentation, and Beyla |
//! | `flat` | whoever reads a line at a time |
//!
//! Only answers that are `exact` become figures. A table without architectures has those in which nothing is known to differ
//! between them; what is left out is said on stderr.

mod flat;
mod left_out;
mod obi;
mod otel_auto;

use anyhow::{Result, ensure};
use offsets::Database;

use super::figures::Field;
use super::tables::Table;
use crate::cli::{ExportOptions, Format};
use crate::data::folder;
use crate::output;
use left_out::LeftOut;

/// True, or an error.
pub fn run(options: &ExportOptions) -> Result<bool> {
    let own = options.data.as_deref().map(folder::database).transpose()?;
    let database = own.as_ref().unwrap_or_else(|| Database::embedded());
    let mut fields = match &options.like {
        Some(file) => Table::read(file)?.fields(database),
        None => recorded(database),
    };
    for module in &options.only {
        ensure!(database.document(module).is_some(), "--only {module}: nothing of it is recorded");
    }
    fields.retain(|field| options.only.is_empty() || options.only.contains(&field.module));
    let mut left_out = LeftOut::default();
    match options.format {
        Format::Flat => flat::print(database, &fields)?,
        Format::OtelAuto => {
            let table = otel_auto::table(database, &fields, &mut left_out);
            output::print(&(serde_json::to_string_pretty(&table)? + "\n"))?;
        }
        Format::Obi => {
            let table = obi::table(database, &fields, &mut left_out);
            output::print(&(serde_json::to_string_pretty(&table)? + "\n"))?;
        }
    }
    eprint!("{left_out}");
    Ok(true)
}

/// Every field of every struct that is recorded.
fn recorded(database: &Database) -> Vec<Field> {
    let mut fields = Vec::new();
    for document in database.modules().filter_map(|module| database.document(module)) {
        for (type_name, record) in &document.structs {
            let field = |name: &String| Field {
                module: document.module.clone(),
                owner: document.module.clone(),
                type_name: type_name.clone(),
                name: name.clone(),
            };
            fields.extend(record.fields.keys().map(field));
        }
    }
    fields
}
