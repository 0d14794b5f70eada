//! The architectures, and all that differs between them but the code itself.
//!
//! | | amd64 | arm64 |
//! |---|---|---|
//! | `e_machine` | 62 `EM_X86_64` | 183 `EM_AARCH64` |
//! | relocation of type RELATIVE | 8 `R_X86_64_RELATIVE` | 1027 `R_AARCH64_RELATIVE` |
//! | instructions begin at multiples of | 1 | 4 |
//! | bytes between the stack pointer and the words of a call, in the caller | 0: the call itself pushes the return address | 8: room in which the callee may save the link register |
//!
//! How code is read, and which instructions the kernel emulates, stands in one file for each of them below `sites`.

use serde::{Deserialize, Serialize};

/// Architectures, spelled as Go spells them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Arch {
    /// x86-64.
    Amd64,
    /// AArch64, little endian.
    Arm64,
}

/// What the binary tables of one architecture have of its own.
struct Facts {
    name: &'static str,
    /// `e_machine` of its ELF files.
    machine: u16,
    /// The relocation that adds the load bias to an address.
    relative: u32,
    /// Bytes between one place where an instruction may begin and the next; pclntab counts addresses in it.
    quantum: u8,
    /// In the caller, how far above the stack pointer the words begin that the callee finds on the stack.
    call_frame: u64,
}

const AMD64: Facts = Facts { name: "amd64", machine: 62, relative: 8, quantum: 1, call_frame: 0 };
const ARM64: Facts = Facts { name: "arm64", machine: 183, relative: 1027, quantum: 4, call_frame: 8 };

impl Arch {
    /// All of them.
    pub const ALL: [Arch; 2] = [Arch::Amd64, Arch::Arm64];

    const fn facts(self) -> &'static Facts {
        match self {
            Arch::Amd64 => &AMD64,
            Arch::Arm64 => &ARM64,
        }
    }

    /// As Go, the database and the Plan spell it (GOARCH).
    pub const fn name(self) -> &'static str {
        self.facts().name
    }

    /// The one of an ELF header's `e_machine`.
    pub(crate) fn of_machine(machine: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|arch| arch.facts().machine == machine)
    }

    /// The type of its RELATIVE relocations.
    pub(crate) fn relative_relocation(self) -> u32 {
        self.facts().relative
    }

    /// pclntab's quantum: instructions begin at multiples of it.
    pub(crate) fn quantum(self) -> u8 {
        self.facts().quantum
    }

    /// How far above the stack pointer lie the words that a function passes to a callee on the stack, seen from the function.
    pub(crate) fn call_frame(self) -> u64 {
        self.facts().call_frame
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_one_architecture_and_the_plan_spells_it_as_go_does() {
        for arch in Arch::ALL {
            assert_eq!(Arch::of_machine(arch.facts().machine), Some(arch));
            assert_eq!(serde_json::to_string(&arch).expect("JSON"), format!("{:?}", arch.name()));
        }
        assert_eq!(Arch::of_machine(0), None);
    }
}
