//! What the libraries that serve HTTP share: the table of what is open ([`flight`]), how a request begins ([`begin`]) and how its
//! strings are sent one by one ([`fields`]), how it ends ([`end`]), and what it died of ([`how`]); and how routers say which route it has ([`route`]).

pub mod begin;
pub mod end;
pub mod fields;
pub mod flight;
pub mod how;
pub mod more;
pub mod route;

use runtime_ebpf::http_server::counters::Counter;

use crate::{count::count_of, enter::Hit};

/// Adds one to a counter that all of these libraries have, of the one whose hit it is.
#[inline(always)]
pub fn count(hit: &Hit, counter: Counter) {
    count_of(hit.library, counter as u32);
}
