//! Functions that the compiler names after the function that they are written in: `F.func1`, `F.deferwrap1`.
//!
//! The numbers follow the source, so such a name stays the same as long as the source does. But a function that is inlined takes
//! copies of its closures along, and those are named after the function that they are copied into.

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
