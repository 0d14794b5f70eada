//! The kernels: Debian's cloud kernels, fetched once into the cache and unpacked, or a file that the user names.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use strobe_tests::machine;

use crate::apt::Suite;
use crate::arch::Arch;

/// What the matrix runs, the oldest first: Debian's suite, and the version that a table shows.
pub const SUITES: [(&str, &str); 4] =
    [("bullseye", "5.10"), ("bookworm", "6.1"), ("trixie", "6.12"), ("sid", "7.x")];

/// The modules that the cases need, where they are not built in.
const MODULES: [&str; 1] = ["overlay"];

/// A kernel that QEMU can boot, and its modules, ready to be loaded in this order.
#[derive(Debug, Clone)]
pub struct Kernel {
    pub image: PathBuf,
    pub modules: Vec<PathBuf>,
}

/// The cloud kernel of a suite, from the cache or from Debian.
pub fn of_suite(suite: &str, arch: Arch) -> Result<Kernel> {
    let folder = machine::cache()?.join("vm").join(format!("{suite}-{}", arch.name()));
    if !folder.is_dir() {
        let parent = folder.parent().context("a folder in the cache")?;
        fs::create_dir_all(parent).with_context(|| format!("create {}", parent.display()))?;
        let staging = tempfile::tempdir_in(parent)?;
        fetch(suite, arch, staging.path())
            .with_context(|| format!("the {} kernel of Debian {suite}", arch.name()))?;
        // Another run may have been faster; then its folder serves as well.
        if let Err(error) = fs::rename(staging.path().join("kernel"), &folder)
            && !folder.is_dir()
        {
            return Err(error).with_context(|| format!("rename to {}", folder.display()));
        }
    }
    let mut modules: Vec<PathBuf> =
        fs::read_dir(&folder)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    modules.retain(|path| path.extension().is_some_and(|e| e == "ko"));
    modules.sort();
    Ok(Kernel { image: folder.join("vmlinuz"), modules })
}

/// A kernel that the user gives; the cases that need modules run only if they are built in.
pub fn of_file(path: &Path) -> Result<Kernel> {
    if !path.is_file() {
        bail!("{}: no such file", path.display());
    }
    Ok(Kernel { image: path.to_path_buf(), modules: Vec::new() })
}

/// Leaves `kernel/vmlinuz` and `kernel/NN-NAME.ko` in the folder.
fn fetch(suite: &str, arch: Arch, folder: &Path) -> Result<()> {
    let unpacked = folder.join("unpacked");
    let package = format!("linux-image-cloud-{}", arch.name());
    Suite::update(suite, arch, &folder.join("apt"))?.unpack(&package, &unpacked)?;
    let kernel = folder.join("kernel");
    fs::create_dir(&kernel)?;
    let image = find(&unpacked, &["boot", "usr/lib/modules"], |name| name.starts_with("vmlinuz"))?;
    let image = image.with_context(|| format!("{package} and what it depends on hold no vmlinuz"))?;
    fs::write(kernel.join("vmlinuz"), bootable(fs::read(&image)?)?)?;
    for (i, name) in MODULES.iter().enumerate() {
        // What is not there is built in; if it were neither, the case that needs it would fail by its name.
        let file = |file: &str| file.split('.').next() == Some(name) && file.contains(".ko");
        if let Some(module) = find(&unpacked, &["lib/modules", "usr/lib/modules"], file)? {
            fs::write(kernel.join(format!("{i:02}-{name}.ko")), decompressed(&module)?)?;
        }
    }
    Ok(())
}

/// The first file with such a name in one of the folders; which one it is depends on the suite.
fn find(root: &Path, folders: &[&str], wanted: impl Fn(&str) -> bool) -> Result<Option<PathBuf>> {
    let mut open: Vec<PathBuf> = folders.iter().map(|f| root.join(f)).filter(|f| f.is_dir()).collect();
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).with_context(|| format!("read {}", folder.display()))? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                open.push(entry.path());
            } else if wanted(&entry.file_name().to_string_lossy()) {
                return Ok(Some(entry.path()));
            }
        }
    }
    Ok(None)
}

/// A module without its compression: kernels before 5.17 do not unpack them.
fn decompressed(path: &Path) -> Result<Vec<u8>> {
    let program = match path.extension().and_then(|e| e.to_str()) {
        Some("xz") => "xz",
        Some("zst") => "zstd",
        _ => return fs::read(path).with_context(|| format!("read {}", path.display())),
    };
    Ok(machine::run(Command::new(program).arg("-dc").arg(path))?.stdout)
}

/// What QEMU can boot. On arm64 newer images are EFI applications that carry the kernel compressed ("zboot",
/// include/linux/efi.h, `struct linux_efi_zboot_header`), which QEMU unpacks only since 8.0:
///
/// ```text
/// 0 "MZ"   4 "zimg"   8 u32 offset of the payload   12 u32 its size   24 its compression, a NUL-terminated string
/// ```
fn bootable(image: Vec<u8>) -> Result<Vec<u8>> {
    if image.get(4..8) != Some(b"zimg") {
        return Ok(image);
    }
    let word = |at: usize| -> Option<usize> {
        let bytes = image.get(at..at.checked_add(4)?)?.try_into().ok()?;
        usize::try_from(u32::from_le_bytes(bytes)).ok()
    };
    let payload = || image.get(word(8)?..word(8)?.checked_add(word(12)?)?);
    let payload = payload().context("the EFI image's payload lies outside it")?;
    let kind = image.get(24..32).unwrap_or_default();
    if !kind.starts_with(b"gzip") {
        bail!("the EFI image is compressed by {}, not gzip", String::from_utf8_lossy(kind));
    }
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(payload).read_to_end(&mut plain).context("inflate the kernel")?;
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn zboot(kind: &[u8], payload: &[u8], claimed: u32) -> Vec<u8> {
        let mut image = b"MZ\0\0zimg".to_vec();
        image.extend(64_u32.to_le_bytes());
        image.extend(claimed.to_le_bytes());
        image.resize(24, 0);
        image.extend(kind);
        image.resize(64, 0);
        image.extend(payload);
        image
    }

    #[test]
    fn an_efi_image_gives_the_kernel_that_it_carries() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(b"a kernel").expect("compressed");
        let payload = gzip.finish().expect("compressed");
        let size = u32::try_from(payload.len()).expect("small");
        assert_eq!(bootable(zboot(b"gzip\0", &payload, size)).expect("inflated"), b"a kernel");
        assert_eq!(bootable(b"anything else".to_vec()).expect("as it is"), b"anything else");
        let beyond = bootable(zboot(b"gzip\0", &payload, 1 << 20)).expect_err("too long").to_string();
        assert!(beyond.contains("outside"), "{beyond}");
        let other = bootable(zboot(b"zstd\0", &payload, size)).expect_err("not gzip").to_string();
        assert!(other.contains("zstd"), "{other}");
    }
}
