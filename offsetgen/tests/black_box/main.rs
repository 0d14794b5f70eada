//! Black-box tests of `offsetgen`: each spawns the real binary.

mod bad_proxy;
mod build;
mod diff;
mod export;
mod faults;
mod folder;
mod index;
mod lookup;
mod modules;
mod report;
mod support;
