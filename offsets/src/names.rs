//! Names of packages, types and functions: as the catalog writes them, and as compiler and linker spell them.
//!
//! | where | the type `Msg` of `github.com/nats-io/nats.go` | its function `Connect` |
//! |---|---|---|
//! | catalog, database, Plan | `github.com/nats-io/nats.go.Msg` | `github.com/nats-io/nats.go.Connect` |
//! | type data | the same | |
//! | DWARF | `github.com/nats-io/nats%2ego.Msg` | `github.com/nats-io/nats%2ego.Connect` |
//! | pclntab | | `github.com/nats-io/nats%2ego.Connect` |
//!
//! Go escapes what is no letter of a symbol's name, and the dots of a path's last word, by `%` and two hexadecimal digits
//! (cmd/internal/objabi, PathToPrefix). Everything here is plain; a witness's spelling is made plain where it is read.

use std::borrow::Cow;

/// The package of every program's own code, whatever its path is: its path says nothing of the module, so that whoever asks for its
/// owner has to know the program or the entry.
pub const MAIN: &str = "main";
/// The name under which the standard library stands where a module's path is asked for.
pub const STD: &str = "std";

/// The plain form of a name as a linker spells it.
pub fn plain(name: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr(b'%', name).is_none() {
        return Cow::Borrowed(name);
    }
    let mut out = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some((&first, tail)) = rest.split_first() {
        match (first, escaped(tail)) {
            (b'%', Some(byte)) => {
                out.push(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            _ => {
                out.push(first);
                rest = tail;
            }
        }
    }
    Cow::Owned(out)
}

/// The same for text.
pub fn plain_text(name: &str) -> Cow<'_, str> {
    match plain(name.as_bytes()) {
        Cow::Borrowed(_) => Cow::Borrowed(name),
        Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
    }
}

/// The byte that two hexadecimal digits behind a `%` stand for.
fn escaped(tail: &[u8]) -> Option<u8> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(digit(tail.first()?)? << 4 | digit(tail.get(1)?)?)
}

/// The package of a named type, plainly written; none of a type that is written out (`[]int`, `struct {…}`, `map[string]int`,
/// `string`).
pub fn package(type_name: &str) -> Option<&str> {
    // Type arguments have paths of their own.
    let head = type_name.split('[').next().unwrap_or_default();
    if head.contains([' ', '*', '(', '{', '<']) {
        return None;
    }
    let last = head.rfind('/').map_or(0, |slash| slash + 1);
    let dot = head.get(last..)?.rfind('.')?;
    head.get(..last + dot).filter(|package| !package.is_empty())
}

/// The module that owns a package: of those given the one with the longest path that leads to it, else the standard library
/// when the path has no dot in its first word or is one of the copies that the standard library keeps under `vendor/`.
pub fn owner<'m>(package: &str, modules: impl IntoIterator<Item = &'m str>) -> Option<&'m str> {
    let leads = |module: &&str| {
        let rest = package.strip_prefix(*module);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let known = modules.into_iter().filter(|module| *module != STD).filter(leads).max_by_key(|m| m.len());
    known.or_else(|| is_std(package).then_some(STD))
}

/// The same of a function by its linker name, plainly written. Where its package ends the name does not tell for sure
/// (`a/b.c.F` may be of the package `a/b.c` or a method of `a/b`), so that the modules decide.
pub fn owner_of_function<'m>(function: &str, modules: impl IntoIterator<Item = &'m str>) -> Option<&'m str> {
    let leads = |module: &&str| {
        let rest = function.strip_prefix(*module);
        rest.is_some_and(|rest| rest.starts_with(['.', '/']))
    };
    let known = modules.into_iter().filter(|module| *module != STD).filter(leads).max_by_key(|m| m.len());
    // The first word of a path with a dot is followed by a slash; `runtime.main` has none.
    let first = function.split('(').next().unwrap_or_default().split_once('/');
    let is_std = first.is_none_or(|(first, _)| is_std(first));
    known.or_else(|| is_std.then_some(STD))
}

/// Whether a text can be a module's path, or the standard library's name: words of ASCII letters, digits and `-._~` between
/// slashes, none of which begins or ends with a dot (golang.org/x/mod/module, CheckPath).
pub fn is_module_path(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let is_word = |word: &str| {
        !word.is_empty() && !word.starts_with('.') && !word.ends_with('.') && word.bytes().all(fits)
    };
    text.split('/').all(is_word)
}

/// Whether a path is one of the standard library's, as far as the path tells.
fn is_std(package: &str) -> bool {
    let first = package.split('/').next().unwrap_or_default();
    first == "vendor" || !first.contains('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_linker_escapes_is_plain_again() {
        for (name, want) in [
            ("github.com/nats-io/nats%2ego.(*Conn).Publish", "github.com/nats-io/nats.go.(*Conn).Publish"),
            ("gopkg.in/yaml%2ev3.Node", "gopkg.in/yaml.v3.Node"),
            ("net/http.(*conn).serve", "net/http.(*conn).serve"),
            ("a%25b.f", "a%b.f"),
            ("100%", "100%"),
            ("a%2", "a%2"),
            ("a%zz", "a%zz"),
        ] {
            assert_eq!(plain_text(name), want);
        }
    }

    #[test]
    fn packages() {
        for (name, expected) in [
            ("net/http.Request", Some("net/http")),
            ("sync/atomic.Pointer[a/b.T]", Some("sync/atomic")),
            ("github.com/segmentio/kafka-go.Message", Some("github.com/segmentio/kafka-go")),
            ("gopkg.in/yaml.v3.Node", Some("gopkg.in/yaml.v3")),
            ("map[string]a.B", None),
            ("[]a.B", None),
            ("struct { a.B }", None),
            ("string", None),
        ] {
            assert_eq!(package(name), expected, "{name}");
        }
    }

    #[test]
    fn functions_have_the_owners_of_their_packages() {
        let modules = ["github.com/nats-io/nats.go", "google.golang.org/grpc", "std"];
        for (function, want) in [
            ("net/http.serverHandler.ServeHTTP", Some("std")),
            ("net/http.(*conn).serve.func1", Some("std")),
            ("runtime.main", Some("std")),
            ("vendor/golang.org/x/net/http2/hpack.NewDecoder", Some("std")),
            ("github.com/nats-io/nats.go.(*Conn).Publish", Some("github.com/nats-io/nats.go")),
            ("github.com/nats-io/nats.go.Connect", Some("github.com/nats-io/nats.go")),
            (
                "google.golang.org/grpc/internal/transport.(*http2Server).operateHeaders",
                Some("google.golang.org/grpc"),
            ),
            ("google.golang.org/grpcx.F", None),
        ] {
            assert_eq!(owner_of_function(function, modules), want, "{function}");
        }
    }

    #[test]
    fn the_longest_path_owns_and_std_what_nobody_else_does() {
        let modules = ["go.opentelemetry.io/otel", "go.opentelemetry.io/otel/trace", "std", "shop"];
        for (package, want) in [
            ("go.opentelemetry.io/otel/trace/noop", Some("go.opentelemetry.io/otel/trace")),
            ("go.opentelemetry.io/otel/tracer", Some("go.opentelemetry.io/otel")),
            ("go.opentelemetry.io/otel", Some("go.opentelemetry.io/otel")),
            ("golang.org/x/net/http2/hpack", None),
            ("vendor/golang.org/x/net/http2/hpack", Some("std")),
            ("net/http/internal/http2", Some("std")),
            ("shop/internal", Some("shop")),
        ] {
            assert_eq!(owner(package, modules), want, "{package}");
        }
    }
}
