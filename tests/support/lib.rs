//! What the end-to-end tests stand on: real Go programs, a fake OTLP receiver, raw HTTP clients, and the comparison of
//! span forests. Tests depend on this crate alone, so that what they expect is written down independently of the agent.
//!
//! Not here: what a given request should look like as a span (that is each test's own knowledge).

pub mod agent;
#[expect(missing_docs, reason = "they are modules of a test, which has no readers of its documentation")]
pub mod auto_sdk;
pub mod broker;
pub mod built;
pub mod calls;
pub mod catalog;
pub mod client;
pub mod collector;
pub mod corpus;
pub mod database_sql;
pub mod dwarf;
pub mod golang;
#[expect(missing_docs, reason = "they are modules of a test, which has no readers of its documentation")]
pub mod gotest;
#[expect(missing_docs, reason = "they are modules of a test, which has no readers of its documentation")]
pub mod grpc;
pub mod h2;
#[expect(missing_docs, reason = "they are modules of a test, which has no readers of its documentation")]
pub mod http_client;
#[expect(missing_docs, reason = "they are modules of a test, which has no readers of its documentation")]
pub mod http_server;
#[expect(missing_docs, reason = "they are modules of a test, which has no readers of its documentation")]
pub mod kafka;
pub mod load;
pub mod machine;
pub mod process;
pub mod profile;
pub mod programs;
#[expect(missing_docs, reason = "they are modules of a test, which has no readers of its documentation")]
pub mod propagation;
pub mod recorder;
pub mod samples;
pub mod spans;
pub mod stage;
pub mod trace_context;
pub mod wire;

// The modules of tests name this crate as the tests do that they come from.
extern crate self as strobe_tests;
