//! Black-box tests of `offsetgen`: each spawns the real binary.

mod bad_proxy;
mod build;
mod lookup;
mod modules;
mod support;
