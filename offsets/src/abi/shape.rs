//! Shapes of parameters and results in the catalog's notation: `{8} {8 8} 8`.
//!
//! A number is one word of so many bytes, braces stand around an aggregate (a struct, a string, a slice, an interface), `...`
//! is where the compiler has cut a long list, and `_` a word whose size it did not record. That is what `FUNCDATA_ArgInfo`
//! says of a function's parameters in every binary, stripped or not. It does not tell floating point from integers, nor
//! an array from a struct: whoever assigns registers by it holds the outcome against another witness ([`super::Assignment`]
//! has the frame offsets, which the same data tells of each word).

use super::{Kind, Word};

/// Nesting that is read; the compiler records five levels.
const MAX_DEPTH: usize = 16;
/// Words of one shape; the compiler records ten.
const MAX_WORDS: usize = 128;

/// A shape that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// Each value in order, as far as it is told in full.
    pub kinds: Vec<Kind>,
    /// Whether these are all of them; else more follow, of which nothing is known.
    pub is_whole: bool,
}

/// Reads a shape; none if the text is none.
pub fn parse(text: &str) -> Option<Shape> {
    let spaced = text.replace('{', " { ").replace('}', " } ");
    // The innermost list stands last; `false` from the first `...` on.
    let mut open: Vec<(Vec<Kind>, bool)> = vec![(Vec::new(), true)];
    let mut words = 0;
    for token in spaced.split_whitespace() {
        words += 1;
        if open.len() > MAX_DEPTH || words > MAX_WORDS {
            return None;
        }
        match token {
            "{" => open.push((Vec::new(), true)),
            "}" => {
                let (parts, is_whole) = open.pop()?;
                let outer = open.last_mut()?;
                // What holds a value that is cut is cut itself.
                match is_whole {
                    true if outer.1 => outer.0.push(aggregate(parts)),
                    _ => outer.1 = false,
                }
            }
            "..." => open.last_mut()?.1 = false,
            // A word far down the frame: of the sizes that a word can have, eight bytes is by far the likeliest.
            "_" => word(open.last_mut()?, 8),
            size => {
                let size = size.parse::<u8>().ok().filter(|size| matches!(size, 1 | 2 | 4 | 8 | 16))?;
                word(open.last_mut()?, u64::from(size));
            }
        }
    }
    let (kinds, is_whole) = open.pop()?;
    open.is_empty().then_some(Shape { kinds, is_whole })
}

/// The same without the first value: what a generic function's `FUNCDATA_ArgInfo` has.
pub fn behind_the_first(text: &str) -> &str {
    let mut depth = 0_usize;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth = depth.saturating_sub(1),
            b' ' if depth == 0 => return text.get(at + 1..).unwrap_or_default(),
            _ => {}
        }
    }
    ""
}

fn word(list: &mut (Vec<Kind>, bool), size: u64) {
    if list.1 {
        list.0.push(Kind::Words { size, words: vec![Word::Integer] });
    }
}

/// A struct of these parts, laid out as Go lays it out.
fn aggregate(parts: Vec<Kind>) -> Kind {
    let end = parts.iter().fold(0_u64, |at, part| at.next_multiple_of(part.align()) + part.size());
    let align = parts.iter().map(Kind::align).max().unwrap_or(1);
    Kind::Struct { size: end.next_multiple_of(align), parts }
}

#[cfg(test)]
mod tests {
    use super::super::{Place, assign};
    use super::*;

    #[test]
    fn the_first_value_is_cut_off() {
        for (text, rest) in [("8 8", "8"), ("{8 {8 8}} {8 8} 1", "{8 8} 1"), ("{8 8}", ""), ("", "")] {
            assert_eq!(behind_the_first(text), rest, "{text}");
        }
    }

    fn places(text: &str, arch: &str) -> Vec<String> {
        let shape = parse(text).expect("a shape");
        assign(&shape.kinds, &[], arch).params.iter().map(Place::to_string).collect()
    }

    #[test]
    fn shapes_are_assigned_as_their_functions_are() {
        // serverHandler.ServeHTTP
        assert_eq!(places("{8} {8 8} 8", "amd64"), ["rax", "rbx rcx", "rdi"]);
        assert_eq!(places("{8} {8 8} 8", "arm64"), ["r0", "r1 r2", "r3"]);
        // (*tracer).start of the auto SDK: the ninth word finds the last register.
        assert_eq!(places("8 {8 8} 8 8 8 8", "amd64"), ["rax", "rbx rcx", "rdi", "rsi", "r8", "r9"]);
        // (*Framer).WriteHeaders: 14 words do not fit.
        let headers = "8 {4 {8 8 8} 1 1 1 {4 1 1}}";
        assert_eq!(places(headers, "amd64"), ["rax", "stack+0"]);
        assert_eq!(places(headers, "arm64"), ["r0", "r1 r2 r3 r4 r5 r6 r7 r8 r9 r10"]);
    }

    #[test]
    fn sizes_are_those_of_structs() {
        let size = |text: &str| parse(text).expect("a shape").kinds[0].size();
        assert_eq!((size("{1 8}"), size("{8 1}"), size("{}"), size("{4 {1 1} 2}")), (16, 16, 0, 8));
    }

    #[test]
    fn what_is_cut_is_not_made_up() {
        let shape = |text: &str| parse(text).map(|shape| (shape.kinds.len(), shape.is_whole));
        assert_eq!(shape("8 {8 8} ..."), Some((2, false)));
        assert_eq!(shape("8 {8 ...} 8"), Some((1, false)));
        assert_eq!(shape("8 {8 8} 8"), Some((3, true)));
        assert_eq!(shape(""), Some((0, true)));
        for text in ["8 }", "{8", "8 x", "300", "3"] {
            assert_eq!(shape(text), None, "{text}");
        }
        assert_eq!(shape(&"{".repeat(1000)), None);
        assert_eq!(shape(&"8 ".repeat(1000)), None);
    }
}
