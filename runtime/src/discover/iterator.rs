//! BPF iterators: programs that list what only the kernel knows, read like a file.
//!
//! aya 0.14 attaches an iterator to everything there is. `iter/task_vma` is wanted for the mappings of this thread alone, so
//! the two system calls are made here.

use std::{
    fs::File,
    io::{self, Read as _},
    os::fd::{AsFd as _, AsRawFd as _, OwnedFd},
};

use aya::{
    Btf, Ebpf,
    programs::{Iter, ProgramError, ProgramFd},
};

use super::{descriptor::owned, error::WatchError};

/// `enum bpf_cmd` and `enum bpf_attach_type` (include/uapi/linux/bpf.h).
const BPF_LINK_CREATE: libc::c_long = 28;
const BPF_ITER_CREATE: libc::c_long = 33;
const BPF_TRACE_ITER: u32 = 28;

/// `union bpf_iter_link_info`, as it is for tasks. Kernel 6.1; what does not fit an older kernel must be zero.
#[repr(C)]
#[derive(Default)]
struct TaskSelection {
    tid: u32,
    pid: u32,
    pid_fd: u32,
    reserved: u32,
}

/// `union bpf_attr` for `BPF_LINK_CREATE`.
#[repr(C)]
struct LinkCreate {
    prog_fd: u32,
    target_fd: u32,
    attach_type: u32,
    flags: u32,
    iter_info: u64,
    iter_info_len: u32,
    reserved: u32,
}

/// `union bpf_attr` for `BPF_ITER_CREATE`.
#[repr(C)]
struct IterCreate {
    link_fd: u32,
    flags: u32,
}

/// Which tasks an iterator visits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tasks {
    /// All that the reader's PID namespace has.
    All,
    /// The thread that reads. Kernel 6.1.
    ThisThread,
}

/// A loaded iterator program.
pub struct Iterator {
    program: ProgramFd,
    name: &'static str,
}

impl Iterator {
    /// Loads the program `name` for `bpf_iter_<kind>`. Takes some 10 ms for the kernel's BTF, so it is done where an iterator
    /// is needed, and once.
    pub fn load(ebpf: &mut Ebpf, name: &'static str, kind: &str) -> Result<Self, WatchError> {
        let failed = |error: ProgramError| WatchError::Program {
            action: "loading",
            program: name,
            error: Box::new(error.into()),
        };
        let btf = Btf::from_sys_fs().map_err(|error| WatchError::Iterator {
            program: name,
            error: io::Error::other(error.to_string()),
        })?;
        let program = ebpf.program_mut(name).ok_or(WatchError::Missing { kind: "program", name })?;
        let program: &mut Iter = program.try_into().map_err(failed)?;
        program.load(kind, &btf).map_err(failed)?;
        let program = program.fd().and_then(|fd| Ok(fd.try_clone()?)).map_err(failed)?;
        Ok(Self { program, name })
    }

    /// Runs it to its end. Gives what the program wrote.
    pub fn read(&self, tasks: Tasks) -> Result<Vec<u8>, WatchError> {
        self.try_read(tasks).map_err(|error| WatchError::Iterator { program: self.name, error })
    }

    fn try_read(&self, tasks: Tasks) -> io::Result<Vec<u8>> {
        let program = self.program.as_fd().as_raw_fd().cast_unsigned();
        let mut selection = TaskSelection::default();
        if tasks == Tasks::ThisThread {
            selection.tid = nix::unistd::gettid().as_raw().cast_unsigned();
        }
        let mut attr = LinkCreate {
            prog_fd: program,
            target_fd: 0,
            attach_type: BPF_TRACE_ITER,
            flags: 0,
            iter_info: 0,
            iter_info_len: 0,
            reserved: 0,
        };
        if selection.tid != 0 {
            attr.iter_info = (&raw const selection) as u64;
            attr.iter_info_len = size_of::<TaskSelection>() as u32;
        }
        let link = bpf(BPF_LINK_CREATE, &attr)?;
        let file = bpf(BPF_ITER_CREATE, &IterCreate { link_fd: link.as_raw_fd().cast_unsigned(), flags: 0 })?;
        let mut bytes = Vec::new();
        File::from(file).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

/// bpf(2) for commands that make a descriptor.
fn bpf<A>(command: libc::c_long, attr: &A) -> io::Result<OwnedFd> {
    // SAFETY: the attributes live until the call returns, and their size is stated; what they point to does too.
    owned(unsafe { libc::syscall(libc::SYS_bpf, command, attr as *const A, size_of::<A>()) })
}

/// The words of a line of an iterator's output, in the machine's byte order. What is cut at the end is left out.
pub fn lines<const WORDS: usize>(bytes: &[u8]) -> impl std::iter::Iterator<Item = [u32; WORDS]> + '_ {
    bytes.chunks_exact(4 * WORDS).map(|line| {
        let mut words = [0; WORDS];
        for (word, bytes) in words.iter_mut().zip(line.chunks_exact(4)) {
            *word = bytes.first_chunk().map_or(0, |bytes| u32::from_ne_bytes(*bytes));
        }
        words
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_the_kernels() {
        assert_eq!(size_of::<LinkCreate>(), 32);
        assert_eq!(size_of::<IterCreate>(), 8);
        assert_eq!(size_of::<TaskSelection>(), 16);
    }

    #[test]
    fn a_cut_line_is_left_out() {
        let bytes: Vec<u8> = [1u32, 2, 3].iter().flat_map(|word| word.to_ne_bytes()).collect();
        assert_eq!(lines::<2>(&bytes).collect::<Vec<_>>(), [[1, 2]]);
    }
}
