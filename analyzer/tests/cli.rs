//! The `analyze` that people script against: statuses, messages, JSON. Spawns the real binary on real files.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;

use serde_json::Value;
use support::{Build, SERVER, STRIPPED, build};
use tempfile::TempDir;

/// A program with nothing to instrument.
const HELLO: &str = "package main\n\nfunc main() { println(\"hello\") }\n";

struct Files {
    folder: TempDir,
}

impl Files {
    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().expect("UTF-8").to_owned()
    }
}

static FILES: LazyLock<Files> = LazyLock::new(|| {
    let folder = TempDir::new().expect("a folder");
    let server = build(&folder, "server", SERVER, STRIPPED);
    build(&folder, "hello", HELLO, STRIPPED);
    build(&folder, "i386", HELLO, Build { arch: "386", ..STRIPPED });
    build(&folder, "riscv64", HELLO, Build { arch: "riscv64", ..STRIPPED });
    let bytes = fs::read(&server).expect("the server");
    fs::write(folder.path().join("truncated"), &bytes[..bytes.len() / 2]).expect("truncated");
    fs::write(folder.path().join("text"), "not a program\n").expect("text");
    fs::write(folder.path().join("empty"), "").expect("empty");
    Files { folder }
});

fn analyze(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_analyze"))
        .args(args)
        .env_remove("NO_COLOR")
        .env_remove("CLICOLOR_FORCE")
        .stdin(Stdio::null())
        .output()
        .expect("analyze starts")
}

fn status(args: &[&str]) -> i32 {
    analyze(args).status.code().expect("no signal")
}

#[track_caller]
fn fails(args: &[&str], code: i32, words: &[&str]) {
    let output = analyze(args);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    for word in words {
        assert!(stderr.contains(word), "{word:?} is not in {stderr:?}");
    }
    assert_eq!(stderr.lines().count(), 1, "one message: {stderr:?}");
}

#[test]
fn bad_files_end_in_one_message_that_names_file_and_place() {
    let file = |name| FILES.path(name);
    fails(&[&file("text")], 2, &["text: a text file, not a program"]);
    fails(&[&file("empty")], 2, &["empty: an empty file"]);
    fails(&[&file("truncated")], 2, &["truncated", "loadable segment", "offset"]);
    fails(&[&file("i386")], 2, &["i386: a 32-bit program (386)"]);
    fails(&[&file("riscv64")], 2, &["riscv64: a program for another machine (riscv64)"]);
    fails(&[&file("missing")], 2, &["missing", "No such file"]);
    fails(&["/bin/true"], 2, &["/bin/true", "not a Go binary"]);
    fails(&["/dev/null"], 2, &["/dev/null", "not a regular file"]);
}

#[test]
fn a_process_that_is_gone_or_not_go() {
    let mut child = Command::new("/bin/true").spawn().expect("true");
    let gone = child.id().to_string();
    child.wait().expect("true ends");
    fails(&["--pid", &gone], 2, &[&gone, "gone"]);
    // This test's own process is a Rust program.
    let own = std::process::id().to_string();
    fails(&["--pid", &own], 2, &[&own, "not a Go binary"]);
}

#[test]
fn a_process_whose_file_was_deleted_is_still_read() {
    let copy = FILES.path("deleted");
    // By another process: while this one has the copy open for writing, a child that another test starts has it too, and the
    // kernel starts no program from such a file.
    let copied = Command::new("cp").args([FILES.path("server"), copy.clone()]).status().expect("cp runs");
    assert!(copied.success(), "cp: {copied}");
    let mut child = Command::new(&copy).stderr(Stdio::null()).spawn().expect("the server starts");
    fs::remove_file(&copy).expect("the copy goes");
    let output = analyze(&["--json", "--pid", &child.id().to_string()]);
    child.kill().expect("it ends");
    child.wait().expect("it ends");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let plan: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(plan["file"].as_str().expect("file").contains("deleted"));
}

