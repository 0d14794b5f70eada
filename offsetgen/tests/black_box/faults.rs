//! What goes wrong in the middle of a build of modules, and what a version says that is not plain: no failure becomes a fact,
//! no fact is lost.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Output};

use crate::modules::{Place, json};
use crate::support::{Answer, Proxy, outcome, zip};

const CATALOG: &str = r#"id = "m"
title = "m"
module = "example.org/m"
status = "recorded"
structs = ["example.org/m.T"]
[target]
source = """
package main

import "example.org/m"

var t m.T

func main() { println(&t) }
"""
"#;

/// Modules' files by `MODULE@VERSION`, as their makers have published them; each has a go.mod.
type Published = BTreeMap<String, Vec<(&'static str, String)>>;

/// A module with one file.
fn publish(all: &mut Published, module: &str, version: &str, require: &str, source: &str) {
    let go_mod = format!("module {module}\n\ngo 1.19\n\n{require}\n");
    all.insert(format!("{module}@{version}"), vec![("go.mod", go_mod), ("m.go", source.to_owned())]);
}

/// `T` has a field more in each version.
fn growing(versions: &[&str]) -> Published {
    let mut all = Published::new();
    for (count, version) in versions.iter().enumerate() {
        let fields: String = (0..=count).map(|field| format!("\tF{field} int\n")).collect();
        publish(
            &mut all,
            "example.org/m",
            version,
            "",
            &format!("package m\n\ntype T struct {{\n{fields}}}\n"),
        );
    }
    all
}

fn answer(all: &Published, path: &str) -> Answer {
    let none = || Answer::Whole(404, b"not found".to_vec());
    // The checksum database is asked through the proxy, and knows nothing.
    if path.starts_with("/sumdb/") && path.ends_with("/supported") {
        return Answer::Whole(200, Vec::new());
    }
    let Some((module, rest)) = path.trim_start_matches('/').split_once("/@v/") else { return none() };
    if rest == "list" {
        let own = all.keys().filter_map(|name| name.strip_prefix(&format!("{module}@")));
        return Answer::Whole(200, own.collect::<Vec<_>>().join("\n").into_bytes());
    }
    let (version, what) = rest.rsplit_once('.').unwrap_or_default();
    let Some(files) = all.get(&format!("{module}@{version}")) else { return none() };
    let named: Vec<(String, &[u8])> =
        files.iter().map(|(name, text)| (format!("{module}@{version}/{name}"), text.as_bytes())).collect();
    let named: Vec<(&str, &[u8])> = named.iter().map(|(name, bytes)| (name.as_str(), *bytes)).collect();
    Answer::Whole(
        200,
        match what {
            "info" => format!("{{\"Version\":\"{version}\",\"Time\":\"2024-01-01T00:00:00Z\"}}").into_bytes(),
            "mod" => files[0].1.clone().into_bytes(),
            _ => zip(&named),
        },
    )
}

fn serve(all: Published) -> Proxy {
    Proxy::start(move |path, _| answer(&all, path))
}

fn holes(place: &Place) -> Vec<(String, String, String)> {
    let value = json(&place.text());
    let text = |hole: &serde_json::Value, key: &str| hole[key].as_str().unwrap_or_default().to_owned();
    let holes = value["holes"].as_array().expect("a list");
    holes.iter().map(|hole| (text(hole, "version"), text(hole, "axis"), text(hole, "stage"))).collect()
}

fn versions(place: &Place) -> Vec<String> {
    let value = json(&place.text());
    let versions = value["versions"].as_array().expect("a list").iter();
    versions.map(|tested| tested["version"].as_str().unwrap_or_default().to_owned()).collect()
}

fn lookup(place: &Place, version: &str, field: &str) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_offsetgen"));
    command.args(["lookup", "example.org/m", version, field, "--data"]).arg(place.path("data"));
    let output = command.output().expect("runs");
    String::from_utf8(output.stdout).expect("text").trim_end().to_owned()
}

fn success(output: &Output) {
    assert!(output.status.success(), "{}", outcome(output).1);
}

