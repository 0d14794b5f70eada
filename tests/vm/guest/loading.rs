//! Every program of the object through this kernel's verifier, with the number of instructions that it walked.
//!
//! `bpf_prog_info.verified_insns` exists since 5.16 only: there `strobe features` says which program is the largest (`features`). The
//! verifier's own statistics (log level 4, kernel 5.2) are on every kernel that strobe knows, so the programs are loaded by hand here, with a
//! log, on the kernel that has nothing else. That strobe itself loads them is what every other case shows.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::fs;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};

use anyhow::{Context as _, Result, bail, ensure};
use aya::maps::MapData;
use aya_obj::btf::{Btf, BtfKind};
use aya_obj::generated::{bpf_attr, bpf_cmd};
use aya_obj::{EbpfSectionKind, Function, Map, Object, Program, ProgramSection};

use crate::boot;

/// The object for this architecture, as it is committed and as strobe has it in itself.
const OBJECT: &str = "/strobe.o";
/// `BPF_LOG_LEVEL1` and `BPF_LOG_STATS` (include/linux/bpf_verifier.h).
const LOG_STEPS: u32 = 1;
const LOG_STATS: u32 = 4;
/// No program may be more to any of these verifiers, of the million that they take: those before Linux 6.3 compare states more strictly than the
/// kernel that the unit tests run on.
pub const MOST_INSTRUCTIONS: u32 = 100_000;
/// How many lines of a refused program's log are shown.
const SHOWN_STEPS: usize = 40;
/// `BPF_PROG_TYPE_…` and `BPF_TRACE_ITER` (include/uapi/linux/bpf.h).
const KPROBE: u32 = 2;
const TRACEPOINT: u32 = 5;
const RAW_TRACEPOINT: u32 = 17;
const TRACING: u32 = 26;
const TRACE_ITER: u32 = 28;
/// The iterator over the memory areas of tasks, kernel/bpf/task_iter.c.
const MEMORY_AREAS: &str = "bpf_iter_task_vma";

/// Loads all of them; "NAME COUNT" for each.
pub fn every_program() -> Result<String> {
    let bytes = fs::read(OBJECT).with_context(|| format!("read {OBJECT}"))?;
    let mut object = Object::parse(&bytes).context("parse the eBPF object")?;
    let maps = create_maps(&mut object)?;
    let sections = object.functions.keys().map(|(section, _)| *section).collect();
    let by_name = maps.iter().map(|(name, map)| (name.as_str(), fd(&map.0), &map.1));
    object.relocate_maps(by_name, &sections).context("relocate the maps")?;
    object.relocate_calls(&sections).context("relocate the calls")?;
    let mut programs: Vec<_> = object.programs.iter().collect();
    programs.sort_by_key(|(name, _)| *name);
    let (mut counts, mut refused, mut large) = (Vec::new(), Vec::new(), Vec::new());
    for (name, program) in programs {
        let function =
            object.functions.get(&program.function_key()).context("a program without a function")?;
        if too_old_for(name, program)? {
            counts.push(format!("{name} (Linux 5.12)"));
            continue;
        }
        match load(name, program, function, LOG_STATS, 1 << 20) {
            Ok(log) => {
                let count = processed(&log).with_context(|| format!("{name}: no count in {log:?}"))?;
                if count > MOST_INSTRUCTIONS {
                    large.push(format!("{name} {count}"));
                }
                counts.push(format!("{name} {count}"));
            }
            Err(error) => refused.push(format!("{error:#}\n{}", last_steps(name, program, function)?)),
        }
    }
    ensure!(
        refused.is_empty() && large.is_empty(),
        "more than {MOST_INSTRUCTIONS} instructions: {}; refused: {}\nnot refused: {}",
        large.join(", "),
        refused.join("\n"),
        counts.join(", ")
    );
    Ok(counts.join(", "))
}

fn fd(map: &MapData) -> RawFd {
    map.fd().as_fd().as_raw_fd()
}

/// Creates the maps, with their content, frozen where it is constant: the verifier then knows the values.
fn create_maps(object: &mut Object) -> Result<BTreeMap<String, (MapData, Map)>> {
    let mut maps = BTreeMap::new();
    for (name, definition) in object.maps.drain() {
        let (data, kind) = (definition.data(), definition.section_kind());
        let map = MapData::create(definition.clone(), &name, None)
            .with_context(|| format!("create the map {name}"))?;
        if !data.is_empty() {
            fill(&map, data).with_context(|| format!("fill the map {name}"))?;
        }
        if kind == EbpfSectionKind::Rodata {
            let mut attr = zeroed();
            attr.__bindgen_anon_2.map_fd = fd(&map).cast_unsigned();
            bpf(bpf_cmd::BPF_MAP_FREEZE, &mut attr).with_context(|| format!("freeze the map {name}"))?;
        }
        maps.insert(name, (map, definition));
    }
    Ok(maps)
}

