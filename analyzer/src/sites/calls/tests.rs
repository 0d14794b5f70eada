//! What objdump reads stands beside the bytes; labels count from the function's entry.

use super::super::forged::{AMD64, ARM64, VADDR, ask, words};
use super::*;

/// What is asked in these tests: the function at offset 0x80, two result registers.
const TARGETS: [u64; 1] = [VADDR + 0x80];
/// Assembly, which keeps registers as it likes.
const ASSEMBLY: u64 = VADDR + 0x90;
/// A method table or a function.
const GUARD: u64 = VADDR + 0x100;

fn plain() -> Question<'static> {
    Question {
        callees: Callees::Functions(&TARGETS),
        counts: &|_| true,
        is_compiled: &|vaddr| vaddr != ASSEMBLY,
        by_name: &[],
        is_guard: &|vaddr| vaddr == GUARD,
        results: 2,
        also_reached: false,
        stepped: false,
        repeats: false,
        cases: false,
    }
}

fn merged() -> Question<'static> {
    Question { also_reached: true, ..plain() }
}

/// Offsets of the sites behind calls.
fn after(machine: u8, bytes: &[u8], asked: &Question<'_>) -> Result<Vec<u64>, Trouble> {
    let sites = ask(machine, bytes, Vec::new(), |image, code| after_calls(image, code, asked))?;
    Ok(sites.iter().map(|site| site.vaddr - VADDR).collect())
}

/// Puts a jump's or a call's distance at its end, so that it leads to an offset.
fn leads(bytes: &mut [u8], end: usize, to: i32) {
    let by = to - i32::try_from(end).expect("short code");
    bytes[end - 4..end].copy_from_slice(&by.to_le_bytes());
}

/// `(*Transport).roundTrip` of Go 1.26: HTTP/2's indirect call jumps to the test behind that of HTTP/1.
fn round_trip() -> Vec<u8> {
    let mut code = vec![
        0xff, 0xd1, // 0: call *%rcx
        0xeb, 0x05, // 2: jmp 9
        0xe8, 0, 0, 0, 0, // 4: call 0x80
        0x48, 0x85, 0xdb, // 9: test %rbx,%rbx
        0x74, 0x01, // c: je f
        0x90, 0xc3,
    ];
    leads(&mut code, 9, 0x80);
    code
}

#[test]
fn a_jump_from_behind_another_call_is_taken_where_the_catalog_says_so() {
    assert_eq!(after(AMD64, &round_trip(), &plain()), Err(Trouble::JumpedInto));
    assert_eq!(after(AMD64, &round_trip(), &merged()), Ok(vec![0xc]));
    // blr x2; b 8; bl 0x80; cbz x1: the jump leads to the site itself.
    let arm = words(&[0xd63f_0040, 0x1400_0002, 0x9400_001e, 0xb400_0041, 0xd65f_03c0]);
    assert_eq!(after(ARM64, &arm, &plain()), Err(Trouble::JumpedInto));
    assert_eq!(after(ARM64, &arm, &merged()), Ok(vec![12]));
    // mov x1,x0 between the two: the error is not the call's.
    let moved = words(&[0xd63f_0040, 0xaa00_03e1, 0x1400_0002, 0x9400_001d, 0xb400_0041, 0xd65f_03c0]);
    assert_eq!(after(ARM64, &moved, &merged()), Err(Trouble::JumpedInto));
}

#[test]
fn a_jump_that_does_not_come_from_behind_a_call_is_refused() {
    let change = |at: usize, with: &[u8]| {
        let mut code = round_trip();
        code[at..at + with.len()].copy_from_slice(with);
        after(AMD64, &code, &merged())
    };
    assert_eq!(change(0, &[0x90, 0x90]), Err(Trouble::JumpedInto), "nothing is called");
    assert_eq!(change(0, &[0x31, 0xc0]), Err(Trouble::JumpedInto), "xor %eax,%eax");
    // The jump stands behind a call of assembly, as of gcWriteBarrier.
    let mut code = vec![0xe8, 0, 0, 0, 0, 0xeb, 0x05, 0xe8, 0, 0, 0, 0, 0x48, 0x85, 0xdb, 0x74, 0x00, 0xc3];
    leads(&mut code, 5, 0x90);
    leads(&mut code, 12, 0x80);
    assert_eq!(after(AMD64, &code, &merged()), Err(Trouble::JumpedInto));
    leads(&mut code, 5, 0xa0);
    assert_eq!(after(AMD64, &code, &merged()), Ok(vec![15]), "behind one of a compiled function");
}

