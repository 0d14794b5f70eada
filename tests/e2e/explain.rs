//! `analyze --explain` on binaries that really have the defect it must name: each is built, patched by the toolchain's own
//! means, packed or fetched for the purpose.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use strobe_tests::built::{Recipe, SERVER};
use strobe_tests::corpus::{self, Entry, Registry};
use strobe_tests::golang::go;
use strobe_tests::{golang, machine, programs};

const ID: &str = "net/http.server";
const NEW: &str = go(26);
const MAIN: (&str, &str) = ("main.go", SERVER);

/// Runs `analyze --explain`; its status and what it printed, in one line.
fn explain(file: &Path) -> Result<(i32, String)> {
    let out = Command::new(programs::path("analyze")?).args(["--explain", ID]).arg(file).output()?;
    let text = String::from_utf8_lossy(&out.stdout);
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    println!("{line}\n");
    Ok((out.status.code().context("analyze was killed")?, line))
}

fn says(file: &Path, status: i32, words: &[&str]) -> Result<()> {
    let (code, text) = explain(file)?;
    ensure!(code == status, "status {code}, not {status}: {text}");
    for word in words {
        ensure!(text.contains(word), "{word:?} is not in: {text}");
    }
    ensure!(text.contains("Remedy: "), "no remedy in: {text}");
    Ok(())
}

/// The number of the line of a Go source file that begins with, or holds, a text.
fn line_of(source: &str, what: &str) -> Result<usize> {
    let found = source.lines().position(|l| l.contains(what));
    Ok(found.with_context(|| format!("no line holds {what:?}"))? + 1)
}

fn server_source(version: &str) -> Result<String> {
    let path = golang::toolchain(version)?.join("src/net/http/server.go");
    fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))
}

/// A profile in which the function that `serve` defers closes connections all the time, so that the compiler inlines `close` there. (A
/// request's beginning and its end have alternatives in the catalog; what tells that a handler panicked has none.)
fn profile() -> Result<String> {
    let source = server_source(NEW)?;
    let serve = line_of(&source, "func (c *conn) serve(")?;
    let behind = |what: &str| -> Result<usize> {
        let found = source.lines().skip(serve).position(|line| line.contains(what));
        found.with_context(|| format!("serve has no {what}"))
    };
    let call = behind("c.close()")? - behind("defer func() {")?;
    Ok(format!("GO PREPROFILE V1\nnet/http.(*conn).serve.func1\nnet/http.(*conn).close\n{call} 1000\n"))
}

#[test]
fn a_function_that_a_profile_had_inlined() -> Result<()> {
    let profile = profile()?;
    let files = [MAIN, ("profile", profile.as_str())];
    let args = ["-ldflags=-s -w", "-gcflags=net/http=-pgoprofile={}/profile"];
    let file = Recipe { args: &args, ..Recipe::server(NEW, &files) }.build()?;
    let words = [
        "(*conn).close",
        "inlined into net/http.(*conn).serve.func1",
        "(inlined)",
        "would miss those calls",
        "-pgo=off",
    ];
    says(&file, 1, &words)
}

#[test]
fn a_version_that_the_binary_does_not_tell() -> Result<()> {
    let args = ["-ldflags=-s -w -X runtime.buildVersion=unknown"];
    let file = Recipe { args: &args, ..Recipe::server(NEW, &[MAIN]) }.build()?;
    says(&file, 0, &["(unknown-version)", "version", "unknown", "database cannot vouch", "type data decides"])
}

#[test]
fn witnesses_that_disagree_because_the_dwarf_is_another_build_s() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (own, other) = (folder.path().join("own"), folder.path().join("other"));
    objcopy(&["--decompress-debug-sections"], &Recipe::server(go(24), &[MAIN]).build()?, &own)?;
    objcopy(&["--decompress-debug-sections"], &Recipe::server(go(22), &[MAIN]).build()?, &other)?;
    let sections = [".debug_info", ".debug_abbrev"].map(|s| (s, folder.path().join(&s[1..])));
    for (section, part) in &sections {
        let dump = format!("--dump-section={section}={}", part.display());
        objcopy(&[&dump], &other, &folder.path().join("unused"))?;
    }
    let updates = sections.map(|(section, part)| format!("--update-section={section}={}", part.display()));
    let file = folder.path().join("mixed");
    objcopy(&updates.each_ref().map(String::as_str), &own, &file)?;
    says(
        &file,
        1,
        &[
            "(witnesses-disagree)",
            "witnesses disagree about",
            "by type data",
            "by DWARF",
            "DWARF of the very same build",
        ],
    )
}

