//! The program that sends many messages to itself and holds what arrives against what it has sent (`tests/apps/messages`), for one way to carry
//! them in each machine.

use anyhow::Result;
use strobe_tests::built::Recipe;
use strobe_tests::golang::go;

use crate::initramfs::Initramfs;

/// A case for each way (`guest/cases.rs`).
pub const CASES: [&str; 4] = ["messages-h1", "messages-h2", "messages-h2c", "messages-grpc"];

macro_rules! sources {
    ($($name:literal)+) => { &[$(($name, include_str!(concat!("../apps/messages/", $name)))),+] };
}

/// Puts in what the case needs; whether it is one of these.
pub fn put(archive: &mut Initramfs, case: &str) -> Result<bool> {
    if !CASES.contains(&case) {
        return Ok(false);
    }
    let modules = &[("golang.org/x/net", "v0.62.0"), ("google.golang.org/grpc", "v1.85.0")];
    let (args, files) = (&["-ldflags=-s -w"], sources!("main.go" "ways.go"));
    let recipe = Recipe { version: go(27), arch: "amd64", mode: "exe", args, files, modules };
    archive.program("apps/messages-1.27", &recipe.build()?)?;
    Ok(true)
}
