use super::*;
use crate::catalog::{Entry, load_dir, with_own};

const GOOD: &str = r#"id = "x"
title = "x"
module = "a.b/x"
status = "instrumented"
present = ["a.b/x.F"]
[[operation]]
what = "a call"
since = "v1.2.0"
span = ["{method} {route}", "{method}"]
kind = "client"
hits = ["3 over TCP", "2 else"]
hits_from = "docs/strobe.md"
attributes = ["http.request.method", "http.route: where a router: says it"]
writes = "traceparent into the request"
[[operation]]
what = "a look-up"
adds_to = ["net/http.server"]
hits = 1
hits_from = "its one site"
attributes = ["http.route"]
"#;

fn read(text: &str) -> Result<Entry, String> {
    load_dir([("x.toml", text)]).map(|mut all| all.remove(0)).map_err(|error| error.to_string())
}

#[test]
fn what_is_written_is_read() {
    let all = read(GOOD).expect("reads").operations;
    let [call, look_up] = all.as_slice() else { panic!("{all:?}") };
    let names = vec!["{method} {route}".to_owned(), "{method}".to_owned()];
    assert_eq!((call.line, look_up.line), (6, 15));
    assert_eq!(call.makes, Makes::Span { names, kind: SpanKind::Client });
    assert_eq!(look_up.makes, Makes::AddsTo(vec!["net/http.server".to_owned()]));
    let hits = |operation: &Operation| {
        operation.hits.iter().map(|hits| (hits.number, hits.when.clone())).collect::<Vec<_>>()
    };
    assert_eq!(hits(call), [(3, Some("over TCP".to_owned())), (2, Some("else".to_owned()))]);
    assert_eq!(hits(look_up), [(1, None)]);
    let attributes: Vec<_> =
        call.attributes.iter().map(|one| (one.key.as_str(), one.when.as_deref())).collect();
    assert_eq!(attributes, [("http.request.method", None), ("http.route", Some("where a router: says it"))]);
    assert_eq!(call.writes.as_deref(), Some("traceparent into the request"));
    assert!(call.versions.since.is_some() && look_up.versions.since.is_none());
}

#[test]
fn what_is_wrong_names_its_place() {
    for (from, to, expected) in [
        ("what = \"a call\"\n", "", "x.toml:6: [[operation]]: missing field `what`"),
        ("what = \"a call\"", "what = \"\"", "x.toml:7: operation.what: is empty"),
        (
            "since = \"v1.2.0\"",
            "since = \"1.2\"",
            "x.toml:8: operation.since: \"1.2\" is no version of a.b/x",
        ),
        ("kind = \"client\"", "sort = \"client\"", "x.toml:10: sort: unknown field `sort`"),
        (
            "kind = \"client\"",
            "kind = \"CLIENT\"",
            "x.toml:10: operation.kind: \"CLIENT\" is not internal, server",
        ),
        ("kind = \"client\"\n", "", "x.toml:6: operation: needs `span` and `kind`, or `adds_to`"),
        (
            "kind = \"client\"",
            "kind = \"client\"\nadds_to = [\"y\"]",
            "x.toml:6: operation: needs `span` and `kind`",
        ),
        ("[\"{method} {route}\", \"{method}\"]", "[]", "x.toml:9: operation.span: is empty"),
        ("[\"3 over TCP\", \"2 else\"]", "[]", "x.toml:11: operation.hits: is neither a number nor"),
        ("[\"3 over TCP\", \"2 else\"]", "\"3\"", "x.toml:11: operation.hits: is neither a number nor"),
        ("[\"3 over TCP\", \"2 else\"]", "-3", "x.toml:11: operation.hits: -3 is no count"),
        ("\"3 over TCP\"", "\"3\"", "x.toml:11: operation.hits: \"3\" is no number with"),
        ("\"3 over TCP\"", "\"some\"", "x.toml:11: operation.hits: \"some\" is no number with"),
        ("\"3 over TCP\"", "3", "x.toml:11: operation.hits: \"\" is no number with"),
        (
            "\"http.request.method\"",
            "\"method\"",
            "x.toml:13: operation.attributes: \"method\" is no attribute's key",
        ),
        (
            "\"http.request.method\"",
            "\"http.Method\"",
            "x.toml:13: operation.attributes: \"http.Method\" is no",
        ),
        (
            "\"http.request.method\"",
            "\"http.route\"",
            "x.toml:13: operation.attributes: \"http.route\" occurs twice",
        ),
        ("[\"http.route\"]", "[]", "x.toml:20: operation.attributes: is empty"),
        (
            "status = \"instrumented\"",
            "status = \"recorded\"",
            "x.toml:6: operation: only a library whose status",
        ),
    ] {
        let text = GOOD.replacen(from, to, 1);
        assert_ne!(text, GOOD, "{from} stands in the file");
        let message = read(&text).expect_err(to);
        assert!(message.starts_with(expected), "{message}\n  is not\n{expected}");
    }
}

/// Somebody's own entry that says so is told what its status has to be, and needs no operation first.
#[test]
fn what_is_traced_has_an_operation() {
    let silent = GOOD.split("[[operation]]").next().expect("a first part");
    assert!(
        read(silent)
            .expect_err("none")
            .starts_with("x.toml:4: status: a library that is traced has an [[operation]]")
    );
    let own = with_own([("x.toml", silent)]).expect_err("not custom").to_string();
    assert!(own.starts_with("x.toml:4: status: an entry of your own"), "{own}");
}

/// They would make every program that links the catalog bigger, and slower to start.
#[test]
fn the_embedded_entries_have_none() {
    assert!(crate::catalog::entries().iter().all(|entry| entry.operations.is_empty()));
    let with = read(GOOD).expect("reads");
    let without = Entry { operations: Vec::new(), ..with.clone() };
    assert_eq!(postcard::to_allocvec(&with), postcard::to_allocvec(&without));
}
