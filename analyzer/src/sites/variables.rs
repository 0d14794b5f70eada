//! Which variable of a package an argument is: the word of the file's data that a straight line loads in front of a call.
//!
//! ```text
//!  amd64   mov v(%rip),%rdx   …   mov %rdx,%rdi   call f
//!  arm64   adrp x27,v   ldr x9,[x27,#…]   …   mov x3,x9   bl f
//! ```
//! Nothing may jump in between: it would bring another word along.

use super::code::Code;
use super::step::{Flow, Past, Step, Value};
use super::{indirect_jumps, jump_targets, steps, tables};
use crate::image::Image;

/// The address that the word in a register was loaded from for all the calls at these offsets; nothing where that cannot be told, or where
/// it is not the same for all.
pub fn loaded_for(image: &Image<'_>, code: &Code<'_>, calls: &[usize], register: u8) -> Option<u64> {
    let (mut past, mut found, mut lines) = (Past::default(), None, Vec::new());
    for step in steps(image.arch, code) {
        if calls.binary_search(&step.offset).is_ok() {
            let (load, vaddr) = source(&past, register)?;
            if *found.get_or_insert(vaddr) != vaddr {
                return None;
            }
            lines.push((load.offset, step.offset));
        }
        past.push(step);
    }
    let mut targets = tables::targets(image, code, &indirect_jumps(image.arch, code))?;
    targets.extend(jump_targets(image.arch, code));
    targets.sort_unstable();
    // Whether a jump leads between a load and its call.
    let is_entered = |&(load, call): &(usize, usize)| {
        targets.get(targets.partition_point(|&to| to <= load)).is_some_and(|&to| to <= call)
    };
    found.filter(|_| lines.len() == calls.len() && !lines.iter().any(is_entered))
}

/// The step that loads it from the file's data, by way of other registers or not.
fn source(past: &Past, mut register: u8) -> Option<(Step, u64)> {
    for step in past.back().take_while(|step| step.flow == Flow::Next) {
        if !step.writes.has(register) {
            continue;
        }
        match step.sets.iter().flatten().find(|(to, _)| *to == register)?.1 {
            Value::Copy(from) => register = from,
            Value::Loaded(vaddr) => return Some((*step, vaddr)),
            _ => return None,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::forged;
    use super::*;

    fn found(machine: u8, bytes: &[u8], call: usize, register: u8) -> Option<u64> {
        let file = forged::file(machine, bytes);
        let image = Image::parse(&file).expect("an image");
        let code = Code { vaddr: forged::VADDR, bytes, pcsp: Vec::new(), frame_end: None };
        loaded_for(&image, &code, &[call], register)
    }

    #[test]
    fn a_variable_is_followed_to_its_register_on_both_machines() {
        // mov 0x100(%rip),%rdx; mov %rsi,%r8; mov %rdx,%rdi; call
        let amd64 =
            [0x48, 0x8b, 0x15, 0, 1, 0, 0, 0x49, 0x89, 0xf0, 0x48, 0x89, 0xd7, 0xe8, 0, 0, 0, 0, 0xc3];
        assert_eq!(found(62, &amd64, 13, 7), Some(forged::VADDR + 0x107));
        assert_eq!(found(62, &amd64, 13, 8), None, "rsi is whatever the caller had");
        // adrp x27,+1 page; ldr x9,[x27,#264]; mov x8,x7; mov x3,x9; bl
        let words = [0xb000_001b_u32, 0xf940_8769, 0xaa07_03e8, 0xaa09_03e3, 0x9400_0004, 0xd65f_03c0];
        let arm64: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        assert_eq!(found(183, &arm64, 16, 3), Some((forged::VADDR & !0xfff) + 0x1000 + 264));
        assert_eq!(found(183, &arm64, 16, 8), None);
    }

    #[test]
    fn all_calls_have_to_be_given_the_same() {
        // mov 0x100(%rip),%rdi; call; mov 0xf4(%rip),%rdi; call
        let mut bytes = [0x48, 0x8b, 0x3d, 0, 1, 0, 0, 0xe8, 0, 0, 0, 0].repeat(2);
        bytes[15] = 0xf4;
        bytes[16] = 0;
        let all = |bytes: &[u8], calls: &[usize]| {
            let file = forged::file(62, bytes);
            let image = Image::parse(&file).expect("an image");
            let code = Code { vaddr: forged::VADDR, bytes, pcsp: Vec::new(), frame_end: None };
            loaded_for(&image, &code, calls, 7)
        };
        assert_eq!(all(&bytes, &[7, 19]), Some(forged::VADDR + 0x107));
        assert_eq!(all(&bytes, &[7, 20]), None, "there is no call");
        assert_eq!(all(&bytes, &[]), None);
        bytes[15] = 0xf5;
        assert_eq!(all(&bytes, &[7, 19]), None);
        assert_eq!(all(&bytes, &[19]), Some(forged::VADDR + 0x108));
    }

    #[test]
    fn none_where_something_jumps_in_between_or_a_call_does() {
        // mov 0x100(%rip),%rdi; nop; call; jmp to the nop
        let jumped = [0x48, 0x8b, 0x3d, 0, 1, 0, 0, 0x90, 0xe8, 0, 0, 0, 0, 0xeb, 0xf8, 0xc3];
        assert_eq!(found(62, &jumped, 8, 7), None);
        let mut to_the_load = jumped;
        to_the_load[14] = 0xf1; // jmp to the mov
        assert_eq!(found(62, &to_the_load, 8, 7), Some(forged::VADDR + 0x107));
        // mov 0x100(%rip),%rdi; call; call
        let called = [0x48, 0x8b, 0x3d, 0, 1, 0, 0, 0xe8, 0, 0, 0, 0, 0xe8, 0, 0, 0, 0, 0xc3];
        assert_eq!(found(62, &called, 12, 7), None);
        // mov 0x100(%rip),%edi is half a word.
        let half = [0x8b, 0x3d, 0, 1, 0, 0, 0xe8, 0, 0, 0, 0, 0xc3];
        assert_eq!(found(62, &half, 6, 7), None);
    }
}
