//! Names without their packages: what a descriptor says of a type at a glance.

use std::borrow::Cow;

use offsets::names;

use crate::go::types::Types;
use crate::go::wanted::Names;

/// `net/http.Request` → `Request`. Descriptors say `http.Request` at a glance, where `http` is the package's name: that is the
/// last word of its path for some packages only (`github.com/segmentio/kafka-go` is package `kafka`), and the path costs a look
/// at another place.
pub(super) fn bare_name(full: &str) -> &str {
    std::str::from_utf8(bare_of(full.as_bytes())).unwrap_or(full)
}

/// The same for a name as `reflect` prints it: the paths of its type arguments are written in full there, as the linker spells
/// them (`Pointer[github.com/nats-io/nats%2ego.Msg]`).
pub(super) fn bare(name: &[u8]) -> Cow<'_, [u8]> {
    names::plain(bare_of(name))
}

/// Whether a type has one of these names, its package aside. What is kept by a type's address is kept of such types alone: a file may have
/// a million others.
pub(super) fn has_bare_name(types: &Types<'_>, vaddr: u64, names: &Names<'_>) -> bool {
    let short = types.get(vaddr).and_then(|t| types.short_name(&t));
    short.is_some_and(|short| names.position(&bare(short)).is_some())
}

fn bare_of(name: &[u8]) -> &[u8] {
    // Type arguments have paths of their own.
    let head = name.split(|&byte| byte == b'[').next().unwrap_or(name);
    let start = memchr::memrchr(b'.', head).map_or(0, |dot| dot + 1);
    name.get(start..).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_name_is_the_same_however_the_package_is_written() {
        for (full, short, want) in [
            ("net/http.Request", "http.Request", "Request"),
            ("github.com/segmentio/kafka-go.Message", "kafka.Message", "Message"),
            ("github.com/jackc/pgx/v5.Conn", "pgx.Conn", "Conn"),
            ("github.com/nats-io/nats.go.Msg", "nats.Msg", "Msg"),
            ("sync/atomic.Pointer[a/b.T]", "atomic.Pointer[a/b.T]", "Pointer[a/b.T]"),
            ("sync/atomic.Pointer[a/b.c.T]", "atomic.Pointer[a/b%2ec.T]", "Pointer[a/b.c.T]"),
        ] {
            assert_eq!((bare_name(full), &*bare(short.as_bytes())), (want, want.as_bytes()));
        }
    }
}
