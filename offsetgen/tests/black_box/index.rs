//! The index that is written with the data, and data of a newer offsetgen.

use std::fs;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::folder::{self, document, run, version};

const FILE: &str = "example.org_m.json";

fn newer() -> Value {
    let mut document = document(&json!([version("v1.0.0", &json!({}))]), &json!([]), &json!({}), &json!({}));
    document["versions"][0]["newer"] = json!(7);
    document
}

#[test]
fn what_writes_data_writes_the_index() {
    let mut plain = newer();
    plain["versions"][0].as_object_mut().expect("an object").remove("newer");
    let (part, out) = (folder::folder(&plain), tempfile::tempdir().expect("a folder"));
    fs::write(out.path().join("std.json"), include_str!("std.json")).expect("written");
    let merge = || run(&["merge", "--out"], &[out.path(), part.path()]);
    assert_eq!(merge().0, Some(0));
    let read = || fs::read_to_string(out.path().join("index.json")).expect("the index");
    let index: Value = serde_json::from_str(&read()).expect("JSON");
    let hash = |file: &str| {
        let digest = Sha256::digest(fs::read(out.path().join(file)).expect("it"));
        digest.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
    };
    let expected = json!([
        {"module": "example.org/m", "file": FILE, "sha256": hash(FILE), "versions": ["v1.0.0"]},
        {"module": "std", "file": "std.json", "sha256": hash("std.json"), "versions": ["1.21.13", "1.22.12", "1.23.12"]},
    ]);
    assert_eq!(index["modules"], expected);
    // It is no document, and the digest in it is the one that the programs name.
    let lookup = ["lookup", "--json", "std", "1.22.12", "net/http.Request.Method", "--data"];
    let answer: Value = serde_json::from_str(&run(&lookup, &[out.path()]).1).expect("JSON");
    assert_eq!(answer["database"], index["digest"]);
    // One that is no longer true is written anew, even if the data stays.
    let before = read();
    fs::write(out.path().join("index.json"), "{}").expect("written");
    let (status, said) = merge();
    assert!(status == Some(0) && said.contains("unchanged"), "{said}");
    assert_eq!(read(), before);
}

/// Whoever asks passes over keys that it does not know; whoever writes would lose them.
#[test]
fn keys_of_a_newer_offsetgen_are_not_lost() {
    let data = folder::folder(&newer());
    let lookup = ["lookup", "example.org/m", "v1.0.0", "example.org/m.T.a", "--data"];
    assert_eq!(run(&lookup, &[data.path()]).1, "example.org/m.T.a\t-\tunknown\n");
    let out = tempfile::tempdir().expect("a folder");
    for folders in [[out.path(), data.path()], [data.path(), out.path()]] {
        fs::write(out.path().join(FILE), folder_without_versions()).expect("written");
        let before = fs::read(folders[0].join(FILE)).expect("it");
        let (status, said) = run(&["merge", "--out"], &folders);
        assert!(
            status == Some(1) && said.contains("versions[0].newer is a key that this offsetgen"),
            "{said}"
        );
        assert_eq!(fs::read(folders[0].join(FILE)).expect("it"), before);
    }
}

fn folder_without_versions() -> String {
    document(&json!([]), &json!([]), &json!({}), &json!({})).to_string()
}

/// What reads a folder, and what it says of one that is not what its index says.
#[test]
fn files_are_held_against_the_index() {
    let out = tempfile::tempdir().expect("a folder");
    let part = tempfile::tempdir().expect("a folder");
    fs::write(part.path().join("std.json"), include_str!("std.json")).expect("written");
    assert_eq!(run(&["merge", "--out"], &[out.path(), part.path()]).0, Some(0));
    let lookup = ["lookup", "std", "1.22.12", "net/http.Request.Method", "--data"];
    let data = out.path().join("std.json");
    let index = out.path().join("index.json");
    let (text, listed) = (fs::read_to_string(&data).expect("it"), fs::read_to_string(&index).expect("it"));
    let said = || {
        let output = folder::command(&lookup, &[out.path()]).output().expect("runs");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert_eq!(said().0, Some(0));
    fs::write(&data, text.clone() + "\n").expect("written");
    let (code, why) = said();
    assert!(code == Some(1) && why.contains("the sha256 of std.json is another"), "{why}");
    fs::write(&data, &text).expect("written");
    for (wrong, wanted) in [
        ("garbage".to_owned(), "it is no index"),
        (listed.replace("\"std.json\"", "\"other.json\""), "it does not list std.json"),
        (listed.replace("\"schema_version\": 1", "\"schema_version\": 9"), "its schema_version is 9"),
        (listed.replace("\"digest\": \"sha256:", "\"digest\": \"sha256:0"), "its digest is not that"),
    ] {
        assert_ne!(wrong, listed, "{wanted}");
        fs::write(&index, wrong).expect("written");
        let (code, why) = said();
        assert!(code == Some(1) && why.contains(wanted) && why.contains("index.json"), "{why}");
    }
    // Without an index a folder is read as it is.
    fs::remove_file(&index).expect("removed");
    assert_eq!(said().0, Some(0));
}

#[test]
fn data_of_another_module_or_of_none_is_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = tempfile::tempdir().expect("a folder");
    let said = |arguments: &[&str], folders: &[&std::path::Path]| {
        let output = folder::command(arguments, folders).output().expect("runs");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, why) = said(&["merge", "--out"], &[out.path(), folder.path()]);
    assert!(code == Some(1) && why.contains("no data in "), "{why}");
    let export = ["export", "--format", "flat", "--data"];
    let (code, why) = said(&export, &[folder.path()]);
    assert!(code == Some(1) && why.contains("no data in "), "{why}");
    fs::write(folder.path().join("github.com_gorilla_mux.json"), folder_without_versions()).expect("written");
    let (code, why) = said(&export, &[folder.path()]);
    assert!(
        code == Some(1)
            && why.contains("it has the data of example.org/m in it, whose file is example.org_m.json"),
        "{why}"
    );
}
