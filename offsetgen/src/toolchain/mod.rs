//! Go toolchains in the cache: downloaded, verified, ready to run.
//!
//! ```text
//! CACHE/mod/                the toolchains, as `go mod download` leaves them (its GOMODCACHE)
//! CACHE/modules/            GOMODCACHE of compilations
//! CACHE/build/              their GOCACHE
//! CACHE/bootstrap/GO/       the first toolchain where there is no Go, unpacked by us
//! CACHE/toolchains/GO.json  written last: this toolchain is verified and ready, and where
//! ```
//!
//! Any Go from 1.21 on PATH fetches the others (`go mod download` checks the signed checksum database). Without one, the
//! bootstrap toolchain comes first: its hash is pinned in [`bootstrap`].

mod bootstrap;
mod dirhash;
mod gocmd;
mod unpack;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use backon::{BlockingRetryable, ExponentialBuilder};
use offsets::database::format::Toolchain as Provenance;
use serde::{Deserialize, Serialize};

use crate::build::memory::Bounds;
use crate::cli::{CacheOptions, ToolchainOptions};
use crate::failure::{Failure, Stage, may_pass};
use crate::net::{Client, Network, Proxies, goproxy};
use crate::progress::Progress;
use crate::store::write_atomically;
use crate::versions::{Known, Release, TOOLCHAIN_MODULE, Wanted, prober, spell, toolchain_version, wanted};

pub use gocmd::{Output, go_environment, one_line, run as run_go};

/// How the folders of compilations begin, and of what `verify` compiles.
const SCRATCH: [&str; 2] = ["target-", "verify-"];

/// A toolchain that is ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Toolchain {
    /// GOROOT.
    pub goroot: PathBuf,
    /// What it is, for the database.
    pub provenance: Provenance,
}

/// The cache, and the way to what is not in it.
pub struct Store {
    /// Absolute.
    cache: PathBuf,
    /// A connection without progress for so long is given up.
    pub timeout: Duration,
    host: &'static str,
    /// Where compiled packages are kept.
    build_cache: PathBuf,
    bounds: Bounds,
    network: std::sync::OnceLock<Network>,
    /// The Go that fetches the others.
    fetcher: std::sync::Mutex<Option<PathBuf>>,
}

/// `offsetgen toolchain`.
pub fn run(options: &ToolchainOptions) -> Result<bool> {
    let wanted = wanted(&options.version)?;
    let store = Store::open(&options.cache)?;
    let progress = Progress::new();
    let release = match wanted {
        Wanted::Exactly(release) => release,
        Wanted::Newest(minor) => store.newest(minor, &progress)?,
    };
    let toolchain = store.ensure(release, &progress)?;
    crate::output::print(&format!("{}\n", toolchain.goroot.display()))?;
    Ok(true)
}

