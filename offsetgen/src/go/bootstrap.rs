//! The first toolchain, where there is no Go at all: our own download, against a hash that is part of this program.
//!
//! The hash is that of the checksum database (`golang.org/toolchain VERSION h1:…`), as any Go shows it:
//! `go mod download -json golang.org/toolchain@v0.0.1-go1.27.3.linux-amd64`. Every other toolchain is then fetched by this
//! one, which asks that database itself.

use std::fs::{self, File};
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use super::cache::Store;
use super::release::{Release, TOOLCHAIN_MODULE, spell};
use super::{dirhash, unpack};
use crate::net::FetchError;
use crate::progress::Progress;

/// Which release it is.
pub const RELEASE: Release = (27, 3);
/// Its hashes, by the machine it runs on.
const PINNED: [(&str, &str); 2] = [
    ("amd64", "h1:r0ub+FnqzZxoWm/dSUOI9DcIqYWn/mNYGFJcv7PyBzs="),
    ("arm64", "h1:VY4gDzfxOrsM17J2qtgZgiAIsWhp7XWK1jMfE3kXV0s="),
];
/// Such a zip is 70 MB.
const ZIP_LIMIT: u64 = 512 << 20;

/// Whether a release is the pinned one.
pub fn is(release: Release) -> bool {
    release == RELEASE
}

/// Downloads, verifies and unpacks it: its GOROOT and hash.
pub fn fetch(store: &Store, version: &str, progress: &Progress) -> Result<(PathBuf, String)> {
    let pinned = PINNED.iter().find(|(host, _)| *host == store.host()).map(|(_, hash)| *hash);
    let pinned =
        pinned.with_context(|| format!("no hash of Go {} is pinned for {}", spell(RELEASE), store.host()))?;
    let folder = store.cache().join("bootstrap");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let scratch = tempfile::Builder::new().prefix(".new-").tempdir_in(&folder);
    let scratch = scratch.with_context(|| format!("cannot create a folder in {}", folder.display()))?;
    let zip = scratch.path().join("toolchain.zip");
    download(store, version, &zip, progress)?;
    let found = dirhash::of_zip(&zip)
        .with_context(|| format!("{TOOLCHAIN_MODULE}@{version}: what the proxy sent"))?;
    if found != pinned {
        bail!(
            "{TOOLCHAIN_MODULE}@{version}: hash mismatch: the proxy's zip is {found}, this program has {pinned} pinned; \
             nothing of it was used"
        );
    }
    let unpacked = scratch.path().join("unpacked");
    let prefix = format!("{TOOLCHAIN_MODULE}@{version}/");
    let step = progress.step(&format!("unpack {TOOLCHAIN_MODULE}@{version}"), None);
    unpack::unpack(&zip, &prefix, &unpacked)?;
    drop(step);
    let goroot = folder.join(version.trim_start_matches("v0.0.1-"));
    if goroot.exists() {
        // Left by a run that ended before it could write its marker, or just put there by another process.
        fs::remove_dir_all(&goroot).with_context(|| format!("cannot replace {}", goroot.display()))?;
    }
    fs::rename(&unpacked, &goroot).with_context(|| format!("cannot put {} in place", goroot.display()))?;
    Ok((goroot, found))
}

fn download(
    store: &Store,
    version: &str,
    zip: &std::path::Path,
    progress: &Progress,
) -> Result<(), anyhow::Error> {
    let network = store.network()?;
    let step = progress.step(&format!("download {TOOLCHAIN_MODULE}@{version}"), Some(ZIP_LIMIT));
    let mut hear = |done, total: Option<u64>| {
        if let Some(total) = total {
            step.set_total(total);
        }
        step.set(done);
    };
    let make = || File::create(zip);
    let module = (TOOLCHAIN_MODULE, version);
    network.proxies.zip(&network.client, module, ZIP_LIMIT, make, &mut hear).map_err(|error| match error {
        FetchError::Write { source, .. } => {
            anyhow::Error::new(source).context(format!("cannot write {}", zip.display()))
        }
        other => other.into(),
    })
}