/// The proxy goes away after the first version: the rest is not tried for ever and is no fact, and a later run ends where an
/// undisturbed one does.
#[test]
fn a_proxy_that_goes_away() {
    let names = ["v1.0.0", "v1.1.0", "v1.2.0", "v1.3.0", "v1.4.0", "v1.5.0", "v1.6.0"];
    let undisturbed = Place::of(CATALOG);
    success(&undisturbed.build(&serve(growing(&names)), &[]));
    let all = growing(&names);
    let gone = Proxy::start(move |path, _| match path.ends_with("/list") || path.contains("v1.6") {
        true => answer(&all, path),
        // What comes after the newest is asked for, and is not there.
        false if path.contains("v1.7") || path.contains("v1.0.1") => Answer::Whole(404, Vec::new()),
        false if path.ends_with(".info") && path.contains(".1.info") => Answer::Whole(404, Vec::new()),
        false => Answer::Whole(502, Vec::new()),
    });
    let place = Place::of(CATALOG);
    let output = place.build(&gone, &[]);
    let (code, message) = outcome(&output);
    assert_eq!(code, Some(1), "{message}");
    assert_eq!(versions(&place), ["v1.6.0"]);
    let stages: Vec<String> =
        holes(&place).into_iter().map(|(version, _, stage)| version + " " + &stage).collect();
    assert_eq!(
        stages,
        [
            "v1.0.0 pending",
            "v1.1.0 pending",
            "v1.2.0 pending",
            "v1.3.0 fetch",
            "v1.4.0 fetch",
            "v1.5.0 fetch"
        ]
    );
    success(&place.build(&serve(growing(&names)), &[]));
    assert_eq!(place.text(), undisturbed.text());
}

/// A proxy that refuses everything, its list and what it once served too, says nothing of what is new.
#[test]
fn a_proxy_that_refuses_everything() {
    let place = Place::of(CATALOG);
    success(&place.build(&serve(growing(&["v1.0.0", "v1.1.0"])), &[]));
    let (before, data) = (place.text(), place.path("data").display().to_string());
    let refusing = Proxy::start(|_, _| Answer::Whole(403, b"no".to_vec()));
    let output = place.command(&refusing, &["update", "--out", &data]).output().expect("runs");
    let (code, said) = outcome(&output);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("neither a list of its versions nor v1.1.0, which is recorded"), "{said}");
    assert_eq!(place.text(), before);
}

/// A field has another type in a new release. `update` records it and says so; `build`, whose user works on the catalog, does not.
#[test]
fn a_new_release_in_which_a_field_has_another_type() {
    let field = "[[field]]\ntype = 'example.org/m.T'\nname = 'A'\nkind = 'int'\nrequired = true\n";
    let mut all = Published::new();
    publish(&mut all, "example.org/m", "v1.0.0", "", "package m\n\ntype T struct{ A int }\n");
    let place = Place::of(&(CATALOG.to_owned() + field));
    success(&place.build(&serve(all.clone()), &[]));
    let (before, data) = (place.text(), place.path("data").display().to_string());
    publish(&mut all, "example.org/m", "v1.1.0", "", "package m\n\ntype T struct{ A string }\n");
    let proxy = serve(all);
    let (code, said) = outcome(&place.build(&proxy, &[]));
    assert!(code == Some(1) && said.contains("A is string in v1.1.0, not int"), "{said}");
    assert_eq!(place.text(), before);
    for _ in 0..2 {
        let output = place.command(&proxy, &["update", "--out", &data]).output().expect("runs");
        let (code, said) = outcome(&output);
        assert!(code == Some(1) && said.contains("A is string in v1.1.0, not int"), "{said}");
        assert_eq!(versions(&place), ["v1.0.0", "v1.1.0"]);
    }
}

/// One folder for both would wait for itself.
#[test]
fn the_cache_is_no_folder_for_data() {
    let (place, proxy) = (Place::of(CATALOG), serve(growing(&["v1.0.0"])));
    let cache = place.path("cache").display().to_string();
    let output = place.command(&proxy, &["build", "--out", &cache]).output().expect("runs");
    let (code, said) = outcome(&output);
    assert!(code == Some(1) && said.contains("--out and the cache are both"), "{said}");
}

/// The time is up between the versions and their second architecture: that is a hole, and the next run fills it.
#[test]
fn what_was_not_begun_for_another_architecture() {
    let (place, proxy) = (Place::of(CATALOG), serve(growing(&["v1.0.0", "v1.1.0"])));
    success(&place.build(&proxy, &["--arch", "amd64"]));
    success(&place.build(&proxy, &["--stop-after", "0"]));
    let pending = |version: &str| (version.to_owned(), "arm64".to_owned(), "pending".to_owned());
    assert_eq!(holes(&place), ["v1.0.0", "v1.1.0"].map(pending));
    let data = place.path("data").display().to_string();
    success(&place.command(&proxy, &["update", "--out", &data]).output().expect("runs"));
    assert_eq!(holes(&place), []);
}

