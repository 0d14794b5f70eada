//! Modules from a proxy that misbehaves: what is missing is a hole with its reason, what may pass is tried again, and the
//! bytes are the same for any number of jobs, after a kill, and in shards that are merged.
//!
//! The module is made here; the Go on PATH compiles it. No checksum database knows it: `--trust-on-first-use`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use crate::build::ready;
use crate::support::{Answer, Proxy, offsetgen, outcome, write_catalog, zip};

const MODULE: &str = "example.org/m";
const CATALOG: &str = r#"-- m.go --
package main

import "example.org/m"

func main() { println(m.F(&m.T{})) }
-- m.toml --
id = "m"
title = "m"
module = "example.org/m"
status = "recorded"
structs = ["example.org/m.T"]
functions = ["example.org/m.F"]
[target]
file = "m.go"
"#;

/// What the module's own maker has published.
fn go_file(version: &str) -> String {
    let first = if version < "v1.1.0" { "" } else { "A int\n" };
    format!(
        "package m\n\ntype T struct {{\n{first}B string\n}}\n\n//go:noinline\nfunc F(t *T) string {{ return t.B }}\n"
    )
}

fn go_mod(version: &str) -> String {
    let line = if version == "v1.2.0" { "1.99" } else { "1.19" };
    let retract = if version == "v1.3.0" { "\nretract v1.0.0\n" } else { "" };
    format!("module {MODULE}\n\ngo {line}\n{retract}")
}

/// v1.1.1 is not in the list, v1.2.0 needs a Go that nobody has, v1.4.0 is listed and answers 403.
const SERVED: [&str; 5] = ["v1.0.0", "v1.1.0", "v1.1.1", "v1.2.0", "v1.3.0"];

fn honest(path: &str) -> Answer {
    let Some(rest) = path.strip_prefix("/example.org/m/@v/") else { return Answer::Whole(404, Vec::new()) };
    if rest == "list" {
        return Answer::Whole(200, b"v1.0.0\nv1.1.0\nv1.2.0\nv1.3.0\nv1.4.0\n".to_vec());
    }
    let (version, what) = rest.rsplit_once('.').unwrap_or_default();
    if !SERVED.contains(&version) {
        return Answer::Whole(403, b"no".to_vec());
    }
    let body = match what {
        "info" => format!("{{\"Version\":\"{version}\",\"Time\":\"2024-01-01T00:00:00Z\"}}").into_bytes(),
        "mod" => go_mod(version).into_bytes(),
        _ => zip(&[
            (&format!("{MODULE}@{version}/go.mod"), go_mod(version).as_bytes()),
            (&format!("{MODULE}@{version}/m.go"), go_file(version).as_bytes()),
        ]),
    };
    Answer::Whole(200, body)
}

/// A cache of its own with the Go on PATH in it, a catalog, and a folder for data.
pub struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self::of(CATALOG)
    }

    pub fn of(catalog: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["catalog", "cache", "data"] {
            fs::create_dir(folder.path().join(name)).expect("a folder");
        }
        write_catalog(&folder.path().join("catalog"), catalog);
        // The toolchain's marker and what it has compiled of its own library are shared, nothing else is.
        for name in ["toolchains", "build"] {
            let shared = ready().cache.path().join(name);
            fs::create_dir_all(&shared).expect("a folder");
            std::os::unix::fs::symlink(shared, folder.path().join("cache").join(name)).expect("linked");
        }
        Self { folder }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn command(&self, proxy: &Proxy, more: &[&str]) -> Command {
        let mut command = offsetgen(&proxy.url, &self.path("cache"), &[]);
        command = self.with(command, more);
        command
    }

    fn with(&self, base: Command, more: &[&str]) -> Command {
        let mut command = Command::new(base.get_program());
        command.env_clear().envs(base.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let (verb, rest) = more.split_first().expect("a command");
        command.arg(verb).arg("--catalog").arg(self.path("catalog")).arg("--cache").arg(self.path("cache"));
        command.args(["--go", &ready().version, "--trust-on-first-use", "--timeout", "5"]).args(rest);
        command.env("HOME", self.folder.path());
        command
    }

    pub fn build(&self, proxy: &Proxy, more: &[&str]) -> Output {
        let data = self.path("data").display().to_string();
        let mut words = vec!["build", "--out", data.as_str()];
        words.extend(more);
        self.command(proxy, &words).output().expect("runs")
    }

    /// `verify` of what was built: status, and all that was said.
    pub fn verify(&self, proxy: &Proxy, more: &[&str]) -> (Option<i32>, String) {
        let output = self.verifying(proxy, more).output().expect("runs");
        let (code, message) = outcome(&output);
        (code, String::from_utf8_lossy(&output.stdout).into_owned() + &message)
    }

    pub fn verifying(&self, proxy: &Proxy, more: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_offsetgen"));
        command.env_clear().env("GOPROXY", &proxy.url).env("HOME", self.path("")).env("PATH", "/nonexistent");
        command.arg("verify").args(more).arg("--data").arg(self.path("data"));
        command.arg("--catalog").arg(self.path("catalog")).arg("--cache").arg(self.path("cache"));
        command
    }

    pub fn text(&self) -> String {
        text(&self.path("data"))
    }
}

fn text(folder: &Path) -> String {
    fs::read_to_string(folder.join("example.org_m.json")).expect("the database")
}

pub fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).expect("JSON")
}

