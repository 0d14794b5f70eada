//! The `h1:` hash of a module's zip, as go.sum and the checksum database have it.
//!
//! For each file, sorted by name: `SHA-256 of its content in hex`, two spaces, its name, a newline; `h1:` is base64 of
//! SHA-256 of that text (golang.org/x/mod/sumdb/dirhash, Hash1).

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::Path;

use anyhow::{Context, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use crate::hex::hex;

/// Unpacked, a toolchain is 250 MB in 15,000 files.
pub const TOTAL_LIMIT: u64 = 2 << 30;
/// See [`TOTAL_LIMIT`].
pub const FILES_LIMIT: usize = 100_000;

/// Hashes a zip without unpacking it to disk.
pub fn of_zip(path: &Path) -> Result<String> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let mut zip = zip::ZipArchive::new(io::BufReader::new(file)).context("is no whole zip file")?;
    if zip.len() > FILES_LIMIT {
        bail!("holds {} files, more than {FILES_LIMIT}", zip.len());
    }
    let (mut hashes, mut total) = (BTreeMap::new(), 0_u64);
    for index in 0..zip.len() {
        let mut entry = zip.by_index(index).context("is a damaged zip file")?;
        let name = entry.name().context("has a file whose name is not text")?.into_owned();
        let mut hash = HashWriter(Sha256::new());
        let mut limited = io::Read::take(&mut entry, TOTAL_LIMIT.saturating_sub(total).saturating_add(1));
        let copied = io::copy(&mut limited, &mut hash);
        total = total.saturating_add(copied.with_context(|| format!("is a damaged zip file (at {name})"))?);
        if total > TOTAL_LIMIT {
            bail!("unpacks to more than {TOTAL_LIMIT} bytes");
        }
        if name.contains('\n') {
            bail!("has a file name with a newline");
        }
        hashes.insert(name, hex(&hash.0.finalize()));
    }
    Ok(combine(&hashes))
}

fn combine(hashes: &BTreeMap<String, String>) -> String {
    let mut outer = Sha256::new();
    for (name, hash) in hashes {
        outer.update(format!("{hash}  {name}\n"));
    }
    format!("h1:{}", STANDARD.encode(outer.finalize()))
}

struct HashWriter(Sha256);

impl io::Write for HashWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every `…/go.mod` line of a Go toolchain in the checksum database has this hash: their one go.mod is the same.
    #[test]
    fn hash_of_a_toolchains_go_mod() {
        let content = "module golang.org/toolchain\n";
        let hashes = BTreeMap::from([("go.mod".to_owned(), hex(&Sha256::digest(content)))]);
        assert_eq!(combine(&hashes), "h1:8wlg68NqwW7eMnI1aABk/C2pDYXj8mrMY4TyRfiLeS0=");
    }
}
