//! What more is known of a request than every span needs, from its header and from a router: most requests have nothing of it.

use std::sync::Arc;

use runtime_ebpf::http_server::records::{
    HEADERS_FORWARDED, HEADERS_FORWARDED_FOR, HEADERS_FORWARDED_HOST, HEADERS_FORWARDED_PROTO,
    HEADERS_SLOT_COUNT, HEADERS_SLOTS, HEADERS_TRACESTATE,
};

use super::forwarded::{Forwarded, Headers};
use crate::records::Text;
use crate::spans::{Counts, Settings, trace_state};

/// The headers, in the order of the `HEADERS_` slots.
pub type HeaderTexts<'a> = [Option<Text<'a>>; HEADERS_SLOT_COUNT];

/// What they say, and what a router does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct More {
    /// W3C `tracestate`.
    pub trace_state: Option<Arc<str>>,
    /// What proxies say.
    pub forwarded: Forwarded,
    /// The route that a router has found last.
    pub route: Option<Route>,
}

/// A route as a router has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// `None`: it was longer than a record has room for.
    pub text: Option<Box<[u8]>>,
    /// The `ROUTE_` bits of its record.
    pub bits: u32,
}

impl More {
    /// Reads them, as far as their slots hold them: whichever way they came, the span is the same. `None`: they say nothing.
    pub fn new(
        texts: &HeaderTexts<'_>,
        has_remote_parent: bool,
        settings: &Settings,
        counts: &mut Counts,
    ) -> Option<Box<Self>> {
        let text = |slot: usize| {
            let size = HEADERS_SLOTS.get(slot).copied().unwrap_or_default();
            texts.get(slot).copied().flatten().filter(|text| text.full_len > 0).map(|text| text.up_to(size))
        };
        let list = text(HEADERS_TRACESTATE).filter(|_| has_remote_parent);
        let trace_state = list.and_then(|list| {
            let parsed = trace_state::parse(list);
            counts.trace_states_void += u64::from(parsed.is_none());
            parsed.filter(|list| !list.is_empty()).map(Arc::from)
        });
        let header = |slot| text(slot).filter(|_| settings.forwarded);
        let forwarded = Forwarded::new(&Headers {
            forwarded: header(HEADERS_FORWARDED),
            x_for: header(HEADERS_FORWARDED_FOR),
            x_host: header(HEADERS_FORWARDED_HOST),
            x_proto: header(HEADERS_FORWARDED_PROTO),
        });
        let says_nothing = trace_state.is_none() && forwarded.is_empty();
        (!says_nothing).then(|| Box::new(Self { trace_state, forwarded, route: None }))
    }

    /// About how much memory it takes.
    pub fn held_bytes(&self) -> usize {
        let Forwarded { client, host, scheme } = &self.forwarded;
        let route = self.route.as_ref().and_then(|route| route.text.as_ref()).map_or(0, |text| text.len());
        let texts = [client, host, scheme].into_iter().flatten().map(|text| text.len()).sum::<usize>();
        size_of::<Self>() + texts + route + self.trace_state.as_ref().map_or(0, |list| list.len())
    }
}