fn objcopy(options: &[&str], from: &Path, to: &Path) -> Result<()> {
    run(Command::new("objcopy").args(options).arg(from).arg(to))
}

fn run(command: &mut Command) -> Result<()> {
    let out = command.output().with_context(|| format!("run {command:?}"))?;
    ensure!(out.status.success(), "{command:?}: {}\n{}", out.status, String::from_utf8_lossy(&out.stderr));
    Ok(())
}

#[test]
fn a_function_that_a_patched_net_http_does_not_have() -> Result<()> {
    let source = server_source(NEW)?;
    ensure!(source.contains("finishRequest"));
    let patched = source.replace("finishRequest", "finishIt");
    let real = golang::toolchain(NEW)?.join("src/net/http/server.go");
    let folder = machine::cache_dir("built")?.join("patched-net-http");
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("server.go"), patched)?;
    let overlay =
        serde_json::json!({ "Replace": { real.to_string_lossy(): folder.join("server.go") } }).to_string();
    let files = [MAIN, ("overlay.json", overlay.as_str())];
    let args = ["-ldflags=-s -w", "-overlay={}/overlay.json"];
    let file = Recipe { args: &args, ..Recipe::server(NEW, &files) }.build()?;
    says(
        &file,
        1,
        &[
            "(no-function)",
            "role end",
            "(*response).finishRequest: no such function",
            "check that the library",
        ],
    )
}

#[test]
fn a_go_that_is_too_old() -> Result<()> {
    let file = Recipe::server(golang::TOO_OLD, &[MAIN]).build()?;
    says(&file, 2, &["unsupported", "go1.17.13", "rebuild with Go 1.18"])
}

#[test]
fn a_packed_file() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let packed = folder.path().join("packed");
    let args = ["-ldflags=-s -w"];
    machine::copy_program(&Recipe { args: &args, ..Recipe::server(NEW, &[MAIN]) }.build()?, &packed)?;
    let (upx, library) = upx()?;
    let folder = library.parent().context("the library's folder")?;
    run(Command::new(upx).args(["-q", "-1"]).arg(&packed).env("LD_LIBRARY_PATH", folder))?;
    says(&packed, 2, &["packed with UPX", "upx -d"])
}

/// UPX and the library it needs, from Debian; not installed.
fn upx() -> Result<(PathBuf, PathBuf)> {
    let file = |package: &str, version: &str, path: &str, sha256: &str| {
        corpus::one(&Entry {
            registry: Registry::Debian,
            package: package.to_owned(),
            version: version.to_owned(),
            build: "bullseye/amd64".to_owned(),
            path: path.to_owned(),
            sha256: sha256.to_owned(),
            size: 0,
        })
    };
    let upx = file("upx-ucl", "3.96-2", "usr/bin/upx-ucl", UPX_SHA256)?;
    let library = file("libucl1", "1.03+repack-6", "usr/lib/x86_64-linux-gnu/libucl.so.1.0.0", UCL_SHA256)?;
    let folder = machine::cache_dir("upx")?;
    let (program, named) = (folder.join("upx"), folder.join("libucl.so.1"));
    fs::copy(library, &named)?;
    machine::copy_program(&upx, &program)?;
    fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    Ok((program, named))
}

const UPX_SHA256: &str = "5e36634bc6a54a2d58d35f709726b25f1fb7361880d87515e94766fa02cb9ed6";
const UCL_SHA256: &str = "c73257ff6c9220b128cbdbefb4933a7a9e57dc86c2e480562072a5d4cbf2c165";