#[test]
fn results_have_to_be_in_place_where_a_jump_comes_from() {
    let code = |between: [u8; 3]| {
        let mut code = vec![0xff, 0xd1];
        code.extend(between);
        code.extend([0xeb, 0x05, 0xe8, 0, 0, 0, 0, 0x48, 0x85, 0xdb, 0x74, 0x00, 0xc3]);
        leads(&mut code, 12, 0x80);
        code
    };
    let spill = code([0x48, 0x89, 0x01]); // mov %rax,(%rcx)
    assert_eq!(after(AMD64, &spill, &merged()), Ok(vec![15]));
    let moved = code([0x48, 0x89, 0xc3]); // mov %rax,%rbx
    assert_eq!(after(AMD64, &moved, &merged()), Err(Trouble::JumpedInto));
    let branch = code([0x74, 0x00, 0x90]); // je to the next
    assert_eq!(after(AMD64, &branch, &merged()), Err(Trouble::JumpedInto), "no straight line");
}

#[test]
fn what_jumps_onto_a_bridge_is_refused() {
    // 0: call *%rcx; 2: mov %rax,(%rcx); 5: jmp c; 7: call 0x80; c: test; f: je 11; 11: jmp 2
    let mut code = vec![
        0xff, 0xd1, 0x48, 0x89, 0x01, 0xeb, 0x05, 0xe8, 0, 0, 0, 0, 0x48, 0x85, 0xdb, 0x74, 0x00, 0xeb, 0xef,
    ];
    leads(&mut code, 12, 0x80);
    assert_eq!(after(AMD64, &code, &merged()), Err(Trouble::JumpedInto));
    code[18] = 0xed; // jmp 0: it calls again
    assert_eq!(after(AMD64, &code, &merged()), Ok(vec![15]));
}

#[test]
fn two_calls_of_the_callee_share_a_site_or_are_refused() {
    // 0: call 0x80; 5: jmp c; 7: call 0x80; c: test %rbx,%rbx; f: je 11
    let mut code = vec![0xe8, 0, 0, 0, 0, 0xeb, 0x05, 0xe8, 0, 0, 0, 0, 0x48, 0x85, 0xdb, 0x74, 0x00, 0xc3];
    leads(&mut code, 5, 0x80);
    leads(&mut code, 12, 0x80);
    assert_eq!(after(AMD64, &code, &plain()), Err(Trouble::JumpedInto));
    assert_eq!(after(AMD64, &code, &merged()), Ok(vec![15]), "each return is seen once");
    code[5] = 0x74; // je: it would be seen there, and at 15 again
    assert_eq!(after(AMD64, &code, &merged()), Err(Trouble::JumpedInto));
}

/// `serve` behind its call of readRequest, Go 1.26: spills, a comparison, `je`.
const SERVE: &[u8] = &[
    0xe8, 0x7b, 0x00, 0x00, 0x00, // call 0x80
    0x48, 0x89, 0x44, 0x24, 0x08, // mov %rax,0x8(%rsp)
    0x48, 0x8b, 0x32, // mov (%rdx),%rsi
    0x48, 0x39, 0x7e, 0x38, // cmp %rdi,0x38(%rsi)
    0x74, 0x01, // je
    0x90, 0xc3,
];

