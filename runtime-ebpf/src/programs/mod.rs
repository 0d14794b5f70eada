//! One module per library, and the process events.

mod floor;
mod process;
mod signals;

runtime_ebpf::library_programs!();
