//! What the kernel says of a program that it has loaded.

use std::os::fd::{AsRawFd as _, BorrowedFd};

use aya_obj::generated::bpf_prog_info;

// include/uapi/linux/bpf.h, enum bpf_cmd.
const BPF_OBJ_GET_INFO_BY_FD: libc::c_long = 15;

/// The part of `union bpf_attr` that this call has.
#[repr(C)]
struct Attributes {
    fd: i32,
    len: u32,
    info: u64,
}

/// How many instructions the verifier walked. `None`: the kernel does not say.
pub fn verified_instructions(program: BorrowedFd<'_>) -> Option<u32> {
    // SAFETY: a struct of integers: zeros are a value of each. Zeros behind what an older kernel knows are what it asks for.
    let mut info: bpf_prog_info = unsafe { std::mem::zeroed() };
    let len = u32::try_from(size_of_val(&info)).ok()?;
    let attributes = Attributes { fd: program.as_raw_fd(), len, info: &raw mut info as u64 };
    // SAFETY: the kernel writes no more than `len` bytes, and follows no address, since all lengths in there are 0.
    let answer = unsafe {
        libc::syscall(libc::SYS_bpf, BPF_OBJ_GET_INFO_BY_FD, &raw const attributes, size_of::<Attributes>())
    };
    (answer == 0 && info.verified_insns != 0).then_some(info.verified_insns)
}
