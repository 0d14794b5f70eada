//! Sets of names and of numbers that hardly any candidate is in, asked millions of times: a bit table answers most
//! questions at a glance, and only what passes it is looked up.

use std::collections::HashMap;
use std::fmt;

/// One bit for each value of 16 bits.
struct Glance(Box<[u64; 1024]>);

impl Glance {
    fn new(values: impl Iterator<Item = u16>) -> Self {
        let mut bits = Box::new([0; 1024]);
        for value in values {
            if let Some(word) = bits.get_mut(usize::from(value >> 6)) {
                *word |= 1 << (value & 63);
            }
        }
        Glance(bits)
    }

    fn may_hold(&self, value: u16) -> bool {
        self.0.get(usize::from(value >> 6)).is_some_and(|word| word >> (value & 63) & 1 == 1)
    }
}

/// How names end: most texts that end in none of them are told by their last three bytes.
pub struct Endings<'n> {
    glance: Glance,
    /// The names that have not even three (`runtime.g`, `database/sql.DB`).
    short: Vec<&'n [u8]>,
}

impl<'n> Endings<'n> {
    /// Those of these names.
    pub fn new(names: impl IntoIterator<Item = &'n str>) -> Self {
        let mut short: Vec<&[u8]> = Vec::new();
        let glance = Glance::new(names.into_iter().map(str::as_bytes).filter_map(|name| {
            let last = name.last_chunk().copied().map(mixed);
            if last.is_none() && !short.contains(&name) {
                short.push(name);
            }
            last
        }));
        Endings { glance, short }
    }

    /// Whether one of the names may stand behind the last dot of a text that is written as the linker does, with escapes of three bytes.
    pub fn may_end(&self, text: &[u8]) -> bool {
        let Some(end @ [_, _, last @ ..]) = text.last_chunk::<5>() else { return true };
        self.glance.may_hold(mixed(*last)) || end.contains(&b'%') || self.is_short(text)
    }

    fn is_short(&self, text: &[u8]) -> bool {
        let is_it = |name: &[u8]| text.strip_suffix(name).is_some_and(|rest| rest.last() == Some(&b'.'));
        // The last byte tells most of them.
        self.short.iter().any(|name| name.last() == text.last() && is_it(name))
    }
}

/// Three bytes in sixteen bits.
fn mixed([first, second, third]: [u8; 3]) -> u16 {
    u16::from_le_bytes([second, third]) ^ u16::from(first).wrapping_mul(0x9e35)
}

/// Names, each with its position in the question.
pub struct Names<'n> {
    glance: Glance,
    /// Of the longest.
    max_bytes: usize,
    positions: HashMap<&'n [u8], usize>,
}

impl<'n> Names<'n> {
    /// A set of these.
    pub fn new(names: impl IntoIterator<Item = &'n str>) -> Self {
        let positions: HashMap<&[u8], usize> =
            names.into_iter().enumerate().map(|(i, n)| (n.as_bytes(), i)).collect();
        let max_bytes = positions.keys().map(|n| n.len()).max().unwrap_or(0);
        Names { glance: Glance::new(positions.keys().map(|n| shape(n))), max_bytes, positions }
    }

    /// Where the name stands in the question.
    pub fn position(&self, name: &[u8]) -> Option<usize> {
        // The glance knows the low byte of the length only, and a hash reads all of a name, of which a file may have
        // millions of 16 KiB.
        if !self.glance.may_hold(shape(name)) || name.len() > self.max_bytes {
            return None;
        }
        self.positions.get(name).copied()
    }
}

/// Length and last bytes.
fn shape(name: &[u8]) -> u16 {
    let [length, ..] = name.len().to_le_bytes();
    match name {
        [.., second, last] => mixed([*second, length, *last]),
        [last] => u16::from_le_bytes([length, *last]),
        [] => 0,
    }
}

/// Offsets of names, each with the name's position in the question.
pub struct Offsets {
    glance: Glance,
    positions: HashMap<u32, usize>,
}

impl Offsets {
    /// A set of these.
    pub fn new(positions: HashMap<u32, usize>) -> Self {
        Offsets { glance: Glance::new(positions.keys().map(|&o| low(o))), positions }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.positions.is_empty()
    }

    /// Which name it is the offset of.
    pub fn position(&self, offset: u32) -> Option<usize> {
        if !self.glance.may_hold(low(offset)) {
            return None;
        }
        self.positions.get(&offset).copied()
    }
}

fn low(offset: u32) -> u16 {
    let [a, b, ..] = offset.to_le_bytes();
    u16::from_le_bytes([a, b])
}

impl fmt::Debug for Names<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.positions.keys().map(|n| String::from_utf8_lossy(n))).finish()
    }
}

impl fmt::Debug for Endings<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endings").field("short", &self.short).finish_non_exhaustive()
    }
}

impl fmt::Debug for Offsets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(&self.positions).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_let_every_wanted_name_through() {
        let endings = Endings::new(["Request", "Tx", "g", "Pointer[a/b.T]"]);
        let may = [
            "http.Request",
            "g",
            "Tx",
            "*http.Request",
            "a.Pointer[a%2eb/b.T]",
            "a%2exy",
            "a.%73t",
            "*sql.Tx",
            "main.g",
        ];
        for text in may {
            assert!(endings.may_end(text.as_bytes()), "{text}");
        }
        for text in ["http.Response", "func(int)", "http.flag", "sql.MTx", "[]string", "*http.Body"] {
            assert!(!endings.may_end(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn what_is_wanted_is_found_and_nothing_else() {
        let names = Names::new(["net/http.serverHandler.ServeHTTP", "", "runtime.main"]);
        assert_eq!(names.position(b"runtime.main"), Some(2));
        assert_eq!(names.position(b""), Some(1));
        assert_eq!(names.position(b"runtime.mann"), None);
        let far_longer = [&[b'x'; 256], &b"runtime.main"[..]].concat();
        assert_eq!(names.position(&far_longer), None);
        let offsets = Offsets::new(HashMap::from([(7, 0), (0x1_0007, 1)]));
        assert_eq!([7, 0x1_0007, 0x2_0007, 8].map(|o| offsets.position(o)), [Some(0), Some(1), None, None]);
    }
}
