//! OpenTelemetry's own end-to-end applications, by their names, written anew and stripped: what their tests require is there, by the
//! conventions' newer names. Those of net/http alone are in `tests/e2e/http_client/samples.rs`; what is not required yet is in [`later`].

mod auto_sdk;
mod database_sql;
mod gin;
mod global;
mod grpc;
mod kafka;
mod later;

use std::path::PathBuf;

use anyhow::Result;
use strobe_tests::built::Recipe;
use strobe_tests::golang::go;

/// This machine's architecture.
const HOST: &str = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };

/// An application of this source, stripped.
fn build(source: &str, modules: &[(&str, &str)]) -> Result<PathBuf> {
    let files = &[("main.go", source)];
    Recipe { version: go(26), arch: HOST, mode: "exe", args: &["-ldflags=-s -w"], files, modules }.build()
}
