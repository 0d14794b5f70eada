//! What the program carries inside it: the database once, in the form that answers look-ups.

use std::fs;

/// The documents are for offsetgen. 22 of them name this toolchain's hash, which no look-up needs.
#[test]
fn the_documents_are_not_in_the_program() {
    let program = fs::read(env!("CARGO_BIN_EXE_analyze")).expect("analyze");
    let holds = |text: &str| program.windows(text.len()).any(|bytes| bytes == text.as_bytes());
    let documents = offsets::Database::embedded_files();
    let hash = "h1:8Tl0rBb7KdISSdPkZBjlpZxsUBb+004GI/SM2XbmSqI=";
    assert!(documents.iter().any(|(_, text)| text.contains(hash)), "the documents have another hash by now");
    assert!(!holds(hash), "a look-up leads to the JSON of the database (offsets/src/database/mod.rs)");
    // The first two versions of std, each behind its length.
    assert!(holds("\u{4}1.19\u{6}1.19.2"), "the form for look-ups is not there");
}