#[test]
fn statuses_are_as_documented() {
    let (server, hello, text) = (FILES.path("server"), FILES.path("hello"), FILES.path("text"));
    assert_eq!(status(&[&server]), 0);
    assert_eq!(status(&[&hello]), 3);
    assert_eq!(status(&["--require", "net/http.server", &server]), 0);
    assert_eq!(status(&["--require", "net/http.server", &hello]), 1);
    assert_eq!(status(&["--require", "net/http.server.h2", &server]), 0);
    assert_eq!(status(&["--require", "net/http.client", &server]), 1);
    // Of several the worst, in the order 2, 1, 3, 0; what is required has to be in one of them.
    assert_eq!(status(&[&server, &hello]), 3);
    assert_eq!(status(&["--require", "net/http.server", &server, &hello]), 3);
    assert_eq!(status(&["--require", "database/sql", &server, &hello]), 1);
    assert_eq!(status(&[&server, &text, &hello]), 2);
}

#[test]
fn usage_errors_are_64_and_help_is_0() {
    assert_eq!(status(&[]), 64);
    assert_eq!(status(&["--no-such-option", "x"]), 64);
    assert_eq!(status(&["--pid", "x"]), 64);
    assert_eq!(status(&["inspect", "nonsense", "x"]), 64);
    assert_eq!(status(&["--help"]), 0);
    assert_eq!(status(&["--version"]), 0);
    assert_eq!(status(&["-q", "-v", "x"]), 64);
    assert_eq!(status(&["-", "-"]), 64);
}

#[test]
fn an_id_that_nobody_knows_is_a_usage_error_that_names_the_near_ones() {
    for option in ["--require", "--explain"] {
        let output = analyze(&[option, "net/http.srever", &FILES.path("server")]);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(64), "{stderr}");
        assert!(
            stderr.contains("near: net/http.server,") && stderr.contains("analyze libraries"),
            "{stderr}"
        );
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn the_libraries_are_listed_with_status_and_versions() {
    let output = analyze(&["libraries"]);
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let server = text.lines().find(|l| l.starts_with("net/http.server ")).expect("the server");
    assert!(server.contains("instrumented") && server.contains("1.19.0 and newer"), "{server}");
    let output = analyze(&["libraries", "--json"]);
    let lines = String::from_utf8_lossy(&output.stdout).into_owned();
    let rows: Vec<Value> = lines.lines().map(|l| serde_json::from_str(l).expect("an object")).collect();
    assert_eq!(rows.len() + 1, text.lines().count());
    rows.iter().for_each(|row| has_keys(row, &["id", "title", "module", "status", "versions"]));
    assert_eq!(rows.iter().filter(|row| row["id"] == "net/http.server.h2").count(), 1);
}

#[test]
fn quiet_prints_nothing_and_has_the_same_status() {
    for (file, code) in [("server", 0), ("hello", 3), ("text", 2)] {
        let output = analyze(&["-q", &FILES.path(file)]);
        assert_eq!(output.status.code(), Some(code), "{file}");
        assert!(output.stdout.is_empty(), "{file}");
        assert_eq!(output.stderr.is_empty(), code != 2, "{file}");
    }
}

#[test]
fn standard_input_is_read_from_a_file_and_from_a_pipe() {
    let server = FILES.path("server");
    let run = |stdin: Stdio| {
        let mut analyze = Command::new(env!("CARGO_BIN_EXE_analyze"));
        analyze.args(["--json", "-"]).stdin(stdin).output().expect("analyze runs")
    };
    let mut cat = Command::new("cat").arg(&server).stdout(Stdio::piped()).spawn().expect("cat starts");
    let pipe = cat.stdout.take().expect("a pipe");
    for output in [run(fs::File::open(&server).expect("the server").into()), run(pipe.into())] {
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        let plan: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(plan["file"], "standard input");
    }
    cat.wait().expect("cat ends");
    assert_eq!(run(Stdio::null()).status.code(), Some(2));
}

#[test]
fn a_file_that_fails_has_an_object_with_the_keys_of_a_plan() {
    let output = analyze(&["--json", &FILES.path("server"), &FILES.path("i386"), &FILES.path("missing")]);
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines: Vec<Value> = text.lines().map(|l| serde_json::from_str(l).expect("an object")).collect();
    assert_eq!(keys(&lines[0]), keys(&lines[1]));
    assert_eq!(keys(&lines[0]), keys(&lines[2]));
    assert_eq!(lines[0]["error"], Value::Null);
    has_keys(&lines[1]["error"], &["code", "message", "remedy"]);
    assert_eq!(
        (&lines[1]["error"]["code"], &lines[2]["error"]["code"]),
        (&"other-machine".into(), &"unreadable".into())
    );
    assert_eq!(lines[1]["libraries"], Value::Array(Vec::new()));
}

fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().expect("an object").keys().map(String::as_str).collect()
}

