//! `offsetgen build`: from versions to the database.
//!
//! ```text
//! versions ─► one thread: toolchains, one after the other ─► jobs (version × architecture) ─► N threads: compile, read
//!                                                            DWARF ─► observations ─► check the catalog ─► one file
//! ```
//!
//! Downloads so overlap with compilation. The file is written once, at the end, and only if nothing failed; its bytes
//! depend on what was observed alone, not on the order in which it was.

mod catalog;
mod compile;
mod dwarf;
mod pipeline;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use offsets::STD;
use offsets::catalog::Entry;
use offsets::database::format::Document;
use offsets::database::observations::Observations;

use crate::cli::BuildOptions;
use crate::progress::Progress;
use crate::store::write_atomically;
use crate::toolchain::Store;
use crate::versions::{Known, Release, Wanted, prober, spell, wanted};

/// True when the database was written (or is the same as before).
pub fn run(options: &BuildOptions) -> Result<bool> {
    let entries = catalog::read(options.catalog.as_deref(), &options.only)?;
    let progress = Progress::new();
    let store = Store::open(&options.cache)?;
    let path = options.out.join("std.json");
    let before = read_document(&path)?;
    let releases = releases(options, &store, &before, &progress)?;
    let names: Vec<String> = releases.iter().map(|release| spell(*release)).collect();
    progress.say(&format!("std: {} for {}", names.join(", "), options.arch.join(", ")));
    let jobs = options.jobs.or_else(|| std::thread::available_parallelism().ok()).map_or(1, usize::from);
    let plan = pipeline::Plan { entries: &entries, releases: &releases, arch: &options.arch, jobs };
    let (found, failures) = pipeline::run(&plan, &store, &progress);
    if !failures.is_empty() {
        for failure in &failures {
            progress.say(&format!("offsetgen: {failure:#}"));
        }
        bail!("{} of the builds failed; {} is as it was", failures.len(), path.display());
    }
    let mut all = Observations::read(&before);
    for result in found {
        all.record(result.version, &result.tested, &result.arch, result.structs);
    }
    let errors = catalog::check(&entries, &all);
    if !errors.is_empty() {
        bail!(
            "the catalog does not agree with what was built; {} is as it was\n{}",
            path.display(),
            errors.join("\n")
        );
    }
    let structs: BTreeSet<String> = entries.iter().flat_map(Entry::structs).map(str::to_owned).collect();
    let text = all.into_document(STD, &structs).to_json();
    let same = fs::read(&path).is_ok_and(|bytes| bytes == text.as_bytes());
    if !same {
        write_atomically(&path, text.as_bytes())?;
    }
    println!("{}: {}", path.display(), if same { "unchanged" } else { "written" });
    Ok(true)
}

fn read_document(path: &Path) -> Result<Document> {
    match fs::read_to_string(path) {
        Ok(text) => {
            let name = path.display().to_string();
            // Putting it into a database checks it.
            offsets::Database::from_json([(name.as_str(), text.as_str())])?;
            Ok(Document::parse(&name, &text)?)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Document::new(STD)),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// Which releases to build, ascending.
fn releases(
    options: &BuildOptions,
    store: &Store,
    before: &Document,
    progress: &Progress,
) -> Result<Vec<Release>> {
    let wanted: Vec<Wanted> = options.versions.iter().map(|text| wanted(text)).collect::<Result<_>>()?;
    let mut releases: BTreeSet<Release> = BTreeSet::new();
    let needs_list = wanted.is_empty() || wanted.iter().any(|wanted| matches!(wanted, Wanted::Newest(_)));
    let recorded = before.versions.iter().map(|tested| tested.version.as_str());
    let known =
        if needs_list { known(options, store, recorded.clone(), progress)? } else { Known::default() };
    // Exact versions that are in the cache need no proxy.
    let mut exists = |release| {
        let network = store.network()?;
        prober(&network.client, &network.proxies, store.host())(release)
    };
    for wanted in &wanted {
        releases.insert(match wanted {
            Wanted::Exactly(release) => *release,
            Wanted::Newest(minor) => known
                .newest(*minor, &mut exists)?
                .with_context(|| format!("the proxy has no Go 1.{minor}"))?,
        });
    }
    if wanted.is_empty() {
        releases.extend(known.newest_of_all(&mut exists)?);
        releases.extend(recorded.filter_map(crate::versions::release_of));
    }
    Ok(releases.into_iter().collect())
}

/// The union of the proxy's list, the database and the user's file.
fn known<'a>(
    options: &BuildOptions,
    store: &Store,
    recorded: impl Iterator<Item = &'a str>,
    progress: &Progress,
) -> Result<Known> {
    let mut known = store.known(progress)?;
    known.add(recorded);
    if let Some(file) = &options.versions_from {
        let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        known.add_file(&text);
    }
    Ok(known)
}
