//! What a Go source declares: structs that a program does not have, or has from another package, and functions.
//!
//! It reads words and brackets, which is all that a declaration takes; it is no parser.

use super::symbol::Symbol;
use super::tokens::tokens;

/// Whether a Go source declares a function or method.
pub fn declares_function(text: &str, symbol: &Symbol) -> bool {
    let tokens = tokens(text);
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate() {
        match token.as_str() {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => depth = depth.saturating_sub(1),
            "func" if depth == 0 => {
                let rest = tokens.get(at + 1..).unwrap_or_default();
                let (receiver, rest) = receiver(rest);
                let opens = rest.get(1).is_some_and(|next| next == "(" || next == "[");
                if receiver == symbol.receiver && opens && rest.first() == Some(&symbol.name) {
                    return true;
                }
            }
            _ => {}
        }
    }
    false
}

/// Behind `func`: the receiver's type, without its name and type parameters, and what follows.
fn receiver(tokens: &[String]) -> (Option<String>, &[String]) {
    if tokens.first().is_none_or(|token| token != "(") {
        return (None, tokens);
    }
    let end = tokens.iter().position(|token| token == ")").unwrap_or(tokens.len());
    let inside = tokens.get(1..end).unwrap_or_default();
    let inside = inside.split(|token| token == "[").next().unwrap_or_default();
    let star = if inside.iter().any(|token| token == "*") { "*" } else { "" };
    let name = inside.iter().rfind(|token| *token != "\n").map_or("", String::as_str);
    (Some(format!("{star}{name}")), tokens.get(end + 1..).unwrap_or_default())
}

/// Whether a Go source declares a type of that name that is, or may be, a struct: no alias, interface, function, map, channel,
/// pointer or slice.
pub fn declares(text: &str, name: &str) -> bool {
    declared(&tokens(text), name).is_some_and(may_be_struct)
}

/// The import path of the package whose type a type of that name is defined as (`type T other.U`), if it is; empty if no import has
/// that name for certain.
pub fn defined_as(text: &str, name: &str) -> Option<String> {
    // Most lines say nothing of the kind: only then is it worth taking the source apart.
    let begins = |line: &str| {
        let line = line.trim_start();
        let line = line.strip_prefix("type").map_or(line, str::trim_start);
        line.strip_prefix(name).is_some_and(|rest| rest.trim_start().starts_with(char::is_alphabetic))
    };
    if !text.lines().any(begins) {
        return None;
    }
    match declared(&tokens(text), name)? {
        [package, dot, ..] if dot == "." => Some(imported(text, package).unwrap_or_default()),
        _ => None,
    }
}

/// What a file imports under a name: one that the import says, or the path's last word.
fn imported(text: &str, name: &str) -> Option<String> {
    let lines = text.lines().map(str::trim_start);
    let imports = lines.filter_map(|line| {
        let (own, rest) = line.strip_prefix("import").unwrap_or(line).trim_start().split_once('"')?;
        let path = rest.split('"').next()?;
        let is_name = own.chars().all(|c| c.is_alphanumeric() || c == '_' || c == ' ');
        is_name.then(|| (own.trim(), path))
    });
    let mut of_name = imports.filter(|(own, path)| match *own {
        "" => path.rsplit('/').next() == Some(name),
        own => own == name,
    });
    of_name.next().map(|(_, path)| path.to_owned())
}

/// What stands behind a type's name where it is declared.
fn declared<'t>(tokens: &'t [String], name: &str) -> Option<&'t [String]> {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate() {
        let before = |back: usize| at.checked_sub(back).and_then(|at| tokens.get(at)).map(String::as_str);
        match token.as_str() {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => depth = depth.saturating_sub(1),
            // `type T …` at the top, or `T …` at the beginning of a line in a group `type ( … )`.
            _ if token == name && depth == 0 && before(1) == Some("type") => {
                return tokens.get(at + 1..);
            }
            _ if token == name && depth == 1 && before(1) == Some("\n") && in_group(tokens, at) => {
                return tokens.get(at + 1..);
            }
            _ => {}
        }
    }
    None
}

/// Whether the bracket that is open at a place is that of `type (`.
fn in_group(tokens: &[String], at: usize) -> bool {
    let mut open = 0_usize;
    for (place, token) in tokens.iter().enumerate().take(at).rev() {
        match token.as_str() {
            "}" | ")" | "]" => open += 1,
            "{" | "(" | "[" if open > 0 => open -= 1,
            "(" => {
                return place.checked_sub(1).and_then(|at| tokens.get(at)).is_some_and(|word| word == "type");
            }
            "{" | "[" => return false,
            _ => {}
        }
    }
    false
}

