//! Which functions a function calls, and whose addresses it takes: to defer them, to start them, or to keep them in a variable.
//!
//! The address of a function is taken as it is (a closure that holds variables is made of it), or through the word in read-only
//! data that stands for a function value without any (`F·f`), which is the function's address.

use std::collections::BTreeSet;

use super::code::Code;
use super::step::{Flow, Value};
use crate::image::Image;

/// Addresses of functions, and of whatever else the code names beside them.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// Called by name.
    pub called: BTreeSet<u64>,
    /// Taken.
    pub taken: BTreeSet<u64>,
}

/// What the code of a function uses; nothing where it cannot be decoded.
pub fn by(image: &Image<'_>, code: &Code<'_>) -> Option<Used> {
    let mut used = Used::default();
    for step in super::steps(image.arch, code) {
        match step.flow {
            Flow::Undecoded => return None,
            Flow::Call(to) | Flow::Jump(to) => drop(used.called.insert(code.vaddr.wrapping_add(to))),
            _ => {}
        }
        for (_, value) in step.sets.into_iter().flatten() {
            if let Value::Address(at) = value {
                used.taken.insert(at);
                used.taken.extend(image.pointer(at));
            }
        }
    }
    Some(used)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sites::forged;

    fn used(machine: u8, bytes: &[u8]) -> Option<Used> {
        let file = forged::file(machine, bytes);
        let image = Image::parse(&file).expect("an image");
        by(&image, &Code { vaddr: forged::VADDR, bytes, pcsp: Vec::new(), frame_end: None })
    }

    #[test]
    fn calls_and_addresses_are_told_apart() {
        // call +0x100; lea 0x200(%rip),%rax; ret
        let amd64 = [0xe8, 0, 1, 0, 0, 0x48, 0x8d, 0x05, 0, 2, 0, 0, 0xc3];
        let found = used(62, &amd64).expect("decoded");
        assert!(found.called.contains(&(forged::VADDR + 0x105)), "{found:x?}");
        assert!(found.taken.contains(&(forged::VADDR + 0x20c)) && found.called.len() == 1, "{found:x?}");
        // bl +0x100; adrp x0, this page; add x0,x0,#0x40; ret
        let arm64: Vec<u8> = [0x9400_0040_u32, 0x9000_0000, 0x9101_0000, 0xd65f_03c0]
            .iter()
            .flat_map(|word| word.to_le_bytes())
            .collect();
        let found = used(183, &arm64).expect("decoded");
        assert!(found.called.contains(&(forged::VADDR + 0x100)), "{found:x?}");
        assert!(found.taken.contains(&((forged::VADDR & !0xfff) + 0x40)), "{found:x?}");
        // Bytes that are no instruction hide what they are.
        assert_eq!(used(62, &[0x06, 0xc3]), None);
    }
}