#[test]
fn the_site_behind_a_call_has_the_results_in_place() {
    let site = |results| after(AMD64, SERVE, &Question { results, ..plain() });
    assert_eq!(site(3), Ok(vec![17]));
    assert_eq!(site(5), Err(Trouble::NotFollowed), "%rsi is the fifth result and is overwritten");
    let other = Question { callees: Callees::Functions(&[0x20]), ..plain() };
    assert_eq!(after(AMD64, SERVE, &other), Err(Trouble::NoCall));
    let stepped = Question { results: 5, stepped: true, ..plain() };
    assert_eq!(after(AMD64, SERVE, &stepped), Ok(vec![5]), "just behind the call");
    // An endless loop leads to the spill.
    let mut looped = SERVE.to_vec();
    looped[19..21].copy_from_slice(&[0xeb, 0xf0]);
    assert_eq!(after(AMD64, &looped, &plain()), Err(Trouble::JumpedInto));
    // 5: a byte that begins no instruction
    let mut odd = SERVE.to_vec();
    odd[20] = 0x06;
    assert_eq!(after(AMD64, &odd, &plain()), Err(Trouble::Undecoded));
    let mut tail = SERVE.to_vec();
    tail[0] = 0xe9;
    assert_eq!(after(AMD64, &tail, &plain()), Err(Trouble::TailCall));
}

/// Behind the call of the driver in `(*DB).queryDC` of Go 1.27: whether there is a write barrier is asked by way of x27.
#[test]
fn a_preempted_goroutine_does_not_come_back_to_the_site() {
    let code = words(&[
        0x9400_0020, //  0 bl    80
        0xb27b_27fb, //  4 mov   x27, #0x7fe0
        0x9000_1b9b, //  8 adrp  x27, …
        0xb948_0368, //  c ldr   w8, [x27, #2048]
        0x3500_0048, // 10 cbnz  w8, 18
        0xd65f_03c0, // 14 ret
        0xd65f_03c0, // 18 ret
    ]);
    assert_eq!(after(ARM64, &code, &plain()), Ok(vec![0x10]));
    assert_eq!(after(ARM64, &code, &Question { repeats: true, ..plain() }), Ok(vec![8]));
    // Where a result has been overwritten before that.
    let mut loads = code.clone();
    loads[0xc] = 0x61;
    assert_eq!(after(ARM64, &loads, &plain()), Err(Trouble::NotFollowed));
    let stepped = Question { stepped: true, ..plain() };
    assert_eq!(after(ARM64, &loads, &stepped), Err(Trouble::NotFollowed), "nor one that is stepped");
    // A branch whose distance looks like the register.
    let mut far = code;
    far[0x10..0x14].copy_from_slice(&0x1400_001b_u32.to_le_bytes());
    assert_eq!(after(ARM64, &far, &plain()), Ok(vec![0x10]));
}

#[test]
fn only_calls_of_the_inlined_body_count() {
    let body = |from: usize| move |offset: usize| offset >= from;
    let twice = [SERVE, SERVE].concat();
    let mut code = twice.clone();
    leads(&mut code, 21 + 5, 0x80);
    assert_eq!(after(AMD64, &code, &plain()), Ok(vec![17, 38]));
    let second = body(21);
    assert_eq!(after(AMD64, &code, &Question { counts: &second, ..plain() }), Ok(vec![38]));
    let none = body(100);
    assert_eq!(after(AMD64, &code, &Question { counts: &none, ..plain() }), Err(Trouble::NoCall));
}

fn method() -> Question<'static> {
    Question { callees: Callees::Method(0), ..plain() }
}

/// `(*Tx).Commit.func1`: a method of an interface, a store, the write barrier's flag.
const COMMIT: &[u8] = &[
    0x48, 0x8b, 0x4a, 0x18, // 0: mov 0x18(%rdx),%rcx
    0xff, 0xd1, // 4: call *%rcx
    0x48, 0x89, 0x02, // 6: mov %rax,(%rdx)
    0x74, 0x00, // 9: je b
    0xc3,
];

