//! Go code that is not a Go program by itself: plugins, shared libraries, archives in a C program, and programs whose
//! packages are elsewhere.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use analyzer::GoImage;
use analyzer::go_image::Kind;
use anyhow::{Result, ensure};
use object::elf::PT_INTERP;
use strobe_tests::built::{self, Recipe, SERVER};
use strobe_tests::machine;

use crate::{CGO, Expected, NEW, analyze, bare, build, has_segment_type, is_fixed, names, read, stripped};

/// A server for C to start.
fn exported(name: &str) -> String {
    format!(
        r#"package main

import "C"
import "net/http"

//export {name}
func {name}() {{
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {{ w.WriteHeader(204) }})
	panic(http.ListenAndServe("127.0.0.1:0", nil))
}}

func main() {{}}
"#
    )
}

/// Refused with these words, whatever was removed from it; a look inside is possible all the same.
fn is_told(file: &Path, kind: Kind, words: &[&str], functions: usize) -> Result<()> {
    let bytes = read(file)?;
    let folder = tempfile::tempdir()?;
    for bytes in [bytes.clone(), stripped(&bytes)?, bare(&bytes)?] {
        ensure!(GoImage::parse(&bytes)?.kind == kind, "{:?}", GoImage::parse(&bytes)?.kind);
        let count = names(&bytes)?.len();
        ensure!(count >= functions, "only {count} functions");
        let copy = folder.path().join("copy");
        fs::write(&copy, bytes)?;
        let (status, text) = analyze(&["--explain", crate::ID], &copy)?;
        ensure!(status == 2, "status {status}: {text}");
        for word in words.iter().chain(&["Remedy: "]) {
            ensure!(text.contains(word), "{word:?} is not in: {text}");
        }
    }
    Ok(())
}

#[test]
fn a_plugin() -> Result<()> {
    let files = [("main.go", "package main\n\nfunc Hello() { println(\"hello\") }\n")];
    let file = build(&Recipe { mode: "plugin", ..Recipe::server(NEW, &files) })?;
    is_told(&file, Kind::Plugin, &["a Go plugin", "-buildmode=plugin", "the program that loads it"], 1000)
}

#[test]
fn a_program_that_loads_plugins() -> Result<()> {
    let source = SERVER.replace("import \"net/http\"", "import (\n\t\"net/http\"\n\t\"plugin\"\n)");
    let source = source.replace("panic(", "println(plugin.Open(\"x.so\"))\n\tpanic(");
    let files = [("main.go", source.as_str())];
    let file =
        build(&Recipe { args: &["-ldflags=-s -w -linkmode=external"], ..Recipe::server(NEW, &files) })?;
    let (status, text) = analyze(&["--explain", crate::ID], &file)?;
    ensure!(status == 0 && text.contains("Worth knowing: the program can load plugins"), "{text}");
    ensure!(text.contains("Remedy: start servers and clients in the program itself"), "{text}");
    Ok(())
}

#[test]
fn a_shared_library_for_c() -> Result<()> {
    let source = exported("Serve");
    let files = [("main.go", source.as_str())];
    let file = build(&Recipe { mode: "c-shared", ..Recipe::server(NEW, &files) })?;
    is_told(&file, Kind::Library, &["a Go shared library", "c-shared", "-buildmode=c-archive"], 5000)
}

/// A C program with these objects in it.
fn c_program(to: &Path, functions: &[&str], options: &[&str], objects: &[PathBuf]) -> Result<Vec<u8>> {
    let source = to.with_extension("c");
    let declared: String = functions.iter().map(|f| format!("void {f}(void);\n")).collect();
    let called: String = functions.iter().map(|f| format!("if (n++ == argc) {f}(); ")).collect();
    fs::write(
        &source,
        format!("{declared}int main(int argc, char **argv) {{ int n = 1; {called} return 0; }}\n"),
    )?;
    machine::run(
        Command::new("gcc").args(options).arg("-o").arg(to).arg(&source).args(objects).arg("-pthread"),
    )?;
    read(to)
}

fn archive(function: &str) -> Result<PathBuf> {
    let source = exported(function);
    let files = [("main.go", source.as_str())];
    build(&Recipe { mode: "c-archive", ..Recipe::server(NEW, &files) })
}

/// As an input of the C linker, which goes by the ending.
fn named(file: &Path, folder: &Path, name: &str) -> Result<PathBuf> {
    let to = folder.join(name);
    fs::copy(file, &to)?;
    Ok(to)
}

