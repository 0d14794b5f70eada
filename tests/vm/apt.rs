//! Packages of any of Debian's suites, by way of the machine's own apt and its own mirror, with a sources file and folders
//! of our own: nothing on the machine changes.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use strobe_tests::machine;

use crate::arch::Arch;

/// Debian's keys, from the package `debian-archive-keyring`.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// One suite for one architecture, read into a folder.
#[derive(Debug)]
pub struct Suite {
    options: Vec<String>,
    folder: PathBuf,
    arch: Arch,
}

impl Suite {
    /// Fetches the suite's lists into `folder`.
    pub fn update(suite: &str, arch: Arch, folder: &Path) -> Result<Self> {
        for part in ["lists/partial", "cache/archives/partial", "packages"] {
            fs::create_dir_all(folder.join(part)).with_context(|| format!("create {}", folder.display()))?;
        }
        let sources = folder.join("sources.list");
        let mirror = mirror(suite)?;
        let line = format!("deb [arch={} signed-by={KEYRING}] {mirror} {suite} main\n", arch.name());
        fs::write(&sources, line).with_context(|| format!("write {}", sources.display()))?;
        let set = |name: &str, value: &str| ["-o".to_owned(), format!("{name}={value}")];
        let path = |part: &str| folder.join(part).to_string_lossy().into_owned();
        let options = [
            set("Dir::Etc::sourcelist", &path("sources.list")),
            set("Dir::Etc::sourceparts", "/dev/null"),
            set("Dir::State::lists", &path("lists")),
            set("Dir::Cache", &path("cache")),
            set("APT::Architecture", arch.name()),
            set("APT::Architectures", arch.name()),
            set("APT::Sandbox::User", "root"),
            set("Acquire::Languages", "none"),
            // A mirror may hold a suite that has not been signed again for long.
            set("Acquire::Check-Valid-Until", "false"),
        ];
        let suite = Suite { options: options.concat(), folder: folder.to_path_buf(), arch };
        machine::run(suite.apt("apt-get").args(["-q", "update"])).context("read Debian's suite")?;
        Ok(suite)
    }

    /// Downloads a package and those parts of the kernel that it depends on, and unpacks them into the folder given.
    pub fn unpack(&self, package: &str, into: &Path) -> Result<()> {
        for package in self.kernel_packages(package)? {
            let name = format!("{package}:{}", self.arch.name());
            let mut download = self.apt("apt-get");
            download.args(["-q", "download", &name]).current_dir(self.folder.join("packages"));
            machine::run(&mut download).with_context(|| format!("download {package}"))?;
        }
        for package in fs::read_dir(self.folder.join("packages"))? {
            machine::run(Command::new("dpkg-deb").arg("-x").arg(package?.path()).arg(into))?;
        }
        Ok(())
    }

    /// A metapackage names the image; since 7.x the image names the files' packages in turn.
    fn kernel_packages(&self, package: &str) -> Result<BTreeSet<String>> {
        let mut found = BTreeSet::new();
        let mut open = vec![package.to_owned()];
        while let Some(package) = open.pop() {
            let out = machine::run(self.apt("apt-cache").args(["show", "--no-all-versions", &package]))?;
            let text = String::from_utf8_lossy(&out.stdout).into_owned();
            let depends = text.lines().find_map(|line| line.strip_prefix("Depends: ")).unwrap_or_default();
            let parts = ["linux-image-", "linux-binary-", "linux-modules-"];
            let names = depends.split([',', '|']).filter_map(|d| d.split_whitespace().next());
            open.extend(names.filter(|n| parts.iter().any(|p| n.starts_with(p))).map(str::to_owned));
            found.insert(package);
        }
        Ok(found)
    }

    fn apt(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.args(&self.options).env("LC_ALL", "C");
        command
    }
}

/// The machine's own mirror of Debian, or of its security archive.
fn mirror(suite: &str) -> Result<String> {
    let label = if suite.ends_with("-security") { "Debian-Security" } else { "Debian" };
    let format = "$(LABEL) $(REPO_URI)";
    let mut asked = Command::new("apt-get");
    asked.args(["indextargets", "--format", format, "Created-By: Packages"]);
    let out = machine::run(&mut asked).context("ask apt for the machine's mirror")?;
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let found = text.lines().find_map(|line| line.strip_prefix(label)?.strip_prefix(' '));
    ensure!(
        Path::new(KEYRING).exists(),
        "{KEYRING} is missing: install debian-archive-keyring, or give a kernel with --kernel"
    );
    let found = found.with_context(|| {
        format!(
            "apt knows no mirror labelled {label}: run apt-get update, or give a kernel with --kernel FILE"
        )
    });
    found.map(str::to_owned)
}
