//! The program, in the versions that a test asks for.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use strobe_tests::agent::strobe;
use strobe_tests::built::Recipe;
use strobe_tests::golang::go;

const MAIN: (&str, &str) = ("main.go", include_str!("../../apps/autosdk/main.go"));
const SDK: (&str, &str) = ("sdk.go", include_str!("../../apps/autosdk/sdk.go"));
const PASSES_ON: (&str, &str) = ("passes_on.go", include_str!("../../apps/autosdk/passes_on.go"));
const HELD: (&str, &str) = ("held.go", include_str!("../../apps/autosdk/held.go"));
/// The newest.
pub const NEWEST: Program = Program { go: go(26), sdk: "v1.2.1", otel: "v1.38.0", passes_on: false };
const HOST: &str = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };

/// The newest whose API has no Auto SDK.
pub const NEWEST_OLDER: Older = Older { go: go(26), otel: "v1.32.0" };

/// The same program without the Auto SDK, of an OpenTelemetry API that has none of its own.
#[derive(Debug, Clone, Copy)]
pub struct Older {
    pub go: &'static str,
    /// Of `go.opentelemetry.io/otel`.
    pub otel: &'static str,
}

impl Older {
    /// Builds it, stripped.
    pub fn build(&self) -> Result<PathBuf> {
        self.build_for(HOST)
    }

    /// The same for an architecture.
    pub fn build_for(&self, arch: &str) -> Result<PathBuf> {
        self.build_of(arch, &["-ldflags=-s -w"])
    }

    /// The same, built with the profile of its own load.
    pub fn build_guided(&self) -> Result<PathBuf> {
        let profile = profile(&self.build()?, "global", "global.(*tracer).Start")?;
        self.build_of(HOST, &["-ldflags=-s -w", &profile])
    }

    fn build_of(&self, arch: &str, args: &[&str]) -> Result<PathBuf> {
        let modules =
            &[("go.opentelemetry.io/otel", self.otel), ("go.opentelemetry.io/otel/trace", self.otel)];
        let required: String =
            modules.iter().map(|(path, version)| format!("require {path} {version}\n")).collect();
        // An older module asks for no Go whose ServeMux has routes.
        let go_mod = format!("module example.com/app\n\ngo 1.22\n\n{required}");
        let files = &[MAIN, HELD, ("go.mod", &go_mod)];
        Recipe { version: self.go, arch, mode: "exe", args, files, modules }.build()
    }
}

/// The argument of `go build` for the profile of a program's load, under an agent: otherwise most tracers do nothing. One that is there is used
/// again: another would be another build.
fn profile(built: &Path, tracer: &str, hot: &str) -> Result<String> {
    let name = built.file_name().context("a name")?.to_string_lossy();
    let profile = strobe_tests::machine::cache_dir("span-profiles")?.join(format!("{name}-{tracer}"));
    if !profile.is_file() {
        let partial = profile.with_file_name(format!("{name}-{tracer}.partial"));
        let mut command = strobe(&["exec", "--strict", "--"])?;
        command.arg(built).env("OTEL_TRACES_EXPORTER", "none");
        command.env("TRACER", tracer).env("SPAN_PAIRS", "20000").env("SPANS_PROFILE", &partial);
        let out = command.output().context("run the program")?;
        ensure!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        let plain = Command::new("zcat").arg(&partial).stdin(Stdio::null()).output().context("run zcat")?;
        let is_hot = plain.stdout.windows(hot.len()).any(|text| text == hot.as_bytes());
        ensure!(is_hot, "there is no {hot} in the profile of {tracer}");
        std::fs::rename(&partial, &profile).context("the profile")?;
    }
    Ok(format!("-pgo={}", profile.display()))
}

/// Which versions it is built of.
#[derive(Debug, Clone, Copy)]
pub struct Program {
    pub go: &'static str,
    /// Of `go.opentelemetry.io/auto/sdk`.
    pub sdk: &'static str,
    /// Of `go.opentelemetry.io/otel`.
    pub otel: &'static str,
    /// Whether it passes trace contexts on by itself.
    pub passes_on: bool,
}

impl Program {
    /// Builds it, stripped.
    pub fn build(&self) -> Result<PathBuf> {
        self.build_for(HOST)
    }

    /// The same for an architecture.
    pub fn build_for(&self, arch: &str) -> Result<PathBuf> {
        self.build_of(arch, &["-ldflags=-s -w"])
    }

    /// The same, built with the profile of its own load, by this tracer, in which this is hot.
    pub fn build_guided(&self, tracer: &str, hot: &str) -> Result<PathBuf> {
        let profile = profile(&self.build()?, tracer, hot)?;
        self.build_of(HOST, &["-ldflags=-s -w", &profile])
    }

    fn build_of(&self, arch: &str, args: &[&str]) -> Result<PathBuf> {
        let modules = &[
            ("go.opentelemetry.io/auto/sdk", self.sdk),
            ("go.opentelemetry.io/otel", self.otel),
            ("go.opentelemetry.io/otel/trace", self.otel),
        ];
        let files = if self.passes_on { &[MAIN, SDK, PASSES_ON][..] } else { &[MAIN, SDK] };
        Recipe { version: self.go, arch, mode: "exe", args, files, modules }.build()
    }
}