/// Behind a type's name: its parameters, if it has any, and its first word.
fn may_be_struct(tokens: &[String]) -> bool {
    let mut rest = tokens;
    let is_generic = |next: &str| next.starts_with(|c: char| c.is_alphabetic() || c == '_');
    // `[N]T` and `[]T` are arrays and slices, `[K comparable]` are parameters: two words in a row.
    if let [open, first, second, ..] = rest
        && open == "["
        && is_generic(first)
        && (is_generic(second) || second == ",")
    {
        let mut depth = 0_usize;
        let end = rest.iter().position(|token| {
            match token.as_str() {
                "[" => depth += 1,
                "]" => depth -= 1,
                _ => {}
            }
            depth == 0
        });
        rest = end.and_then(|end| rest.get(end + 1..)).unwrap_or_default();
    }
    let first = rest.first().map_or("", String::as_str);
    is_generic(first) && !["interface", "func", "map", "chan"].contains(&first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declared_structs() {
        let text = "package p\n// type Comment struct{}\nvar s = `type Raw struct{}` + \"type Quoted struct{}\"\n\
            type Plain struct { Inner int }\ntype Generic[K comparable, V any] struct{}\ntype Other Plain\n\
            type Alias = Plain\ntype Face interface { M() }\ntype Call func()\ntype List []Plain\n\
            type Array [Size]Plain\ntype Pointer *Plain\ntype (\n\tGrouped struct {\n\t\tField int\n\t}\n\
            \tSecond struct{}\n\tNumber int\n)\nvar (\n\tNoType struct{}\n)\nfunc f() {\n\ttype Local struct{}\n}\n\
            const r = '\\''\ntype Last struct{}\n";
        for name in ["Plain", "Generic", "Other", "Grouped", "Second", "Last"] {
            assert!(declares(text, name), "{name}");
        }
        for name in [
            "Comment", "Raw", "Quoted", "Alias", "Face", "Call", "List", "Array", "Pointer", "NoType",
            "Local", "Inner", "Field", "Missing",
        ] {
            assert!(!declares(text, name), "{name}");
        }
    }

    #[test]
    fn types_that_are_those_of_other_packages() {
        let text = "package p\n\nimport \"a/plain\"\nimport (\n\t// A comment.\n\tspb \"a/status\"\n\t_ \"a/blank\"\n)\n\n\
            type One spb.Status\ntype (\n\tTwo plain.T\n\tThree struct {\n\t\tFour spb.Status\n\t}\n)\n\
            type Five One\ntype Six struct { A spb.Status }\ntype Seven = spb.Status\ntype Eight hidden.T\n";
        for (name, path) in [("One", "a/status"), ("Two", "a/plain"), ("Eight", "")] {
            assert_eq!(defined_as(text, name).as_deref(), Some(path), "{name}");
        }
        for name in ["Three", "Four", "Five", "Six", "Seven", "Missing"] {
            assert_eq!(defined_as(text, name), None, "{name}");
        }
    }

    #[test]
    fn declared_functions() {
        let text = "package p\n// func Comment() {}\nfunc Plain() { func() {}() }\nfunc Generic[T any](t T) {}\n\
            func (t *T) Method() {}\nfunc (T) Value(\n) {}\nfunc (g *G[K, V]) Of() {}\nfunc (*T) Unnamed() {}\n\
            var literal = func(t *T) error { return nil }\nvar s = `func Raw() {}`\nfunc Asm(x int) int\n\
            type I interface { Inner() }\n";
        for name in [
            "p.Plain",
            "p.Generic[int]",
            "p.(*T).Method",
            "p.T.Value",
            "p.(*G[int,string]).Of",
            "p.(*T).Unnamed",
            "p.Asm",
        ] {
            let symbol = Symbol::parse(name, "p").expect("a symbol");
            assert!(declares_function(text, &symbol), "{name}");
        }
        for name in [
            "p.Comment",
            "p.Raw",
            "p.T.Method",
            "p.(*T).Value",
            "p.Method",
            "p.(*T).error",
            "p.Inner",
            "p.I.Inner",
            "p.Plain.func1",
            "p.(*G).Missing",
            "p.literal",
        ] {
            let symbol = Symbol::parse(name, "p").expect("a symbol");
            assert!(!declares_function(text, &symbol), "{name}");
        }
    }
}
