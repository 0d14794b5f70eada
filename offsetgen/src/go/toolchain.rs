//! Go toolchains: looked up in the cache, else downloaded and verified.
//!
//! Any Go from 1.21 on PATH fetches the others (`go mod download` checks the signed checksum database). Without one, the
//! bootstrap toolchain comes first: its hash is pinned in [`bootstrap`].

use std::fs;
use std::path::PathBuf;
use std::sync::PoisonError;

use anyhow::{Context, Result, bail};
use backon::{BlockingRetryable, ExponentialBuilder};
use offsets::database::format::Toolchain as Provenance;
use serde::{Deserialize, Serialize};

use super::cache::{Store, remove};
use super::release::{Known, Release, TOOLCHAIN_MODULE, prober, spell, toolchain_version};
use super::{bootstrap, download};
use crate::failure::{Failure, Stage, may_pass};
use crate::files::write_atomically;
use crate::progress::Progress;

/// A toolchain that is ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Toolchain {
    /// GOROOT.
    pub goroot: PathBuf,
    /// What it is, for the database.
    pub provenance: Provenance,
}

impl Store {
    /// The newest patch of a minor release. Without an answer from the proxy the newest cached one, with a word.
    pub fn newest(&self, minor: u64, progress: &Progress) -> Result<Release> {
        let asked = self.known(progress).and_then(|known| {
            let network = self.network()?;
            known.newest(minor, &mut prober(&network.client, &network.proxies, self.host()))
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
            Ok(list) => known.add_listed(&list, self.host()),
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
        format!("go{}.linux-{}", spell(release), self.host())
    }

    fn marker(&self, release: Release) -> PathBuf {
        self.cache().join("toolchains").join(format!("{}.json", self.name(release)))
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
        let version = toolchain_version(release, self.host());
        let network = self.network()?;
        // One small question first: it is bounded in time and says plainly what is wrong with a proxy.
        if !network.proxies.exists(&network.client, TOOLCHAIN_MODULE, &version)? {
            let text = format!("{TOOLCHAIN_MODULE}@{version} does not exist, says the module proxy");
            return Err(Failure::new(Stage::Withheld, text).into());
        }
        let (goroot, hash) = if bootstrap::is(release) && download::on_path().is_none() {
            bootstrap::fetch(self, &version, progress)?
        } else {
            let go = self.fetcher(progress)?;
            let again = |error: &anyhow::Error| may_pass(&format!("{error:#}"));
            let download = || download::download(&go, self, &version, progress);
            download.retry(ExponentialBuilder::default()).sleep(std::thread::sleep).when(again).call()?
        };
        download::prepare(&goroot)?;
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

    /// Removes an unpacked toolchain, its zip and what it compiled. Its verified hash is asked for anew when it is next
    /// needed.
    pub fn forget(&self, release: Release) -> Result<()> {
        let Some(toolchain) = self.cached(release) else { return Ok(()) };
        // The marker goes first: without it nothing believes in the rest.
        remove(&self.marker(release))?;
        if toolchain.goroot.starts_with(self.cache()) {
            remove(&toolchain.goroot)?;
        }
        let zips = self.cache().join("mod/cache/download").join(TOOLCHAIN_MODULE).join("@v");
        remove(&zips.join(format!("{}.zip", toolchain_version(release, self.host()))))?;
        remove(&self.build_cache(&toolchain.provenance.version))
    }

    /// A go command that can fetch modules: that on PATH, else the bootstrap toolchain, fetched once.
    fn fetcher(&self, progress: &Progress) -> Result<PathBuf> {
        let mut fetcher = self.fetcher.lock().unwrap_or_else(PoisonError::into_inner);
        if fetcher.is_none() {
            let go = match download::on_path() {
                Some(go) => go,
                None => self.ensure(bootstrap::RELEASE, progress)?.goroot.join("bin/go"),
            };
            *fetcher = Some(go);
        }
        fetcher.clone().context("no go command")
    }
}
