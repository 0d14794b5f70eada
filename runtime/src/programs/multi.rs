//! The libraries' programs, loaded for `uprobe_multi` (Linux 6.6): one link holds all of a program's probes in a file, is made in
//! one call, goes in one grace period, and needs no CAP_SYS_ADMIN. aya 0.14 knows the maps and the instructions, and cannot ask
//! for this attach type, so the load itself is a raw system call here.
//!
//! A program that was loaded so cannot be attached as a perf link, and the other way round: it is decided once, by trying.

use std::{
    collections::{HashMap, HashSet},
    ffi::{CStr, CString},
    io,
    os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd},
    thread::ScopedJoinHandle,
};

use aya::{
    Ebpf, VerifierLogLevel,
    maps::{Map, MapData},
};
use aya_obj::{Object, generated::bpf_insn};

use super::{error::ProgramsError, refusal::Refusal};
use crate::guard::keeper::probe::{BPF_TRACE_UPROBE_MULTI, multi};

/// `BPF_PROG_LOAD` of `enum bpf_cmd`, `BPF_PROG_TYPE_KPROBE` of `enum bpf_prog_type` (include/uapi/linux/bpf.h).
const BPF_PROG_LOAD: libc::c_long = 5;
const BPF_PROG_TYPE_KPROBE: u32 = 2;
/// The reason and the statistics, without the instructions that were walked.
const LOG_BYTES: usize = 64 * 1024;

/// The part of `union bpf_attr` by which a program is loaded, up to `expected_attach_type`.
#[repr(C)]
#[derive(Default)]
struct LoadAttr {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
    kern_version: u32,
    prog_flags: u32,
    prog_name: [u8; 16],
    prog_ifindex: u32,
    expected_attach_type: u32,
}

/// Programs that are ready to be loaded, and those that are.
pub struct Multi {
    object: Object,
    loaded: HashMap<String, OwnedFd>,
}

impl Multi {
    /// The object's programs, with the maps that aya has made; before any of those is taken out.
    pub fn new(bytes: &[u8], ebpf: &Ebpf) -> anyhow::Result<Self> {
        let mut object = Object::parse(bytes)?;
        let maps = std::mem::take(&mut object.maps);
        let made: HashMap<&str, &MapData> =
            ebpf.maps().filter_map(|(name, map)| Some((name, data(map)?))).collect();
        let descriptors = maps.iter().filter_map(|(name, map)| {
            let made = made.get(name.as_str())?;
            Some((name.as_str(), made.fd().as_fd().as_raw_fd(), map))
        });
        let text: HashSet<usize> = object.functions.keys().map(|(section, _)| *section).collect();
        object.relocate_maps(descriptors.collect::<Vec<_>>().into_iter(), &text)?;
        object.relocate_calls(&text)?;
        Ok(Self { object, loaded: HashMap::new() })
    }

    /// Loads those of these programs that are not loaded yet. Verifying is all work of the calling thread, and nothing in the
    /// kernel makes several wait for each other: a thread for each, and a command that waits for its probes waits half as long.
    pub fn load(&mut self, names: &[&'static str]) -> Result<(), ProgramsError> {
        let mut wanted = Vec::new();
        for name in names.iter().copied().filter(|name| !self.loaded.contains_key(*name)) {
            let program = self.object.programs.get(name);
            let function = program.and_then(|program| self.object.functions.get(&program.function_key()));
            let missing = || ProgramsError::Missing { kind: "program", name: name.to_owned() };
            let (program, function) = program.zip(function).ok_or_else(missing)?;
            wanted.push((name, program.license.as_c_str(), function.instructions.as_slice()));
        }
        let loaded = std::thread::scope(|scope| {
            let mut loading = Vec::new();
            for (name, license, instructions) in wanted {
                let load = move || load_or_say_why(name, license, instructions);
                // Where no thread can be had it is done by this one.
                let thread = std::thread::Builder::new().spawn_scoped(scope, load);
                loading.push((name, thread.map_err(|_| load())));
            }
            let result = |thread: Result<ScopedJoinHandle<'_, _>, _>| match thread {
                Ok(thread) => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
                Err(done) => done,
            };
            loading.into_iter().map(|(name, thread)| (name, result(thread))).collect::<Vec<_>>()
        });
        for (name, result) in loaded {
            let refused = |source| ProgramsError::Multi { program: name, source: Box::new(source) };
            self.loaded.insert(name.to_owned(), result.map_err(refused)?);
        }
        Ok(())
    }

