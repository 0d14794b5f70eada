//! The committed database can be built again by anybody: the newest patch of three minor releases of Go, with `STROBE_MATRIX=full` of every one, from
//! nothing, in a cold cache. The bytes are those that another number of jobs gave, the figures those of the committed data.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use offsets::database::format::Document;
use sha2::{Digest as _, Sha256};
use strobe_tests::built::{self, Recipe};
use strobe_tests::golang::traced;
use strobe_tests::process::Running;
use strobe_tests::{machine, programs, spans};

/// Of the `std.json` of these alone, the oldest, the one in the middle and the newest, made with two jobs; it changes with the catalog and the format.
const THREE_SHA256: &str = "0b6e0f44f2e804f58847febcb7673180cf866dfe38b8886959a14f69f959a899";
/// The same of all.
const ALL_SHA256: &str = "169a8ce8fb13ebdab8c2980835a0644eb1725e4af8c847ac561b6702ce56d8c5";

#[test]
fn the_newest_releases_built_again_agree_with_the_committed_data() -> Result<()> {
    let start = Instant::now();
    let is_full = std::env::var("STROBE_MATRIX").is_ok_and(|text| text == "full");
    let [oldest, .., newest] = traced() else { bail!("two versions") };
    let middle = traced().get(traced().len() / 2).context("a version")?;
    let versions = if is_full { traced().join(",") } else { [*oldest, *middle, *newest].join(",") };
    // Beside the cache, so that it is on a disk that has room.
    let cold = tempfile::tempdir_in(machine::cache_dir("cold")?)?;
    let built = cold.path().join("data");
    let mut build = Command::new(programs::path("offsetgen")?);
    build
        .args([
            "build",
            "--only",
            "std",
            "--versions",
            &versions,
            "--no-experiments",
            "--jobs",
            "3",
            "--cache",
        ])
        .arg(cold.path());
    machine::run(build.arg("--out").arg(&built))?;
    println!("built from nothing: {:.0} s", start.elapsed().as_secs_f64());
    let bytes = fs::read(built.join("std.json")).context("std.json")?;
    let digest = spans::hex(&Sha256::digest(&bytes));
    // Of the committed data, which has more releases and the experiments, nothing may be said but what these releases do not have.
    let said = difference(&built, &machine::workspace().join("offsets/data"))?;
    let more =
        |line: &&str| [": new", ": a hole", ": built for amd64+X:"].iter().any(|word| line.contains(word));
    let changed: Vec<&str> = said.lines().filter(|line| !more(line)).collect();
    ensure!(changed.is_empty(), "{changed:#?}, and the bytes are {digest}");
    ensure!(digest == if is_full { ALL_SHA256 } else { THREE_SHA256 }, "std.json has other bytes: {digest}");
    println!("std.json: the bytes of another number of jobs, and the committed figures");
    Ok(())
}

/// What `offsetgen diff` says.
fn difference(before: &Path, after: &Path) -> Result<String> {
    let mut diff = Command::new(programs::path("offsetgen")?);
    let out = machine::run(diff.arg("diff").arg(before).arg(after))?;
    Ok(String::from_utf8_lossy(&out.stdout).into_owned())
}