#[test]
fn indirect_calls_are_told_by_what_is_loaded() {
    assert_eq!(after(AMD64, COMMIT, &method()), Ok(vec![9]));
    let second = Question { callees: Callees::Method(1), ..plain() };
    assert_eq!(after(AMD64, COMMIT, &second), Err(Trouble::NoCall), "it is method 0");
    let value = Question { callees: Callees::Closure, ..plain() };
    assert_eq!(after(AMD64, COMMIT, &value), Err(Trouble::NoCall));
    // mov 0(%rdx),%rcx with a displacement of one byte
    let mut closure = COMMIT.to_vec();
    closure[3] = 0;
    assert_eq!(after(AMD64, &closure, &value), Ok(vec![9]));
    // mov 0x18(%rdx),%rax; mov %rax,%rcx; mov %rbx,%rax; then Commit's call
    let moved = [&[0x48, 0x8b, 0x42, 0x18, 0x48, 0x89, 0xc1, 0x48, 0x89, 0xd8][..], &COMMIT[4..]].concat();
    assert_eq!(after(AMD64, &moved, &method()), Ok(vec![9 + 6]), "by way of another register");
    // lea 0x18(%rdx),%rcx; then a call through memory
    for unknown in [[0x48, 0x8d, 0x4a, 0x18, 0xff, 0xd1], [0x48, 0x8b, 0x4a, 0x18, 0xff, 0x11]] {
        let mut code = COMMIT.to_vec();
        code[..6].copy_from_slice(&unknown);
        assert_eq!(after(AMD64, &code, &method()), Err(Trouble::UnknownCall));
    }
    // ldr x1,[x2,#24]; blr x1; cbnz x1
    let arm = words(&[0xf940_0c41, 0xd63f_0020, 0xb500_0041, 0xd65f_03c0]);
    assert_eq!(after(ARM64, &arm, &method()), Ok(vec![8]));
    assert_eq!(after(ARM64, &arm, &value), Err(Trouble::NoCall));
    // ldp x4,x1,[x2,#16] loads it too.
    let pair = words(&[0xa941_0444, 0xd63f_0020, 0xb500_0041, 0xd65f_03c0]);
    assert_eq!(after(ARM64, &pair, &method()), Ok(vec![8]));
}

#[test]
fn a_devirtualised_call_is_refused() {
    // lea GUARD(%rip),%rsi; cmp %rsi,%rdx; jne past a call by name
    let mut code = vec![0x48, 0x8d, 0x35, 0, 0, 0, 0, 0x48, 0x39, 0xf2, 0x75, 0x05, 0xe8, 0, 0, 0, 0];
    leads(&mut code, 7, 0x100);
    code.extend(COMMIT);
    assert_eq!(after(AMD64, &code, &method()), Err(Trouble::Devirtualised));
    leads(&mut code, 7, 0x108);
    assert_eq!(after(AMD64, &code, &method()), Ok(vec![17 + 9]), "no table of methods");
    leads(&mut code, 7, 0x100);
    code[9] = 0xc2; // cmp %rax,%rdx
    assert_eq!(after(AMD64, &code, &method()), Ok(vec![17 + 9]), "compared with something else");
    // adrp x3,page; add x3,x3,#0x178; cmp x2,x3; then Commit
    assert_eq!(GUARD, 0x1178);
    let arm = [0x9000_0003, 0x9105_e063, 0xeb03_005f, 0xf940_0c41, 0xd63f_0020, 0xb500_0041, 0xd65f_03c0];
    assert_eq!(after(ARM64, &words(&arm), &method()), Err(Trouble::Devirtualised));
}

/// The planner leaves what is known to be called by name out of the guards.
#[test]
fn a_call_by_name_counts_where_it_is_known() {
    // lea GUARD(%rip),%rsi; cmp %rsi,%rdx; jne past a call by name, test %rax,%rax; je
    let mut code = vec![0x48, 0x8d, 0x35, 0, 0, 0, 0, 0x48, 0x39, 0xf2, 0x75, 0x0a, 0xe8, 0, 0, 0, 0];
    code.extend([0x48, 0x85, 0xc0, 0x74, 0x00]);
    leads(&mut code, 7, 0x100);
    leads(&mut code, 17, 0x80);
    code.extend(COMMIT);
    let known = Question { by_name: &TARGETS, is_guard: &|_| false, ..method() };
    assert_eq!(after(AMD64, &code, &known), Ok(vec![20, 22 + 9]));
    let other = Question { is_guard: &|_| false, ..method() };
    assert_eq!(after(AMD64, &code, &other), Ok(vec![22 + 9]), "nobody has named it");
    assert_eq!(after(AMD64, &code, &Question { by_name: &TARGETS, ..method() }), Err(Trouble::Devirtualised));
}

