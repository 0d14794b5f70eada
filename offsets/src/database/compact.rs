//! The embedded form of a document: what a look-up needs, in lines that are read when they are needed.
//!
//! build.rs writes it from the JSON; a test compares every answer of the two. Fields are separated by tabs, versions and
//! axes are positions in their lists, and sets of axes are hexadecimal masks of any length.
//!
//! ```text
//! A axis                                  in order
//! V version mask agrees                   ascending; what it was compiled for; 1: and alike with another Go
//! S struct                                what follows is this struct's ([`Block`])
//! N function                              the same of a function; all of them stand behind the structs
//! ```

use std::collections::BTreeMap;

use super::axes::Axes;
use super::block::Block;
use super::index::Index;
use crate::Version;

/// The head of the text, and each struct's lines for later. Lines that are not as above are passed over: they are part of
/// the program, and a test reads them all.
pub(super) fn read(module: &str, text: &'static str) -> Index {
    let mut functions = text.split("\nN\t");
    let mut parts = functions.next().unwrap_or_default().split("\nS\t");
    let (mut axes, mut names, mut versions) = (Vec::new(), Vec::new(), Vec::new());
    let (mut built, mut agrees) = (Vec::new(), Vec::new());
    for line in parts.next().unwrap_or_default().lines() {
        match line.split('\t').collect::<Vec<_>>()[..] {
            ["A", axis] => axes.push(axis.to_owned()),
            ["V", name, mask, agreed] => {
                if let (Some(version), Some(mask)) = (Version::parse(module, name), Axes::from_hex(mask)) {
                    names.push(name.to_owned());
                    versions.push(version);
                    built.push(mask);
                    agrees.push(agreed == "1");
                }
            }
            _ => {}
        }
    }
    let (structs, functions) = (blocks(parts), blocks(functions));
    Index { names, versions, axes, built, agrees, structs, functions }
}

/// Each one's lines by its name.
fn blocks<R>(parts: std::str::Split<'static, &str>) -> BTreeMap<String, Block<R>> {
    let named = parts.map(|part| part.split_once('\n').unwrap_or((part, "")));
    named.map(|(name, lines)| (name.to_owned(), Block::later(lines))).collect()
}
