//! One module per library, and the process events.

mod floor;
mod process;

runtime_ebpf::library_programs!();
