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