#[test]
fn the_cases_of_a_select_are_where_the_call_got_them_from() {
    let asked = Question { cases: true, ..plain() };
    let cases = |machine, bytes: &[u8]| {
        let sites = ask(machine, bytes, Vec::new(), |image, code| after_calls(image, code, &asked))?;
        Ok(sites.iter().map(|site| (site.vaddr - VADDR, site.select_cases)).collect::<Vec<_>>())
    };
    let mut code = vec![
        0x48, 0x8d, 0x44, 0x24, 0x40, // 0: lea 0x40(%rsp),%rax
        0x31, 0xc9, // 5: xor %ecx,%ecx
        0xe8, 0, 0, 0, 0, // 7: call 0x80
        0x48, 0x85, 0xc0, // c: test %rax,%rax
        0x75, 0x00, // f: jne
        0xeb, 0xed, // 11: jmp 0
        0xc3,
    ];
    leads(&mut code, 12, 0x80);
    assert_eq!(cases(AMD64, &code), Ok(vec![(15, Some(0x40))]));
    let change = |at: usize, with: &[u8]| {
        let mut code = code.clone();
        code[at..at + with.len()].copy_from_slice(with);
        cases(AMD64, &code)
    };
    assert_eq!(change(18, &[0xf2]), Err(Trouble::JumpedInto), "behind the lea");
    assert_eq!(change(1, &[0x8b]), Err(Trouble::NoCases), "mov: a pointer from the stack");
    assert_eq!(change(5, &[0x31, 0xc0]), Err(Trouble::NoCases), "xor %eax,%eax");
    assert_eq!(change(5, &[0x50, 0x90]), Err(Trouble::NoCases), "push %rax");
    assert_eq!(change(12, &[0x50, 0x90, 0x90]), Ok(vec![(12, Some(0x40))]), "push %rax is the site");
    assert_eq!(change(12, &[0x58, 0x90, 0x90]), Err(Trouble::NotFollowed), "pop %rax");
    // add x0,sp,#0x140; mov x2,xzr; bl 0x80; cbnz x0
    let arm = words(&[0x9105_03e0, 0xaa1f_03e2, 0x9400_001e, 0xb500_0040, 0xd65f_03c0]);
    assert_eq!(cases(ARM64, &arm), Ok(vec![(12, Some(0x140))]));
}

#[test]
fn the_call_itself_has_the_arguments_in_place() {
    let calls = |machine, bytes: &[u8], asked: &Question<'_>| {
        let sites = ask(machine, bytes, Vec::new(), |image, code| at_calls(image, code, asked))?;
        assert!(sites.iter().all(|site| site.when == When::Call && site.cost == Cost::Emulated));
        Ok(sites.iter().map(|site| site.vaddr - VADDR).collect::<Vec<_>>())
    };
    assert_eq!(calls(AMD64, SERVE, &plain()), Ok(vec![0]));
    // What jumps to a call makes it, too.
    let mut looped = SERVE.to_vec();
    looped[19..21].copy_from_slice(&[0xeb, 0xeb]);
    assert_eq!(calls(AMD64, &looped, &plain()), Ok(vec![0]));
    let mut tail = SERVE.to_vec();
    tail[0] = 0xe9;
    assert_eq!(calls(AMD64, &tail, &plain()), Err(Trouble::TailCall));
    // The kernel refuses a call with an operand-size prefix.
    assert!(calls(AMD64, &[0x66, 0xe8, 0x7a, 0, 0, 0, 0xc3], &plain()).is_err());
    let none = Question { callees: Callees::Functions(&[]), ..plain() };
    assert_eq!(calls(AMD64, SERVE, &none), Err(Trouble::NoCall));
    // bl 0x80; b.ne; ret
    let arm = words(&[0x9400_0020, 0x5400_0041, 0xd65f_03c0]);
    assert_eq!(calls(ARM64, &arm, &plain()), Ok(vec![0]));
    let arm = words(&[0x1400_0020, 0xd65f_03c0]); // b 0x80
    assert_eq!(calls(ARM64, &arm, &plain()), Err(Trouble::TailCall));
}

