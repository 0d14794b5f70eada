//! Routers: libraries that add the route to the spans of whatever serves HTTP, and make none themselves.
//!
//! Their programs find the open request of their goroutine, and send the route in its server's name; so it is that server's joiner
//! that takes it, and nothing ever comes in a router's own name.

use analyzer::{Plan, plan};
use runtime_ebpf::{libraries as kernel, record::Head};

use super::{
    join::{Count, Joiner, SpanContext},
    library::{ConfigError, Library},
};
use crate::{records::DecodeError, spans::Kind};

/// What copies of a server's Request share, and a request of a handler's own making has not.
pub const REQUEST_URI: (&str, &str) = ("net/http.Request", "RequestURI");

/// A router.
pub struct Router {
    /// Its line in the programs' table.
    pub kernel: kernel::Library,
    /// The programs of its roles.
    pub programs: &'static [(&'static str, &'static str)],
    /// The map of its configurations, if it has any.
    pub file_map: Option<&'static str>,
    /// What its program has to know of the files of a Plan.
    pub config: fn(&plan::Library, &Plan) -> Result<Vec<u8>, ConfigError>,
    /// See [`Library::waits_until_missed`].
    pub waits_until_missed: bool,
}

impl Library for Router {
    fn id(&self) -> &'static str {
        self.kernel.id
    }

    fn code(&self) -> u16 {
        self.kernel.code
    }

    fn kind(&self) -> Kind {
        Kind::Server
    }

    fn makes_spans(&self) -> bool {
        false
    }

    fn waits_until_missed(&self) -> bool {
        self.waits_until_missed
    }

    fn programs(&self) -> &'static [(&'static str, &'static str)] {
        self.programs
    }

    fn file_map(&self) -> Option<&'static str> {
        self.file_map
    }

    fn config(&self, library: &plan::Library, plan: &Plan) -> Result<Vec<u8>, ConfigError> {
        (self.config)(library, plan)
    }

    fn joiner(&self) -> Box<dyn Joiner> {
        Box::new(Nothing)
    }
}

/// What comes in a router's name: nothing that anybody knows.
struct Nothing;

impl Joiner for Nothing {
    fn record(&mut self, head: &Head, _: &[u8], _: &mut SpanContext<'_>) -> Result<(), DecodeError> {
        Err(DecodeError::UnknownKind(head.kind))
    }

    fn forget(&mut self, _: u32, _: u32) {}

    fn held_bytes(&self) -> usize {
        0
    }

    fn shed(&mut self) {}

    fn counters(&self) -> Vec<Count> {
        Vec::new()
    }
}