#[track_caller]
fn has_keys(value: &Value, wanted: &[&str]) {
    assert_eq!(keys(value), wanted.iter().copied().collect());
}

#[test]
fn json_has_the_documented_keys() {
    let output = analyze(&["--json", &FILES.path("server")]);
    let plan: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    has_keys(
        &plan,
        &[
            "schema_version",
            "tool_version",
            "database",
            "file",
            "arch",
            "go_version",
            "build_id",
            "debug_file",
            "modules",
            "types_vaddr",
            "libraries",
            "error",
        ],
    );
    let begins = |key: &str, with| plan[key].as_str().expect("a text").starts_with(with);
    assert!(begins("arch", "amd64") && begins("go_version", "go1.") && begins("database", "sha256:"));
    has_keys(&plan["build_id"], &["go", "gnu"]);
    has_keys(&plan["modules"][0], &["path", "version", "replaced_by"]);
    let libraries = plan["libraries"].as_array().expect("libraries");
    let library = libraries.iter().find(|l| l["id"] == "net/http.server").expect("net/http.server");
    has_keys(
        library,
        &[
            "id",
            "module",
            "version",
            "version_match",
            "status",
            "verdict",
            "reason",
            "findings",
            "functions",
            "closures",
            "fields",
            "itabs",
            "maps",
            "sizes",
            "types",
            "variables",
        ],
    );
    assert_eq!(library["verdict"], "ready");
    let function = &library["functions"][0];
    has_keys(
        function,
        &["name", "role", "site", "vaddr", "size", "sites", "values", "inlined", "callers", "result_slots"],
    );
    has_keys(&function["sites"][0], &["vaddr", "file_offset", "bytes", "when", "cost", "select_cases"]);
    has_keys(&library["fields"][0], &["type", "field", "kind", "offset", "witnesses", "disputed"]);
    has_keys(&library["itabs"][0], &["interface", "concrete", "vaddr", "holds"]);
}

#[test]
fn site_bytes_are_those_of_the_file() {
    let server = FILES.path("server");
    let output = analyze(&["--json", &server]);
    let plan: analyzer::Plan = serde_json::from_slice(&output.stdout).expect("a Plan");
    let file = fs::read(&server).expect("the server");
    let sites: Vec<_> =
        plan.libraries.iter().flat_map(|library| &library.functions).flat_map(|f| &f.sites).collect();
    assert!(sites.len() >= 6, "{}", sites.len());
    for site in sites {
        let at = usize::try_from(site.file_offset).expect("fits");
        let hex: String = file[at..at + site.bytes.len() / 2].iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, site.bytes);
    }
}