impl Store {
    /// Finds or makes the cache folder.
    pub fn open(options: &CacheOptions) -> Result<Self> {
        let folder = match &options.cache {
            Some(folder) => folder.clone(),
            None => default_cache()
                .context("neither XDG_CACHE_HOME nor HOME is set: give the folder with --cache")?,
        };
        fs::create_dir_all(&folder)
            .with_context(|| format!("cannot create the cache {}", folder.display()))?;
        let cache =
            folder.canonicalize().with_context(|| format!("cannot find the cache {}", folder.display()))?;
        let host = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => {
                bail!("there is no Go toolchain for strobe on {other}: use an x86_64 or aarch64 machine")
            }
        };
        let timeout = Duration::from_secs(options.timeout);
        let build_cache = cache.join("build");
        Ok(Self {
            cache,
            timeout,
            host,
            build_cache,
            bounds: Bounds::new(None, None),
            network: Default::default(),
            fetcher: Default::default(),
        })
    }

    /// The same with another folder for compiled packages.
    pub fn with_build_cache(self, folder: &Path) -> Self {
        Self { build_cache: folder.to_owned(), ..self }
    }

    /// The same for so many compilations at a time, with so much memory.
    pub fn with_bounds(self, bounds: Bounds) -> Self {
        Self { bounds, ..self }
    }

    /// What compilations keep to.
    pub fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// Where a toolchain keeps what it compiled (GOCACHE).
    pub fn build_cache(&self, toolchain: &str) -> PathBuf {
        self.build_cache.join(toolchain)
    }

    /// The cache folder.
    pub fn cache(&self) -> &Path {
        &self.cache
    }

    /// The architecture that toolchains are fetched for.
    pub fn host(&self) -> &'static str {
        self.host
    }

    /// The proxies, or what to do about their absence.
    pub fn network(&self) -> Result<&Network> {
        if let Some(network) = self.network.get() {
            return Ok(network);
        }
        let goproxy = goproxy()?;
        let proxies = Proxies::parse(&goproxy)?;
        let network = Network { proxies, client: Client::new(self.timeout)?, goproxy };
        Ok(self.network.get_or_init(|| network))
    }

    /// The newest patch of a minor release. Without an answer from the proxy the newest cached one, with a word.
    fn newest(&self, minor: u64, progress: &Progress) -> Result<Release> {
        let asked = self.known(progress).and_then(|known| {
            let network = self.network()?;
            known.newest(minor, &mut prober(&network.client, &network.proxies, self.host))
        });
        match asked {
            Ok(Some(release)) => Ok(release),
            Ok(None) => bail!("no release of Go 1.{minor} is known, and the proxy has none"),
            Err(error) => match self.cached_patches(minor).last() {
                Some(patch) => {
                    let release = (minor, *patch);
                    progress.say(&format!(
                        "warning: {error:#}; taking the newest cached one, {}",
                        spell(release)
                    ));
                    Ok(release)
                }
                None => Err(error),
            },
        }
    }

    /// What the proxy lists; a proxy without a list is no error, one that cannot be reached is.
    pub fn known(&self, progress: &Progress) -> Result<Known> {
        let network = self.network()?;
        let mut known = Known::default();
        match network.proxies.list(&network.client, TOOLCHAIN_MODULE) {
            Ok(list) => known.add_listed(&list, self.host),
            Err(error) if error.is_not_found() => progress.say(&format!("note: no version list: {error}")),
            Err(error) => return Err(error).context("cannot list the Go toolchains"),
        }
        Ok(known)
    }

    fn cached_patches(&self, minor: u64) -> Vec<u64> {
        let mut patches: Vec<u64> = (0..100).filter(|patch| self.cached((minor, *patch)).is_some()).collect();
        patches.sort_unstable();
        patches
    }

    fn name(&self, release: Release) -> String {
        format!("go{}.linux-{}", spell(release), self.host)
    }

    fn marker(&self, release: Release) -> PathBuf {
        self.cache.join("toolchains").join(format!("{}.json", self.name(release)))
    }

    /// A toolchain that an earlier run has verified and whose files are still there.
    fn cached(&self, release: Release) -> Option<Toolchain> {
        let text = fs::read_to_string(self.marker(release)).ok()?;
        let toolchain: Toolchain = serde_json::from_str(&text).ok()?;
        toolchain.goroot.join("bin/go").is_file().then_some(toolchain)
    }

    /// Makes sure that a toolchain is there, verified and ready.
    pub fn ensure(&self, release: Release, progress: &Progress) -> Result<Toolchain> {
        if let Some(toolchain) = self.cached(release) {
            return Ok(toolchain);
        }
        let fetched = self.fetch(release, progress);
        let toolchain = fetched.with_context(|| format!("cannot get the Go {} toolchain", spell(release)))?;
        let text = serde_json::to_string_pretty(&toolchain)?;
        write_atomically(&self.marker(release), text.as_bytes())?;
        Ok(toolchain)
    }

    fn fetch(&self, release: Release, progress: &Progress) -> Result<Toolchain> {
        let version = toolchain_version(release, self.host);
        let network = self.network()?;
        // One small question first: it is bounded in time and says plainly what is wrong with a proxy.
        if !network.proxies.exists(&network.client, TOOLCHAIN_MODULE, &version)? {
            let text = format!("{TOOLCHAIN_MODULE}@{version} does not exist, says the module proxy");
            return Err(Failure::new(Stage::Withheld, text).into());
        }
        let (goroot, hash) = if bootstrap::is(release) && gocmd::on_path().is_none() {
            bootstrap::fetch(self, &version, progress)?
        } else {
            let go = self.fetcher(progress)?;
            let again = |error: &anyhow::Error| may_pass(&format!("{error:#}"));
            let download = || gocmd::download(&go, self, &version, progress);
            download.retry(ExponentialBuilder::default()).sleep(std::thread::sleep).when(again).call()?
        };
        gocmd::prepare(&goroot)?;
        let version_file = goroot.join("VERSION");
        let said = fs::read_to_string(&version_file)
            .with_context(|| format!("cannot read {}", version_file.display()))?;
        let name = format!("go{}", spell(release));
        if said.lines().next() != Some(name.as_str()) {
            bail!(
                "{} says {:?} where {name} was asked for",
                version_file.display(),
                said.lines().next().unwrap_or("")
            );
        }
        let module = format!("{TOOLCHAIN_MODULE}@{version}");
        Ok(Toolchain { goroot, provenance: Provenance { version: name, module, hash } })
    }

    /// A folder of its own, gone when it is dropped.
    pub fn scratch(&self, prefix: &str) -> Result<tempfile::TempDir> {
        let folder = self.cache.join("tmp");
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let scratch = tempfile::Builder::new().prefix(prefix).tempdir_in(&folder);
        scratch.with_context(|| format!("cannot create a folder in {}", folder.display()))
    }

    /// Removes what compilations that were killed have left. Only for whoever has the cache for itself; `offsetgen toolchain`
    /// does not, and compiles nothing.
    pub fn sweep(&self) -> Result<()> {
        let entries = match fs::read_dir(self.cache.join("tmp")) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            entries => entries.context("cannot read the cache's tmp folder")?,
        };
        for entry in entries {
            let entry = entry.context("cannot read the cache's tmp folder")?;
            if SCRATCH.iter().any(|prefix| entry.file_name().to_string_lossy().starts_with(prefix)) {
                remove(&entry.path())?;
            }
        }
        Ok(())
    }

    /// Before another try of what the proxy could not give just now: one small question, asked by the client that waits as
    /// long as the proxy says it should (`Retry-After`), which the go command does not. The answer does not matter.
    pub fn wait_for_proxy(&self, module: Option<(&str, &str)>) {
        if let (Ok(network), Some((module, version))) = (self.network(), module) {
            let _ = network.proxies.exists(&network.client, module, version);
        }
    }

    /// Removes an unpacked toolchain, its zip and what it compiled. Its verified hash is asked for anew when it is next
    /// needed.
    pub fn forget(&self, release: Release) -> Result<()> {
        let Some(toolchain) = self.cached(release) else { return Ok(()) };
        // The marker goes first: without it nothing believes in the rest.
        remove(&self.marker(release))?;
        if toolchain.goroot.starts_with(&self.cache) {
            remove(&toolchain.goroot)?;
        }
        let zips = self.cache.join("mod/cache/download").join(TOOLCHAIN_MODULE).join("@v");
        remove(&zips.join(format!("{}.zip", toolchain_version(release, self.host))))?;
        remove(&self.build_cache(&toolchain.provenance.version))
    }

    /// Removes the sources of all modules; they are fetched again when they are needed.
    pub fn forget_modules(&self) -> Result<()> {
        remove(&self.cache.join("modules"))
    }

    /// A go command that can fetch modules: that on PATH, else the bootstrap toolchain, fetched once.
    fn fetcher(&self, progress: &Progress) -> Result<PathBuf> {
        let mut fetcher = self.fetcher.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if fetcher.is_none() {
            let go = match gocmd::on_path() {
                Some(go) => go,
                None => self.ensure(bootstrap::RELEASE, progress)?.goroot.join("bin/go"),
            };
            *fetcher = Some(go);
        }
        fetcher.clone().context("no go command")
    }
}

fn default_cache() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache"))).map(|folder| folder.join("strobe"))
}

fn remove(path: &Path) -> Result<()> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}
