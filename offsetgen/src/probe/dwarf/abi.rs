//! Where Go's calling convention puts parameters and results (src/cmd/compile/abi-internal.md, Go 1.17 and later).
//!
//! | architecture | integers, pointers | floating point |
//! |---|---|---|
//! | amd64 | rax rbx rcx rdi rsi r8 r9 r10 r11 | xmm0 to xmm14 |
//! | arm64 | r0 to r15 | f0 to f15 |
//!
//! A value whose words do not all find a register, or that holds an array of more than one element, lies on the stack as a
//! whole: `stack+N` counts from the first word above the return address. Results begin anew with the first register, and
//! on the stack behind the parameters.

const AMD64: [&str; 9] = ["rax", "rbx", "rcx", "rdi", "rsi", "r8", "r9", "r10", "r11"];

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

    fn align(&self) -> u64 {
        match self {
            Self::Words { size, .. } => (*size).clamp(1, 8),
            Self::Struct { parts, .. } => parts.iter().map(Self::align).max().unwrap_or(1),
            Self::Array { element, .. } => element.align(),
        }
    }
}

/// The places of parameters and results.
pub fn assign(params: &[Kind], results: &[Kind], arch: &str) -> (Vec<String>, Vec<String>) {
    let mut stack = 0;
    let params = sequence(params, arch, &mut stack);
    stack = stack.next_multiple_of(8);
    (params, sequence(results, arch, &mut stack))
}

fn sequence(kinds: &[Kind], arch: &str, stack: &mut u64) -> Vec<String> {
    let mut used = (0, 0);
    kinds.iter().map(|kind| one(kind, arch, &mut used, stack)).collect()
}

fn one(kind: &Kind, arch: &str, used: &mut (usize, usize), stack: &mut u64) -> String {
    let mut words = Vec::new();
    let fits = kind.words(&mut words).and_then(|()| registers(&words, arch, used));
    if let Some(names) = fits {
        return names.join(" ");
    }
    *stack = stack.next_multiple_of(kind.align());
    let at = format!("stack+{stack}");
    *stack += kind.size();
    at
}

/// The registers of all words, or none if one finds no register.
fn registers(words: &[Word], arch: &str, used: &mut (usize, usize)) -> Option<Vec<String>> {
    let (mut integers, mut floats) = *used;
    let mut names = Vec::new();
    for word in words {
        match (word, arch) {
            (Word::Integer, "amd64") => names.push((*AMD64.get(integers)?).to_owned()),
            (Word::Integer, _) if integers < 16 => names.push(format!("r{integers}")),
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

    /// `func f(a uint8, b [2]uintptr, c uint8) struct { r1 uintptr; r2 [2]uintptr }`, the example of abi-internal.md: a
    /// and c in registers, b and the result on the stack.
    #[test]
    fn the_documents_example() {
        let byte = || Kind::Words { size: 1, words: vec![Word::Integer] };
        let pair = || Kind::Array { size: 16, count: 2, element: Box::new(int()) };
        let (params, results) = assign(&[byte(), pair(), byte()], &[of(vec![int(), pair()])], "amd64");
        assert_eq!(params, ["rax", "stack+0", "rbx"]);
        assert_eq!(results, ["stack+16"]);
    }

    #[test]
    fn a_value_is_split_or_not_at_all() {
        let string = || of(vec![int(), int()]);
        let params = [string(), string(), string(), string(), string(), int()];
        let (places, results) = assign(&params, &[string()], "amd64");
        assert_eq!(places, ["rax rbx", "rcx rdi", "rsi r8", "r9 r10", "stack+0", "r11"]);
        assert_eq!(results, ["rax rbx"]);
        assert_eq!(assign(&params, &[], "arm64").0[4..], ["r8 r9", "r10"]);
        let float = Kind::Words { size: 4, words: vec![Word::Float] };
        assert_eq!(assign(&[float], &[of(vec![])], "arm64"), (vec!["f0".to_owned()], vec![String::new()]));
    }
}
