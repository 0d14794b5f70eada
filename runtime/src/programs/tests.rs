//! Needs root and a kernel with BPF: a verifier is the only judge of these programs.

use std::error::Error as _;

use super::*;

/// What the kernel itself allows is a million; each program stays far below, whatever a later kernel's verifier does.
const MOST_VERIFIED: u32 = 100_000;

fn loaded() -> Programs {
    let load = || {
        let mut programs = Programs::load(&LoadOptions::default())?;
        // aya's own load, which can say how much was verified.
        programs.multi = None;
        programs.load_all()?;
        Ok::<_, ProgramsError>(programs)
    };
    load().unwrap_or_else(|error| {
        let mut source: Option<&dyn std::error::Error> = error.source();
        let mut text = format!("this test needs root and BPF: {error}\n");
        while let Some(error) = source {
            text.push_str(&error.to_string());
            text.push('\n');
            source = error.source();
        }
        panic!("{text}")
    })
}

fn is_a_librarys(program: &str) -> bool {
    let roles = |library: &&dyn Library| library.programs().iter().any(|(_, name)| *name == program);
    libraries::ALL.iter().any(|library| roles(library) || library.tails().contains(&program))
}

#[test]
fn the_verifier_accepts_all_programs_in_bounded_work() {
    let began = Instant::now();
    let programs = loaded();
    let took = began.elapsed();
    for (name, program) in programs.ebpf.programs().filter(|(name, _)| is_a_librarys(name)) {
        let info = match program {
            aya::programs::Program::UProbe(program) => program.info(),
            _ => panic!("{name} is of a kind that nobody expects"),
        };
        let verified = info.expect(name).verified_instruction_count().unwrap_or(0);
        println!("{name}: {verified} verified instructions");
        assert!(verified <= MOST_VERIFIED, "{name}: {verified}");
    }
    println!("loaded in {took:?}");
    assert!(took.as_millis() < 300 || cfg!(debug_assertions), "loading took {took:?}");
    assert!(programs.counters().expect("counters").iter().all(|counted| counted.value == 0));
}
