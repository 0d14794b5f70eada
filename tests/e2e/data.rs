//! The committed data: it validates against the schema and says what is known to be so. (That it is in its one canonical text
//! is a test of offsetgen.)
//!
//! The figures below were measured apart from this project's code, with DWARF and the binaries' own type data of 64
//! builds; they are not what offsetgen printed.

use std::fs;
use std::path::PathBuf;

use offsets::abi::{Kind, shape};
use offsets::catalog::At;
use offsets::database::format::{Document, FunctionRun, INDEX, LICENSE, Parameter, SCHEMA_ID, file_name};
use offsets::{Database, Lookup, STD, VersionMatch, names};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use strobe_tests::{golang, machine};

fn folder() -> PathBuf {
    machine::workspace().join("offsets/data")
}

fn documents() -> Vec<(String, String)> {
    let entries = fs::read_dir(folder()).expect("data/ is there");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let paths = paths.filter(|path| !path.ends_with(INDEX));
    paths.map(|path| (path.display().to_string(), fs::read_to_string(&path).expect("text"))).collect()
}

fn json(name: &str) -> Value {
    let text = fs::read_to_string(folder().join("..").join(name)).expect("a file of this room");
    serde_json::from_str(&text).expect("JSON")
}

/// The published schema lets unknown keys pass, since keys are added. Our own data has none but those that it names.
fn strict(schema: &mut Value) {
    if let Value::Object(object) = schema {
        if object.contains_key("properties") && !object.contains_key("additionalProperties") {
            object.insert("additionalProperties".to_owned(), Value::Bool(false));
        }
        object.values_mut().for_each(strict);
    }
}

#[test]
fn data_validates_against_the_schema() {
    let schema = json("schema.json");
    let mut narrow = schema.clone();
    strict(&mut narrow);
    let [schema, narrow] = [schema, narrow].map(|s| jsonschema::validator_for(&s).expect("it is a schema"));
    for (name, text) in documents() {
        let value: Value = serde_json::from_str(&text).expect("JSON");
        let errors: Vec<String> = narrow.iter_errors(&value).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{name}: {errors:?}");
        for defect in ["module", "versions"] {
            let mut broken = value.clone();
            broken[defect] = serde_json::json!(7);
            assert!(!schema.is_valid(&broken), "{name}: a {defect} of 7 passes");
        }
        let mut newer = value.clone();
        newer["added"] = serde_json::json!(7);
        newer["versions"][0]["added"] = serde_json::json!(7);
        assert!(schema.is_valid(&newer) && !narrow.is_valid(&newer), "{name}: an added key");
        assert!(Document::parse(&name, &newer.to_string()).is_ok(), "{name}: an added key is passed over");
    }
}

#[test]
fn data_and_schema_are_named_and_licensed() {
    let schema = json("schema.json");
    assert_eq!((&schema["$id"], &schema["license"]), (&SCHEMA_ID.into(), &LICENSE.into()));
    for (name, text) in documents() {
        let value: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!((&value["$schema"], &value["license"]), (&SCHEMA_ID.into(), &LICENSE.into()), "{name}");
        let file = file_name(value["module"].as_str().expect("a module"));
        assert!(name.ends_with(&format!("/{file}")), "{name} is {file}");
        assert!(value["$id"].as_str().is_some_and(|id| id.ends_with(&format!("/data/{file}"))), "{name}");
    }
}

/// What offsetgen has written into the index is true of the files beside it, and of the database in the programs.
#[test]
fn the_index_is_that_of_the_files() {
    let index = json("data/index.json");
    let schema = jsonschema::validator_for(&{
        let mut schema = json("index.schema.json");
        assert_eq!((&index["$schema"], &index["license"]), (&schema["$id"], &schema["license"]));
        strict(&mut schema);
        schema
    });
    let errors: Vec<String> =
        schema.expect("a schema").iter_errors(&index).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?}");
    assert_eq!(index["digest"], Database::embedded().digest(), "`offsetgen merge` writes it anew");
    let modules = index["modules"].as_array().expect("modules");
    assert!(modules.iter().map(|one| one["module"].as_str()).eq(Database::embedded().modules().map(Some)));
    for one in modules {
        let (module, file) = (one["module"].as_str().expect("a path"), one["file"].as_str().expect("a name"));
        let document = Database::embedded().document(module).expect("it is recorded");
        let versions: Vec<&str> = document.versions.iter().map(|tested| tested.version.as_str()).collect();
        assert_eq!(one["versions"], serde_json::json!(versions), "{module}");
        let hash = Sha256::digest(fs::read(folder().join(file)).expect("the file"));
        let hash = hash.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
        assert_eq!((one["sha256"].as_str(), file), (Some(hash.as_str()), file_name(module).as_str()));
    }
}