fn plain() -> Proxy {
    Proxy::start(|path, _| honest(path))
}

/// What an undisturbed run writes.
fn undisturbed() -> String {
    let place = Place::new();
    let output = place.build(&plain(), &["--jobs", "1"]);
    assert_eq!(outcome(&output).0, Some(0), "{}", outcome(&output).1);
    place.text()
}

#[test]
fn versions_holes_and_followers() {
    let value = json(&undisturbed());
    let versions: Vec<&str> = value["versions"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|v| v["version"].as_str().expect("text"))
        .collect();
    assert_eq!(versions, ["v1.0.0", "v1.1.0", "v1.1.1", "v1.3.0"], "v1.1.1 is found though no list has it");
    let (retracted, follower) = (&value["versions"][0], &value["versions"][1]);
    assert_eq!(retracted["retracted"], true);
    assert_eq!(follower["same_as"], "v1.3.0", "{follower}");
    assert_eq!(follower["trust"], "first-use");
    assert!(follower["hash"].as_str().is_some_and(|hash| hash.starts_with("h1:")));
    let holes: Vec<(&str, &str)> = value["holes"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|h| (h["version"].as_str().expect("text"), h["reason"].as_str().expect("text")))
        .collect();
    assert_eq!(holes[0], ("v1.2.0", "its go.mod needs Go 1.99, and no such release is known"));
    assert!(holes[1].0 == "v1.4.0" && holes[1].1.contains("does not exist (HTTP 403)"), "{holes:?}");
    let runs = &value["structs"]["example.org/m.T"]["fields"]["B"];
    assert_eq!((runs[0]["offset"].as_u64(), runs[1]["offset"].as_u64()), (Some(0), Some(8)), "{runs}");
    let call = &value["functions"]["example.org/m.F"]["runs"];
    let amd64 = call.as_array().expect("a list").iter().find(|run| run["arch"][0] == "amd64").expect("amd64");
    assert_eq!(amd64["params"][0]["at"], "rax");
    assert_eq!(amd64["results"][0]["at"], "rax rbx");
}

#[test]
fn bytes_do_not_depend_on_jobs_kills_or_a_second_run() {
    let expected = undisturbed();
    let (place, proxy) = (Place::new(), plain());
    let output = place.build(&proxy, &["--jobs", "4"]);
    assert!(output.status.success(), "{}", outcome(&output).1);
    assert_eq!(place.text(), expected, "four jobs");
    let killed = Place::new();
    let data = killed.path("data").display().to_string();
    for step in 1..8 {
        let mut child = killed.command(&proxy, &["build", "--out", &data]).spawn().expect("runs");
        std::thread::sleep(Duration::from_millis(250 * step));
        child.kill().expect("SIGKILL");
        child.wait().expect("ends");
    }
    let output = killed.build(&proxy, &[]);
    assert!(output.status.success(), "{}", outcome(&output).1);
    assert_eq!(killed.text(), expected, "killed seven times");
    let two = Place::new();
    let data = two.path("data").display().to_string();
    let mut both: Vec<_> =
        (0..2).map(|_| two.command(&proxy, &["build", "--out", &data]).spawn().expect("runs")).collect();
    assert!(both.iter_mut().all(|child| child.wait().expect("ends").success()));
    assert_eq!(two.text(), expected, "two at once");
}

#[test]
fn a_proxy_that_throttles_cuts_and_drops() {
    let expected = undisturbed();
    // Every path fails in some way when it is first asked for.
    let seen = std::sync::Mutex::new(std::collections::BTreeSet::new());
    let proxy = Proxy::start(move |path, count| {
        if !seen.lock().expect("the set").insert(path.to_owned()) {
            return honest(path);
        }
        match (count % 3, honest(path)) {
            (0, _) => Answer::Throttle(1),
            (1, Answer::Whole(200, body)) => {
                Answer::Cut(body.get(..body.len() / 2).unwrap_or_default().to_vec())
            }
            (2, _) => Answer::Drop,
            (_, answer) => answer,
        }
    });
    let place = Place::new();
    let output = place.build(&proxy, &[]);
    assert!(output.status.success(), "{}", outcome(&output).1);
    assert_eq!(place.text(), expected, "{}", outcome(&output).1);
}