#[test]
fn several_files_are_json_lines_and_a_folder_skips_what_is_no_go_program() {
    let folder = FILES.folder.path().join("tree");
    fs::create_dir_all(folder.join("deep")).expect("a folder");
    fs::copy(FILES.path("server"), folder.join("deep/server")).expect("a copy");
    fs::copy(FILES.path("hello"), folder.join("hello")).expect("a copy");
    fs::write(folder.join("notes.txt"), "no ELF").expect("a text");
    for other in ["i386", "riscv64"] {
        fs::copy(FILES.path(other), folder.join(other)).expect("a copy");
    }
    fs::copy("/bin/true", folder.join("true")).expect("a copy");
    let mut core = [0u8; 64];
    core[..20].copy_from_slice(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x04\0\x3e\0");
    fs::write(folder.join("core"), core).expect("a core dump");
    let folder = folder.to_str().expect("UTF-8");
    let output = analyze(&["--json", folder]);
    assert_eq!(output.status.code(), Some(3));
    let lines: Vec<Value> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).expect("an object per line"))
        .collect();
    assert_eq!(lines.len(), 2);
    assert!(output.stderr.is_empty());
    let output = analyze(&[folder]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let skipped = "7 files: 2 Go programs, 0 failed, 5 skipped (1 no ELF files, 1 object or debug files, 1 without Go, \
                   2 for other machines)";
    assert!(text.contains(skipped), "{text}");
    assert_eq!(status(&["--require", "net/http.server", folder]), 3);
    // Named, the same files are what they were.
    assert_eq!(status(&[&format!("{folder}/true")]), 2);
    fs::write(Path::new(folder).join("deep/cut"), fs::read(FILES.path("truncated")).expect("read"))
        .expect("cut");
    assert_eq!(status(&[folder]), 2);
}

#[test]
fn no_line_is_wider_than_columns() {
    let server = FILES.path("server");
    for (columns, flag) in
        ["20", "40", "80", "120"].into_iter().flat_map(|c| [(c, "-v"), (c, "--explain=net/http.server")])
    {
        for args in [vec![flag, server.as_str()], vec![server.as_str()], vec!["libraries"]] {
            let output = Command::new(env!("CARGO_BIN_EXE_analyze"))
                .args(&args)
                .env("COLUMNS", columns)
                .output()
                .expect("it runs");
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let long = text.lines().find(|line| line.chars().count() > columns.parse().expect("a number"));
            assert_eq!(long, None, "{columns} {args:?}");
            assert!(text.lines().count() > 1, "{args:?}");
        }
    }
}

#[test]
fn colours_are_for_terminals_and_no_color_is_honoured() {
    let coloured = |name: &str, value: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_analyze"))
            .arg(FILES.path("server"))
            .env_remove("NO_COLOR")
            .env_remove("CLICOLOR_FORCE")
            .env(name, value)
            .output()
            .expect("analyze starts");
        assert!(String::from_utf8_lossy(&output.stdout).contains("net/http.server"));
        output.stdout.contains(&0x1b)
    };
    assert!(!coloured("LC_STROBE_TEST", "1"));
    assert!(coloured("CLICOLOR_FORCE", "1"));
    assert!(!coloured("NO_COLOR", "1"));
}

#[test]
fn the_long_form_names_sites_fields_and_witnesses_and_the_short_one_is_a_line_each() {
    let short = analyze(&[&FILES.path("server")]);
    let short = String::from_utf8_lossy(&short.stdout).into_owned();
    let lines: Vec<&str> = short.lines().collect();
    let line = lines.iter().find(|line| line.starts_with("  ready     net/http.server ")).expect("its line");
    assert!(line.contains("4 probes, emulated; ") && line.ends_with(" fields"), "{short}");
    let output = analyze(&["-v", &FILES.path("server")]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    for word in ["ready", "net/http.serverHandler.ServeHTTP", "emulated", "net/http.Request.Method", "types"]
    {
        assert!(text.contains(word), "{word:?} is not in\n{text}");
    }
}

#[test]
fn inspect_looks_inside() {
    let server = FILES.path("server");
    let text = |what: &str, filter: &str| {
        let output = analyze(&["inspect", what, &server, "--filter", filter]);
        assert_eq!(output.status.code(), Some(0), "{what}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert!(text("functions", "main.main").lines().any(|l| l.ends_with("\tmain.main")));
    assert!(text("types", "net/http.Request").contains("\t16\tURL\t*net/url.URL"));
    assert!(text("modules", "").contains("example.com/app"));
    assert!(
        text("buildinfo", "").contains("build\t-ldflags=\"-s -w\"")
            || text("buildinfo", "").contains("CGO_ENABLED=0")
    );
    assert!(text("sites", "serverHandler.ServeHTTP").contains("{8} {8 8} 8"));
    fails(&["inspect", "types", "/bin/true"], 2, &["/bin/true", "not a Go binary"]);
    assert!(Path::new(&server).exists());
}
