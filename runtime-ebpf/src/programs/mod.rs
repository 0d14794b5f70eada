//! One module per library of the table, and the process events.

mod floor;
mod process;
mod signals;

macro_rules! modules {
    ($($code:literal $module:ident $name:ident $id:literal;)+) => { $(mod $module;)+ };
}

runtime_ebpf::libraries!(modules);
