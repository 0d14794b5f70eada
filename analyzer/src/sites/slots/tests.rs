//! What objdump reads stands beside the bytes.

use super::super::forged::{AMD64, ARM64, ask, words};
use super::*;
use crate::go::functions::Run;

/// An epilogue with results at these distances, for a frame of 0x20 bytes.
fn epilogue(first: u8, second: u8) -> Vec<u8> {
    vec![
        0x48, 0x8b, 0x44, 0x24, first, // mov first(%rsp),%rax
        0x48, 0x8b, 0x5c, 0x24, second, // mov second(%rsp),%rbx
        0x48, 0x83, 0xc4, 0x20, // add $0x20,%rsp
        0xc3,
    ]
}

const DEFERRED: [u8; 2] = [0xff, 0xd1]; // call *%rcx
const NAMED: [u8; 5] = [0xe8, 0x80, 0, 0, 0]; // call

/// The slots of a function made of these parts, of which `known` is the call of deferreturn. Behind each `add $0x20,%rsp` the
/// frame is gone.
fn slots(parts: &[&[u8]], known: usize) -> Result<Vec<i64>, Trouble> {
    let bytes = [&[0x48, 0x83, 0xec, 0x20], parts.concat().as_slice()].concat(); // sub $0x20,%rsp
    let at = 4 + parts.iter().take(known).map(|part| part.len()).sum::<usize>();
    let mut pcsp = vec![Run { start: 0, end: 4, value: 0 }];
    let mut start = 4;
    for (end, _) in bytes.windows(4).enumerate().filter(|(_, w)| *w == [0x48, 0x83, 0xc4, 0x20]) {
        pcsp.push(Run { start, end: end as u64 + 4, value: 0x20 });
        pcsp.push(Run { start: end as u64 + 4, end: end as u64 + 5, value: 0 });
        start = end as u64 + 5;
    }
    ask(AMD64, &bytes, pcsp, |image, code| results(image, code, at as u64))
}

#[test]
fn every_return_behind_a_deferred_call_says_the_same() {
    let (e, other) = (epilogue(8, 16), epilogue(8, 24));
    assert_eq!(slots(&[&DEFERRED, &e, &NAMED, &e], 2), Ok(vec![16, 24]));
    assert_eq!(slots(&[&DEFERRED, &other, &NAMED, &e], 2), Err(Trouble::Disagree));
    assert_eq!(slots(&[&DEFERRED, &e, &DEFERRED, &other, &NAMED, &e], 4), Err(Trouble::Disagree));
    // The loads in the other order, as the compiler has them at will.
    let turned = [&e[5..10], &e[..5], &e[10..]].concat();
    assert_eq!(slots(&[&DEFERRED, &turned, &NAMED, &e], 2), Ok(vec![16, 24]));
}

#[test]
fn a_return_without_a_deferred_call_says_nothing() {
    let (e, spilled) = (epilogue(8, 16), epilogue(0, 24));
    assert_eq!(slots(&[&NAMED, &spilled, &DEFERRED, &e, &NAMED, &e], 4), Ok(vec![16, 24]));
    // Nowhere is there one: `runtime.deferreturn` makes them all.
    let again = [0xe8, 0x80 - 5 - e.len() as u8, 0, 0, 0];
    assert_eq!(slots(&[&NAMED, &e, &again, &e], 2), Err(Trouble::NotItsOwn));
    // A deferred function is called by its name; the same call before other words is an ordinary one.
    assert_eq!(slots(&[&NAMED, &e, &NAMED, &e], 2), Ok(vec![16, 24]));
    assert_eq!(slots(&[&NAMED, &spilled, &NAMED, &e], 2), Err(Trouble::NotItsOwn));
    // An interface's method is called, and what it returns is returned.
    let tail = [0x48, 0x83, 0xc4, 0x20, 0xc3];
    assert_eq!(slots(&[&DEFERRED, &tail, &NAMED, &e], 2), Ok(vec![16, 24]));
}

#[test]
fn what_is_not_from_the_stack_is_refused() {
    let e = epilogue(8, 16);
    let change = |at: usize, with: &[u8]| {
        let mut changed = e.clone();
        changed[at..at + with.len()].copy_from_slice(with);
        slots(&[&DEFERRED, &changed, &NAMED, &e], 2)
    };
    assert_eq!(change(0, &[0x48, 0x8b, 0x41, 0x08, 0x90]), Err(Trouble::NotFromStack), "mov 8(%rcx),%rax");
    assert_eq!(change(0, &[0x31, 0xc0, 0x90, 0x90, 0x90]), Err(Trouble::NotFromStack), "xor %eax,%eax");
    assert_eq!(change(5, &[0x48, 0x89, 0xc3, 0x90, 0x90]), Err(Trouble::NotFromStack), "mov %rax,%rbx");
    assert_eq!(
        change(7, &[0x4c]),
        Err(Trouble::NotFromStack),
        "the second result is missing, the third is there"
    );
    assert_eq!(change(0, &[0x06]), Err(Trouble::Undecoded));
    // Loads behind the end of the frame count from another place.
    let late = [&e[10..14], &e[..10], &e[14..]].concat();
    assert_eq!(slots(&[&DEFERRED, &late, &NAMED, &e], 2), Err(Trouble::NotFromStack));
}

#[test]
fn the_epilogue_behind_deferreturn_has_to_be_there() {
    let e = epilogue(8, 16);
    assert_eq!(
        slots(&[&DEFERRED, &e, &NAMED, &e], 0),
        Err(Trouble::NotFromStack),
        "the record means another call"
    );
    assert_eq!(slots(&[&NAMED, &[0xcc]], 0), Err(Trouble::NotFromStack));
    let nothing = ask(AMD64, &e, Vec::new(), |image, code| results(image, code, 0));
    assert_eq!(nothing, Err(Trouble::NoDefer));
}

#[test]
fn pairs_are_loaded_at_once_on_arm64() {
    let code = |pair: u32| {
        words(&[
            0xd63f_0020, // blr x1
            0xa95e_07e0, // ldp x0,x1,[sp,#480]
            0xa97f_fbfd, // ldp x29,x30,[sp,#-8]
            0x9117_43ff, // add sp,sp,#0x5d0
            0xd65f_03c0, // ret
            0x9400_0020, // bl deferreturn
            pair,
            0x9117_43ff,
            0xd65f_03c0,
        ])
    };
    let run = |start, end, value| Run { start, end, value };
    let ask = |pair| {
        let pcsp = vec![run(0, 16, 0x5d0), run(16, 20, 0), run(20, 32, 0x5d0), run(32, 36, 0)];
        ask(ARM64, &code(pair), pcsp, |image, code| results(image, code, 20))
    };
    assert_eq!(ask(0xa95e_07e0), Ok(vec![480, 488]));
    assert_eq!(ask(0xa95f_07e0), Err(Trouble::Disagree)); // [sp,#496]
    assert_eq!(ask(0xa95e_0440), Err(Trouble::NotFromStack)); // [x2,#480]
}
