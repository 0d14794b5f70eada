//! The program, in the versions that a test asks for.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use strobe_tests::built::Recipe;
use strobe_tests::machine;
use strobe_tests::process::Running;
use strobe_tests::profile::{self, Hot};

use super::places::Places;

/// This machine's architecture.
pub const HOST: &str = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };

macro_rules! sources {
    ($($name:literal)+) => { &[$(($name, include_str!(concat!("../../apps/grpc/", $name)))),+] };
}

/// All but go.mod, which is said anew for each version.
const SOURCES: &[(&str, &str)] = sources!("cases.go" "inside.go" "main.go" "raw.go" "server.go");

/// What makes the attempts of an RPC, the first one included.
const WITH_RETRY: Hot = Hot {
    file: "stream.go",
    caller: ("func newClientStreamWithParams(", "google.golang.org/grpc.newClientStreamWithParams"),
    call: "cs.withRetry(op, ",
    callee: ("func (cs *clientStream) withRetry(", "google.golang.org/grpc.(*clientStream).withRetry"),
};

/// Which versions it is built of.
#[derive(Debug, Clone, Copy)]
pub struct Program {
    pub go: &'static str,
    pub grpc: &'static str,
}

impl Program {
    /// Builds it, stripped.
    pub fn build(&self) -> Result<PathBuf> {
        self.build_for(HOST)
    }

    /// The same for an architecture, as `GOARCH` has it.
    pub fn build_for(&self, arch: &str) -> Result<PathBuf> {
        self.build_with(arch, &["-ldflags=-s -w"])
    }

    /// The same, built with the profile of its own load. It is made once for all runs of the test: another one would be another build.
    pub fn build_guided(&self) -> Result<PathBuf> {
        let name = format!("{}-{}.pprof", self.go, self.grpc);
        let profile = machine::cache_dir("grpc-profiles")?.join(name);
        if !profile.is_file() {
            let mut command = Command::new(self.build()?);
            let partial = profile.with_extension("partial");
            let app = Running::start(command.env("LOAD", "20000").env("CPUPROFILE", &partial))?;
            Places::of(&app)?.begin()?;
            app.stdout.wait_for("done", 0, Duration::from_secs(120)).with_context(|| app.output())?;
            fs::rename(&partial, &profile).context("the profile")?;
        }
        let profile = format!("-pgo={}", profile.display());
        self.build_with(HOST, &["-ldflags=-s -w", &profile])
    }

    /// The same, built with a profile by which the compiler copies into `newClientStreamWithParams` what makes an attempt.
    pub fn build_with_copied_attempts(&self) -> Result<PathBuf> {
        // The sources are there once it was built.
        self.build()?;
        let profile =
            machine::cache_dir("grpc-profiles")?.join(format!("attempts-{}-{}.pprof", self.go, self.grpc));
        let module = machine::cache_dir("gomod")?.join(format!("google.golang.org/grpc@{}", self.grpc));
        fs::write(&profile, profile::of_calls(&module, &[WITH_RETRY])?).context("the profile")?;
        self.build_with(HOST, &["-ldflags=-s -w", &format!("-pgo={}", profile.display())])
    }

    /// The same with other arguments.
    pub fn build_with(&self, arch: &str, args: &[&str]) -> Result<PathBuf> {
        let modules = &[("google.golang.org/grpc", self.grpc)];
        Recipe { version: self.go, arch, mode: "exe", args, files: SOURCES, modules }.build()
    }
}
