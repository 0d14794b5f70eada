//! `offsetgen merge`: several folders of data become one. Where two of them contradict each other it ends;
//! a hole that another has filled is none.

use anyhow::{Context as _, Result};
use offsets::database::format::Document;
use offsets::database::observations::Observations;

use crate::build::{file_name, read_document, write_document};
use crate::cli::MergeOptions;
use crate::data;

/// Always true, or an error.
pub fn run(options: &MergeOptions) -> Result<bool> {
    for folder in &options.folders {
        for (module, document) in data::documents(folder)? {
            let path = options.out.join(file_name(&module));
            let mut all = Observations::read(&read_document(&path, &module)?);
            all.merge(Observations::read(&document)).with_context(|| {
                format!("{module}: {} and {} cannot be merged", options.out.display(), folder.display())
            })?;
            all.refresh_followers();
            let merged: Document = all.into_document(&module);
            write_document(&path, &merged)?;
        }
    }
    Ok(true)
}
