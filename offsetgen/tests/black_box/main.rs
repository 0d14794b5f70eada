//! Black-box tests of `offsetgen`: each spawns the real binary.

mod bad_proxy;
mod build;
mod faults;
mod lookup;
mod modules;
mod support;