/// What a run that was killed has left in the cache goes with the next one.
#[test]
fn what_a_killed_run_has_left() {
    let (place, proxy) = (Place::of(CATALOG), serve(growing(&["v1.0.0"])));
    let left = place.path("cache/tmp/target-abc");
    fs::create_dir_all(left.join("out")).expect("a folder");
    success(&place.build(&proxy, &["--memory", "600"]));
    assert!(!left.exists());
}

/// No room in the cache: the run ends with that, and the data is as it was.
#[test]
fn a_full_cache() {
    let (place, proxy) = (Place::of(CATALOG), serve(growing(&["v1.0.0", "v1.1.0"])));
    success(&place.build(&proxy, &["--only", "example.org/m", "--versions", "v1.0.0"]));
    let before = place.text();
    let data = place.path("data").display().to_string();
    let inner = place.command(&proxy, &["build", "--out", &data]);
    // The folder in which programs are compiled becomes a file system of its own with next to no room.
    let script = "mount -t tmpfs -o size=64k none \"$TMP\" || exit 99; exec \"$@\"";
    let mut command = Command::new("unshare");
    command.env_clear().envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin").env("TMP", place.path("cache/tmp"));
    command.args(["--map-root-user", "--mount", "sh", "-c", script, "sh"]).arg(inner.get_program());
    let (code, message) = outcome(&command.args(inner.get_args()).output().expect("unshare runs"));
    assert_eq!(code, Some(1), "{message}");
    assert!(
        message.contains("this machine cannot go on")
            && message.to_lowercase().contains("no space left on device"),
        "{message}"
    );
    assert_eq!(place.text(), before, "the data has changed");
    success(&place.build(&proxy, &[]));
    assert_eq!((versions(&place).len(), holes(&place).len()), (2, 0));
}

/// What upstream has deleted stays recorded; what it takes back later is marked, without a build.
#[test]
fn deleted_and_taken_back_after_it_was_recorded() {
    let place = Place::of(CATALOG);
    success(&place.build(&serve(growing(&["v1.0.0", "v1.1.0", "v1.2.0"])), &[]));
    let before = place.text();
    let mut left = growing(&["v1.0.0", "v1.1.0", "v1.2.0"]);
    left.remove("example.org/m@v1.0.0");
    fs::remove_dir_all(place.path("cache/modules")).expect("removed");
    let data = place.path("data").display().to_string();
    success(&place.command(&serve(left.clone()), &["update", "--out", &data]).output().expect("runs"));
    assert_eq!(place.text(), before, "deleted upstream");
    let source = "package m\n\ntype T struct { Last int }\n";
    publish(&mut left, "example.org/m", "v1.3.0", "retract v1.1.0", source);
    let output = place.command(&serve(left), &["update", "--out", &data]).output().expect("runs");
    success(&output);
    assert!(!outcome(&output).1.contains("v1.1.0 amd64: built"), "{}", outcome(&output).1);
    let value = json(&place.text());
    let retracted =
        |at: usize| (value["versions"][at]["version"].clone(), value["versions"][at]["retracted"].clone());
    assert_eq!(retracted(1), ("v1.1.0".into(), true.into()));
    assert_eq!(retracted(2).1, serde_json::Value::Null);
}

