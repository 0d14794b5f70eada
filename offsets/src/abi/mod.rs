//! Where Go's calling convention puts parameters and results (src/cmd/compile/abi-internal.md, Go 1.17 and later).
//!
//! | architecture | integers, pointers | floating point |
//! |---|---|---|
//! | amd64 | rax rbx rcx rdi rsi r8 r9 r10 r11 | xmm0 to xmm14 |
//! | arm64 | r0 to r15 | f0 to f15 |
//!
//! A value whose words do not all find a register, or that holds an array of more than one element, lies on the stack as a
//! whole, and registers that it had tried are free again. Results begin anew with the first register, and on the stack behind
//! the parameters. Behind those two lies room for the parameters that came in registers (the spill area, which the caller
//! makes and the callee may use): it matters here since a binary tells its offsets.
//!
//! ```text
//!            at a function's first instruction      what the caller sees
//! amd64      rsp ► return address                   rsp ► stack+0
//!            rsp+8 ► stack+0                        rsp+8 ► stack+8
//! arm64      sp ► room for the callee's frame       the same
//!            sp+8 ► stack+0
//! ```
//!
//! `offsetgen` assigns the words of DWARF's types, the analyzer those of a shape ([`shape`]): both ask here, so that the two
//! cannot differ.

pub mod shape;

use std::fmt;
use std::str::FromStr;

const AMD64: [&str; 9] = ["rax", "rbx", "rcx", "rdi", "rsi", "r8", "r9", "r10", "r11"];
const ARM64: [&str; 16] =
    ["r0", "r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"];

/// Registers for integers and pointers in order, as Go spells them; none of an architecture that is not known.
pub fn integer_registers(arch: &str) -> &'static [&'static str] {
    match arch {
        "amd64" => &AMD64,
        "arm64" => &ARM64,
        _ => &[],
    }
}

/// What one register holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// An integer or a pointer.
    Integer,
    /// A floating point number.
    Float,
}

/// A type, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A number or a pointer.
    Words {
        /// Bytes.
        size: u64,
        /// Its registers.
        words: Vec<Word>,
    },
    /// A struct, a string, a slice, an interface.
    Struct {
        /// Bytes.
        size: u64,
        /// Its fields.
        parts: Vec<Kind>,
    },
    /// An array.
    Array {
        /// Bytes.
        size: u64,
        /// Elements.
        count: u64,
        /// What they are.
        element: Box<Kind>,
    },
}

impl Kind {
    /// Bytes.
    pub fn size(&self) -> u64 {
        match self {
            Self::Words { size, .. } | Self::Struct { size, .. } | Self::Array { size, .. } => *size,
        }
    }

    /// Its words in order; none if it can never be in registers.
    fn words(&self, out: &mut Vec<Word>) -> Option<()> {
        match self {
            Self::Words { words, .. } => out.extend(words),
            Self::Struct { parts, .. } => parts.iter().try_for_each(|part| part.words(out))?,
            Self::Array { count: 0, .. } => {}
            Self::Array { count: 1, element, .. } => element.words(out)?,
            Self::Array { .. } => return None,
        }
        Some(())
    }

    /// What its address is a multiple of.
    pub fn align(&self) -> u64 {
        match self {
            Self::Words { size, .. } => (*size).clamp(1, 8),
            Self::Struct { parts, .. } => parts.iter().map(Self::align).max().unwrap_or(1),
            Self::Array { element, .. } => element.align(),
        }
    }
}

/// Where one parameter or result lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In these registers, one for each number or pointer in it; none where it has no bytes.
    Registers(Vec<String>),
    /// On the stack, so many bytes from the first word above the return address.
    Stack(u64),
}

/// Written as the database has it: `rax rbx`, `stack+8`, or nothing of a value without bytes.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registers(names) => f.write_str(&names.join(" ")),
            Self::Stack(offset) => write!(f, "stack+{offset}"),
        }
    }
}

/// A text that is no [`Place`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither registers nor stack+BYTES")]
pub struct NoPlace(String);

impl FromStr for Place {
    type Err = NoPlace;

    fn from_str(text: &str) -> Result<Self, NoPlace> {
        if let Some(offset) = text.strip_prefix("stack+") {
            return offset.parse().map(Self::Stack).map_err(|_| NoPlace(text.to_owned()));
        }
        let names: Vec<String> = text.split_whitespace().map(ToOwned::to_owned).collect();
        let is_register = |name: &String| name.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if names.iter().all(is_register) { Ok(Self::Registers(names)) } else { Err(NoPlace(text.to_owned())) }
    }
}

