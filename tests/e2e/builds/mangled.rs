//! Files that were worked on after the linker, or that hold more than one Go program.

use std::fs;

use analyzer::plan::Verdict;
use analyzer::{GoImage, Options};
use anyhow::{Context, Result, ensure};
use strobe_tests::built::Recipe;
use strobe_tests::golang::go;

use crate::{
    CGO, Expected, MAIN, NEW, NEWEST, PLAIN, WHOLE, analyze, bare, build, is_ready, names, plan, read,
    types_alone,
};
use crate::{server, stripped};

/// The smallest program, so that its release costs little.
const INNER: &str = "package main\n\nfunc main() { println(\"inner\") }\n";
const BUILD_INFO: &[u8] = b"\xff Go buildinf:";

fn positions(bytes: &[u8], what: &[u8]) -> Vec<usize> {
    bytes.windows(what.len()).enumerate().filter(|(_, w)| *w == what).map(|(at, _)| at).collect()
}

#[test]
fn a_go_program_inside_of_a_go_program() -> Result<()> {
    let inner = build(&Recipe { args: &[PLAIN], ..Recipe::server(go(24), &[("main.go", INNER)]) })?;
    let own = read(&inner)?;
    ensure!(plan(&own, &Options::default())?.go_version.as_deref() == Some("go1.24.13"));
    let source = "package main\n\nimport (\n\t_ \"embed\"\n\t\"net/http\"\n)\n\n//go:embed inner\nvar inner []byte\n\n\
        func main() {\n\thttp.HandleFunc(\"/\", func(w http.ResponseWriter, r *http.Request) { w.Write(inner) })\n\t\
        panic(http.ListenAndServe(\"127.0.0.1:0\", nil))\n}\n";
    let overlay = serde_json::json!({ "Replace": { "inner": inner } }).to_string();
    let module = "module example.com/outer\n\ngo 1.17\n";
    let files = [("main.go", source), ("go.mod", module), ("overlay.json", overlay.as_str())];
    let args = [PLAIN, "-overlay={}/overlay.json"];
    let outer = read(&build(&Recipe { args: &args, ..Recipe::server(NEW, &files) })?)?;
    let at = *positions(&outer, &own).first().context("the inner program is not in the outer one")?;
    ensure!(positions(&outer, BUILD_INFO).len() >= 2, "one build information only");
    let expected = Expected::of(&outer, &outer)?;
    for bytes in [stripped(&outer)?, bare(&outer)?] {
        let plan = plan(&bytes, &Options::default())?;
        ensure!(plan.go_version.as_deref() == Some("go1.26.11"), "{:?}", plan.go_version);
        ensure!(plan.modules.iter().map(|m| m.path.as_str()).eq(["example.com/outer"]), "{:?}", plan.modules);
        let sites = server(&plan)?.functions.iter().flat_map(|f| &f.sites);
        let inside = at as u64..(at + own.len()) as u64;
        ensure!(sites.clone().count() > 0 && sites.clone().all(|s| !inside.contains(&s.file_offset)));
        expected.hold("a Go program with another one inside", &bytes)?;
    }
    Ok(())
}

#[test]
fn section_headers_removed() -> Result<()> {
    // The other kinds are without them in their own tests.
    let linked = read(&build(&Recipe { args: &[PLAIN], ..Recipe::server(NEW, &[MAIN]) })?)?;
    let bytes = bare(&linked)?;
    ensure!(GoImage::parse(&bytes)?.image.sections.is_empty(), "sections are left");
    Expected::of(&linked, &linked)?.hold("no section headers", &bytes)
}

/// Without build information: every magic of it is overwritten, as Bazel's rules leave none.
fn anonymous(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut out = bytes.to_vec();
    let found = positions(bytes, BUILD_INFO);
    ensure!(!found.is_empty(), "no build information to remove");
    for at in found {
        out[at..at + BUILD_INFO.len()].fill(0);
    }
    Ok(out)
}