/// A struct that the source declares and the target does not reach is unknown; one that the source does not have is absent.
#[test]
fn what_the_target_does_not_reach() {
    let catalog = CATALOG.replace(
        "\"example.org/m.T\"",
        "\"example.org/m.T\", \"example.org/m.Late\", \"example.org/m/in.Other\", \"example.org/m.Alias\"",
    );
    let catalog = catalog
        .replace("[target]", "functions = [\"example.org/m.(*T).Far\", \"example.org/m.T.Far\"]\n[target]");
    let mut all = growing(&["v1.0.0"]);
    let source = "package m\n\nconst late = 1\n\ntype (\n\tT struct{ A int }\n\tLate struct{ B int }\n)\n\ntype Alias = T\n\n\
        //go:noinline\nfunc (t *T) Far(by int) int { return t.A + by }\n";
    publish(&mut all, "example.org/m", "v1.1.0", "", source);
    let files = all.get_mut("example.org/m@v1.1.0").expect("published");
    files.push(("in/in.go", "package in\n\ntype Other struct{ C int }\n".to_owned()));
    let source = source.replace("const late", "var Kept Late\n\nconst late")
        + "\nfunc init() { println(&Kept, (&T{}).Far(1)) }\n";
    publish(&mut all, "example.org/m", "v1.2.0", "", &source);
    let (place, proxy) = (Place::of(&catalog), serve(all));
    success(&place.build(&proxy, &[]));
    for (version, field, expected) in [
        ("v1.0.0", "example.org/m.Late.B", "-\tabsent"),
        ("v1.1.0", "example.org/m.Late.B", "-\tunknown"),
        ("v1.2.0", "example.org/m.Late.B", "0\texact"),
        ("v1.1.0", "example.org/m.T.A", "0\texact"),
    ] {
        assert_eq!(lookup(&place, version, field), format!("{field}\t{expected}"), "{version}");
    }
    let structs = &json(&place.text())["structs"];
    assert_eq!(structs["example.org/m/in.Other"]["unreached"][0]["from"], "v1.1.0");
    assert_eq!(structs["example.org/m/in.Other"]["unreached"][0]["to"], "v1.1.0");
    assert!(structs["example.org/m.Alias"]["unreached"].is_null(), "an alias names no struct of its own");
    // So it is with functions; that the method is one of the pointer is part of its name.
    let functions = &json(&place.text())["functions"];
    let far = &functions["example.org/m.(*T).Far"];
    let [absent, unreached, there] = ["tested", "unreached", "runs"].map(|key| &far[key][0]["from"]);
    assert_eq!((absent, unreached), (&"v1.0.0".into(), &"v1.1.0".into()), "{far}");
    assert_eq!((&far["unreached"][0]["to"], there), (&"v1.1.0".into(), &"v1.2.0".into()), "{far}");
    assert!(functions["example.org/m.T.Far"]["unreached"].is_null(), "{functions}");
    // Recorded as it is: nothing is left to be built.
    let output = place.build(&proxy, &[]);
    assert!(!outcome(&output).1.contains("built in"), "{}", outcome(&output).1);
}

/// The second architecture does not compile: the version is recorded, the axis is a hole, and is tried again.
#[test]
fn an_architecture_that_does_not_compile() {
    let mut all = growing(&["v1.0.0"]);
    let files = all.get_mut("example.org/m@v1.0.0").expect("published");
    files.push(("m_arm64.go", "package m\n\nvar x = nonsense\n".to_owned()));
    let (place, proxy) = (Place::of(CATALOG), serve(all));
    success(&place.build(&proxy, &[]));
    let expected = [("v1.0.0".to_owned(), "arm64".to_owned(), "compile".to_owned())];
    assert_eq!((versions(&place).len(), holes(&place)), (1, expected.to_vec()));
    let output = place.build(&proxy, &[]);
    assert!(outcome(&output).1.contains("failed: example.org/m v1.0.0 arm64"), "{}", outcome(&output).1);
}

/// A struct of another module lies inside by value: the newest version of that one is tried too, and where it moves a field,
/// nothing is vouched for.
#[test]
fn a_layout_that_depends_on_another_module() {
    let mut all = Published::new();
    publish(&mut all, "example.org/d", "v1.0.0", "", "package d\n\ntype D struct{ A int }\n");
    publish(&mut all, "example.org/d", "v1.1.0", "", "package d\n\ntype D struct{ A, B int }\n");
    // This one asks for a newer m than there is to be tested, so it does not go with it.
    publish(
        &mut all,
        "example.org/d",
        "v1.2.0",
        "require example.org/m v1.1.0",
        "package d\n\ntype D struct{ A, B, C int }\n",
    );
    let source = "package m\n\nimport \"example.org/d\"\n\ntype T struct {\n\tFirst int\n\tInside d.D\n\tLast int\n}\n";
    publish(&mut all, "example.org/m", "v1.0.0", "require example.org/d v1.0.0", source);
    let (place, proxy) = (Place::of(CATALOG), serve(all));
    success(&place.build(&proxy, &[]));
    let tested = &json(&place.text())["versions"][0];
    assert_eq!(
        tested["arch"],
        serde_json::json!(["amd64", "amd64+example.org/d@v1.1.0", "arm64"]),
        "{tested}"
    );
    assert_eq!(tested["modules"], serde_json::json!(["example.org/d@v1.0.0"]));
    assert_eq!(lookup(&place, "v1.0.0", "example.org/m.T.Inside"), "example.org/m.T.Inside\t8\texact");
    assert_eq!(lookup(&place, "v1.0.0", "example.org/m.T.Last"), "example.org/m.T.Last\t-\toutside");
    let (_, said) = place.verify(&proxy, &["--trust-on-first-use"]);
    assert!(said.contains("amd64+example.org/d@v1.1.0\tagrees"), "{said}");
    assert!(said.contains("3 of 3 entries agree"), "{said}");
}

