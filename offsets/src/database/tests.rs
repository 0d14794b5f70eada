//! Every kind of answer, and every contradiction that a document can hold.

use super::format::{FieldRun, FunctionRun, Inlined, Parameter, SizeRun, Span, Tested, Toolchain};
use super::*;
use crate::STD;

/// The struct that the tests ask for.
const REQUEST: &str = "net/http.Request";

/// A document as a test writes it, with a run for each version and axis: to be asked, it need not be folded.
struct Draft(Document);

impl Draft {
    fn new(module: &str) -> Self {
        let mut document = Document::new(module);
        let [version, module, hash] =
            ["go1.21.0", "golang.org/toolchain@v0.0.1-go1.21.0", "h1:A="].map(str::to_owned);
        document.toolchains.push(Toolchain { version, module, hash });
        Self(document)
    }

    /// What is said of a version; its place among the others is found.
    fn tested(&mut self, version: &str) -> &mut Tested {
        let module = self.0.module.clone();
        let versions = &mut self.0.versions;
        if !versions.iter().any(|tested| tested.version == version) {
            let toolchain = self.0.toolchains.first().expect("the one").version.clone();
            versions.push(Tested { version: version.to_owned(), toolchain, ..Tested::default() });
            versions.sort_by_key(|tested| Version::parse(&module, &tested.version));
        }
        versions.iter_mut().find(|tested| tested.version == version).expect("just put there")
    }