/// Writes the one value of a section's map.
fn fill(map: &MapData, data: &[u8]) -> Result<()> {
    let key = 0_u32;
    let mut attr = zeroed();
    attr.__bindgen_anon_2.map_fd = fd(map).cast_unsigned();
    attr.__bindgen_anon_2.key = (&raw const key).addr() as u64;
    attr.__bindgen_anon_2.__bindgen_anon_1.value = data.as_ptr().addr() as u64;
    bpf(bpf_cmd::BPF_MAP_UPDATE_ELEM, &mut attr).map(drop)
}

/// What the verifier did at the end of its way, for a program that it refused: kernels before 6.4 keep the log's beginning,
/// so all of it has to have room.
fn last_steps(name: &str, program: &Program, function: &Function) -> Result<String> {
    match load(name, program, function, LOG_STEPS | LOG_STATS, 1 << 28) {
        Ok(_) => bail!("{name}: refused, and with another log level not"),
        Err(error) => {
            let text = format!("{error:#}");
            let lines: Vec<&str> = text.lines().collect();
            Ok(lines.get(lines.len().saturating_sub(SHOWN_STEPS)..).unwrap_or_default().join("\n"))
        }
    }
}

/// Loads one; the verifier's log.
fn load(name: &str, program: &Program, function: &Function, level: u32, room: usize) -> Result<String> {
    let mut log = vec![0_u8; room];
    let instructions = &function.instructions;
    let (kind, attach_type, attach_to) = kind(name, &program.section)?;
    let mut attr = zeroed();
    // SAFETY: all fields of the union are integers, and zero so far.
    let load = unsafe { &mut attr.__bindgen_anon_3 };
    load.prog_type = kind;
    load.expected_attach_type = attach_type;
    load.attach_btf_id = attach_to;
    load.insn_cnt = u32::try_from(instructions.len())?;
    load.insns = instructions.as_ptr().addr() as u64;
    load.license = program.license.as_ptr().addr() as u64;
    load.log_level = level;
    load.log_size = u32::try_from(log.len())?;
    load.log_buf = log.as_mut_ptr().addr() as u64;
    let result = bpf(bpf_cmd::BPF_PROG_LOAD, &mut attr);
    let end = log.iter().position(|b| *b == 0).unwrap_or(0);
    log.truncate(end);
    let text = CString::new(log)?.into_string()?;
    match result {
        Ok(fd) => {
            // SAFETY: BPF_PROG_LOAD gives a new descriptor, owned by nobody else; closing it unloads the program.
            drop(unsafe { OwnedFd::from_raw_fd(fd) });
            Ok(text)
        }
        Err(error) => bail!("{name}: {error:#}: {}", text.trim()),
    }
}

/// Whether the program is an iterator over memory areas and the kernel older than those (5.12): strobe does without it there.
fn too_old_for(name: &str, program: &Program) -> Result<bool> {
    let areas = matches!(program.section, ProgramSection::Iter { .. }) && walked(name) == MEMORY_AREAS;
    Ok(areas && boot::kernel_version()? < (5, 12, 0))
}

/// What an iterator of that name walks, as the kernel's BTF calls it.
fn walked(name: &str) -> &'static str {
    if name.contains("vma") { MEMORY_AREAS } else { "bpf_iter_task" }
}

/// Program type, attach type, and the BTF id of what an iterator walks.
fn kind(name: &str, section: &ProgramSection) -> Result<(u32, u32, u32)> {
    Ok(match section {
        ProgramSection::UProbe { .. } => (KPROBE, 0, 0),
        ProgramSection::TracePoint => (TRACEPOINT, 0, 0),
        ProgramSection::RawTracePoint => (RAW_TRACEPOINT, 0, 0),
        ProgramSection::Iter { .. } => {
            let btf = Btf::from_sys_fs().context("the kernel's BTF")?;
            (TRACING, TRACE_ITER, btf.id_by_type_name_kind(walked(name), BtfKind::Func)?)
        }
        other => bail!("{name}: this case knows no programs of kind {other:?}"),
    })
}

/// The number in the line "processed 1234 insns (limit 1000000) …".
fn processed(log: &str) -> Option<u32> {
    log.lines().find_map(|line| line.strip_prefix("processed ")?.split(' ').next()?.parse().ok())
}

fn zeroed() -> bpf_attr {
    // SAFETY: a union of structs of integers: zeros are a value of each.
    unsafe { std::mem::zeroed() }
}

/// bpf(2).
fn bpf(command: bpf_cmd, attr: &mut bpf_attr) -> Result<RawFd> {
    // SAFETY: `attr` is the kernel's own union, of the size given; what it points to outlives the call.
    let done = unsafe { libc::syscall(libc::SYS_bpf, command as u32, attr, size_of::<bpf_attr>()) };
    match RawFd::try_from(done) {
        Ok(fd) if fd >= 0 => Ok(fd),
        _ => Err(io::Error::last_os_error()).with_context(|| format!("{command:?}")),
    }
}
