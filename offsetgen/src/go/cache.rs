//! The cache: where toolchains, modules and compiled packages lie, and the way to what is not in it.
//!
//! ```text
//! CACHE/mod/                the toolchains, as `go mod download` leaves them (its GOMODCACHE)
//! CACHE/modules/            GOMODCACHE of compilations
//! CACHE/build/              their GOCACHE
//! CACHE/bootstrap/GO/       the first toolchain where there is no Go, unpacked by us
//! CACHE/toolchains/GO.json  written last: this toolchain is verified and ready, and where
//! CACHE/tmp/                what is being downloaded or compiled
//! ```

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::cli::CacheOptions;
use crate::memory::Bounds;
use crate::net::{Client, Network, Proxies, goproxy};

/// How the folders of compilations begin, and of what `verify` compiles.
const SCRATCH: [&str; 2] = ["target-", "verify-"];

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
    network: OnceLock<Network>,
    /// The Go that fetches the others.
    pub(super) fetcher: Mutex<Option<PathBuf>>,
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

    /// Removes the sources of all modules; they are fetched again when they are needed.
    pub fn forget_modules(&self) -> Result<()> {
        remove(&self.cache.join("modules"))
    }
}

fn default_cache() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache"))).map(|folder| folder.join("strobe"))
}

/// Removes a file or folder that may be gone already.
pub(super) fn remove(path: &Path) -> Result<()> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}
