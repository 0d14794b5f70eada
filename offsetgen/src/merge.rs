//! `offsetgen merge`: several folders of data become one. Where two of them contradict each other it ends;
//! a hole that another has filled is none. A build in the folder that they become part of is waited for; that folder may
//! be one of them.

use std::fs;

use anyhow::{Context as _, Result};
use offsets::database::format::{Document, file_name};
use offsets::database::observations::Observations;

use crate::build::{lock, read_document, write_document};
use crate::cli::MergeOptions;
use crate::data;
use crate::progress::Progress;

/// Always true, or an error.
pub fn run(options: &MergeOptions) -> Result<bool> {
    let out = &options.out;
    fs::create_dir_all(out).with_context(|| format!("cannot create {}", out.display()))?;
    // A build there would undo this, or this the build.
    let _lock = lock(out, &Progress::new())?;
    for folder in &options.folders {
        for (name, text) in data::texts(folder)? {
            data::refuse_newer(&name, &text)?;
        }
        for (module, document) in data::documents(folder)? {
            let path = out.join(file_name(&module));
            let mut all = Observations::read(&read_document(&path, &module)?);
            all.merge(Observations::read(&document)).with_context(|| {
                format!("{module}: {} and {} cannot be merged", out.display(), folder.display())
            })?;
            all.refresh_followers();
            let merged: Document = all.into_document(&module);
            write_document(&path, &merged)?;
        }
    }
    Ok(true)
}
