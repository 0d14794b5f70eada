//! Needs root and a kernel with BPF: a verifier is the only judge of these programs.

use std::os::fd::{AsFd as _, AsRawFd as _};
use std::time::Duration;

use super::*;
use crate::causes::chain;

/// What the kernel itself allows is a million; each program stays far below, whatever a later kernel's verifier does.
const MOST_VERIFIED: u32 = 100_000;

fn loaded() -> Programs {
    let load = || {
        let mut programs = Programs::load(&LoadOptions::default())?;
        // aya's own load, which can say how much was verified.
        programs.multi = None;
        programs.load_all(writes())?;
        Ok::<_, ProgramsError>(programs)
    };
    load().unwrap_or_else(|error| panic!("this test needs root and BPF: {}", chain(&error)))
}

fn writes() -> bool {
    crate::features::trials::writing_probes().expect("this test needs root and BPF")
}

/// Whether it is there to be loaded.
fn is_loaded(program: &str) -> bool {
    is_a_librarys(program)
        && (writes()
            || libraries::ALL
                .iter()
                .all(|library| library.telling().iter().all(|(_, telling)| *telling != program)))
}

fn is_a_librarys(program: &str) -> bool {
    let roles = |library: &&dyn Library| library.programs().iter().any(|(_, name)| *name == program);
    let tells = |library: &&dyn Library| library.telling().iter().any(|(_, name)| *name == program);
    libraries::ALL
        .iter()
        .any(|library| roles(library) || tells(library) || library.tails().contains(&program))
}

#[test]
fn the_verifier_accepts_all_programs_in_bounded_work() {
    let began = Instant::now();
    let newest = Programs::load(&LoadOptions::default()).and_then(|mut programs| programs.load_all(writes()));
    println!("loaded in {:?}", began.elapsed());
    newest.expect("this test needs root and BPF");
    let began = Instant::now();
    let programs = loaded();
    println!("loaded in {:?} by the way of kernels before 6.6", began.elapsed());
    for (name, program) in programs.ebpf.programs().filter(|(name, _)| is_loaded(name)) {
        let aya::programs::Program::UProbe(program) = program else {
            panic!("{name} is of a kind that nobody expects")
        };
        let verified = program.info().expect(name).verified_instruction_count().unwrap_or(0);
        let code = machine_code(program.fd().expect(name).as_fd());
        // The kernel gives zeros to whoever may not see its addresses: then there is nothing to compare.
        let withheld = code.iter().all(|byte| *byte == 0);
        let restricted = std::fs::read_to_string("/proc/sys/kernel/kptr_restrict").expect("kptr_restrict");
        assert!(!withheld || restricted.trim() == "2", "{name}: no machine code, kptr_restrict {restricted}");
        #[cfg(target_arch = "x86_64")]
        assert!(
            !code.windows(PRIVATE_STACK.len()).any(|bytes| bytes == PRIVATE_STACK),
            "{name}: private stack"
        );
        println!("{name}: {} bytes", code.len());
        println!("{name}: {verified} verified instructions");
        assert!(verified <= MOST_VERIFIED, "{name}: {verified}");
    }
    assert!(programs.counters().expect("counters").iter().all(|counted| counted.value == 0));
}

/// `add %gs:this_cpu_off, %r9`: what the kernel's compiler begins a program with that has a stack for each processor
/// (arch/x86/net/bpf_jit_comp.c, emit_priv_frame_ptr).
#[cfg(target_arch = "x86_64")]
const PRIVATE_STACK: [u8; 5] = [0x65, 0x4c, 0x03, 0x0c, 0x25];

