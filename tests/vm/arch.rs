//! The two architectures, as everybody calls them.

use std::path::PathBuf;

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Arch {
    /// x86-64.
    Amd64,
    /// AArch64.
    Arm64,
}

impl Arch {
    /// Both.
    pub const ALL: [Arch; 2] = [Arch::Amd64, Arch::Arm64];

    /// As Debian and Go have it.
    pub fn name(self) -> &'static str {
        match self {
            Arch::Amd64 => "amd64",
            Arch::Arm64 => "arm64",
        }
    }

    /// The one of that name.
    pub fn named(name: &str) -> Option<Arch> {
        Arch::ALL.into_iter().find(|arch| arch.name() == name)
    }

    /// Rust's name of the target.
    pub fn target(self) -> &'static str {
        match self {
            Arch::Amd64 => "x86_64-unknown-linux-gnu",
            Arch::Arm64 => "aarch64-unknown-linux-gnu",
        }
    }

    /// Whether this machine is one.
    pub fn is_here(self) -> bool {
        self.target().starts_with(std::env::consts::ARCH)
    }

    /// Debian's C compiler for it; `ring` has C and assembly in it, and rustc links by it.
    pub fn compiler(self) -> &'static str {
        match self {
            Arch::Amd64 => "x86_64-linux-gnu-gcc",
            Arch::Arm64 => "aarch64-linux-gnu-gcc",
        }
    }

    /// The emulator, with a machine that has nothing but what the tests need. No HPET: a kernel that is emulated on several threads hung
    /// behind its lines on it once (Linux 7.2). No fifth level of page tables, which an emulator walks at each miss: that takes a twentieth of its time.
    /// No fast string instructions of bytes (ERMS, FSRM): to an emulator they are loops of one byte each, and without them the kernel copies and clears
    /// words. That takes a tenth of many messages' time.
    pub fn emulator(self) -> (PathBuf, &'static [&'static str]) {
        match self {
            Arch::Amd64 => (
                "qemu-system-x86_64".into(),
                &["-machine", "q35,hpet=off", "-cpu", "max,la57=off,erms=off,fsrm=off"],
            ),
            // What a kernel without it does without: to sign and check the return address of each function takes an emulator an eighth
            // of its time, and the state of the vector units is saved with each switch. No Go program has either.
            Arch::Arm64 => {
                ("qemu-system-aarch64".into(), &["-machine", "virt", "-cpu", "max,pauth=off,sve=off,sme=off"])
            }
        }
    }

    /// The serial console's device.
    pub fn console(self) -> &'static str {
        match self {
            Arch::Amd64 => "ttyS0",
            Arch::Arm64 => "ttyAMA0",
        }
    }
}
