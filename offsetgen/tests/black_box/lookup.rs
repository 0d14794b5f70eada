//! `offsetgen lookup`: the lines and statuses that people script against.

use std::process::Command;

use crate::support::outcome;

/// Exit status and stdout of a look-up in a small database of its own.
fn lookup(arguments: &[&str]) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("std.json"), include_str!("std.json")).expect("written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_offsetgen"));
    let output =
        command.arg("lookup").arg("--data").arg(folder.path()).args(arguments).output().expect("runs");
    (outcome(&output).0, String::from_utf8(output.stdout).expect("text"))
}

#[test]
fn one_line_per_field() {
    for (arguments, expected, code) in [
        (&["std", "1.22.12", "net/http.Request.Method"][..], "net/http.Request.Method\t0\texact\n", 0),
        (&["std", "go1.22.12", "net/http.Request.ctx"], "net/http.Request.ctx\t232\texact\n", 0),
        (&["std", "1.22.3", "net/http.Request.ctx"], "net/http.Request.ctx\t232\tbetween\n", 0),
        (&["std", "1.23.3", "net/http.Request.ctx"], "net/http.Request.ctx\t-\toutside\n", 1),
        (&["std", "1.22.12", "net/http.Request.Pattern"], "net/http.Request.Pattern\t-\tabsent\n", 0),
        (&["std", "1.28.0", "net/http.Request.Method"], "net/http.Request.Method\t-\toutside\n", 1),
        (&["std", "1.22.12", "net/http.Request.None"], "net/http.Request.None\t-\tunknown\n", 1),
        (
            &["std", "1.22.12", "--arch", "arm64", "net/http.Request.ctx"],
            "net/http.Request.ctx\t236\texact\n",
            0,
        ),
        (&["a/b", "v1.0.0", "a/b.T.F"], "a/b.T.F\t-\tunknown\n", 1),
    ] {
        assert_eq!(lookup(arguments), (Some(code), expected.to_owned()), "{arguments:?}");
    }
}

#[test]
fn several_fields_end_with_the_worst() {
    let (code, text) = lookup(&["std", "1.22.12", "net/http.Request.Method", "net/http.Request.None"]);
    assert_eq!((code, text.lines().count()), (Some(1), 2));
}

#[test]
fn functions() {
    let name = "net/http.(*conn).readRequest";
    let places = "(c rax, ctx rbx rcx) (w rax, err rbx rcx)";
    for (version, places, word, code) in
        [("1.22.12", places, "exact", 0), ("1.22.3", places, "between", 0), ("1.28.0", "-", "outside", 1)]
    {
        let expected = format!("{name}\t{places}\t{word}\n");
        assert_eq!(lookup(&["std", version, "--function", name]), (Some(code), expected));
    }
    let (code, text) =
        lookup(&["std", "1.22.12", "--function", "net/http.none", "net/http.Request.Method", "--json"]);
    let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!((code, &value["fields"][0]["offset"]), (Some(1), &0.into()));
    let unknown = serde_json::json!({"name": "net/http.none", "inlined": null, "params": null, "results": null,
        "match": "unknown", "below": null, "above": null});
    assert_eq!(value["functions"][0], unknown);
}

#[test]
fn json() {
    let (code, text) =
        lookup(&["std", "1.22.3", "--json", "net/http.Request.ctx", "net/http.Request.Pattern"]);
    let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(code, Some(0));
    assert!(value["database"].as_str().is_some_and(|digest| digest.starts_with("sha256:")));
    let expected = serde_json::json!([
        {"type": "net/http.Request", "field": "ctx", "offset": 232, "kind": "context.Context", "match": "between",
         "below": "1.21.13", "above": "1.22.12"},
        {"type": "net/http.Request", "field": "Pattern", "offset": null, "kind": null, "match": "absent",
         "below": "1.21.13", "above": "1.22.12"},
    ]);
    assert_eq!(value["fields"], expected);
}