/// What the kernel has compiled a program to.
fn machine_code(program: std::os::fd::BorrowedFd<'_>) -> Vec<u8> {
    const BPF_OBJ_GET_INFO_BY_FD: i32 = 15;
    /// The beginning of the kernel's `bpf_prog_info`.
    #[repr(C)]
    #[derive(Default)]
    struct Info {
        kind_id_tag: [u64; 2],
        jited_len: u32,
        translated_len: u32,
        jited: u64,
        translated: u64,
    }
    #[repr(C)]
    struct Attributes {
        fd: i32,
        len: u32,
        info: u64,
    }
    let ask = |info: &mut Info| {
        let len = u32::try_from(size_of::<Info>()).expect("small");
        let attributes = Attributes { fd: program.as_raw_fd(), len, info: std::ptr::from_mut(info) as u64 };
        // SAFETY: the kernel writes no more than `len` bytes, and no more code than there is room for.
        let answer = unsafe {
            libc::syscall(
                libc::SYS_bpf,
                BPF_OBJ_GET_INFO_BY_FD,
                &raw const attributes,
                size_of::<Attributes>(),
            )
        };
        assert_eq!(answer, 0, "{}", std::io::Error::last_os_error());
    };
    let mut info = Info::default();
    ask(&mut info);
    let mut code = vec![0; info.jited_len as usize];
    info = Info { jited_len: info.jited_len, jited: code.as_mut_ptr() as u64, ..Info::default() };
    ask(&mut info);
    code
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
    // One package may have come after another: then both have the library's id.
    let mut catalog: Vec<String> =
        sorted(offsets::catalog::entries().iter().filter(instrumented).map(|e| e.id.clone()).collect());
    catalog.dedup();
    let agent = sorted(libraries::ALL.iter().map(|library| library.id().to_owned()).collect());
    let programs = sorted(kernel::ALL.iter().map(|library| library.id.to_owned()).collect());
    assert_eq!(catalog, agent);
    assert_eq!(agent, programs);
    let object = loaded();
    for library in libraries::ALL {
        let in_kernel = kernel::ALL.iter().find(|entry| entry.id == library.id()).expect("checked above");
        assert_eq!(in_kernel.code, library.code(), "{}", library.id());
        let entry = offsets::catalog::entry(library.id()).expect("checked above");
        // What is a variable is not probed.
        let roles = entry.roles.iter().filter(|role| role.variable.is_none());
        let roles = sorted(roles.map(|role| role.name.clone()).collect());
        let served = library.programs().iter().chain(library.telling());
        let mut served = sorted(served.map(|(role, _)| (*role).to_owned()).collect());
        // A stand-in's role is there twice.
        served.dedup();
        assert_eq!(roles, served, "{}", library.id());
        let map = library.file_map();
        assert!(map.is_none_or(|map| object.ebpf.map(map).is_some()), "{map:?}");
    }
}

/// What `strobe features` tries, by the kernel's own way and by the one of older kernels.
#[test]
fn a_probe_can_be_tried_by_either_way() {
    let mut newest = Programs::load(&LoadOptions::default()).expect("this test needs root and BPF");
    newest.load_all(writes()).expect("loading");
    for mut programs in [newest, loaded()] {
        let trial = crate::features::trials::attach(&mut programs).expect("loading the program to try with");
        assert!(trial.works(), "multi: {}: {trial}", programs.is_multi());
    }
}

/// Programs of uprobes can be preempted, and a private stack (Linux 6.13) is one for each processor: the kernel crashes. It gives
/// none to a program that has a tail call, reached or not (`enter`). `floor` is what the kernel alone costs, and has no variable
/// that could be overwritten.
///
/// Before Linux 6.0, arm64's JIT took no program that both calls functions of its own and can go on in another program
/// ("tail_calls are not allowed in non-JITed programs with bpf-to-bpf calls"); 5.8 and 5.9 take none on amd64 either.
/// A `memset` that LLVM put in is such a function.
#[test]
fn programs_of_uprobes_stay_on_the_kernels_stack() {
    const CALL: u8 = 0x85;
    const TAIL_CALL: i32 = 12;
    for arch in ["x86_64", "aarch64"] {
        let path = format!("{}/../runtime-ebpf/objects/strobe-{arch}.o", env!("CARGO_MANIFEST_DIR"));
        let object = aya_obj::Object::parse(&std::fs::read(&path).expect(&path)).expect(&path);
        let (mut uprobes, mut going_on) = (0, 0);
        for (name, program) in &object.programs {
            let function = &object.functions[&program.function_key()];
            let calls: Vec<_> = function.instructions.iter().filter(|one| one.code == CALL).collect();
            let is_uprobe = matches!(program.section, aya_obj::ProgramSection::UProbe { .. });
            if !is_uprobe || name.starts_with("floor") {
                continue;
            }
            uprobes += 1;
            let tails = calls.iter().filter(|call| call.src_reg() == 0 && call.imm == TAIL_CALL).count();
            assert!(tails > 0, "{arch}: {name}");
            // The first is the one that is never reached.
            if tails > 1 {
                going_on += 1;
                let own = calls.iter().filter(|call| call.src_reg() != 0).count();
                assert_eq!(own, 0, "{arch}: {name}");
            }
        }
        assert!(uprobes >= 8 && going_on >= 5, "{arch}: {uprobes}, {going_on}");
    }
}

