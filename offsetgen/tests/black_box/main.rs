//! Black-box tests of `offsetgen`: each spawns the real binary.

mod bad_proxy;
mod build;
mod diff;
mod export;
mod faults;
mod folder;
mod index;
mod layouts;
mod lookup;
mod modules;
mod published;
mod report;
mod support;
