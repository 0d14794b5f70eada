//! Needs root and a kernel with BPF: a verifier is the only judge of these programs.

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
    load().unwrap_or_else(|error| panic!("this test needs root and BPF: {}", chain(&error)))
}

fn is_a_librarys(program: &str) -> bool {
    let roles = |library: &&dyn Library| library.programs().iter().any(|(_, name)| *name == program);
    libraries::ALL.iter().any(|library| roles(library) || library.tails().contains(&program))
}

#[test]
fn the_verifier_accepts_all_programs_in_bounded_work() {
    let began = Instant::now();
    let newest = Programs::load(&LoadOptions::default()).and_then(|mut programs| programs.load_all());
    println!("loaded in {:?}", began.elapsed());
    newest.expect("this test needs root and BPF");
    let began = Instant::now();
    let programs = loaded();
    println!("loaded in {:?} by the way of kernels before 6.6", began.elapsed());
    for (name, program) in programs.ebpf.programs().filter(|(name, _)| is_a_librarys(name)) {
        let info = match program {
            aya::programs::Program::UProbe(program) => program.info(),
            _ => panic!("{name} is of a kind that nobody expects"),
        };
        let verified = info.expect(name).verified_instruction_count().unwrap_or(0);
        println!("{name}: {verified} verified instructions");
        assert!(verified <= MOST_VERIFIED, "{name}: {verified}");
    }
    assert!(programs.counters().expect("counters").iter().all(|counted| counted.value == 0));
}

/// Catalog, the agent's table, the programs' table and the object: whoever adds a library to one has to add it to all.
#[test]
fn all_tables_name_the_same_libraries() {
    let sorted = |mut ids: Vec<String>| {
        ids.sort();
        ids
    };
    let instrumented =
        |entry: &&offsets::catalog::Entry| entry.status == offsets::catalog::Status::Instrumented;
    let catalog =
        sorted(offsets::catalog::entries().iter().filter(instrumented).map(|e| e.id.clone()).collect());
    let agent = sorted(libraries::ALL.iter().map(|library| library.id().to_owned()).collect());
    let programs = sorted(kernel::ALL.iter().map(|library| library.id.to_owned()).collect());
    assert_eq!(catalog, agent);
    assert_eq!(agent, programs);
    let object = loaded();
    for library in libraries::ALL {
        let in_kernel = kernel::ALL.iter().find(|entry| entry.id == library.id()).expect("checked above");
        assert_eq!(in_kernel.code, library.code(), "{}", library.id());
        let entry = offsets::catalog::entry(library.id()).expect("checked above");
        let roles = sorted(entry.roles.iter().map(|role| role.name.clone()).collect());
        let served = sorted(library.programs().iter().map(|(role, _)| (*role).to_owned()).collect());
        assert_eq!(roles, served, "{}", library.id());
        assert!(object.ebpf.map(library.file_map()).is_some(), "{}", library.file_map());
    }
}

/// What `strobe features` tries, by the kernel's own way and by the one of older kernels.
#[test]
fn a_probe_can_be_tried_by_either_way() {
    let mut newest = Programs::load(&LoadOptions::default()).expect("this test needs root and BPF");
    newest.load_all().expect("loading");
    for mut programs in [newest, loaded()] {
        let trial = crate::features::trials::attach(&mut programs).expect("loading the program to try with");
        assert!(trial.works(), "multi: {}: {trial}", programs.is_multi());
    }
}

/// Before Linux 6.0, arm64's JIT took no program that both calls functions of its own and goes on in another program
/// ("tail_calls are not allowed in non-JITed programs with bpf-to-bpf calls"); 5.8 and 5.9 take none on amd64 either.
/// A `memset` that LLVM put in is such a function.
#[test]
fn a_program_that_goes_on_in_another_calls_no_function_of_its_own() {
    const CALL: u8 = 0x85;
    const TAIL_CALL: i32 = 12;
    for arch in ["x86_64", "aarch64"] {
        let path = format!("{}/../runtime-ebpf/objects/strobe-{arch}.o", env!("CARGO_MANIFEST_DIR"));
        let object = aya_obj::Object::parse(&std::fs::read(&path).expect(&path)).expect(&path);
        let mut tail_calling = 0;
        for program in object.programs.values() {
            let function = &object.functions[&program.function_key()];
            let calls: Vec<_> = function.instructions.iter().filter(|one| one.code == CALL).collect();
            if calls.iter().any(|call| call.src_reg() == 0 && call.imm == TAIL_CALL) {
                tail_calling += 1;
                let own = calls.iter().filter(|call| call.src_reg() != 0).count();
                assert_eq!(own, 0, "{arch}: {}", function.name);
            }
        }
        assert!(tail_calling >= 5, "{arch}: {tail_calling}");
    }
}
