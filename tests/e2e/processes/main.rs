//! Which processes are traced: in PID namespaces and containers, behind links and wrappers, with too few descriptors and
//! processes, without rights.

mod harness;
mod namespaces;
mod paths;
mod scarcity;
mod wrappers;
