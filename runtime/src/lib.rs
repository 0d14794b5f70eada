//! strobe, the agent: from a process's Plan to spans on the wire.
//!
//! The binary (`main.rs`) is a thin layer over these modules, so that tests and benches can reach every one of them.

pub mod agent;
pub mod attach;
mod causes;
pub mod cli;
pub mod config;
pub mod discover;
pub mod drain;
pub mod exec;
pub mod export;
pub mod features;
pub mod files;
pub mod guard;
pub mod libraries;
pub mod log;
pub mod planning;
mod priority;
pub mod programs;
pub mod records;
pub mod resource;
pub mod run;
pub mod sink;
pub mod sources;
pub mod spans;
pub mod start;