#[test]
fn no_build_information() -> Result<()> {
    let dynamic =
        Recipe { mode: "pie", args: &["-ldflags=-w -linkmode=external"], ..Recipe::server(NEW, &[CGO]) };
    let fixed =
        Recipe { args: &["-ldflags=-w -linkmode=internal -buildid="], ..Recipe::server(NEW, &[MAIN]) };
    let newest = Recipe { version: NEWEST, ..dynamic };
    for recipe in [dynamic, fixed, newest] {
        let linked = read(&build(&recipe)?)?;
        let expected = Expected::of(&linked, &linked)?;
        for bytes in [anonymous(&stripped(&linked)?)?, anonymous(&bare(&linked)?)?] {
            let go = GoImage::parse(&bytes)?;
            ensure!(go.build.is_none() && go.go_version() == Some(&format!("go{}", recipe.version)));
            let plan = plan(&bytes, &Options::default())?;
            ensure!(plan.modules.is_empty() && plan.go_version.as_deref() == go.go_version());
            ensure!(
                server(&plan)?.version.as_deref() == Some(recipe.version),
                "{:?}",
                server(&plan)?.version
            );
            expected
                .hold(&format!("no build information, Go {}, {}", recipe.version, recipe.mode), &bytes)?;
        }
    }
    Ok(())
}

#[test]
fn a_missing_build_id_changes_nothing() -> Result<()> {
    let bytes = read(&build(&Recipe {
        args: &["-ldflags=-w -linkmode=internal -buildid="],
        ..Recipe::server(NEW, &[MAIN])
    })?)?;
    let plan = plan(&bytes, &Options::default())?;
    ensure!(plan.build_id.go.is_none() && plan.build_id.gnu.is_none(), "{:?}", plan.build_id);
    is_ready(&plan)
}

/// What garble's linker does: a magic of its own, the version unknown, names replaced.
#[test]
fn an_obfuscated_table() -> Result<()> {
    let args = ["-ldflags=-s -w -linkmode=internal -X runtime.buildVersion=unknown"];
    let original = read(&build(&Recipe { args: &args, ..Recipe::server(NEW, &[MAIN]) })?)?;
    for mut bytes in [original.clone(), bare(&original)?] {
        let go = GoImage::parse(&bytes)?;
        let at = |vaddr| {
            Ok::<_, anyhow::Error>(usize::try_from(go.image.file_offset(vaddr).context("an offset")?)?)
        };
        let (table, start) = (at(go.pclntab.vaddr)?, at(go.pclntab.names())?);
        let end = table + usize::try_from(go.pclntab.tables[1])?;
        drop(go);
        bytes[table..table + 4].copy_from_slice(&0x5fa3_91c2_u32.to_le_bytes());
        for letter in bytes[start..end].iter_mut().filter(|b| b.is_ascii_alphabetic()) {
            *letter = b'a' + (*letter).wrapping_mul(7) % 26;
        }
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("garbled");
        fs::write(&file, bytes)?;
        let (status, text) = analyze(&["--explain", crate::ID], &file)?;
        ensure!(status == 2, "{text}");
        for word in ["obfuscated", "5fa391c2", "mean nothing", "Remedy: build without the obfuscator"] {
            ensure!(text.contains(word), "{word:?} is not in: {text}");
        }
    }
    Ok(())
}

#[test]
fn each_way_of_stripping() -> Result<()> {
    let whole = read(&build(&Recipe { args: &[WHOLE], ..Recipe::server(NEW, &[MAIN]) })?)?;
    let expected = Expected::of(&whole, &whole)?;
    for args in [["-ldflags=-s -linkmode=internal"], [PLAIN], ["-ldflags=-s -w -linkmode=internal"]] {
        let bytes = read(&build(&Recipe { args: &args, ..Recipe::server(NEW, &[MAIN]) })?)?;
        ensure!(names(&bytes)? == expected.names, "{args:?}: other functions");
        let by_types = plan(&bytes, &types_alone())?;
        ensure!(server(&by_types)?.fields == expected.fields, "{args:?}");
        ensure!(server(&by_types)?.verdict == Verdict::Ready, "{:?}", server(&by_types)?.reason);
    }
    expected.hold("stripped by objcopy", &stripped(&whole)?)
}
