//! The reader of docs/database.md, with its own text: what it answers from the files is what the database answers.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use offsets::{Basis, Database, Lookup};

/// Every so many of all fields of all versions: a few thousand, of each module some.
const EVERY: usize = 191;

/// Its text is what stands between the first two fences of Python.
fn source() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/database.md");
    let text = std::fs::read_to_string(path).expect("docs/database.md");
    let source = text.split("```python\n").nth(1).and_then(|rest| rest.split("```").next());
    source.expect("the reader").to_owned()
}

/// File, version, architecture, struct and field, a tab between.
fn questions() -> Vec<[String; 6]> {
    let mut all = Vec::new();
    let database = Database::embedded();
    for document in database.modules().filter_map(|module| database.document(module)) {
        let file = offsets::database::format::file_name(&document.module);
        for (name, record) in &document.structs {
            for (field, version) in
                record.fields.keys().flat_map(|field| document.versions.iter().map(move |v| (field, v)))
            {
                let words = |arch: &str| {
                    [&document.module, &file, &version.version, arch, name, field].map(ToOwned::to_owned)
                };
                all.extend(offsets::ARCHITECTURES.map(words));
            }
        }
    }
    all.into_iter().step_by(EVERY).collect()
}

/// One line of answer for each.
fn answers(questions: &[[String; 6]]) -> Vec<String> {
    let script = source().replace("__main__", "not this time")
        + r#"
modules = {}
for line in sys.stdin:
    file, *words = line.rstrip("\n").split("\t")
    if file not in modules:
        modules[file] = json.load(open(file))
    try:
        print(offset(modules[file], *words))
    except KeyError:
        print("KeyError")
"#;
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("data");
    let mut python = Command::new("python3");
    python.arg("-c").arg(script).current_dir(data).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = python.spawn().expect("the example of docs/database.md is Python: install python3");
    let mut lines = String::new();
    for [_, words @ ..] in questions {
        let _ = writeln!(lines, "{}", words.join("\t"));
    }
    let mut stdin = child.stdin.take().expect("piped");
    let writer = std::thread::spawn(move || stdin.write_all(lines.as_bytes()));
    let output = child.wait_with_output().expect("it ends");
    writer.join().expect("no panic").expect("written");
    assert!(output.status.success());
    String::from_utf8(output.stdout).expect("text").lines().map(ToOwned::to_owned).collect()
}

#[test]
fn the_reader_of_the_documentation_says_what_the_database_says() {
    let questions = questions();
    let answers = answers(&questions);
    assert_eq!(answers.len(), questions.len());
    let (mut known, mut given_up) = (0_usize, 0_usize);
    for (question, answer) in questions.iter().zip(&answers) {
        let [module, _, version, arch, name, field] = question;
        let own = match Database::embedded().lookup(module, version, arch, name, field) {
            Lookup::Exact { offset, .. } => Some(offset.to_string()),
            Lookup::Absent(Basis::Exact) => Some("None".to_owned()),
            _ => None,
        };
        if answer == "KeyError" {
            given_up += usize::from(own.is_some());
        } else {
            assert_eq!(own.as_ref(), Some(answer), "{question:?}");
            known += 1;
        }
    }
    println!("{known} answers are the database's, {given_up} that it has are given up");
    assert!(known > 2000 && given_up * 10 < known, "{known} answers, {given_up} given up");
}
