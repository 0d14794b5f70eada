//! The tests take Go's releases from one list (`tests/support/golang.rs`).

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

/// The file that has the list.
const LIST: &str = "support/golang.rs";

/// The lines below a folder, the list's own apart, that have a patch of Go for a text.
pub fn outside_of_the_list(folder: &Path) -> Result<Vec<String>> {
    let mut files = Vec::new();
    sources(folder, &mut files)?;
    ensure!(files.len() > 50, "there are {} files: what has become of the others?", files.len());
    let mut found = Vec::new();
    for file in files.iter().filter(|file| !file.ends_with(LIST)) {
        let text = fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
        let shown = file.strip_prefix(folder).unwrap_or(file).display();
        let lines = text.lines().enumerate().filter(|(_, line)| line.split('"').any(is_patch));
        found.extend(lines.map(|(at, line)| format!("{shown}:{}: {}", at + 1, line.trim())));
    }
    Ok(found)
}

fn sources(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            sources(&path, files)?;
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

/// `1.27.4`: a third number is what a minor release does not have.
fn is_patch(text: &str) -> bool {
    let numbers: Vec<&str> = text.split('.').collect();
    let is_number = |n: &&str| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit());
    numbers.len() == 3 && numbers.iter().all(is_number) && numbers[0] == "1"
}

#[test]
fn knows_a_patch() {
    // In parts, since this file is looked at too.
    assert!(is_patch(concat!("1.27", ".4")) && is_patch(concat!("1.18", ".10")));
    assert!(["1.27", "v1.27.4", "1.27.x", "127.0.0.1", "1..2", ""].iter().all(|text| !is_patch(text)));
}
