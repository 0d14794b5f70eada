//! Full names of types, with import paths, from type data as DWARF spells them.
//!
//! One spelling serves all witnesses: DWARF's, which the database and the catalog have too. reflect's, which stands in the
//! descriptor, names packages without their paths, so two different types can have it. So composite types are put together from
//! their parts, and structs and interfaces that have no name of their own member by member:
//!
//! | what | spelling |
//! |---|---|
//! | struct | `struct { A int; B int }`, `struct {}` |
//! | interface | `interface { Read([]uint8) (int, error) }`, `interface {}` |
//! | embedded field | its type alone |
//! | field or method that is not exported | with its package's path: `net/http.c int` |
//! | tag | behind the field, quoted as `strconv.Quote` does |
//!
//! Descriptors share names and parts, so that all names of a small file may be gigabytes together: see [`NameBudget`].

use super::descriptor::{EMBEDDED, FIELD_BYTES, Kind, Type, Types, VARIADIC};
use super::member::{EXPORTED, Member};
use super::tag::quoted;
use crate::bytes;
use crate::error::{ErrorKind, Result};
use offsets::names::plain;

/// Deepest nesting of a composite type's name.
const MAX_DEPTH: u32 = 16;
/// Longest full name that is put together.
const MAX_FULL_NAME_BYTES: usize = 1 << 16;
/// Most bytes that are read and written for all full names of one file together; those of all structs in a binary of
/// 185 MB take 3 million.
const MAX_NAMES_BYTES: u64 = 1 << 26;
/// `reflect.RecvDir`.
const RECEIVES: u64 = 1;
/// `reflect.SendDir`.
const SENDS: u64 = 2;
/// A method's entry: name and type, each an offset.
const METHOD_BYTES: u64 = 8;

impl<'a> Types<'a> {
    /// With full import paths (`*net/http.Request`), as DWARF spells it.
    pub fn full_name(&self, vaddr: u64) -> Option<String> {
        self.full_name_within(vaddr, &mut NameBudget::default()).ok()?
    }

    /// The same, at the expense of a budget: descriptors share names and parts, so that all names of a small file may be
    /// gigabytes together.
    pub fn full_name_within(&self, vaddr: u64, budget: &mut NameBudget) -> Result<Option<String>> {
        let mut builder = Builder { out: String::new(), budget };
        let written = self.write_name(vaddr, 0, &mut builder);
        let name = written.map(|()| builder.out);
        budget.check()?;
        Ok(name)
    }

    /// Whether this is the type's full name; nothing is put together, the first difference ends it.
    pub fn has_full_name(&self, vaddr: u64, name: &str) -> bool {
        let mut rest = Matcher { rest: name.as_bytes() };
        self.write_name(vaddr, 0, &mut rest).is_some() && rest.rest.is_empty()
    }

    /// Whether this is `map[K]V` of a map type, a defined one included.
    pub fn has_underlying_name(&self, t: &Type<'_>, name: &str) -> bool {
        let mut rest = Matcher { rest: name.as_bytes() };
        t.kind == Kind::Map && self.write_map(t, 0, &mut rest).is_some() && rest.rest.is_empty()
    }

    /// Ends with `None` when there is no such name, or when `out` wants no more of it.
    fn write_name(&self, vaddr: u64, depth: u32, out: &mut impl Sink) -> Option<()> {
        if depth > MAX_DEPTH {
            return None;
        }
        let t = self.get(vaddr)?;
        if t.is_named() {
            return self.write_defined(&t, out);
        }
        let depth = depth + 1;
        match t.kind {
            Kind::Pointer => out.put(b"*")?,
            Kind::Slice => out.put(b"[]")?,
            Kind::Array => out.put(format!("[{}]", bytes::u64(t.bytes, 64)?).as_bytes())?,
            Kind::Chan => return self.write_chan(&t, depth, out),
            Kind::Map => return self.write_map(&t, depth, out),
            Kind::Func => {
                out.put(b"func")?;
                return self.write_signature(&t, depth, out);
            }
            // Member by member: the descriptor's own text is reflect's spelling, which names no import paths.
            Kind::Struct => return self.write_struct(&t, depth, out),
            Kind::Interface => return self.write_interface(&t, depth, out),
            Kind::Basic => return out.put(self.short_name(&t)?),
        }
        self.write_name(self.elem(&t)?, depth, out)
    }

    fn write_chan(&self, t: &Type<'_>, depth: u32, out: &mut impl Sink) -> Option<()> {
        out.put(match direction(t)? {
            RECEIVES => b"<-chan ",
            SENDS => b"chan<- ",
            _ => b"chan ",
        })?;
        let elem = self.elem(t)?;
        // The arrow of `chan <-chan int` would belong to the first channel, so the compiler's tconv2 writes `chan (<-chan int)`.
        let inner = self.get(elem).filter(|inner| inner.kind == Kind::Chan && !inner.is_named());
        let takes_arrow = ![RECEIVES, SENDS].contains(&direction(t)?)
            && inner.is_some_and(|inner| direction(&inner) == Some(RECEIVES));
        out.put(if takes_arrow { b"(" } else { b"" })?;
        self.write_name(elem, depth, out)?;
        out.put(if takes_arrow { b")" } else { b"" })
    }

    fn write_map(&self, t: &Type<'_>, depth: u32, out: &mut impl Sink) -> Option<()> {
        out.put(b"map[")?;
        self.write_name(self.key(t)?, depth, out)?;
        out.put(b"]")?;
        self.write_name(self.elem(t)?, depth, out)
    }