/// Offsets of the sites behind calls whose first result is not nil.
fn not_nil(machine: u8, bytes: &[u8], register: u8) -> Result<Vec<u64>, Trouble> {
    let found = |image: &Image<'_>, code: &Code<'_>| not_nil_after_calls(image, code, &plain(), register);
    let sites = ask(machine, bytes, Vec::new(), found)?;
    Ok(sites.iter().map(|site| site.vaddr - VADDR).collect())
}

#[test]
fn only_those_that_fail_come_by() {
    let mut code = vec![
        0xe8, 0, 0, 0, 0, // 0: call 0x80
        0x48, 0x89, 0x44, 0x24, 0x08, // 5: mov %rax,0x8(%rsp)
        0x48, 0x85, 0xc0, // a: test %rax,%rax
        0x74, 0x02, // d: je 11
        0x89, 0xd8, // f: mov %ebx,%eax
        0x90, 0xc3, // 11: nop; ret
    ];
    leads(&mut code, 5, 0x80);
    assert_eq!(not_nil(AMD64, &code, 0), Ok(vec![0xf]));
    assert_eq!(not_nil(AMD64, &code, 3), Err(Trouble::NotFollowed), "another register");
    // jne to what lies behind a return, which nothing else leads to
    let mut far = code.clone();
    far[0xd] = 0x75;
    far[0xe] = 0x04; // to 13
    far.extend([0x89, 0xd8, 0xc3]);
    assert_eq!(not_nil(AMD64, &far, 0), Ok(vec![0x13]));
    let mut fallen = far.clone();
    fallen[0x12] = 0x90;
    assert_eq!(not_nil(AMD64, &fallen, 0), Err(Trouble::JumpedInto), "what stands before goes on there");
    for (to, what) in [(0x13_u8, "the site"), (0x0a, "the gap")] {
        let mut entered = far.clone();
        entered.extend([0xeb, to.wrapping_sub(0x18)]);
        assert_eq!(not_nil(AMD64, &entered, 0), Err(Trouble::JumpedInto), "another jump leads to {what}");
    }
    let mut changed = code.clone();
    changed[5..10].copy_from_slice(&[0x48, 0x8b, 0x44, 0x24, 0x08]); // mov 0x8(%rsp),%rax
    assert_eq!(not_nil(AMD64, &changed, 0), Err(Trouble::NotFollowed));
    // bl 0x80; cbz x0,c; mov x0,x1; ret
    let arm = words(&[0x9400_0020, 0xb400_0040, 0xaa01_03e0, 0xd65f_03c0]);
    assert_eq!(not_nil(ARM64, &arm, 0), Ok(vec![8]));
    // bl 0x80; cbnz x0,c; ret; mov x0,x1; ret
    let arm = words(&[0x9400_0020, 0xb500_0040, 0xd65f_03c0, 0xaa01_03e0, 0xd65f_03c0]);
    assert_eq!(not_nil(ARM64, &arm, 0), Ok(vec![0xc]));
    // The same of 32 bits, and where the assembler begins an instruction that it makes of several.
    let half = words(&[0x9400_0020, 0x3500_0040, 0xd65f_03c0, 0xaa01_03e0, 0xd65f_03c0]);
    assert_eq!(not_nil(ARM64, &half, 0), Err(Trouble::NotFollowed));
    let begun = words(&[0x9400_0020, 0xb400_0040, 0x9000_001b, 0xd65f_03c0]);
    assert_eq!(not_nil(ARM64, &begun, 0), Err(Trouble::NotFollowed));
}