    /// The fields of the one struct in one version on one axis: name, offset, type.
    fn record(&mut self, version: &str, axis: &str, fields: &[(&str, u64, &str)]) {
        self.tested(version).arch.push(axis.to_owned());
        let (from, to, arch) = (version.to_owned(), version.to_owned(), vec![axis.to_owned()]);
        let record = self.0.structs.entry(REQUEST.to_owned()).or_default();
        record.tested.push(Span { from: from.clone(), to: to.clone(), arch: arch.clone() });
        record.sizes.push(SizeRun { from: from.clone(), to: to.clone(), arch: arch.clone(), size: 264 });
        for (name, offset, kind) in fields {
            let (from, to, arch) = (from.clone(), to.clone(), arch.clone());
            let run = FieldRun { from, to, arch, offset: *offset, r#type: (*kind).to_owned() };
            record.fields.entry((*name).to_owned()).or_default().push(run);
        }
    }

    fn text(&self) -> String {
        serde_json::to_string(&self.0).expect("JSON")
    }

    fn database(&self) -> Database {
        Database::from_json([("f.json", self.text().as_str())]).expect("a database")
    }
}

/// Versions 1.21.13, 1.22.12, 1.23.12 and 1.24.13; `pat` in 1.22 only, `ctx` moves at 1.23.
fn draft() -> Draft {
    let mut draft = Draft::new(STD);
    let (method, pattern) = (("Method", 0, "string"), ("Pattern", 232, "string"));
    let ctx = |offset| ("ctx", offset, "context.Context");
    for (version, fields) in [
        ("1.24.13", &[method, ctx(248), pattern][..]),
        ("1.21.13", &[method, ctx(232)]),
        ("1.23.12", &[method, ctx(248), pattern]),
        ("1.22.12", &[method, ctx(232), ("pat", 248, "*net/http.pattern")]),
    ] {
        for arch in ["arm64", "amd64"] {
            draft.record(version, arch, fields);
        }
    }
    draft
}

#[test]
fn answers() {
    let database = draft().database();
    let ask = |version, field| database.lookup(STD, version, "amd64", "net/http.Request", field);
    let (below, above) = ("1.21.13", "1.22.12");
    assert_eq!(ask("go1.22.12", "Method"), Lookup::Exact { offset: 0, kind: "string" });
    assert_eq!(ask("1.22.3", "Method"), Lookup::Between { offset: 0, kind: "string", below, above });
    assert_eq!(ask("1.22.12", "Pattern"), Lookup::Absent(Basis::Exact));
    assert_eq!(ask("1.22.3", "Pattern"), Lookup::Absent(Basis::Between { below, above }));
    assert_eq!(ask("1.23.3", "ctx"), Lookup::Differs { below: "1.22.12", above: "1.23.12" });
    assert_eq!(ask("1.23rc1", "Pattern"), Lookup::Differs { below: "1.22.12", above: "1.23.12" });
    for version in [
        "1.21.12",
        "1.24.14",
        "1.25",
        "go1.22.12 X:rangefunc",
        "go1.24.13-X:noswissmap",
        "go1.24-devel_0a1b2c",
    ] {
        assert_eq!(ask(version, "Method"), Lookup::Outside, "{version}");
    }
    let vendor = Lookup::Between { offset: 232, kind: "context.Context", below: above, above };
    assert_eq!(ask("go1.22.12 (Red Hat 1.22.12-2.el9_5)", "ctx"), vendor);
    assert_eq!(ask("(devel)", "Method"), Lookup::Unknown);
    assert_eq!(ask("1.22.12", "Nonsense"), Lookup::Unknown);
    assert_eq!(database.lookup(STD, "1.22.12", "riscv64", "net/http.Request", "Method"), Lookup::Unknown);
    assert_eq!(database.lookup("a/b", "v1.0.0", "amd64", "a/b.T", "F"), Lookup::Unknown);
    assert_eq!(
        Database::empty().lookup(STD, "1.22.12", "amd64", "net/http.Request", "Method"),
        Lookup::Unknown
    );
}

/// How `net/http.serve` is called in versions that lie between, outside, and on an architecture that differs.
#[test]
fn functions_and_sizes() {
    let mut draft = Draft::new(STD);
    for (version, at) in [("1.21.13", "rax"), ("1.22.12", "rax"), ("1.23.12", "rbx")] {
        for (arch, at) in [("amd64", at), ("arm64", "r0")] {
            draft.record(version, arch, &[("Method", 0, "string")]);
            let (from, to, arch) = (version.to_owned(), version.to_owned(), vec![arch.to_owned()]);
            let [name, kind, at] = ["c", "*net/http.conn", at].map(str::to_owned);
            let params = vec![Parameter { name, r#type: kind, at }];
            let tested = Span { from: from.clone(), to: to.clone(), arch: arch.clone() };
            let run = FunctionRun { from, to, arch, inlined: Inlined::No, params, results: Vec::new() };
            let functions = &mut draft.0.functions;
            functions.entry("net/http.gone".to_owned()).or_default().tested.push(tested.clone());
            let record = functions.entry("net/http.serve".to_owned()).or_default();
            record.tested.push(tested);
            record.runs.push(run);
        }
    }
    let database = draft.database();
    let ask = |version, arch| database.function(STD, version, arch, "net/http.serve");
    let at = |answer: &Answer<'_, super::Signature>| answer.known().map(|s| s.params[0].at.clone());
    assert_eq!(at(&ask("1.22.12", "amd64")).as_deref(), Some("rax"));
    assert!(matches!(ask("1.22.12", "amd64"), Answer::Exact(_)));
    assert_eq!(at(&ask("1.22.3", "amd64")).as_deref(), Some("rax"));
    assert_eq!(ask("1.22.3", "amd64").neighbours(), Some(("1.21.13", "1.22.12")));
    assert_eq!(ask("1.23.3", "amd64"), Answer::Differs { below: "1.22.12", above: "1.23.12" });
    // What has moved on one architecture may have moved on the other, where these two agree.
    assert_eq!(ask("1.23.3", "arm64").word(), "outside");
    assert_eq!(ask("1.28", "amd64"), Answer::Outside);
    assert_eq!(database.function(STD, "1.22.12", "amd64", "net/http.gone"), Answer::Absent(Basis::Exact));
    assert_eq!(database.function(STD, "1.22.12", "amd64", "net/http.none"), Answer::Unknown);
    assert_eq!(database.function("a/b", "v1.0.0", "amd64", "net/http.serve"), Answer::Unknown);
    assert_eq!(database.size(STD, "1.22.3", "arm64", "net/http.Request").known(), Some(&264));
    assert_eq!(database.size(STD, "1.22.3", "arm64", "net/http.None"), Answer::Unknown);
}

#[test]
fn version_matches() {
    let database = draft().database();
    for (version, expected) in [
        ("1.22.12", VersionMatch::Exact),
        ("go1.22.12", VersionMatch::Exact),
        ("1.23", VersionMatch::Between),
        ("1.20.14", VersionMatch::Outside),
        ("1.24.13 X:nocoverageredesign", VersionMatch::Outside),
        ("1.24.13-vendor", VersionMatch::Between),
        ("go1.23-custom", VersionMatch::Outside),
        ("go1.24-20250301-RC00", VersionMatch::Outside),
        ("unknown", VersionMatch::Unknown),
    ] {
        assert_eq!(database.version_match(STD, version), expected, "{version}");
    }
    assert_eq!(database.version_match("a/b", "v1.0.0"), VersionMatch::Unknown);
}

#[test]
fn architectures_that_differ_stay_apart() {
    let mut draft = Draft::new(STD);
    draft.record("1.23.12", "amd64", &[("Method", 0, "string"), ("ctx", 248, "context.Context")]);
    draft.record("1.23.12", "arm64", &[("Method", 8, "string")]);
    let database = draft.database();
    let ask = |arch, field| database.lookup(STD, "1.23.12", arch, "net/http.Request", field);
    assert_eq!(ask("amd64", "Method").offset(), Some(0));
    assert_eq!(ask("arm64", "Method").offset(), Some(8));
    assert_eq!(ask("arm64", "ctx"), Lookup::Absent(Basis::Exact));
}

#[test]
fn contradictions_are_told() {
    let good = draft().text();
    for (from, to, expected) in [
        ("\"schema_version\":3", "\"schema_version\":4", "f: schema_version is 4, this program reads 3"),
        ("\"from\":\"1.21.13\"", "\"from\":\"1.21.1\"", "1.21.1 is not among the tested versions"),
        ("{\"version\":\"1.22.12\"", "{\"version\":\"1.20\"", "f: versions[1].version: 1.20 does not follow"),
        ("{\"version\":\"1.22.12\"", "{\"version\":\"x\"", "f: versions[1].version: \"x\" is no version"),
        ("\"offset\":0", "\"offset\":-1", "f: line "),
        ("\"offset\"", "\"ofset\"", "f: line "),
        ("{\"from\":\"1.23.12\"", "{\"from\":\"1.22.12\"", "two runs claim"),
    ] {
        let text = good.replace(from, to);
        assert_ne!(text, good, "{from}");
        let message = Database::from_json([("f", text.as_str())]).expect_err(to).to_string();
        assert!(message.contains(expected), "{message}\n  lacks\n{expected}");
    }
    let twice = Database::from_json([("f", good.as_str()), ("g", good.as_str())]).expect_err("twice");
    assert_eq!(twice.to_string(), "g: module: another file has module std too");
}

#[test]
fn the_digest_depends_on_every_byte() {
    let database = draft().database();
    assert!(database.digest().starts_with("sha256:") && database.digest().len() == 71);
    assert_ne!(database.digest(), Database::empty().digest());
    assert_eq!(database.digest(), draft().database().digest());
    assert!(Database::embedded().digest().starts_with("sha256:"));
}

/// `offsetgen --data offsets/data` and the programs speak of one database.
#[test]
fn the_digest_does_not_depend_on_the_folder_or_the_order() {
    let (std, other) = (draft().text(), Draft::new("example.org/m").text());
    let digest = |files: [(&str, &str); 2]| Database::from_json(files).expect("a database").digest;
    let here = digest([("b.json", &std), ("a.json", &other)]);
    assert_eq!(here, digest([("/data/a.json", &other), ("/data/b.json", &std)]));
    assert_ne!(here, digest([("a.json", &std), ("b.json", &other)]));
}

/// What is read late, and what build.rs has worked out, is what reading everything gives.
#[test]
fn the_embedded_database_is_that_of_its_files() {
    let whole = Database::from_json(Database::embedded_files().iter().copied()).expect("a database");
    let embedded = Database::embedded();
    assert_eq!(embedded.digest(), whole.digest());
    assert!(embedded.modules().eq(whole.modules()), "{:?}", embedded.modules().collect::<Vec<_>>());
    for module in whole.modules() {
        let document = whole.document(module).expect("it is there");
        assert_eq!(embedded.document(module), Some(document));
        for (name, record) in &document.structs {
            for (field, version) in
                record.fields.keys().flat_map(|f| document.versions.iter().map(move |v| (f, v)))
            {
                for arch in crate::ARCHITECTURES {
                    let ask = |of: &'static Database| of.lookup(module, &version.version, arch, name, field);
                    let expected = whole.lookup(module, &version.version, arch, name, field);
                    assert_eq!(ask(embedded), expected, "{name}.{field} in {}", version.version);
                }
            }
        }
        for version in document.versions.iter().map(|version| version.version.as_str()) {
            for arch in crate::ARCHITECTURES {
                for name in document.structs.keys() {
                    let ask = |of: &'static Database| of.size(module, version, arch, name);
                    assert_eq!(ask(embedded), whole.size(module, version, arch, name), "{name} in {version}");
                }
                for name in document.functions.keys() {
                    let ask = |of: &'static Database| of.function(module, version, arch, name);
                    assert_eq!(
                        ask(embedded),
                        whole.function(module, version, arch, name),
                        "{name} in {version}"
                    );
                }
            }
        }
    }
}

/// arm64 could not be built for the one version in which amd64 saw the field elsewhere: its neighbours agree, and say nothing.
#[test]
fn neighbours_of_a_second_architecture_that_agree_by_chance() {
    let mut draft = Draft::new(STD);
    for (text, offset) in [("1.21.0", 0), ("1.21.1", 8), ("1.21.2", 0)] {
        for arch in ["amd64", "arm64"].iter().filter(|arch| **arch == "amd64" || text != "1.21.1") {
            draft.record(text, arch, &[("Method", offset, "string")]);
        }
    }
    let database = draft.database();
    let ask = |version, arch| database.lookup(STD, version, arch, "net/http.Request", "Method");
    assert_eq!(ask("1.21.1", "amd64"), Lookup::Exact { offset: 8, kind: "string" });
    assert_eq!(ask("1.21.1", "arm64"), Lookup::Differs { below: "1.21.0", above: "1.21.2" });
    assert_eq!(ask("1.21.2", "arm64"), Lookup::Exact { offset: 0, kind: "string" });
}

/// Another Go puts a field elsewhere: then the module's version alone says nothing of that field, and all of the others.
#[test]
fn what_depends_on_something_else_is_not_vouched_for() {
    let mut draft = Draft::new(STD);
    let both = |second| [("Method", 0, "string"), ("ctx", second, "context.Context")];
    for text in ["1.21.0", "1.21.1", "1.21.2"] {
        draft.record(text, "amd64", &both(16));
        draft.record(text, "arm64", &both(16));
    }
    draft.record("1.21.0", "amd64+go1.19.13", &both(24));
    draft.tested("1.21.2").agrees.push("amd64+go1.19.13".to_owned());
    let database = draft.database();
    let ask = |version, field| database.lookup(STD, version, "amd64", "net/http.Request", field);
    assert_eq!(ask("1.21.0", "Method").offset(), Some(0));
    assert_eq!(ask("1.21.0", "ctx"), Lookup::Differs { below: "1.21.0", above: "1.21.0" });
    assert_eq!(ask("1.21.1", "ctx"), Lookup::Differs { below: "1.21.1", above: "1.21.1" });
    // What was tried there and found alike speaks for itself.
    assert_eq!(ask("1.21.2", "ctx"), Lookup::Exact { offset: 16, kind: "context.Context" });
    // Tried on one architecture, it counts for the other.
    let arm64 = database.lookup(STD, "1.21.0", "arm64", "net/http.Request", "ctx");
    assert_eq!(arm64, Lookup::Differs { below: "1.21.0", above: "1.21.0" });
}

/// Not looked for, or declared and not in the program: that is no absence, and neither is what lies beside it.
#[test]
fn what_was_not_seen_is_unknown() {
    let mut draft = Draft::new(STD);
    for text in ["1.21.0", "1.21.2"] {
        draft.record(text, "amd64", &[("Method", 0, "string")]);
    }
    for text in ["1.21.1", "1.21.3"] {
        draft.tested(text).arch.push("amd64".to_owned());
    }
    let database = draft.database();
    let ask = |version| database.lookup(STD, version, "amd64", "net/http.Request", "Method");
    assert_eq!(ask("1.21.1"), Lookup::Unknown);
    assert_eq!(ask("1.21.0"), Lookup::Exact { offset: 0, kind: "string" });
    assert_eq!(ask("1.21.3"), Lookup::Unknown, "at the end of all");
    assert_eq!(ask("1.21.4"), Lookup::Outside);
}

/// A work tree with changes may have any layout.
#[test]
fn a_modified_module() {
    let mut draft = Draft::new("a/b");
    draft.record("v1.0.0", "amd64", &[("Method", 0, "string")]);
    let database = draft.database();
    let ask = |version| database.lookup("a/b", version, "amd64", "net/http.Request", "Method");
    assert_eq!(ask("v1.0.0"), Lookup::Exact { offset: 0, kind: "string" });
    assert_eq!(ask("v1.0.0+dirty"), Lookup::Outside);
}

/// A commit behind v1.2.3 may be of any branch; of a module without releases there are only commits.
#[test]
fn commits_of_a_module_that_has_releases_are_outside() {
    let commit = "v1.1.1-0.20240102030405-abcdef012345";
    let ask = |versions: [&str; 2]| {
        let mut draft = Draft::new("a/b");
        for text in versions {
            draft.record(text, "amd64", &[("Method", 0, "string")]);
        }
        let database = draft.database();
        database.lookup("a/b", commit, "amd64", "net/http.Request", "Method").word()
    };
    assert_eq!(ask(["v1.1.0", "v1.2.0"]), "outside");
    let commits = ["v1.1.0-20200102030405-abcdef012345", "v1.2.0-20250102030405-abcdef012345"];
    assert_eq!(ask(commits), "between");
}

/// A module that many Gos, dependencies or experiments were tried with has more axes than a word has bits.
#[test]
fn more_axes_than_a_word_has_bits() {
    let mut draft = Draft::new(STD);
    let both = |second| [("Method", 0, "string"), ("ctx", second, "context.Context")];
    let text = "1.21.0";
    draft.record(text, "amd64", &both(16));
    for other in 100..200 {
        let second = if other == 199 { 24 } else { 16 };
        draft.record(text, &format!("amd64+go1.{other}.0"), &both(second));
    }
    let database = draft.database();
    let ask = |field| database.lookup(STD, text, "amd64", "net/http.Request", field);
    assert_eq!(ask("Method"), Lookup::Exact { offset: 0, kind: "string" });
    assert_eq!(ask("ctx"), Lookup::Differs { below: text, above: text }, "the last axis says otherwise");
}

#[test]
fn a_go_with_changes_is_no_release() {
    for version in ["1.26.8+dirty", "go1.26.8-dirty", "1.26.8 X:none dirty"] {
        let found = Database::embedded().lookup(STD, version, "amd64", "net/http.Request", "Method");
        assert_eq!(found, Lookup::Outside, "{version}");
    }
    let vendors = Database::embedded().lookup(STD, "1.26.8 (Red Hat)", "amd64", "net/http.Request", "Method");
    assert_ne!(vendors, Lookup::Outside);
}

#[test]
fn figures_that_no_compiler_gives_and_paths_that_no_module_has_are_refused() {
    let text = |module: &str, offset: u64, sizes: &str| {
        format!(
            r#"{{"schema_version": 3, "module": "{module}", "settings": {{}}, "holes": [], "functions": {{}},
            "toolchains": [{{"version": "go1.27.4", "module": "t", "hash": "h1:"}}],
            "versions": [{{"version": "v1.0.0", "arch": ["amd64"], "toolchain": "go1.27.4", "generator": "0"}}],
            "structs": {{"a.b/c.T": {{"tested": [], "sizes": [{sizes}], "fields": {{"F": [
                {{"from": "v1.0.0", "to": "v1.0.0", "arch": ["amd64"], "offset": {offset}, "type": "int"}}]}}}}}}}}"#
        )
    };
    let size = r#"{"from": "v1.0.0", "to": "v1.0.0", "arch": ["amd64"], "size": 16}"#;
    let huge = size.replace("16", "9223372036854775808");
    let read = |text: String| Database::from_json([("x.json", text.as_str())]).map(drop);
    for (module, offset, sizes) in [("a.b/c", 8, size), ("a.b/c", 16, size), ("a.b/c", 8, ""), ("m", 8, "")] {
        assert_eq!(read(text(module, offset, sizes)), Ok(()), "{module}, {offset}");
    }
    for (module, offset, sizes, wanted) in [
        ("a.b/c", 1 << 63, "", "structs.a.b/c.T.fields.F: 9223372036854775808 bytes"),
        ("a.b/c", 17, size, "structs.a.b/c.T.fields.F: offset 17 lies behind the struct's end"),
        ("a.b/c", 8, huge.as_str(), "structs.a.b/c.T.sizes: 9223372036854775808 bytes"),
        ("github.com/../../etc", 8, "", "module: "),
        ("/etc", 8, "", "module: "),
        ("a.b//c", 8, "", "module: "),
        ("a.b/c\\n", 8, "", "module: "),
        ("", 8, "", "module: "),
    ] {
        let error = read(text(module, offset, sizes)).expect_err(module).to_string();
        assert!(error.starts_with(&format!("x.json: {wanted}")), "{error}");
    }
}