    /// Parameters and results, from the parenthesis on.
    fn write_signature(&self, t: &Type<'_>, depth: u32, out: &mut impl Sink) -> Option<()> {
        let (start, len) = self.parameters(t)?;
        let ins = u64::from(bytes::u16(t.bytes, 48)?);
        let variadic = bytes::u16(t.bytes, 50)? & VARIADIC != 0;
        let outs = len.checked_sub(ins)?;
        let at = |i: u64| self.pointer(start.checked_add(i * 8)?);
        out.put(b"(")?;
        for i in 0..ins {
            out.put(if i > 0 { b", " } else { b"" })?;
            if variadic && i + 1 == ins {
                out.put(b"...")?;
                self.write_name(self.elem(&self.get(at(i)?)?)?, depth, out)?;
            } else {
                self.write_name(at(i)?, depth, out)?;
            }
        }
        out.put(match outs {
            0 => b")",
            1 => b") ",
            _ => b") (",
        })?;
        for i in ins..len {
            out.put(if i > ins { b", " } else { b"" })?;
            self.write_name(at(i)?, depth, out)?;
        }
        out.put(if outs > 1 { b")" } else { b"" })
    }

    /// A defined type: its package's import path in place of the package's name.
    fn write_defined(&self, t: &Type<'_>, out: &mut impl Sink) -> Option<()> {
        let short = self.short_name(t)?;
        let package = self.package(t).unwrap_or_default();
        out.charge(short.len());
        // What stands in brackets are type arguments, with paths of their own, which are spelled as the linker does.
        let end = memchr::memchr2(b'.', b'[', short);
        match end.and_then(|at| short.get(at..)) {
            Some(rest) if rest.starts_with(b".") && !package.is_empty() => {
                out.put(package)?;
                out.put(&plain(rest))
            }
            _ => out.put(&plain(short)),
        }
    }

    fn write_struct(&self, t: &Type<'_>, depth: u32, out: &mut impl Sink) -> Option<()> {
        let (start, len) = self.members(t)?;
        out.put(b"struct {")?;
        for i in 0..len {
            out.put(if i > 0 { b"; " } else { b" " })?;
            let at = start.checked_add(i * FIELD_BYTES)?;
            let member = self.member(self.pointer(at)?)?;
            // 1.18 keeps (offset << 1 | embedded) instead of the flag.
            let embedded = if self.module.doubled_offsets {
                self.word(at.checked_add(16)?)? & 1 == 1
            } else {
                member.flags & EMBEDDED != 0
            };
            if !embedded {
                self.write_member(t, &member, out)?;
                out.put(b" ")?;
            }
            self.write_name(self.pointer(at.checked_add(8)?)?, depth, out)?;
            if !member.tag.is_empty() {
                out.put(quoted(member.tag).as_bytes())?;
            }
        }
        out.put(if len > 0 { b" }" } else { b"}" })
    }

    fn write_interface(&self, t: &Type<'_>, depth: u32, out: &mut impl Sink) -> Option<()> {
        let (start, len) = if t.kind == Kind::Interface { self.members(t)? } else { (0, 0) };
        out.put(b"interface {")?;
        for i in 0..len {
            out.put(if i > 0 { b"; " } else { b" " })?;
            let entry = self.bytes(start.checked_add(i * METHOD_BYTES)?, METHOD_BYTES)?;
            let member = self.member(self.at_offset(bytes::i32(entry, 0)?)?)?;
            self.write_member(t, &member, out)?;
            let signature = self.get(self.at_offset(bytes::i32(entry, 4)?)?)?;
            if signature.kind != Kind::Func {
                return None;
            }
            self.write_signature(&signature, depth, out)?;
        }
        out.put(if len > 0 { b" }" } else { b"}" })
    }

    fn write_member(&self, t: &Type<'_>, member: &Member<'_>, out: &mut impl Sink) -> Option<()> {
        if member.flags & EXPORTED == 0 {
            let of_type = || self.name_at(self.pointer(t.vaddr.checked_add(48)?)?);
            out.put(member.package.or_else(of_type).unwrap_or_default())?;
            out.put(b".")?;
        }
        out.put(member.name)
    }
}

/// Which way values go through a channel (`reflect.ChanDir`).
fn direction(t: &Type<'_>) -> Option<u64> {
    bytes::u64(t.bytes, 56)
}

/// What may still be spent on full names: one for a whole file.
#[derive(Debug, Default)]
pub struct NameBudget {
    spent: u64,
}

impl NameBudget {
    fn check(&self) -> Result<()> {
        if self.spent > MAX_NAMES_BYTES {
            return Err(ErrorKind::Budget {
                what: "bytes of type names",
                count: self.spent,
                limit: MAX_NAMES_BYTES,
            });
        }
        Ok(())
    }
}

/// Where a full name goes, part by part.
trait Sink {
    /// The next part; `None` when no more is wanted.
    fn put(&mut self, part: &[u8]) -> Option<()>;
    /// So many bytes were read, which need not appear in the name.
    fn charge(&mut self, _len: usize) {}
}

/// Puts a name together.
struct Builder<'b> {
    out: String,
    budget: &'b mut NameBudget,
}

impl Sink for Builder<'_> {
    fn put(&mut self, part: &[u8]) -> Option<()> {
        self.charge(part.len());
        if self.out.len() > MAX_FULL_NAME_BYTES || self.budget.check().is_err() {
            return None;
        }
        self.out.push_str(&String::from_utf8_lossy(part));
        Some(())
    }

    fn charge(&mut self, len: usize) {
        self.budget.spent = self.budget.spent.saturating_add(len as u64);
    }
}

/// Holds a name against a text, and ends at the first difference.
struct Matcher<'n> {
    rest: &'n [u8],
}

impl Sink for Matcher<'_> {
    fn put(&mut self, part: &[u8]) -> Option<()> {
        self.rest = self.rest.strip_prefix(part)?;
        Some(())
    }
}