    /// A program that is loaded.
    pub fn descriptor(&self, name: &str) -> Option<BorrowedFd<'_>> {
        self.loaded.get(name).map(|descriptor| descriptor.as_fd())
    }
}

/// Does this kernel have it, and may this process use it? A program that does nothing is attached to a folder: a kernel that knows
/// the link type refuses the folder (EBADF, `bpf_uprobe_multi_link_attach` in kernel/trace/bpf_trace.c), one that does not
/// refuses the type. Without CAP_BPF and CAP_PERFMON the program does not load (EPERM), whatever the kernel's version.
pub fn support() -> io::Result<()> {
    // `r0 = 0; exit` (include/uapi/linux/bpf.h, BPF_ALU64 | BPF_MOV | BPF_K and BPF_JMP | BPF_EXIT).
    let nothing = [instruction(0xb7), instruction(0x95)];
    let program = load("strobe_tries", c"GPL", &nothing, &mut [])?;
    let folder = std::fs::File::open("/")?;
    match multi(program.as_fd(), folder.as_fd(), &[0]) {
        Ok(_) => Err(io::Error::other("the kernel put a probe into a folder")),
        Err(error) if error.raw_os_error() == Some(libc::EBADF) => Ok(()),
        Err(error) => Err(error),
    }
}

fn instruction(code: u8) -> bpf_insn {
    bpf_insn { code, _bitfield_align_1: [], _bitfield_1: bpf_insn::new_bitfield_1(0, 0), off: 0, imm: 0 }
}

/// A log makes verifying slower: it is asked for when the program has been refused.
fn load_or_say_why(name: &str, license: &CStr, instructions: &[bpf_insn]) -> Result<OwnedFd, Refusal> {
    load(name, license, instructions, &mut []).or_else(|_| {
        let mut log = vec![0; LOG_BYTES];
        load(name, license, instructions, &mut log).map_err(|error| {
            let said = log.split(|byte| *byte == 0).next().unwrap_or_default();
            Refusal::of_load(error, &String::from_utf8_lossy(said))
        })
    })
}

/// `log`: where the verifier says why it refuses, if it is not empty.
fn load(name: &str, license: &CStr, instructions: &[bpf_insn], log: &mut [u8]) -> io::Result<OwnedFd> {
    let mut attr = LoadAttr {
        prog_type: BPF_PROG_TYPE_KPROBE,
        insn_cnt: u32::try_from(instructions.len()).map_err(io::Error::other)?,
        insns: instructions.as_ptr() as u64,
        license: license.as_ptr() as u64,
        log_level: if log.is_empty() { 0 } else { VerifierLogLevel::STATS.bits() },
        log_size: u32::try_from(log.len()).map_err(io::Error::other)?,
        log_buf: if log.is_empty() { 0 } else { log.as_mut_ptr() as u64 },
        expected_attach_type: BPF_TRACE_UPROBE_MULTI,
        ..Default::default()
    };
    // The kernel takes 15 bytes; only a person reads it.
    let short = CString::new(name).map_err(io::Error::other)?;
    for (to, from) in attr.prog_name.iter_mut().take(15).zip(short.as_bytes()) {
        *to = *from;
    }
    // SAFETY: the attributes, the instructions, the license and the log live until the call returns; their sizes are stated.
    let fd = unsafe { libc::syscall(libc::SYS_bpf, BPF_PROG_LOAD, &raw const attr, size_of::<LoadAttr>()) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    let fd = i32::try_from(fd).map_err(io::Error::other)?;
    // SAFETY: the descriptor was made just now and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// A map of a kind that this object has.
fn data(map: &Map) -> Option<&MapData> {
    match map {
        Map::Array(data)
        | Map::HashMap(data)
        | Map::LruHashMap(data)
        | Map::PerCpuArray(data)
        | Map::PerCpuHashMap(data)
        | Map::ProgramArray(data)
        | Map::RingBuf(data) => Some(data),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_struct_is_as_the_kernel_has_it() {
        assert_eq!(std::mem::offset_of!(LoadAttr, prog_name), 48);
        assert_eq!(std::mem::offset_of!(LoadAttr, expected_attach_type), 68);
    }

    /// Needs root and a kernel with BPF.
    #[test]
    fn a_refused_program_says_why_in_one_line() {
        // A return without a value.
        let said =
            load_or_say_why("strobe_tries", c"GPL", &[instruction(0x95)]).expect_err("refused").to_string();
        assert!(said.contains("Permission denied") && said.contains("R0 !read_ok"), "{said}");
        assert!(said.len() < 300 && !said.contains('\n'), "{said}");
    }
}
