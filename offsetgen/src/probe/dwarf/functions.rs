//! Functions: whether they are in the program, whether their calls are inlined, and where their parameters lie.
//!
//! The words of a signature are those of the DWARF's types, and [`offsets::abi`] assigns them: a function's results have
//! no location of their own at its return.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use offsets::abi::{self, Kind, Place as At};
use offsets::database::format::{Inlined, Parameter};

use super::program::{Place, Program, origin};
use crate::probe::shape::Signature;

/// One parameter or result before its place is known.
struct Word {
    name: String,
    kind: String,
    words: Kind,
    result: bool,
}

/// A function of which there is a copy that is called, or calls that are inlined; none is in no program.
pub(super) fn signature(
    program: &Program<'_, '_>,
    r#abstract: Option<Place>,
    copy: Option<Place>,
    inlined: usize,
    arch: &str,
    embedded: &mut BTreeSet<String>,
) -> Result<Option<Signature>> {
    let inlined = match (copy, inlined) {
        (None, 0) => return Ok(None),
        (Some(_), 0) => Inlined::No,
        (Some(_), _) => Inlined::Partly,
        (None, _) => Inlined::Always,
    };
    // The abstract one has no results that have no name, and a copy may have lost a parameter: the longer list is whole.
    let (mut params, mut results): (Vec<Word>, Vec<Word>) = (Vec::new(), Vec::new());
    for at in [copy, r#abstract].into_iter().flatten() {
        let (its_results, its_params) = words(program, at, embedded)?;
        if its_params.len() > params.len() {
            params = its_params;
        }
        if its_results.len() > results.len() {
            results = its_results;
        }
    }
    let kinds = |words: &[Word]| words.iter().map(|word| word.words.clone()).collect::<Vec<_>>();
    let assigned = abi::assign(&kinds(&params), &kinds(&results), arch);
    let join = |words: Vec<Word>, places: Vec<At>| {
        let pairs = words.into_iter().zip(places);
        pairs.map(|(word, at)| Parameter { name: word.name, r#type: word.kind, at: at.to_string() }).collect()
    };
    Ok(Some(Signature {
        inlined,
        params: join(params, assigned.params),
        results: join(results, assigned.results),
    }))
}

/// The results and the parameters of one DIE. The compiler lists a result once more where it moved it.
fn words(
    program: &Program<'_, '_>,
    at: Place,
    embedded: &mut BTreeSet<String>,
) -> Result<(Vec<Word>, Vec<Word>)> {
    let mut words: Vec<Word> = Vec::new();
    for place in program.children(at, gimli::DW_TAG_formal_parameter)? {
        let word = word(program, place, embedded)?;
        if word.name == "_" || !words.iter().any(|known| known.name == word.name) {
            words.push(word);
        }
    }
    Ok(words.into_iter().partition(|word| word.result))
}

fn word(program: &Program<'_, '_>, place: Place, embedded: &mut BTreeSet<String>) -> Result<Word> {
    let (unit, entry) = program.entry(place)?;
    let (unit, entry) = match origin(unit, &entry) {
        Some(place) => program.entry(place)?,
        None => (unit, entry),
    };
    let name = program.name(unit, &entry)?.unwrap_or_default().into_owned();
    let kind = program.kind_of(unit, &entry).with_context(|| format!("parameter {name}"))?;
    program.inside(kind, embedded, 0)?;
    let result = match entry.attr_value(gimli::DW_AT_variable_parameter) {
        Some(gimli::AttributeValue::Flag(flag)) => flag,
        other => other.is_some_and(|value| value.udata_value() == Some(1)),
    };
    Ok(Word { kind: program.type_name(kind)?, words: program.kind(kind, 0)?, name, result })
}
