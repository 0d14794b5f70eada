//! Go's registers at a probe: ABIInternal (go-binary-format.md (g), Go 1.17 on amd64, 1.18 on arm64).

use aya_ebpf::programs::ProbeContext;
use runtime_ebpf::abi::{CHECK_BELOW, CHECK_BELOW_OR_EQUAL};

#[cfg(bpf_target_arch = "x86_64")]
use crate::read::read_or_zero;

/// The integer argument, or word of a result, `N` (0 is the receiver), the goroutine, the instruction and the flags.
pub trait GoRegisters {
    fn argument<const N: usize>(&self) -> u64;
    fn goroutine(&self) -> u64;
    fn instruction(&self) -> u64;
    /// The stack pointer.
    fn stack(&self) -> u64;
    /// Before a function has made its frame: the record of its caller's frame, where the frame before begins (a word) and where the caller
    /// returns to (the next).
    fn frame(&self) -> u64;
    /// Before a function has made its frame: where it returns to; 0 if that cannot be read.
    fn back_to(&self) -> u64;
    /// The closure of a function that is called through a function value, at its entry.
    fn closure(&self) -> u64;
    /// At a stack check's branch: is it about to be taken, so that the function will start again?
    fn restarts(&self, check: u8) -> bool;
}

#[cfg(bpf_target_arch = "x86_64")]
impl GoRegisters for ProbeContext {
    #[inline(always)]
    fn argument<const N: usize>(&self) -> u64 {
        // SAFETY: the context of a uprobe program is a pt_regs; the verifier knows its size.
        let regs = unsafe { &*self.regs };
        match N {
            0 => regs.rax,
            1 => regs.rbx,
            2 => regs.rcx,
            3 => regs.rdi,
            4 => regs.rsi,
            5 => regs.r8,
            6 => regs.r9,
            7 => regs.r10,
            8 => regs.r11,
            _ => 0,
        }
    }
    #[inline(always)]
    fn goroutine(&self) -> u64 {
        // SAFETY: as above.
        unsafe { (*self.regs).r14 }
    }
    #[inline(always)]
    fn instruction(&self) -> u64 {
        // SAFETY: as above.
        unsafe { (*self.regs).rip }
    }
    #[inline(always)]
    fn stack(&self) -> u64 {
        // SAFETY: as above.
        unsafe { (*self.regs).rsp }
    }
    #[inline(always)]
    fn frame(&self) -> u64 {
        // SAFETY: as above.
        unsafe { (*self.regs).rbp }
    }
    #[inline(always)]
    fn back_to(&self) -> u64 {
        read_or_zero(self.stack())
    }
    #[inline(always)]
    fn closure(&self) -> u64 {
        // SAFETY: as above.
        unsafe { (*self.regs).rdx }
    }
    #[inline(always)]
    fn restarts(&self, check: u8) -> bool {
        // Intel SDM vol. 1, 3.4.3: CF is bit 0, ZF bit 6. `jbe` jumps on CF or ZF, `jb` on CF.
        const CF: u64 = 1;
        const ZF: u64 = 1 << 6;
        let mask = match check {
            CHECK_BELOW_OR_EQUAL => CF | ZF,
            CHECK_BELOW => CF,
            _ => 0,
        };
        // SAFETY: as above.
        unsafe { (*self.regs).eflags & mask != 0 }
    }
}

#[cfg(bpf_target_arch = "aarch64")]
impl GoRegisters for ProbeContext {
    #[inline(always)]
    fn argument<const N: usize>(&self) -> u64 {
        // SAFETY: the context of a uprobe program is a user_pt_regs; the verifier knows its size.
        unsafe { (*self.regs).regs[N] }
    }
    #[inline(always)]
    fn goroutine(&self) -> u64 {
        // SAFETY: as above.
        unsafe { (*self.regs).regs[28] }
    }
    #[inline(always)]
    fn instruction(&self) -> u64 {
        // SAFETY: as above.
        unsafe { (*self.regs).pc }
    }
    #[inline(always)]
    fn stack(&self) -> u64 {
        // SAFETY: as above.
        unsafe { (*self.regs).sp }
    }
    #[inline(always)]
    fn frame(&self) -> u64 {
        // SAFETY: as above.
        unsafe { (*self.regs).regs[29] }
    }
    #[inline(always)]
    fn back_to(&self) -> u64 {
        // SAFETY: as above.
        unsafe { (*self.regs).regs[30] }
    }
    #[inline(always)]
    fn closure(&self) -> u64 {
        // SAFETY: as above.
        unsafe { (*self.regs).regs[26] }
    }
    #[inline(always)]
    fn restarts(&self, check: u8) -> bool {
        // Arm ARM, NZCV: C is bit 29, Z bit 30. `b.ls` branches on !C or Z, `b.lo` on !C.
        const C: u64 = 1 << 29;
        const Z: u64 = 1 << 30;
        // SAFETY: as above.
        let pstate = unsafe { (*self.regs).pstate };
        match check {
            CHECK_BELOW_OR_EQUAL => pstate & C == 0 || pstate & Z != 0,
            CHECK_BELOW => pstate & C == 0,
            _ => false,
        }
    }
}