/// A struct that is defined as another module's lies as that module's version says, which this one's does not tell.
#[test]
fn a_struct_that_is_another_modules() {
    let mut all = Published::new();
    publish(&mut all, "example.org/d", "v1.0.0", "", "package d\n\ntype D struct{ A int }\n");
    let source = "package m\n\nimport other \"example.org/d\"\n\ntype T other.D\n";
    publish(&mut all, "example.org/m", "v1.0.0", "require example.org/d v1.0.0", source);
    let (place, proxy) = (Place::of(CATALOG), serve(all));
    success(&place.build(&proxy, &[]));
    let structs = &json(&place.text())["structs"]["example.org/m.T"];
    assert_eq!(structs["unreached"][0]["from"], "v1.0.0", "{structs}");
    assert_eq!(lookup(&place, "v1.0.0", "example.org/m.T.A"), "example.org/m.T.A\t-\tunknown");
}

/// A version that somebody has typed and that does not exist is no hole; one that exists and is withheld is.
#[test]
fn a_version_that_does_not_exist() {
    let (place, proxy) = (Place::of(CATALOG), serve(growing(&["v1.0.0"])));
    success(&place.build(&proxy, &[]));
    let before = place.text();
    let output = place.build(&proxy, &["--only", "example.org/m", "--versions", "v9.9.9"]);
    let (code, message) = outcome(&output);
    assert_eq!(code, Some(1), "{message}");
    assert!(message.contains("v9.9.9") && message.contains("does not exist"), "{message}");
    assert_eq!(place.text(), before);
    let output = place.build(&proxy, &["--versions", "v1.0.0"]);
    assert_eq!(outcome(&output).0, Some(64), "--versions needs --only");
}

/// The journal says that v1.0.0 follows v1.1.0, and this run, into an empty folder, has no v1.1.0: it is built.
#[test]
fn a_follower_without_the_one_that_it_follows() {
    let mut all = growing(&["v1.0.0"]);
    let same = all.get("example.org/m@v1.0.0").expect("published").clone();
    all.insert("example.org/m@v1.1.0".to_owned(), same);
    let (place, proxy) = (Place::of(CATALOG), serve(all));
    success(&place.build(&proxy, &[]));
    assert_eq!(json(&place.text())["versions"][0]["same_as"], "v1.1.0");
    fs::remove_dir_all(place.path("data")).expect("removed");
    success(&place.build(&proxy, &["--only", "example.org/m", "--versions", "v1.0.0"]));
    assert_eq!((versions(&place), holes(&place)), (vec!["v1.0.0".to_owned()], Vec::new()));
    assert!(json(&place.text())["versions"][0]["same_as"].is_null());
}

/// A struct that a target did not reach is looked for again when the catalog has another target; `update` leaves it alone.
#[test]
fn another_target_for_what_was_not_reached() {
    let more = CATALOG.replace("\"example.org/m.T\"", "\"example.org/m.T\", \"example.org/m.Late\"");
    let mut all = Published::new();
    let source = "package m\n\ntype T struct{ A int }\n\ntype Late struct{ B int }\n";
    publish(&mut all, "example.org/m", "v1.0.0", "", source);
    let (place, proxy) = (Place::of(&more), serve(all));
    success(&place.build(&proxy, &[]));
    assert_eq!(lookup(&place, "v1.0.0", "example.org/m.Late.B"), "example.org/m.Late.B\t-\tunknown");
    let reaching =
        more.replace("var t m.T\n", "var t m.T\n\nvar late m.Late\n").replace("(&t)", "(&t, &late)");
    fs::write(place.path("catalog/m.toml"), reaching).expect("written");
    let data = place.path("data").display().to_string();
    let before = place.text();
    success(&place.command(&proxy, &["update", "--out", &data]).output().expect("runs"));
    assert_eq!(place.text(), before);
    success(&place.build(&proxy, &[]));
    assert_eq!(lookup(&place, "v1.0.0", "example.org/m.Late.B"), "example.org/m.Late.B\t0\texact");
}

/// A hash that was taken on trust is not vouched for by having been recorded: without the flag the checksum database decides,
/// and this one does not know the module.
#[test]
fn trust_on_first_use_stays_what_it_is() {
    let (place, proxy) = (Place::of(CATALOG), serve(growing(&["v1.0.0"])));
    success(&place.build(&proxy, &[]));
    fs::remove_dir_all(place.path("cache/modules")).expect("removed");
    let (code, said) = place.verify(&proxy, &[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("0 of 2 entries agree")
            && said.contains("/sumdb/sum.golang.org/lookup/example.org/m@v1.0.0: 404"),
        "{said}"
    );
}
