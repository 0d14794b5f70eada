//! The embedded form of a document: what a look-up needs, in postcard's encoding; each struct and each function apart, so that only those
//! are decoded that are asked for.
//!
//! build.rs writes it from the JSON with these very types; a test compares every answer of the two.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::axes::Axes;
use super::block::Block;
use super::index::Index;
use crate::Version;

/// An [`Index`], its structs and functions still encoded.
#[derive(Serialize, Deserialize)]
pub(super) struct Compact<'a> {
    pub names: Vec<String>,
    pub versions: Vec<Version>,
    pub axes: Vec<String>,
    pub built: Vec<Axes>,
    pub agrees: Vec<bool>,
    #[serde(borrow)]
    pub structs: Vec<(&'a str, &'a [u8])>,
    #[serde(borrow)]
    pub functions: Vec<(&'a str, &'a [u8])>,
}

/// Reads it.
pub(super) fn read(bytes: &'static [u8]) -> Index {
    // It is part of the program, written by the same types when it was built, and a test reads all of it.
    let read: postcard::Result<Compact<'static>> = postcard::from_bytes(bytes);
    let Compact { names, versions, axes, built, agrees, structs, functions } =
        read.unwrap_or_else(|error| panic!("embedded database: {error}"));
    Index { names, versions, axes, built, agrees, structs: later(structs), functions: later(functions) }
}

fn later<R: DeserializeOwned>(
    blocks: Vec<(&'static str, &'static [u8])>,
) -> BTreeMap<Cow<'static, str>, Block<R>> {
    blocks.into_iter().map(|(name, bytes)| (Cow::Borrowed(name), Block::later(bytes))).collect()
}