/// Places of parameters and results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// Of each parameter, the receiver first.
    pub params: Vec<Place>,
    /// Of each result.
    pub results: Vec<Place>,
    /// Bytes of stack that the parameters take, a multiple of 8: the first result on the stack lies there.
    pub params_end: u64,
    /// Bytes of stack that parameters and results take, a multiple of 8: the spill area begins there.
    pub spills_at: u64,
}

/// Assigns parameters and results.
pub fn assign(params: &[Kind], results: &[Kind], arch: &str) -> Assignment {
    let mut stack = 0;
    let params = sequence(params, arch, &mut stack);
    let params_end = stack.next_multiple_of(8);
    stack = params_end;
    let results = sequence(results, arch, &mut stack);
    Assignment { params, results, params_end, spills_at: stack.next_multiple_of(8) }
}

fn sequence(kinds: &[Kind], arch: &str, stack: &mut u64) -> Vec<Place> {
    let mut used = (0, 0);
    kinds.iter().map(|kind| one(kind, arch, &mut used, stack)).collect()
}

fn one(kind: &Kind, arch: &str, used: &mut (usize, usize), stack: &mut u64) -> Place {
    let mut words = Vec::new();
    let fits = kind.words(&mut words).and_then(|()| registers(&words, arch, used));
    if let Some(names) = fits {
        return Place::Registers(names);
    }
    *stack = stack.next_multiple_of(kind.align());
    let at = Place::Stack(*stack);
    *stack = stack.saturating_add(kind.size());
    at
}

/// The registers of all words, or none if one finds no register.
fn registers(words: &[Word], arch: &str, used: &mut (usize, usize)) -> Option<Vec<String>> {
    let (mut integers, mut floats) = *used;
    let mut names = Vec::new();
    for word in words {
        match (word, arch) {
            (Word::Integer, _) => names.push((*integer_registers(arch).get(integers)?).to_owned()),
            (Word::Float, "amd64") if floats < 15 => names.push(format!("xmm{floats}")),
            (Word::Float, "arm64") if floats < 16 => names.push(format!("f{floats}")),
            _ => return None,
        }
        match word {
            Word::Integer => integers += 1,
            Word::Float => floats += 1,
        }
    }
    *used = (integers, floats);
    Some(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn int() -> Kind {
        Kind::Words { size: 8, words: vec![Word::Integer] }
    }

    fn of(parts: Vec<Kind>) -> Kind {
        Kind::Struct { size: parts.iter().map(Kind::size).sum(), parts }
    }

    fn texts(places: &[Place]) -> Vec<String> {
        places.iter().map(ToString::to_string).collect()
    }

    /// `func f(a uint8, b [2]uintptr, c uint8) struct { r1 uintptr; r2 [2]uintptr }`, the example of abi-internal.md: a
    /// and c in registers, b and the result on the stack.
    #[test]
    fn the_documents_example() {
        let byte = || Kind::Words { size: 1, words: vec![Word::Integer] };
        let pair = || Kind::Array { size: 16, count: 2, element: Box::new(int()) };
        let assigned = assign(&[byte(), pair(), byte()], &[of(vec![int(), pair()])], "amd64");
        assert_eq!(texts(&assigned.params), ["rax", "stack+0", "rbx"]);
        assert_eq!(texts(&assigned.results), ["stack+16"]);
        assert_eq!((assigned.params_end, assigned.spills_at), (16, 40));
    }

    #[test]
    fn a_value_is_split_or_not_at_all() {
        let string = || of(vec![int(), int()]);
        let params = [string(), string(), string(), string(), string(), int()];
        let assigned = assign(&params, &[string()], "amd64");
        let places = texts(&assigned.params);
        assert_eq!(places, ["rax rbx", "rcx rdi", "rsi r8", "r9 r10", "stack+0", "r11"]);
        assert_eq!(texts(&assigned.results), ["rax rbx"]);
        assert_eq!(texts(&assign(&params, &[], "arm64").params)[4..], ["r8 r9", "r10"]);
        let float = Kind::Words { size: 4, words: vec![Word::Float] };
        let assigned = assign(&[float], &[of(vec![])], "arm64");
        assert_eq!((texts(&assigned.params), texts(&assigned.results)), (vec!["f0".into()], vec!["".into()]));
    }

    #[test]
    fn places_are_read_as_they_are_written() {
        for text in ["rax rbx", "xmm0", "stack+0", "stack+152", ""] {
            assert_eq!(text.parse::<Place>().expect("a place").to_string(), text);
        }
        for text in ["stack+", "stack+x", "stack-8", "rax, rbx"] {
            assert!(text.parse::<Place>().is_err(), "{text}");
        }
    }
}
