//! guard: whatever processes, files and the agent itself do, no probe outlives its process and kills the next program, and
//! nobody else loses a span for it.
//!
//! A file that still has probes when it is overwritten and started kills the new program at its first request (SIGSEGV, SIGILL
//! or SIGTRAP, which a Go program reports and ends with status 2). So most tests here end with [`Stage::overwrite_and_serve`].

mod ends;
mod files;
mod leases;
mod stage;
mod starts;
