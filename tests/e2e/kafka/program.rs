//! The program, in the versions that a test asks for.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use strobe_tests::built::Recipe;

const FILES: &[(&str, &str)] = &[
    ("links.go", include_str!("../../apps/kafkago/links.go")),
    ("load.go", include_str!("../../apps/kafkago/load.go")),
    ("main.go", include_str!("../../apps/kafkago/main.go")),
    ("partitions.go", include_str!("../../apps/kafkago/partitions.go")),
];
const HOST: &str = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };

/// Which versions it is built of.
#[derive(Debug, Clone, Copy)]
pub struct Program {
    pub go: &'static str,
    pub kafka: &'static str,
}

impl Program {
    /// Builds it, stripped.
    pub fn build(&self) -> Result<PathBuf> {
        self.build_for(HOST)
    }

    /// The same for an architecture, as `GOARCH` has it.
    pub fn build_for(&self, arch: &str) -> Result<PathBuf> {
        self.build_of(arch, &["-ldflags=-s -w"])
    }

    /// The same, built with the profile of its own load. A profile that is there is used again: another one would be another build.
    pub fn build_guided(&self, broker: &str) -> Result<PathBuf> {
        let name = format!("{}-{}.pprof", self.go, self.kafka);
        let profile = strobe_tests::machine::cache_dir("kafka-profiles")?.join(name);
        if !profile.is_file() {
            self.profile(broker, &profile)?;
        }
        self.build_with(&["-ldflags=-s -w", &format!("-pgo={}", profile.display())])
    }

    fn profile(&self, broker: &str, profile: &Path) -> Result<()> {
        let partial = profile.with_extension("partial");
        let mut command = Command::new(self.build()?);
        command.env("KAFKA_BROKER", broker).env("KAFKA_OPERATIONS", "20000").env("KAFKA_PROFILE", &partial);
        let out = command.output().context("run the program")?;
        ensure!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        std::fs::rename(&partial, profile).context("the profile")
    }

    /// The same with these arguments.
    pub fn build_with(&self, args: &[&str]) -> Result<PathBuf> {
        self.build_of(HOST, args)
    }

    fn build_of(&self, arch: &str, args: &[&str]) -> Result<PathBuf> {
        let modules = &[("github.com/segmentio/kafka-go", self.kafka)];
        Recipe { version: self.go, arch, mode: "exe", args, files: FILES, modules }.build()
    }
}
