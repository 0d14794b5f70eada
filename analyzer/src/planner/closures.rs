//! Functions that the compiler names after the function that they are written in: `F.func1`, `F.deferwrap1`.
//!
//! The numbers follow the source, so such a name stays the same as long as the source does. But a function that is inlined takes
//! copies of its closures along, and those are named after the function that they are copied into.

use std::collections::HashMap;

use crate::error::{ErrorKind, Result};
use crate::go::functions::Functions;

/// What the compiler puts before the number.
const KINDS: [&str; 3] = ["func", "deferwrap", "gowrap"];

/// The function that a closure is written in; nothing for other functions.
pub(super) fn enclosing(name: &str) -> Option<&str> {
    let mut rest = name;
    let mut found = None;
    while let Some((outer, last)) = rest.rsplit_once('.') {
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let is_closure = KINDS.iter().any(|kind| last.strip_prefix(kind).is_some_and(is_number));
        // Below a closure the number alone: `F.func1.2`.
        if !is_closure && !is_number(last) {
            break;
        }
        rest = outer;
        if is_closure {
            found = Some(outer);
        }
    }
    found
}

/// Most closures of one function that are told apart: each copy of it has its own.
const MOST: usize = 4096;

/// The closures of these functions, by the function: its own, and those of its copies, which the compiler names after the function that it
/// copied it into (`main.init.WithSchemaURL.func2`). A function of the same name in another package has closures of the same names: whoever
/// compares addresses has to know the type of what it looks at.
pub(super) fn of<'a>(
    functions: &Functions<'_>,
    wanted: impl Iterator<Item = &'a String>,
) -> Result<HashMap<&'a str, Vec<u64>>> {
    let wanted: Vec<(&str, &str)> =
        wanted.filter_map(|name| Some((name.as_str(), without_package(name)?))).collect();
    let mut found: HashMap<&'a str, Vec<u64>> = HashMap::new();
    if wanted.is_empty() {
        return Ok(found);
    }
    for function in functions.iter() {
        let Some(outer) = std::str::from_utf8(functions.name_bytes(&function)).ok().and_then(directly_in)
        else {
            continue;
        };
        let is_its = |(_, short): &&(&str, &str)| {
            outer.strip_suffix(short).is_some_and(|before| before.ends_with('.'))
        };
        if let Some((name, _)) = wanted.iter().find(is_its) {
            let closures = found.entry(name).or_default();
            if closures.len() == MOST {
                let what = "closures of one function";
                return Err(ErrorKind::Budget { what, count: MOST as u64 + 1, limit: MOST as u64 });
            }
            closures.push(function.vaddr);
        }
    }
    Ok(found)
}

/// The function that a closure is directly written in: nothing for one within another closure, and for other functions.
fn directly_in(name: &str) -> Option<&str> {
    let (outer, last) = name.rsplit_once('.')?;
    let number = last.strip_prefix("func")?;
    (!number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())).then_some(outer)
}

/// A function's name behind its package. Of a package with a dot in the last word of its path it is too long, and fits nothing.
pub(super) fn without_package(name: &str) -> Option<&str> {
    let head = name.split('(').next()?;
    let last = head.rfind('/').map_or(0, |slash| slash + 1);
    let dot = head.get(last..)?.find('.')?;
    name.get(last + dot + 1..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_package_is_left_out() {
        for (name, want) in [
            ("database/sql.(*DB).queryDC.func1", Some("(*DB).queryDC.func1")),
            ("main.f.func1", Some("f.func1")),
            ("a.b/c.F[go.shape.int]", Some("F[go.shape.int]")),
            ("a/b.(*T[c/d.U]).F", Some("(*T[c/d.U]).F")),
            ("f", None),
            ("", None),
        ] {
            assert_eq!(without_package(name), want, "{name}");
        }
    }

    #[test]
    fn closures_of_copies_are_told_by_what_was_copied() {
        for (name, want) in [
            ("main.init.WithSchemaURL.func2", Some("main.init.WithSchemaURL")),
            ("a.b/trace.WithSchemaURL.func1", Some("a.b/trace.WithSchemaURL")),
            ("main.f.func1.2", None),
            ("main.f.gowrap1", None),
            ("main.f.func", None),
            ("main", None),
        ] {
            assert_eq!(directly_in(name), want, "{name}");
        }
    }

    #[test]
    fn closures_are_told_from_other_functions() {
        for (name, want) in [
            ("net/http.(*conn).serve.func1", Some("net/http.(*conn).serve")),
            ("database/sql.(*DB).queryDC.func1.2", Some("database/sql.(*DB).queryDC")),
            ("a.F.func1.deferwrap2", Some("a.F")),
            ("a.F.gowrap1", Some("a.F")),
            ("gopkg.in/yaml.v3.Marshal", None),
            ("gopkg.in/yaml.v3.func1", Some("gopkg.in/yaml.v3")),
            ("a.func1x", None),
            ("a.F.func", None),
            ("a.F.1", None),
            ("main.main", None),
            ("", None),
        ] {
            assert_eq!(enclosing(name), want, "{name}");
        }
    }
}
