//! What the first version that is built says against the catalog, with the names that come nearest.
//!
//! A name that is spelled wrongly is found in no version. The newest one is built first and takes seconds, all of them take
//! minutes: whoever wrote the entry hears of it after the first. It is no error yet, since an older version may have the name.

use offsets::names;

use crate::probe::dwarf::Names;
use crate::probe::shape::Shape;
use crate::probe::symbol::Symbol;
use crate::probe::wanted::Wanted;

/// So many names are worth reading.
const MAX_NAMES: usize = 3;
/// Names less alike than this are others (1 is equal; normalised Damerau-Levenshtein distance).
const LIKENESS: f64 = 0.5;

/// Whether something that is wanted is in no program, or is another than the catalog says.
pub fn is_needed(wanted: &Wanted<'_>, shape: &Shape) -> bool {
    !of(wanted, "", "", shape, None).is_empty()
}

/// One line for each name of the catalog that this version does not have so. What an earlier run has left has no census: the names
/// that come nearest to structs and functions are then not known, those of fields are.
pub fn of(
    wanted: &Wanted<'_>,
    module: &str,
    version: &str,
    shape: &Shape,
    census: Option<&Names>,
) -> Vec<String> {
    let mut lines = Vec::new();
    for name in wanted.structs.iter().filter(|name| shape.structs.get(**name) == Some(&None)) {
        let package = names::package(name).unwrap_or_default();
        let of_package = |other: &&String| names::package(other) == Some(package);
        let line = format!("{module} {version} has no struct {name}");
        let nearest = census.map(|census| nearest(name, package, census.structs.iter().filter(of_package)));
        lines.push(line + &nearest.unwrap_or_default());
    }
    for name in wanted.functions.iter().filter(|name| shape.functions.get(**name) == Some(&None)) {
        let package = Symbol::parse(name, module).map(|symbol| symbol.package).unwrap_or_default();
        let inside =
            |other: &&String| other.strip_prefix(&*package).is_some_and(|rest| rest.starts_with('.'));
        let line = format!("{module} {version} has no function {name}");
        let nearest = census.map(|census| nearest(name, &package, census.functions.iter().filter(inside)));
        lines.push(line + &nearest.unwrap_or_default());
    }
    for (type_name, field, kind) in &wanted.fields {
        let Some(Some(layout)) = shape.structs.get(*type_name) else { continue };
        match layout.fields.get(*field) {
            Some((_, found)) if found == kind => {}
            Some((_, found)) => {
                lines.push(format!("{module} {version} has {type_name}.{field} as {found}, not as {kind}"));
            }
            None => {
                let line = format!("{module} {version} has no field {type_name}.{field}");
                lines.push(line + &nearest(field, type_name, layout.fields.keys()));
            }
        }
    }
    lines
}

/// `; nearest: A, B`, or that the place is empty.
fn nearest<'a>(name: &str, place: &str, others: impl Iterator<Item = &'a String>) -> String {
    let likeness = |other: &str| strsim::normalized_damerau_levenshtein(name, other);
    let mut others: Vec<(f64, &String)> = others.map(|other| (likeness(other), other)).collect();
    if others.is_empty() {
        return format!("; nothing of {place} is in the target's program");
    }
    others.retain(|(likeness, _)| *likeness >= LIKENESS);
    others.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1)));
    let names: Vec<&str> = others.iter().take(MAX_NAMES).map(|(_, name)| name.as_str()).collect();
    match names.is_empty() {
        true => format!("; nothing of {place} is called anything like it"),
        false => format!("; nearest: {}", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::probe::shape::Layout;

    #[test]
    fn the_names_that_come_nearest() {
        let wanted = Wanted {
            structs: BTreeSet::from(["a.b/nats.go.Msg", "a.b/nats.go.Mesage"]),
            functions: BTreeSet::from(["a.b/nats.go.(*Conn).Publsh", "a.b/other.F"]),
            fields: BTreeSet::from([
                ("a.b/nats.go.Msg", "Subjct", "string"),
                ("a.b/nats.go.Msg", "Data", "string"),
            ]),
            ..Wanted::default()
        };
        let mut shape = Shape::default();
        let fields = [("Subject", (0, "string".to_owned())), ("Data", (16, "[]uint8".to_owned()))];
        let fields = fields.into_iter().map(|(name, place)| (name.to_owned(), place)).collect();
        shape.structs.insert("a.b/nats.go.Msg".into(), Some(Layout { size: 40, fields }));
        shape.structs.insert("a.b/nats.go.Mesage".into(), None);
        shape.functions.insert("a.b/nats.go.(*Conn).Publsh".into(), None);
        shape.functions.insert("a.b/other.F".into(), None);
        let own = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let census = Names {
            structs: own(&["a.b/nats.go.Message", "a.b/nats.go.Msg", "fmt.pp"]),
            functions: own(&["a.b/nats.go.(*Conn).Publish", "a.b/nats.go.Connect", "a.b/nats.Publsh"]),
        };
        assert!(is_needed(&wanted, &shape));
        let lines = of(&wanted, "a.b/nats.go", "v1.2.3", &shape, Some(&census));
        let text = lines.join("\n");
        assert!(text.contains("no struct a.b/nats.go.Mesage; nearest: a.b/nats.go.Message, "), "{text}");
        assert!(text.contains("Publsh; nearest: a.b/nats.go.(*Conn).Publish"), "{text}");
        assert!(text.contains("a.b/other.F; nothing of a.b/other is in the target's program"), "{text}");
        assert!(text.contains("no field a.b/nats.go.Msg.Subjct; nearest: Subject"), "{text}");
        assert!(text.contains("a.b/nats.go.Msg.Data as []uint8, not as string"), "{text}");
        assert_eq!(lines.len(), 5, "{text}");
    }
}
