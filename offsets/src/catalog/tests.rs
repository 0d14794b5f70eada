//! The embedded files are read, and every defect of a file is told with its line and key.

use super::*;
use crate::{STD, Version};

const GOOD: &str = r#"id = "x"
title = "x"
module = "std"
since = "1.19"
status = "recorded"
present = ["a.B"]
[target]
file = "x.go"
[[role]]
name = "start"
required = true
[[role.site]]
function = "a.B"
at = "entry"
args = "{8} {8 8} 8"
[[field]]
type = "a/b.T"
name = "F"
kind = "int"
since = "1.22"
until = "1.23"
gives = "something"
"#;

fn go(text: &str) -> Version {
    Version::parse(STD, text).expect("a version")
}

#[test]
fn embedded_files_are_read() {
    let server = entry("net/http.server").expect("net/http.server");
    assert_eq!(server.status, Status::Instrumented);
    let names: Vec<&str> = server.roles.iter().map(|role| role.name.as_str()).collect();
    assert_eq!(names, ["start", "end", "hijack", "release", "abort"]);
    assert_eq!(server.roles[0].sites[0].args.as_deref(), Some("{8} {8 8} 8"));
    assert_eq!(server.maps[0].type_name, "map[string][]string");
    assert!(server.itabs[0].required);
    let route = |version: &str| {
        let version = go(version);
        let fields = server.fields_for(&version).filter(|field| field.gives.as_deref() == Some("http.route"));
        fields.map(|field| field.name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(route("1.21.13"), [""; 0]);
    assert_eq!(route("1.22.3"), ["pat", "str"]);
    assert_eq!(route("1.23rc1"), ["Pattern"]);
    assert_eq!(route("1.27.4"), ["Pattern"]);
}

/// What is recorded has to be built: an embedded entry has a target, and each program of `targets/` is some entry's.
#[test]
fn embedded_entries_and_their_targets() {
    let mut named: Vec<&str> = Vec::new();
    for entry in entries() {
        let target = entry.target.as_ref().unwrap_or_else(|| panic!("{} has no target", entry.file));
        named.extend(target.files());
    }
    named.sort_unstable();
    named.dedup();
    let mut there: Vec<&str> = targets().iter().map(|(name, _)| *name).collect();
    there.sort_unstable();
    assert_eq!(there, named);
    assert!(targets().iter().all(|(_, text)| text.starts_with("package main\n")));
}

#[test]
fn an_entry_of_the_users_own_needs_no_target() {
    let own = GOOD.replace("[target]\nfile = \"x.go\"\n", "");
    assert!(load_dir([("own.toml", own.as_str())]).expect("reads")[0].target.is_none());
}

#[test]
fn a_good_file_knows_its_lines() {
    let entry = &load_dir([("good.toml", GOOD)]).expect("reads")[0];
    assert_eq!((entry.roles[0].line, entry.roles[0].sites[0].line, entry.fields[0].line), (9, 12, 16));
}

#[test]
fn defects_name_file_line_and_key() {
    for (from, to, expected) in [
        (
            "status = \"recorded\"",
            "status = \"done\"",
            "bad.toml:5: status: \"done\" is not instrumented, recorded or custom",
        ),
        ("kind = \"int\"", "kind = \"\"", "bad.toml:19: field.kind: is empty"),
        ("kind = \"int\"", "sort = \"int\"", "bad.toml:19: sort: unknown field `sort`"),
        ("since = \"1.22\"", "since = \"soon\"", "bad.toml:20: field.since: \"soon\" is no version of std"),
        ("until = \"1.23\"", "until = \"1.22\"", "bad.toml:21: field.until: 1.22.0 is not after since"),
        ("gives = \"something\"\n", "", "bad.toml:16: field.gives: an optional field must say"),
        ("at = \"entry\"", "at = \"start\"", "bad.toml:14: role.site.at: \"start\" is not entry"),
        ("at = \"entry\"", "at = \"after_call\"", "bad.toml:14: role.site.callee: "),
        ("at = \"entry\"", "at = \"call\"", "bad.toml:14: role.site.callee: "),
        ("at = \"entry\"", "at = \"entry\"\ncallee = \"a.C\"", "bad.toml:14: role.site.callee: "),
        (
            "at = \"entry\"",
            "at = \"after_call\"\nreturns = \"8\"\nindirect = \"method 0\"\ncallee = \"a.C\"",
            "bad.toml:14: role.site.callee: ",
        ),
        (
            "at = \"entry\"",
            "at = \"after_call\"\nreturns = \"8\"\nindirect = \"method x\"",
            "bad.toml:16: role.site.indirect: \"method x\" is not closure or method N",
        ),
        (
            "at = \"entry\"",
            "at = \"call\"\nindirect = \"closure\"",
            "bad.toml:14: role.site.indirect: is for a site at \"after_call\"",
        ),
        (
            "at = \"entry\"",
            "at = \"call\"\ncallee = \"a.C\"\nalso_reached = true",
            "bad.toml:14: role.site.also_reached: ",
        ),
        (
            "at = \"entry\"",
            "at = \"call\"\ncallee = \"a.C\"\nstepped = true",
            "bad.toml:14: role.site.stepped: ",
        ),
        ("at = \"entry\"", "at = \"entry\"\ninlined = true", "bad.toml:14: role.site.inlined: "),
        ("at = \"entry\"", "at = \"exit\"\ncallers = [\"a.C\"]", "bad.toml:14: role.site.callers: "),
        ("at = \"entry\"", "at = \"entry\"\nthrough = [\"a.C\"]", "bad.toml:14: role.site.through: "),
        ("at = \"entry\"", "at = \"exit\"\nresults_of = \"a.C\"", "bad.toml:14: role.site.results_of: "),
        (
            "at = \"entry\"",
            "at = \"entry\"\nresults_of = \"a.C\"",
            "bad.toml:15: role.site.results_of: needs `returns`",
        ),
        ("args = \"{8} {8 8} 8\"", "args = \"{8 8\"", "bad.toml:15: role.site.args: "),
        ("args = \"{8} {8 8} 8\"", "args = 8", "bad.toml:15: args: invalid type: integer"),
        ("present = [\"a.B\"]", "present = []", "bad.toml:6: present: names no function"),
        ("type = \"a/b.T\"", "type = \"T\"", "bad.toml:17: field.type: "),
        ("file = \"x.go\"", "file = \"../x.go\"", "bad.toml:8: target.file: is no NAME.go in targets/"),
        ("file = \"x.go\"", "file = \"x.c\"", "bad.toml:8: target.file: is no NAME.go in targets/"),
        ("id = \"x\"", "id = x", "bad.toml:1: id: "),
    ] {
        let text = GOOD.replace(from, to);
        assert_ne!(text, GOOD, "{from} stands in the file");
        let message = load_dir([("bad.toml", text.as_str())]).expect_err(to).to_string();
        assert!(message.starts_with(expected), "{message}\n  is not\n{expected}");
        assert_eq!(message.lines().count(), 1, "{message}");
    }
}

#[test]
fn types_and_their_sizes() {
    let tables = "[[size]]\ntype = \"a/b.T\"\nrequired = true\n[[type]]\ntype = \"*a/b.T\"\ngives = \"errors\"\n[[itab]]\n\
                  interface = \"context.Context\"\ngives = \"parents\"\n";
    let text = format!("{GOOD}{tables}");
    let entry = &load_dir([("good.toml", text.as_str())]).expect("reads")[0];
    assert_eq!((entry.sizes[0].type_name.as_str(), entry.types[0].type_name.as_str()), ("a/b.T", "*a/b.T"));
    assert_eq!((entry.sizes[0].line, entry.itabs[0].concrete.as_deref()), (23, None));
    for (from, to, expected) in [
        (
            "type = \"a/b.T\"\nrequired = true",
            "type = \"*a/b.T\"\nrequired = true",
            "bad.toml:24: size.type: ",
        ),
        ("gives = \"errors\"\n", "", "bad.toml:26: type.gives: an optional type must say"),
        ("type = \"*a/b.T\"", "type = \"[]a/b.T\"", "bad.toml:27: type.type: "),
    ] {
        let text = text.replace(from, to);
        let message = load_dir([("bad.toml", text.as_str())]).expect_err(to).to_string();
        assert!(message.starts_with(expected), "{message}\n  is not\n{expected}");
    }
}

/// What a site wants to have read, and what it says about words.
#[test]
fn values_of_sites() {
    let site = "args = \"{8} {8 8} 8\"\n";
    let text = |more: &str| GOOD.replace(site, &format!("{site}{more}"));
    let good = text("name = \"plain\"\nvalues = { w = \"arg 1\", r = \"arg 2\" }\n");
    let entry = &load_dir([("good.toml", good.as_str())]).expect("reads")[0];
    let site = &entry.roles[0].sites[0];
    let values: Vec<_> = site.values.iter().map(|value| (value.name.as_str(), value.source)).collect();
    assert_eq!(values, [("r", Source::Arg(2)), ("w", Source::Arg(1))]);
    assert_eq!(site.name.as_deref(), Some("plain"));
    for (text, expected) in [
        (text("values = { w = \"arg\" }\n"), "bad.toml:16: role.site.values: \"arg\" is neither"),
        (
            text("values = { w = \"result 0\" }\n"),
            "bad.toml:16: role.site.values: the site has no results yet",
        ),
        (text("returns = \"8\"\n"), "bad.toml:16: role.site.returns: the site has no results yet"),
        (
            text("values = { w = \"arg 1\" }\n").replace("args = \"{8} {8 8} 8\"\n", ""),
            "bad.toml:15: role.site.values: a site says",
        ),
    ] {
        let message = load_dir([("bad.toml", text.as_str())]).expect_err(expected).to_string();
        assert!(message.starts_with(expected), "{message}\n  is not\n{expected}");
    }
}

/// One library in three packages of two modules.
#[test]
fn instances() {
    let head = r#"status = "recorded"
present = ["{pkg}.(*{prefix}Conn).serve"]
[[instance]]
id = "h2"
title = "HTTP/2"
module = "std"
package = "net/http"
prefix = "http2"
until = "1.27"
[[instance.field]]
type = "{pkg}.{prefix}state"
name = "req"
kind = "*net/http.Request"
until = "1.20"
required = true
[[instance]]
id = "h2"
title = "HTTP/2"
module = "std"
package = "net/http/internal/http2"
since = "1.27"
[[instance]]
id = "x/h2"
title = "x/net's HTTP/2"
module = "golang.org/x/net"
package = "golang.org/x/net/http2"
since = "v0.1.0"
[[role]]
name = "start"
required = true
[[role.site]]
function = "{pkg}.(*{prefix}Conn).run"
at = "entry"
args = "8 {8 8}"
"#;
    let entries = load_dir([("h2.toml", head)]).expect("reads");
    let said: Vec<_> =
        entries.iter().map(|e| (e.id.as_str(), e.present[0].as_str(), e.fields.len())).collect();
    assert_eq!(
        said,
        [
            ("h2", "net/http.(*http2Conn).serve", 1),
            ("h2", "net/http/internal/http2.(*Conn).serve", 0),
            ("x/h2", "golang.org/x/net/http2.(*Conn).serve", 0),
        ]
    );
    assert_eq!(entries[0].fields[0].type_name, "net/http.http2state");
    assert_eq!(entries[2].roles[0].sites[0].function, "golang.org/x/net/http2.(*Conn).run");
    assert!(!entries[0].versions.contains(&go("1.27.1")) && entries[1].versions.contains(&go("1.27.1")));
    for (from, to, expected) in [
        ("until = \"1.27\"\n", "", "bad.toml:4: id: \"h2\" is the id of bad.toml too"),
        ("status", "id = \"h2\"\nstatus", "bad.toml:1: id: each instance has its own"),
        (
            "since = \"v0.1.0\"",
            "since = \"1.19\"",
            "bad.toml:27: since: \"1.19\" is no version of golang.org/x/net",
        ),
    ] {
        let text = head.replacen(from, to, 1);
        let message = load_dir([("bad.toml", text.as_str())]).expect_err(to).to_string();
        assert!(message.starts_with(expected), "{message}\n  is not\n{expected}");
    }
    let plain = GOOD.replace("\"a.B\"", "\"{pkg}.B\"");
    let message = load_dir([("bad.toml", plain.as_str())]).expect_err("no instance").to_string();
    assert!(message.starts_with("bad.toml:6: instance: stands for"), "{message}");
}

#[test]
fn sites_say_what_is_called_and_who_calls() {
    let site = |keys: &str| {
        let text = GOOD.replace("at = \"entry\"", keys);
        load_dir([("good.toml", text.as_str())]).expect(keys)[0].roles[0].sites[0].clone()
    };
    let behind = site(
        "at = \"after_call\"\nindirect = \"method 3\"\nalso_reached = true\nstepped = true\nrepeats = true",
    );
    assert_eq!((behind.at, behind.indirect, behind.callee), (At::AfterCall, Some(Indirect::Method(3)), None));
    assert!(behind.also_reached && behind.stepped && behind.repeats && !behind.inlined);
    let failed = site(
        "at = \"after_call\"\ncallee = \"a.C\"\nreturns = \"{8 8}\"\nvalues = { err = \"result 0\" }\nunless_nil = \"err\"",
    );
    assert_eq!(failed.unless_nil.as_deref(), Some("err"));
    let value = site("at = \"after_call\"\nindirect = \"closure\"\ninlined = true");
    assert_eq!((value.indirect, value.inlined), (Some(Indirect::Closure), true));
    let call = site("at = \"call\"\ncallee = \"a.C\"\ninlined = true");
    assert_eq!((call.at, call.callee.as_deref(), call.values.len()), (At::Call, Some("a.C"), 0));
    let entry = site(
        "at = \"entry\"\ncallers = [\"a.C\", \"runtime.gopanic\"]\nresults_of = \"a.C\"\nreturns = \"{8 8}\"",
    );
    assert_eq!(entry.callers, ["a.C", "runtime.gopanic"]);
    assert_eq!(entry.results_of.as_deref(), Some("a.C"));
}

#[test]
fn doubles_are_refused() {
    let twice = load_dir([("one.toml", GOOD), ("two.toml", GOOD)]).expect_err("same id");
    assert_eq!(twice.to_string(), "two.toml:1: id: \"x\" is the id of one.toml too");
    let field = "[[field]]\ntype = \"a/b.T\"\nname = \"F\"\nkind = \"int\"\nrequired = true\n";
    let text = format!("{GOOD}{field}");
    let error = load_dir([("bad.toml", text.as_str())]).expect_err("overlap").to_string();
    assert_eq!(error, "bad.toml:23: field.name: F of a/b.T stands on line 16 too");
    let later = format!("{GOOD}{}", field.replace("kind", "since = \"1.23\"\nkind"));
    assert_eq!(load_dir([("good.toml", later.as_str())]).expect("ranges apart")[0].fields.len(), 2);
}

#[test]
fn an_entry_of_ones_own_needs_no_status_and_the_embedded_ones_are_none() {
    assert!(entries().iter().all(|entry| entry.status != Status::Custom));
    let own = "id = \"mine\"\ntitle = \"mine\"\nmodule = \"a.b/c\"\n";
    let all = with_own([("own.toml", own)]).expect("a catalog");
    assert_eq!(all.last().map(|entry| (entry.id.as_str(), entry.status)), Some(("mine", Status::Custom)));
    assert_eq!(all.len(), entries().len() + 1);
    let taken = own.replace("\"mine\"\ntitle", "\"net/http.server\"\ntitle");
    let why = with_own([("own.toml", taken.as_str())]).expect_err("taken").to_string();
    assert!(why.starts_with("own.toml:1: id: ") && why.contains("net-http-server.toml"), "{why}");
}

#[test]
fn texts_show_as_what_they_are() {
    let own = "id = \"mine\"\ntitle = \"mine\"\nmodule = \"a.b/c\"\npresent = [\"a.b/c.F\"]\n";
    for (from, to, expected) in [
        ("title = \"mine\"", "title = \"a\\u001b[2J\"", "own.toml:2: title: has \"\\\\u{1b}\" in it"),
        ("title = \"mine\"", "title = \"a\\nb\"", "own.toml:2: title: has \"\\\\n\" in it"),
        ("title = \"mine\"", "title = \"gpj\\u202eexe\"", "own.toml:2: title: has \"\\\\u{202e}\" in it"),
        ("id = \"mine\"", "id = \"mine \"", "own.toml:1: id: begins or ends with a space"),
        ("a.b/c.F", "a.b/c.F\\t", "own.toml:4: present: has \"\\\\t\" in it"),
        // The TOML reader quotes what it does not know.
        ("title = \"mine\"", "\"\\u001b[31m\" = 1", "own.toml:2: \"\\u001b[31m\": "),
    ] {
        let text = own.replacen(from, to, 1);
        let message = load_dir([("own.toml", text.as_str())]).expect_err(to).to_string();
        assert!(message.starts_with(expected), "{message}\n  is not\n{expected}");
        assert!(!message.contains(char::is_control), "{message:?}");
    }
}

#[test]
fn instances_are_few_and_their_names_short() {
    let head = GOOD.replace("id = \"x\"\ntitle = \"x\"\nmodule = \"std\"\nsince = \"1.19\"\n", "");
    let head = head.replace("\"a.B\"", "\"{pkg}.B\"").replace("since = \"1.22\"\nuntil = \"1.23\"\n", "");
    let instance = |n: usize, package: &str| {
        format!("[[instance]]\nid = \"x{n}\"\ntitle = \"x\"\nmodule = \"std\"\npackage = \"{package}\"\n")
    };
    let many = |count| head.clone() + &(0..count).map(|n| instance(n, &format!("a{n}"))).collect::<String>();
    assert_eq!(load_dir([("good.toml", many(16).as_str())]).expect("as many as allowed").len(), 16);
    let message = load_dir([("bad.toml", many(17).as_str())]).expect_err("one more").to_string();
    assert!(message.contains(": instance: more than 16 of them"), "{message}");
    let long = head.clone() + &instance(0, &"a".repeat(1 << 20));
    let message = load_dir([("bad.toml", long.as_str())]).expect_err("3 MiB").to_string();
    assert!(message.contains("with its names put in the file is too long"), "{message}");
}
