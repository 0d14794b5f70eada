//! `offsetgen build`: from versions to the database.
//!
//! ```text
//! per module:  which versions ─► each on amd64 ─► where a layout begins and ends: on arm64, and with the oldest Go and the
//!                                                 newest dependencies ─► check the catalog ─► one file
//! ```
//!
//! What the database has is not built again. Each build's result is kept in the cache ([`journal`]) until the file is
//! written, in one step, at the module's end; its bytes depend on what was observed alone, not on the order in which it was.

mod attempt;
mod axis;
pub mod catalog;
mod disproof;
mod dwarf;
mod edges;
mod experiments;
mod journal;
pub mod listing;
pub mod memory;
mod module;
mod pipeline;
mod source;
mod toolchains;
pub mod verify;
mod wanted;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use offsets::database::format::{Document, file_name};

use crate::cli::BuildOptions;
use crate::progress::Progress;
use crate::store::write_atomically;
use crate::toolchain::Store;
use crate::versions::Release;
use crate::{data, index};
use memory::Bounds;

/// Part of every record; a new one makes old journal entries void. The number behind the plus sign rises when what is
/// recorded changes between two releases of strobe.
pub const GENERATOR: &str = concat!(env!("CARGO_PKG_VERSION"), "+3");
/// How it compiles.
pub const SETTINGS: &str = "CGO_ENABLED=0 GOFLAGS= GOEXPERIMENT= GOAMD64= GOARM64= GOOS=linux go build -trimpath -ldflags=-compressdwarf=false";

/// Where and how a run builds.
pub struct Surroundings<'a> {
    /// Toolchains and modules.
    pub store: &'a Store,
    /// For a person.
    pub progress: &'a Progress,
    /// Compilations at a time.
    pub jobs: usize,
    /// When to begin nothing more.
    pub deadline: Option<Instant>,
    /// Whether toolchains go when they are no longer needed.
    pub prune: bool,
    /// Toolchains that modules are built with: they stay.
    pub kept: BTreeSet<Release>,
    /// Whether hashes that no checksum database vouches for are taken.
    pub trust_on_first_use: bool,
}

impl Surroundings<'_> {
    /// A toolchain goes, unless modules need it; that it stays does no harm.
    fn forget(&self, release: Release) {
        if self.kept.contains(&release) {
            return;
        }
        if let Err(error) = self.store.forget(release) {
            self.progress.say(&format!("note: {error:#}"));
        }
    }
}

/// True when the database was written (or is the same as before) and all versions that were asked for by name are in it.
pub fn run(options: &BuildOptions) -> Result<bool> {
    let begun = Instant::now();
    let entries = catalog::read(options.catalog.as_deref(), &options.only)?;
    let progress = Progress::new();
    let bounds = Bounds::new(options.jobs.map(NonZeroUsize::get), options.memory);
    let store = Store::open(&options.cache)?.with_bounds(bounds);
    fs::create_dir_all(&options.out).with_context(|| format!("cannot create {}", options.out.display()))?;
    let out = options.out.canonicalize();
    if out.with_context(|| format!("cannot find {}", options.out.display()))? == store.cache() {
        bail!("--out and the cache are both {}: each needs a folder of its own", options.out.display());
    }
    let _locks = [lock(&options.out, &progress)?, lock_cache(&store, &progress)?];
    let modules: BTreeSet<&str> = entries.iter().map(|entry| entry.module.as_str()).collect();
    let deadline = options.stop_after.map(|minutes| begun + Duration::from_secs(minutes * 60));
    let mut around = Surroundings {
        store: &store,
        progress: &progress,
        jobs: bounds.jobs,
        deadline,
        prune: options.prune,
        kept: BTreeSet::new(),
        trust_on_first_use: options.trust_on_first_use,
    };
    if options.prune && modules.len() > 1 {
        let newest = toolchains::newest(options, &store, &progress)?;
        around.kept.extend(toolchains::candidates(&newest, 0));
    }
    let mut complete = true;
    let mut failures = Vec::new();
    // The standard library first: what it compiles is what the modules need.
    let ordered =
        modules.iter().filter(|m| **m == offsets::STD).chain(modules.iter().filter(|m| **m != offsets::STD));
    for module in ordered {
        let own: Vec<_> = entries.iter().filter(|entry| entry.module == **module).cloned().collect();
        match module::build(module, &own, options, &mut around) {
            Ok(all) => complete &= all,
            Err(error) => failures.push(error.context((*module).to_owned())),
        }
        if options.prune && *module != offsets::STD {
            store.forget_modules()?;
        }
    }
    progress.say(&crate::effort::summary(begun));
    for failure in failures.iter().skip(1) {
        progress.say(&format!("offsetgen: {failure:#}"));
    }
    failures.into_iter().next().map_or(Ok(complete), Err)
}

/// Two runs in one folder would undo each other's work: the second waits.
pub(crate) fn lock(folder: &Path, progress: &Progress) -> Result<File> {
    let file = File::open(folder).with_context(|| format!("cannot open {}", folder.display()))?;
    if file.try_lock().is_err() {
        progress.say(&format!("note: another offsetgen works in {}; waiting for it", folder.display()));
        file.lock().with_context(|| format!("cannot lock {}", folder.display()))?;
    }
    Ok(file)
}

/// The cache for one run alone. What a killed run was compiling there goes.
fn lock_cache(store: &Store, progress: &Progress) -> Result<File> {
    let file = lock(store.cache(), progress)?;
    store.sweep()?;
    Ok(file)
}

/// Where a module's document is, or is to be. A folder that was written before underlines were told apart keeps the name that
/// the module has there.
pub fn document_path(folder: &Path, module: &str) -> PathBuf {
    let former = folder.join(format!("{}.json", module.replace('/', "_")));
    let is_its = |text: String| {
        let document = Document::parse(&former.display().to_string(), &text);
        document.is_ok_and(|document| document.module == module)
    };
    let keeps = module.contains('_') && fs::read_to_string(&former).is_ok_and(is_its);
    if keeps { former } else { folder.join(file_name(module)) }
}

/// The document of a module, to be written again; an empty one where there is no file.
pub fn read_document(path: &Path, module: &str) -> Result<Document> {
    match fs::read_to_string(path) {
        Ok(text) => {
            let name = path.display().to_string();
            // Putting it into a database checks it.
            offsets::Database::from_json([(name.as_str(), text.as_str())])?;
            data::refuse_newer(&name, &text)?;
            let document = Document::parse(&name, &text)?;
            if document.module != module {
                bail!(
                    "{name} is the file of {module} by its name, and has the data of {} in it: name it {}",
                    document.module,
                    file_name(&document.module)
                );
            }
            Ok(document)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Document::new(module)),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// Writes a document unless it is there already, and the folder's index; says which.
pub fn write_document(path: &Path, document: &Document) -> Result<()> {
    let text = document.to_json();
    let same = fs::read(path).is_ok_and(|bytes| bytes == text.as_bytes());
    if !same {
        write_atomically(path, text.as_bytes())?;
    }
    index::write(path.parent().unwrap_or(Path::new("")))?;
    let what = if same { "unchanged" } else { "written" };
    crate::output::print(&format!("{}: {what}\n", path.display()))
}
