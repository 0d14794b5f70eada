//! The way out of the agent: the real agent traces a real service, and what stands at the endpoint misbehaves. No span is lost
//! that could be kept, nobody waits, and what the agent says names the true cause and what to do.

mod endings;
mod hostile;
mod limits;
mod messages;
mod ports;
mod stage;