/// A checksum database that is not this machine's, and knows another hash of one version than the proxy serves: that version is
/// not compiled, the run fails, and the other version's record needs no trust.
#[test]
fn a_hash_that_the_checksum_database_does_not_know() -> Result<()> {
    const CATALOG: &str = "id = 'm'\ntitle = 'm'\nmodule = 'example.org/m'\nstatus = 'recorded'\n\
        structs = ['example.org/m.T']\n[target]\nfile = 'm.go'\n";
    const TARGET: &str =
        "package main\n\nimport \"example.org/m\"\n\nvar t m.T\n\nfunc main() { println(&t) }\n";
    let [.., recorded_by, newest] = traced() else { bail!("two versions") };
    let files = [("main.go", include_str!("sumdb.go"))];
    let modules = [("golang.org/x/mod", "v0.43.0")];
    let recipe = Recipe { modules: &modules, ..Recipe::server(recorded_by, &files) };
    let mut server = Running::start(&mut Command::new(recipe.build()?))?;
    let line = server.expect_stdout("http://", 0)?;
    let (proxy, database) = line.split_once('\t').context("two words")?;
    let folder = tempfile::tempdir()?;
    fs::create_dir_all(folder.path().join("catalog/targets"))?;
    fs::write(folder.path().join("catalog/m.toml"), CATALOG)?;
    fs::write(folder.path().join("catalog/targets/m.go"), TARGET)?;
    let mut build = Command::new(programs::path("offsetgen")?);
    build.args(["build", "--arch", "amd64", "--go", recorded_by, "--cache"]).arg(machine::cache()?);
    build.arg("--catalog").arg(folder.path().join("catalog")).arg("--out").arg(folder.path());
    let ran = build.env("GOPROXY", proxy).env("GOSUMDB", database).output().context("run offsetgen")?;
    let said = String::from_utf8_lossy(&ran.stderr);
    ensure!(ran.status.code() == Some(1) && said.contains("SECURITY ERROR"), "{said}");
    let text = fs::read_to_string(folder.path().join("example.org_m.json"))?;
    let document = Document::parse("example.org_m.json", &text)?;
    let [tested] = document.versions.as_slice() else { bail!("recorded: {:?}", document.versions) };
    ensure!(tested.version == "v1.0.0" && tested.trust.is_none(), "{tested:?}");
    let [hole] = document.holes.as_slice() else { bail!("holes: {:?}", document.holes) };
    ensure!(hole.version == "v1.1.0" && hole.reason.contains("SECURITY ERROR"), "{hole:?}");
    // A newer Go has come since: the next run tries it, and once.
    built::toolchain(newest)?;
    for again in [false, true] {
        let mut update = Command::new(programs::path("offsetgen")?);
        update.args(["update", "--arch", "amd64", "--go", &format!("{recorded_by},{newest}"), "--cache"]);
        update.arg(machine::cache()?).arg("--catalog").arg(folder.path().join("catalog"));
        update.arg("--out").arg(folder.path()).env("GOPROXY", proxy).env("GOSUMDB", database);
        let ran = update.output().context("run offsetgen")?;
        let said = String::from_utf8_lossy(&ran.stderr);
        let built = format!("example.org/m v1.0.0 amd64+go{newest}: built");
        // The first time it may be in the cache's journal, from an earlier run of this test.
        ensure!(ran.status.code() == Some(1) && !(again && said.contains(&built)), "{said}");
        let text = fs::read_to_string(folder.path().join("example.org_m.json"))?;
        let document = Document::parse("example.org_m.json", &text)?;
        let agrees: Vec<&String> = document.versions.iter().flat_map(|tested| &tested.agrees).collect();
        ensure!(agrees == [&format!("amd64+go{newest}")], "{agrees:?}");
    }
    server.terminate()?;
    Ok(())
}

/// The targets are Go as gofmt writes it, by the newest toolchain that offsetgen fetches.
#[test]
fn the_targets_are_formatted() -> Result<()> {
    let newest = traced().last().context("a version")?;
    let mut gofmt = Command::new(built::toolchain(newest)?.join("bin/gofmt"));
    let targets = machine::workspace().join("offsets/catalog/targets");
    let out = machine::run(gofmt.arg("-l").arg(&targets))?;
    let said = String::from_utf8_lossy(&out.stdout);
    ensure!(said.is_empty(), "gofmt -w {said}");
    // It says so of one that is not.
    let folder = tempfile::tempdir()?;
    fs::write(folder.path().join("x.go"), "package main\nfunc main(){ }\n")?;
    let mut gofmt = Command::new(built::toolchain(newest)?.join("bin/gofmt"));
    let out = machine::run(gofmt.arg("-l").arg(folder.path()))?;
    ensure!(String::from_utf8_lossy(&out.stdout).contains("x.go"), "it finds nothing");
    Ok(())
}

