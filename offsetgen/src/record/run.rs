//! One module, from its list of versions to its file.

use anyhow::{Result, bail};
use offsets::Version;

use super::journal::Journal;
use super::observations::Observations;
use super::recording::Recording;
use super::surroundings::Surroundings;
use super::{GENERATOR, SETTINGS, check};
use crate::catalog::Catalog;
use crate::cli::BuildOptions;
use crate::data::document::{document_path, read_document, write_document};

/// True when every version that was asked for by name is recorded, and nothing failed that may pass.
pub fn build(
    module: &str,
    catalog: &Catalog,
    options: &BuildOptions,
    around: &mut Surroundings<'_>,
) -> Result<bool> {
    let path = document_path(&options.out, module);
    let before = read_document(&path, module)?;
    let all = Observations::read(&before);
    let journal = Journal::new(around.store.cache(), module, options);
    let mut run = Recording::new(module, catalog, options, all, journal);
    run.find_versions(&before, around)?;
    if run.versions.is_empty() {
        return Ok(true);
    }
    let shown = run.versions.len();
    around.progress.say(&format!("{module}: {shown} versions are known"));
    run.first_architecture(around)?;
    if options.shard.is_none() {
        run.edges(around)?;
    }
    run.all.refresh_followers();
    let errors = check::check(&catalog.entries, &run.all);
    let agrees = errors.is_empty();
    if !agrees {
        let (disagree, errors) = ("the catalog does not agree with what was built", errors.join("\n"));
        if !options.new_only {
            bail!("{disagree}; {} is as it was\n{errors}", path.display());
        }
        // That one field has another type in a new release is no reason to keep nothing of it: whoever reads the data refuses a
        // field of another type by itself.
        around.progress.say(&format!("failed: {module}: {disagree}; it is recorded all the same\n{errors}"));
    }
    let recorded = |version: &Version| run.all.build(version).is_some();
    let all_there = options.versions.is_empty() || run.versions.keys().all(recorded);
    let complete = all_there && agrees && !run.interrupted;
    run.all.add_settings(GENERATOR, SETTINGS);
    write_document(&path, &run.all.into_document(module))?;
    Ok(complete)
}