#[test]
fn a_c_program_with_a_go_archive_is_planned_like_a_go_program() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let library = named(&archive("Serve")?, folder.path(), "serve.a")?;
    for (options, fixed, interpreter) in
        [(&["-pie"][..], false, true), (&["-no-pie"], true, true), (&["-static-pie"], false, false)]
    {
        let linked =
            c_program(&folder.path().join("program"), &["Serve"], options, std::slice::from_ref(&library))?;
        ensure!(is_fixed(&linked)? == fixed && has_segment_type(&linked, PT_INTERP)? == interpreter);
        // Its own unstripped self is the normal build; what it is held against is the symbol table.
        let expected = Expected::of(&linked, &linked)?;
        for bytes in [stripped(&linked)?, bare(&linked)?] {
            ensure!(GoImage::parse(&bytes)?.kind == Kind::Archive, "{options:?}");
            expected.hold(&format!("C program with a Go archive, {options:?}"), &bytes)?;
        }
    }
    Ok(())
}

/// One relocatable object of an archive, of which C sees nothing but its function: so two run times fit into one program.
fn object(function: &str, folder: &Path) -> Result<PathBuf> {
    let parts = folder.join(format!("parts-{function}"));
    fs::create_dir(&parts)?;
    let library = named(&archive(function)?, folder, &format!("{function}.a"))?;
    machine::run(Command::new("ar").arg("x").arg(&library).current_dir(&parts))?;
    let mut objects = fs::read_dir(&parts)?.map(|e| Ok(e?.path())).collect::<Result<Vec<_>>>()?;
    objects.sort();
    let whole = folder.join(format!("{function}.o"));
    machine::run(Command::new("ld").args(["-r", "-o"]).arg(&whole).args(objects))?;
    let keep = format!("--keep-global-symbol={function}");
    machine::run(Command::new("objcopy").arg(keep).arg(&whole))?;
    Ok(whole)
}

#[test]
fn two_go_run_times_in_one_program() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let objects = [object("ServeA", folder.path())?, object("ServeB", folder.path())?];
    let program = folder.path().join("program");
    let linked = c_program(&program, &["ServeA", "ServeB"], &[], &objects)?;
    for bytes in [stripped(&linked)?, bare(&linked)?] {
        fs::write(&program, bytes)?;
        let (status, text) = analyze(&["--explain", crate::ID], &program)?;
        ensure!(status == 2 && text.contains("2 Go run times") && text.contains("one archive"), "{text}");
    }
    Ok(())
}

/// The C linker puts what cgo asks for behind Go's own object.
#[test]
fn a_go_program_with_a_hidden_archive_is_itself() -> Result<()> {
    let folder = tempfile::tempdir()?;
    // A lasting place, for it becomes part of the recipe.
    let hidden = machine::cache_dir("hidden")?.join("ServeHidden.o");
    fs::copy(object("ServeHidden", folder.path())?, &hidden)?;
    let args = [format!("-ldflags=-w -linkmode=external \"-extldflags={}\"", hidden.display())];
    let recipe = Recipe { args: &[args[0].as_str()], ..Recipe::server(NEW, &[CGO]) };
    let linked = read(&build(&recipe)?)?;
    let normal = Recipe { args: &["-ldflags=-w"], ..Recipe::server(NEW, &[CGO]) };
    let magic = b"\xff Go buildinf:";
    ensure!(linked.windows(magic.len()).filter(|w| w == magic).count() == 2, "the archive is not in it");
    let expected = Expected::of(&linked, &read(&build(&normal)?)?)?;
    for bytes in [stripped(&linked)?, bare(&linked)?] {
        ensure!(GoImage::parse(&bytes)?.kind == Kind::Program);
        expected.hold("a Go program with a hidden archive", &bytes)?;
    }
    Ok(())
}

/// Go's own shared library of package runtime, and a program linked against it.
#[test]
fn a_program_linked_against_go_s_shared_libraries() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (packages, source) = (folder.path().join("packages"), folder.path().join("source"));
    fs::create_dir_all(&source)?;
    fs::write(source.join("go.mod"), "module example.com/app\n\ngo 1.17\n")?;
    fs::write(source.join("main.go"), "package main\n\nfunc main() { println(\"hello\") }\n")?;
    let root = built::toolchain(NEW)?;
    let program = folder.path().join("program");
    let go = |command: &str, args: &[&str]| {
        let mut go = Command::new(root.join("bin/go"));
        go.args([command, "-trimpath"]).arg("-pkgdir").arg(&packages).args(args).current_dir(&source);
        go.env("GOROOT", &root).env("GOENV", "off").env("GOFLAGS", "").env("GOTOOLCHAIN", "local");
        go.env("GOPROXY", "off").env("GOWORK", "off").env("CGO_ENABLED", "1");
        go.env("GOCACHE", machine::cache_dir("go-build")?);
        machine::run(&mut go)
    };
    go("install", &["-buildmode=shared", "runtime"])?;
    go("build", &["-buildvcs=false", "-linkshared", "-o", &program.to_string_lossy()])?;
    is_told(&program, Kind::NeedsOthers, &["-linkshared", "in those files", "build without"], 1)?;
    let library = packages.join("libruntime.so");
    is_told(&library, Kind::Library, &["a Go shared library", "shared"], 1000)
}
