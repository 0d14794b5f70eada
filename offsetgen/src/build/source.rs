//! A digest of the source of some packages: two versions that share it have the same layouts.
//!
//! Only files that can be part of a build for linux on amd64 or arm64 count, and no tests. Comments count: to know them
//! apart takes a parser, and costs less than it saves. And whether a source declares a struct that a program does not have, or
//! has it from another package.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::hex;

/// The parts of the Go compiler that lay structs out, assign registers and inline: for the standard library they are part
/// of the source, since each release brings its own.
pub const COMPILER: [&str; 5] = [
    "cmd/compile/internal/abi",
    "cmd/compile/internal/inline",
    "cmd/compile/internal/types",
    "internal/buildcfg",
    "internal/goexperiment",
];

/// Words at the end of a file's name that keep it out of both architectures' builds (go/build, knownOS and knownArch).
const OTHERS: [&str; 39] = [
    "386",
    "aix",
    "android",
    "arm",
    "armbe",
    "arm64be",
    "darwin",
    "dragonfly",
    "freebsd",
    "hurd",
    "illumos",
    "ios",
    "js",
    "loong64",
    "mips",
    "mips64",
    "mips64le",
    "mips64p32",
    "mips64p32le",
    "mipsle",
    "nacl",
    "netbsd",
    "openbsd",
    "plan9",
    "ppc",
    "ppc64",
    "ppc64le",
    "riscv",
    "riscv64",
    "s390",
    "s390x",
    "solaris",
    "sparc",
    "sparc64",
    "wasip1",
    "wasm",
    "windows",
    "zos",
    "test",
];

/// The Go files of a folder that can be part of a build.
pub fn files(folder: &Path) -> Result<Vec<String>> {
    let names = fs::read_dir(folder).and_then(Iterator::collect::<std::io::Result<Vec<_>>>);
    let names = names.with_context(|| format!("cannot list {}", folder.display()))?;
    let is_go = |name: &str| name.ends_with(".go") && counts(name);
    let paths = names.into_iter().filter(|entry| is_go(&entry.file_name().to_string_lossy()));
    paths
        .map(|entry| entry.path())
        .map(|p| fs::read_to_string(&p).with_context(|| format!("cannot read {}", p.display())))
        .collect()
}

/// Digests packages, each found by `folder`; one without a folder counts as absent.
pub fn digest(packages: &BTreeSet<String>, folder: impl Fn(&str) -> Option<PathBuf>) -> Result<String> {
    let mut hash = Sha256::new();
    for package in packages {
        hash.update(format!("package {package}\n"));
        match folder(package).filter(|folder| folder.is_dir()) {
            Some(folder) => digest_folder(&folder, &mut hash)?,
            None => hash.update("absent\n"),
        }
    }
    Ok(format!("sha256:{}", hex(&hash.finalize())))
}

fn digest_folder(folder: &Path, hash: &mut Sha256) -> Result<()> {
    let read = || -> std::io::Result<Vec<(String, PathBuf)>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if counts(&name) && entry.file_type()?.is_file() {
                files.push((name, entry.path()));
            }
        }
        Ok(files)
    };
    let mut files = read().with_context(|| format!("cannot list {}", folder.display()))?;
    files.sort();
    for (name, path) in files {
        let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        hash.update(format!("{}  {name}\n", hex(&Sha256::digest(&bytes))));
    }
    Ok(())
}

/// Whether a file can be part of a build.
fn counts(name: &str) -> bool {
    let Some((stem, extension)) = name.rsplit_once('.') else { return false };
    // A name without an underscore before the word is not constrained: `windows.go` is an ordinary file.
    let mut words = stem.split('_').skip(1).collect::<Vec<_>>();
    words.reverse();
    ["go", "s", "h"].contains(&extension) && !words.iter().take(2).any(|word| OTHERS.contains(word))
}

/// A linker name in its parts: `net/http.(*conn).serve` is `serve` of `*conn` in net/http.
#[derive(Debug, PartialEq, Eq)]
pub struct Symbol {
    /// Import path.
    pub package: String,
    /// `*conn`; without the star for a method of the value.
    pub receiver: Option<String>,
    /// Of the function or method, without type arguments.
    pub name: String,
}