#[test]
fn figures_measured_elsewhere() {
    let database = Database::embedded();
    for &version in golang::traced() {
        assert_eq!(database.version_match(STD, version), VersionMatch::Exact, "{version}");
        for arch in offsets::ARCHITECTURES {
            let at = |owner, field| database.lookup(STD, version, arch, owner, field);
            let exact = |owner, field| match at(owner, field) {
                Lookup::Exact { offset, .. } => Some(offset),
                Lookup::Absent(offsets::Basis::Exact) => None,
                other => panic!("{owner}.{field} in {version}: {other:?}"),
            };
            let minor: u32 = version.split('.').nth(1).and_then(|part| part.parse().ok()).expect("a minor");
            for (field, offset) in [("Method", 0), ("URL", 16), ("Proto", 24), ("Header", 56), ("Body", 64)] {
                assert_eq!(exact("net/http.Request", field), Some(offset), "{field} in {version}");
            }
            for (field, offset) in [("Host", 128), ("RemoteAddr", 176), ("RequestURI", 192), ("TLS", 208)] {
                assert_eq!(exact("net/http.Request", field), Some(offset), "{field} in {version}");
            }
            assert_eq!(
                exact("net/http.Request", "ctx"),
                Some(if minor < 23 { 232 } else { 248 }),
                "{version}"
            );
            assert_eq!(exact("net/http.Request", "Pattern"), (minor >= 23).then_some(232), "{version}");
            let pat = match minor {
                ..22 => None,
                22 => Some(248),
                _ => Some(264),
            };
            assert_eq!(exact("net/http.Request", "pat"), pat, "{version}");
            assert_eq!(exact("net/http.conn", "remoteAddr"), Some(32), "{version}");
            if minor < 27 {
                let status = if minor < 20 { 80 } else { 72 };
                assert_eq!(exact("net/http.http2responseWriterState", "status"), Some(status), "{version}");
            } else {
                assert_eq!(
                    exact("net/http/internal/http2.responseWriterState", "status"),
                    Some(240),
                    "{version}"
                );
                let embedded = at("net/http/internal/http2.responseWriterState", "req");
                assert_eq!(embedded.offset(), Some(8));
                assert_eq!(embedded.kind(), Some("net/http/internal/http2.ServerRequest"));
            }
        }
    }
}

#[test]
fn catalog_and_data_agree() {
    let database = Database::embedded();
    assert!(database.document(STD).is_some_and(|document| document.versions.len() >= 9), "std is recorded");
    for entry in offsets::catalog::entries() {
        let Some(document) = database.document(&entry.module) else { continue };
        for tested in &document.versions {
            let version = offsets::Version::parse(&entry.module, &tested.version).expect("a version");
            for field in entry.fields_for(&version).filter(|_| entry.versions.contains(&version)) {
                for arch in &tested.arch {
                    let found =
                        database.lookup(&entry.module, &tested.version, arch, &field.type_name, &field.name);
                    // Of a struct that the binary itself has to show, it may know nothing yet.
                    if field.if_present && matches!(found, Lookup::Unknown) {
                        continue;
                    }
                    // x/net's HTTP/2 is another with Go 1.27: of such a version the database cannot say either.
                    if matches!(found, Lookup::Differs { below, above } if below == above) {
                        continue;
                    }
                    assert_eq!(found.kind(), Some(field.kind.as_str()), "{field:?} in {version}: {found:?}");
                }
            }
        }
    }
}

/// A function of the standard library that a catalog file has begun to name is one that the newest releases were asked for: `offsetgen build --only std`
/// with `--versions` writes it, and without it the release built again would know what the committed data do not.
#[test]
fn the_standard_library_was_asked_for_each_function() {
    let database = Database::embedded();
    let document = database.document(STD).expect("std is recorded");
    let modules: Vec<&str> = database.modules().collect();
    let mut seen = 0;
    for entry in offsets::catalog::entries() {
        // What has a placeholder is written out by the entries that borrow it.
        let is_std = |name: &&str| {
            !name.contains('{') && names::owner_of_function(name, modules.iter().copied()) == Some(STD)
        };
        for name in entry.functions().into_iter().filter(is_std) {
            assert!(
                document.functions.contains_key(name),
                "{} names {name}: std.json does not know it",
                entry.id
            );
            seen += 1;
        }
    }
    assert!(seen > 50, "only {seen} functions of the standard library");
}

/// Arguments that no version of a function has make a site that is never found, and a role of one alternative fewer than it seems.
#[test]
fn every_site_takes_arguments_that_its_function_was_seen_with() {
    let database = Database::embedded();
    let mut seen = 0;
    for entry in offsets::catalog::entries() {
        for site in entry.roles.iter().flat_map(|role| &role.sites) {
            let name = if site.at == At::Call { site.callee.as_ref() } else { Some(&site.function) };
            let (Some(args), Some(name)) = (&site.args, name) else { continue };
            // What no target reaches is in no document: of it nothing can be said here.
            let mut documents = database.modules().filter_map(|module| database.document(module));
            let Some(function) = documents.find_map(|document| document.functions.get(name)) else {
                continue;
            };
            let shape = shape::parse(args).expect("the catalog is read with it");
            let words: Vec<usize> = shape.kinds.iter().map(words).collect();
            let has_them = |run: &FunctionRun| {
                // Where it lies on the stack, one place stands for all its words.
                let is_so = |(one, words): (&Parameter, &usize)| {
                    one.at.starts_with("stack") || one.at.split_whitespace().count() == *words
                };
                run.params.iter().zip(&words).all(is_so)
                    && (run.params.len() == words.len() || !shape.is_whole)
            };
            let runs = &function.runs;
            assert!(runs.is_empty() || runs.iter().any(has_them), "{site:?}\n{runs:?}");
            seen += usize::from(!runs.is_empty());
        }
    }
    assert!(seen > 50, "only {seen} sites were held against what was recorded");
}

fn words(kind: &Kind) -> usize {
    match kind {
        Kind::Words { words, .. } => words.len(),
        Kind::Struct { parts, .. } => parts.iter().map(self::words).sum(),
        Kind::Array { count, element, .. } => self::words(element) * usize::try_from(*count).expect("a few"),
    }
}