/// The walk through of `offsets/catalog/README.md`, with its own text: a TOML file and a Go program, no Rust.
#[test]
fn a_newcomer_adds_a_library() -> Result<()> {
    let readme = fs::read_to_string(machine::workspace().join("offsets/catalog/README.md"))?;
    let text = |language: &str| -> Result<String> {
        let behind = readme.split(&format!("   ```{language}\n")).nth(1);
        let text = behind.and_then(|rest| rest.split("   ```\n").next());
        let text = text.with_context(|| format!("the {language} of the README"))?;
        Ok(text.lines().map(|line| format!("{}\n", line.strip_prefix("   ").unwrap_or(line))).collect())
    };
    let (toml, go) = (text("toml")?, text("go")?);
    let module = "github.com/julienschmidt/httprouter";
    ensure!(toml.contains("file = \"httprouter.go\""), "{toml}");
    let newcomer = Newcomer::build(module, "v1.3.0", &toml, ("httprouter.go", &go))?;
    ensure!(!newcomer.said.contains(&format!("note: {module}")), "{}", newcomer.said);
    newcomer.expect("Param.Value", "16\texact")
}

/// The same for a module whose path ends in a word with a dot: DWARF and the linker spell it `nats%2ego`, the catalog as Go does.
/// A field that is written wrongly is told by the first version that is built, with the one that was meant.
#[test]
fn a_newcomer_adds_a_library_with_a_dot_in_its_path() -> Result<()> {
    let module = "github.com/nats-io/nats.go";
    let toml = include_str!("nats.toml");
    let program = ("nats.go", include_str!("nats.go"));
    let newcomer = Newcomer::build(module, "v1.49.0", toml, program)?;
    ensure!(!newcomer.said.contains(&format!("note: {module}")), "{}", newcomer.said);
    newcomer.expect("Msg.Subject", "0\texact")?;
    let text = fs::read_to_string(newcomer.folder.path().join("data/github.com_nats-io_nats.go.json"))?;
    let document = Document::parse("nats", &text)?;
    let publish = document.functions.get(&format!("{module}.(*Conn).PublishMsg")).context("the function")?;
    ensure!(!publish.runs.is_empty(), "{publish:?}");
    let wrong = toml.replace("name = \"Subject\"", "name = \"Subjet\"");
    let error =
        Newcomer::build(module, "v1.49.0", &wrong, program).err().context("no field Subjet")?.to_string();
    let note = format!("note: {module} v1.49.0 has no field {module}.Msg.Subjet; nearest: Subject");
    ensure!(error.contains(&note) && error.contains("no tested version"), "{error}");
    Ok(())
}

/// Who has written one catalog file with its program, and built it.
struct Newcomer {
    module: &'static str,
    version: &'static str,
    folder: tempfile::TempDir,
    said: String,
}

impl Newcomer {
    fn build(
        module: &'static str,
        version: &'static str,
        toml: &str,
        (program, text): (&str, &str),
    ) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let catalog = folder.path().join("catalog");
        fs::create_dir_all(catalog.join("targets"))?;
        fs::write(catalog.join("library.toml"), toml)?;
        fs::write(catalog.join("targets").join(program), text)?;
        let newest = traced().last().context("a version")?;
        let mut build = Command::new(programs::path("offsetgen")?);
        build.args(["build", "--only", module, "--versions", version, "--go", newest, "--cache"]);
        build.arg(machine::cache()?).arg("--catalog").arg(&catalog);
        let ran = build.arg("--out").arg(folder.path().join("data")).output().context("run offsetgen")?;
        let said = String::from_utf8_lossy(&ran.stderr).into_owned();
        ensure!(ran.status.success(), "offsetgen build: {said}");
        Ok(Self { module, version, folder, said })
    }

    fn expect(&self, field: &str, what: &str) -> Result<()> {
        let field = format!("{}.{field}", self.module);
        let mut lookup = Command::new(programs::path("offsetgen")?);
        lookup.args(["lookup", self.module, self.version, &field, "--data"]);
        let ran = lookup.arg(self.folder.path().join("data")).output().context("run offsetgen")?;
        let said = String::from_utf8_lossy(&ran.stdout);
        ensure!(said == format!("{field}\t{what}\n"), "lookup said {said:?}");
        Ok(())
    }
}
