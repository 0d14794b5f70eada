//! What goes wrong in the middle of a build of modules: no failure becomes a fact, no fact is lost.

use std::fs;
use std::process::Command;

use crate::modules::{Place, json};
use crate::published::*;
use crate::support::{Answer, Proxy, outcome};

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

/// One folder for both would wait for itself.
#[test]
fn the_cache_is_no_folder_for_data() {
    let (place, proxy) = (Place::of(CATALOG), serve(growing(&["v1.0.0"])));
    let cache = place.path("cache").display().to_string();
    let output = place.command(&proxy, &["build", "--out", &cache]).output().expect("runs");
    let (code, said) = outcome(&output);
    assert!(code == Some(1) && said.contains("--out and the cache are both"), "{said}");
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
