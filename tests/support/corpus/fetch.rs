//! One package from its registry, by the registry's ordinary client, which knows where that is.
//!
//! Debian: `apt-get` with a sources file and a lists folder of its own per suite and architecture, so that nothing on the
//! machine changes. The mirror's address and the keyring are the machine's own.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, bail};

use super::entry::{Entry, Registry, folder};
use crate::machine::{find, run};

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// Wheel tags that are looked at, with the machine behind each.
const WHEELS: [&str; 8] = [
    "manylinux1",
    "manylinux_2_5",
    "manylinux2014",
    "manylinux_2_17",
    "manylinux_2_28",
    "manylinux_2_35",
    "musllinux_1_2",
    "linux",
];

/// A fetched package.
#[derive(Debug)]
pub enum Archive {
    /// `.deb`.
    Deb(PathBuf),
    /// `.tgz`.
    Tar(PathBuf),
    /// `.whl`.
    Wheel(PathBuf),
    /// The suite no longer has that version.
    Gone(String),
}

/// Fetches the package into a folder.
pub fn archive(entry: &Entry, into: &Path) -> Result<Archive> {
    eprintln!("corpus: fetching {}", entry.name());
    match entry.registry {
        Registry::Npm => {
            let mut npm = Command::new("npm");
            npm.args(["pack", "--silent"]).arg(format!("{}@{}", entry.package, entry.version));
            run(npm.current_dir(into))?;
            Ok(Archive::Tar(find(into, "tgz")?))
        }
        Registry::Pypi => {
            let mut pip = Command::new("python3");
            pip.args([
                "-m",
                "pip",
                "download",
                "--quiet",
                "--no-deps",
                "--only-binary",
                ":all:",
                "--dest",
                ".",
            ]);
            for tag in WHEELS {
                pip.arg("--platform").arg(format!("{tag}_{}", entry.build));
            }
            run(pip.arg(format!("{}=={}", entry.package, entry.version)).current_dir(into))?;
            Ok(Archive::Wheel(find(into, "whl")?))
        }
        Registry::Debian => debian(entry, into),
    }
}

impl Archive {
    /// The bytes of a file inside.
    pub fn file(&self, path: &str) -> Result<Vec<u8>> {
        match self {
            Archive::Tar(archive) => {
                Ok(run(Command::new("tar").arg("-xzOf").arg(archive).arg("--").arg(path))?.stdout)
            }
            Archive::Deb(archive) => {
                let tar = run(Command::new("dpkg-deb").arg("--fsys-tarfile").arg(archive))?.stdout;
                let plain = archive.with_extension("tar");
                fs::write(&plain, tar).with_context(|| format!("write {}", plain.display()))?;
                let path = format!("./{path}");
                Ok(run(Command::new("tar").arg("-xOf").arg(&plain).arg("--").arg(path))?.stdout)
            }
            Archive::Wheel(archive) => {
                let file = fs::File::open(archive).with_context(|| format!("open {}", archive.display()))?;
                let mut bytes = Vec::new();
                let mut wheel = zip::ZipArchive::new(file).context("the wheel")?;
                wheel.by_name(path).with_context(|| path.to_owned())?.read_to_end(&mut bytes)?;
                Ok(bytes)
            }
            Archive::Gone(why) => bail!("{why}"),
        }
    }
}

fn debian(entry: &Entry, into: &Path) -> Result<Archive> {
    let (suite, arch) = entry.build.split_once('/').context("a Debian build is suite/architecture")?;
    let options = suite_options(suite, arch)?;
    let lists = folder()?.join("apt").join(format!("{suite}-{arch}"));
    if !lists.join("updated").is_file() {
        run(Command::new("apt-get").args(&options).arg("update"))?;
        fs::write(lists.join("updated"), "")?;
    }
    let mut get = Command::new("apt-get");
    get.args(&options).arg("download").arg(format!("{}={}", entry.package, entry.version)).current_dir(into);
    let out = get.output().context("run apt-get")?;
    if out.status.success() {
        return Ok(Archive::Deb(find(into, "deb")?));
    }
    // The lists may be of before the suite's last change: once more with new ones, and then it is gone.
    run(Command::new("apt-get").args(&options).arg("update"))?;
    let out = get.output().context("run apt-get")?;
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    match out.status.success() {
        true => Ok(Archive::Deb(find(into, "deb")?)),
        false if said.contains("was not found") => {
            Ok(Archive::Gone(format!("{suite} no longer has this version")))
        }
        false => bail!("{get:?}: {}\n{said}", out.status),
    }
}

/// apt's options for one suite and architecture.
fn suite_options(suite: &str, arch: &str) -> Result<Vec<String>> {
    let home = folder()?.join("apt").join(format!("{suite}-{arch}"));
    for part in ["lists/partial", "cache/archives/partial"] {
        fs::create_dir_all(home.join(part))?;
    }
    let sources = home.join("sources.list");
    fs::write(&sources, format!("deb [signed-by={KEYRING}] {} {suite} main\n", mirror()?))?;
    let path = |part: &str| home.join(part).to_string_lossy().into_owned();
    Ok([
        format!("Dir::Etc::sourcelist={}", path("sources.list")),
        "Dir::Etc::sourceparts=/dev/null".to_owned(),
        format!("Dir::State::lists={}", path("lists")),
        format!("Dir::Cache={}", path("cache")),
        format!("APT::Architecture={arch}"),
        format!("APT::Architectures::={arch}"),
        "APT::Sandbox::User=root".to_owned(),
        "Acquire::Languages=none".to_owned(),
        // sid is served with a Release file that says it has expired.
        "Acquire::Check-Valid-Until=false".to_owned(),
    ]
    .into_iter()
    .flat_map(|option| ["-o".to_owned(), option])
    .chain(["-q".to_owned()])
    .collect())
}

/// The Debian mirror of this machine's own sources.
fn mirror() -> Result<String> {
    let ask = || {
        run(Command::new("apt-get").args(["indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]))
    };
    let main = |out: Output| {
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        text.lines().map(|l| l.trim_end_matches('/')).find(|l| l.ends_with("/debian")).map(str::to_owned)
    };
    main(ask()?).context("apt's sources name no Debian mirror (an address that ends with /debian)")
}