impl Symbol {
    /// None if no package is named. Names are plain ([`offsets::names`]), so it takes the module's path to know where a package
    /// whose last word has a dot ends: `gopkg.in/yaml.v3.(*T).M` is not `(*T).M` of a type `v3`.
    pub fn parse(text: &str, module: &str) -> Option<Self> {
        // Type arguments hold slashes and dots of their own.
        let head = text.split(['(', '[']).next()?;
        let last = head.rfind('/').map_or(0, |slash| slash + 1);
        let of_module = head.strip_prefix(module).is_some_and(|rest| rest.starts_with('.'));
        let dot = if of_module { module.len() } else { last + head.get(last..)?.find('.')? };
        let (package, rest) = (text.get(..dot)?, text.get(dot + 1..)?);
        let bare = |text: &str| text.split('[').next().unwrap_or_default().to_owned();
        let (receiver, name) = match rest.strip_prefix('(').and_then(|rest| rest.rsplit_once(").")) {
            Some((receiver, name)) => (Some(bare(receiver)), bare(name)),
            None => match rest.split('[').next()?.split_once('.') {
                Some((receiver, name)) => (Some(receiver.to_owned()), bare(name)),
                None => (None, bare(rest)),
            },
        };
        (!package.is_empty()).then(|| Self { package: package.to_owned(), receiver, name })
    }
}

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

/// Words, signs, and one `\n` for each line's end; no comments, no text of literals.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let skip = |end: &str, from: usize| {
            let tail = rest.get(from..).unwrap_or_default();
            tail.find(end).map_or(rest.len(), |at| from + at + end.len())
        };
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            skip("*/", 2)
        } else if first == '`' {
            skip("`", 1)
        } else if first == '"' || first == '\'' {
            quoted(rest, first)
        } else if first.is_alphanumeric() || first == '_' {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            tokens.push(rest.get(..end).unwrap_or_default().to_owned());
            end
        } else {
            if first == '\n' || !first.is_whitespace() {
                tokens.push(first.to_string());
            }
            first.len_utf8()
        };
        rest = rest.get(length..).unwrap_or_default();
    }
    tokens
}

/// The length of a literal that a backslash may quote in.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_a_build() {
        for name in
            ["a.go", "a_linux.go", "asm_amd64.s", "x_linux_arm64.go", "windows.go", "go_asm.h", "a_unix.go"]
        {
            assert!(counts(name), "{name}");
        }
        for name in
            ["a_test.go", "a_windows.go", "a_windows_amd64.go", "sys_riscv64.s", "README.md", "go.mod"]
        {
            assert!(!counts(name), "{name}");
        }
    }

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
    fn parts_of_symbols() {
        for (text, package, receiver, name) in [
            ("net/http.(*conn).serve", "net/http", Some("*conn"), "serve"),
            ("a.b/c.T.M", "a.b/c", Some("T"), "M"),
            ("a.b/c.F", "a.b/c", None, "F"),
            ("a.b/c.F[go.shape.int]", "a.b/c", None, "F"),
            ("a.b/c.(*T[a.b/c.X]).M", "a.b/c", Some("*T"), "M"),
            ("gopkg.in/yaml.v3.(*T).M", "gopkg.in/yaml.v3", Some("*T"), "M"),
            ("gopkg.in/yaml.v3.F", "gopkg.in/yaml.v3", None, "F"),
            ("main.main", "main", None, "main"),
        ] {
            let expected = Symbol {
                package: package.to_owned(),
                receiver: receiver.map(str::to_owned),
                name: name.to_owned(),
            };
            assert_eq!(Symbol::parse(text, "gopkg.in/yaml.v3"), Some(expected), "{text}");
        }
        assert_eq!(Symbol::parse("main", "std"), None);
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

    #[test]
    fn every_byte_and_name_counts_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let packages = BTreeSet::from(["p".to_owned()]);
        let of = || digest(&packages, |name| Some(folder.path().join(name))).expect("a digest");
        let absent = of();
        fs::create_dir(folder.path().join("p")).expect("a folder");
        let empty = of();
        fs::write(folder.path().join("p/a.go"), "package p").expect("written");
        let one = of();
        fs::write(folder.path().join("p/a_test.go"), "package p").expect("written");
        assert_eq!(of(), one);
        fs::write(folder.path().join("p/b.go"), "").expect("written");
        let two = of();
        fs::write(folder.path().join("p/a.go"), "package q").expect("written");
        let all = BTreeSet::from([absent, empty, one, two, of()]);
        assert_eq!(all.len(), 5);
    }
}