/// A job that has begun more than its share of spans, ended none and exited takes no room from others: what it left is gone before
/// another job could begin as many, and nothing of whoever goes on.
#[test]
fn what_ended_processes_leave_goes_in_haste_where_others_need_the_room() {
    const SHARE: u64 = 32_768;
    const OTHERS: u64 = 4_000;
    let mut programs = Programs::load(&LoadOptions::default()).expect("this test needs root and BPF");
    let flights = flights();
    let flight =
        flights.iter().find(|flight| flight.map == "BY_HAND_FLIGHT").expect("a table of the agent's");
    let key = |at: u64, tgid: u64| [at.to_ne_bytes(), tgid.to_ne_bytes()].concat();
    let has = |programs: &Programs, tgid: u64, of: u64| {
        let table = raw(&programs.ebpf, flight.map, tables::KEY_BYTES, flight.value_bytes).expect("it");
        (0..of).filter(|at| table.lookup(&key(*at, tgid)).expect("a look").is_some()).count() as u64
    };
    let fill = |programs: &Programs, tgid: u64, generation: u32, of: u64| {
        let table = raw(&programs.ebpf, flight.map, tables::KEY_BYTES, flight.value_bytes).expect("it");
        let mut value = vec![0; flight.value_bytes];
        value[..4].copy_from_slice(&generation.to_ne_bytes());
        (0..of).for_each(|at| table.update(&key(at, tgid), &value).expect("there is room"));
        let uses = raw(&programs.ebpf, flight.use_map, 4, 8).expect("it");
        let made = uses.lookup(&0u32.to_ne_bytes()).expect("a look").expect("a count");
        let made = made.first_chunk().map_or(0, |bytes| u64::from_ne_bytes(*bytes)) + of;
        uses.update(&0u32.to_ne_bytes(), &made.to_ne_bytes()).expect("it is counted");
    };
    programs.generations.begin(8, 1, Instant::now());
    fill(&programs, 8, 1, OTHERS);
    for generation in 2..5 {
        programs.generations.begin(7, generation, Instant::now());
        fill(&programs, 7, generation, SHARE);
        assert_eq!(programs.sweep().expect("a sweep"), 0, "all of them are alive");
        programs.generations.end(7, Instant::now(), true);
        let (began, mut longest, mut removed) = (Instant::now(), Duration::ZERO, 0);
        while programs.is_in_haste() {
            let before = began.elapsed();
            removed += programs.sweep().expect("a sweep");
            longest = longest.max(began.elapsed() - before);
        }
        println!("{removed} in {:?}, at most {longest:?} at a time", began.elapsed());
        // The rest takes nobody's room, and goes at leisure.
        assert!(
            removed >= SHARE / 4 * 3 && began.elapsed() < Duration::from_secs(2),
            "{removed} in {:?}",
            began.elapsed()
        );
        while programs.sweep().expect("a sweep") > 0 {}
        assert_eq!((has(&programs, 7, SHARE), has(&programs, 8, OTHERS)), (0, OTHERS));
    }
}