#[test]
fn a_hash_that_is_not_the_recorded_one() {
    let (place, proxy) = (Place::new(), plain());
    assert!(place.build(&proxy, &["--only", MODULE, "--versions", "v1.0.0"]).status.success());
    let recorded = place.text();
    // The upstream's content changes under the same version.
    let liar = Proxy::start(|path, _| match path.ends_with("v1.0.0.zip") {
        true => Answer::Whole(
            200,
            zip(&[
                ("example.org/m@v1.0.0/go.mod", go_mod("v1.0.0").as_bytes()),
                ("example.org/m@v1.0.0/m.go", b"package m\n"),
            ]),
        ),
        false => honest(path),
    });
    let fresh = Place::new();
    fs::write(fresh.path("data/example.org_m.json"), &recorded).expect("written");
    let (code, said) = fresh.verify(&liar, &["--trust-on-first-use"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("checksum mismatch") || said.contains("SECURITY ERROR"), "{said}");
    fs::remove_dir_all(fresh.path("cache/modules")).expect("removed");
    let (code, said) = fresh.verify(&proxy, &["--trust-on-first-use"]);
    assert!(code == Some(0) && said.contains("2 of 2 entries agree"), "{said}");
}

/// A build that takes away what it has unpacked, while two `verify`, an `update` and a `merge` want the same cache and folder.
/// (`verify --prune` would take the toolchain, which this proxy does not have.)
#[test]
fn all_at_once_in_one_cache() {
    let (place, proxy) = (Place::new(), plain());
    assert!(place.build(&proxy, &[]).status.success());
    let (expected, data) = (place.text(), place.path("data").display().to_string());
    let [other, copy] = ["other", "copy"].map(|name| place.path(name).display().to_string());
    fs::create_dir(&copy).expect("a folder");
    fs::write(place.path("copy/example.org_m.json"), &expected).expect("written");
    // Nothing is left to be found in the journal: the build has to compile.
    fs::remove_dir_all(place.path("cache/journal")).expect("removed");
    let trusting = ["--trust-on-first-use"];
    let mut merge = Command::new(env!("CARGO_BIN_EXE_offsetgen"));
    merge.args(["merge", "--out", &data, &copy]);
    let commands = [
        place.verifying(&proxy, &trusting),
        place.command(&proxy, &["build", "--prune", "--out", &other]),
        place.verifying(&proxy, &trusting),
        place.command(&proxy, &["update", "--out", &data]),
        merge,
    ];
    let children = commands
        .map(|mut command| command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("runs"));
    for (at, child) in children.into_iter().enumerate() {
        let output = child.wait_with_output().expect("ends");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{at}: {said}\n{}", outcome(&output).1);
        assert!(![0, 2].contains(&at) || said.contains("8 of 8 entries agree"), "{at}: {said}");
    }
    assert_eq!(place.text(), expected);
    assert_eq!(text(&place.path("other")), expected);
}

#[test]
fn shards_merge_to_the_whole_and_update_takes_only_what_is_new() {
    let (place, proxy) = (Place::new(), plain());
    let mut folders = Vec::new();
    for part in ["1/2", "2/2"] {
        let out = place.path(&format!("part{}", part.replace('/', "of"))).display().to_string();
        let output =
            place.command(&proxy, &["build", "--shard", part, "--out", &out]).output().expect("runs");
        assert!(output.status.success(), "{}", outcome(&output).1);
        folders.push(out);
    }
    let run =
        |words: &[&str]| Command::new(env!("CARGO_BIN_EXE_offsetgen")).args(words).output().expect("runs");
    let data = place.path("data").display().to_string();
    assert!(run(&["merge", "--out", &data, &folders[0], &folders[1]]).status.success());
    // The edges of the whole are those of no part.
    assert!(place.build(&proxy, &[]).status.success());
    let (merged, whole) = (json(&place.text()), json(&undisturbed()));
    assert_eq!(merged["structs"], whole["structs"]);
    assert_eq!(merged["holes"], whole["holes"]);
    let before = place.text();
    let output = place.command(&proxy, &["update", "--out", &data]).output().expect("runs");
    assert!(output.status.success() && place.text() == before, "{}", outcome(&output).1);
    let old = place.path("old").display().to_string();
    fs::create_dir(&old).expect("a folder");
    let output = place
        .command(&proxy, &["build", "--only", MODULE, "--versions", "v1.0.0", "--out", &old])
        .output()
        .expect("runs");
    assert!(output.status.success(), "{}", outcome(&output).1);
    let said = String::from_utf8_lossy(&run(&["diff", &old, &data]).stdout).into_owned();
    assert!(said.contains("example.org/m v1.1.0: new, its source is that of v1.1.1; since v1.0.0: example.org/m.T.A is new, at 0; example.org/m.T.B moves from 0 to 8"), "{said}");
    let catalog = place.path("catalog").display().to_string();
    let report = run(&["report", "--data", &data, "--catalog", &catalog]);
    let said = String::from_utf8_lossy(&report.stdout).into_owned();
    assert!(said.contains("6 versions known, ") && said.contains(" 4 recorded "), "{said}");
    assert!(
        said.contains(
            "  withheld (1): its go.mod needs Go 1.99, and no such release is known\n      v1.2.0\n"
        ),
        "{said}"
    );
}
