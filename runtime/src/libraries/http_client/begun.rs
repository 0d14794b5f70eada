//! A round trip that has begun, as it is kept until its end: what its span needs and no more.

use std::sync::Arc;

use runtime_ebpf::http_client::records::{BEGAN_METHOD, Began};
use runtime_ebpf::record::PARENT_REMOTE;

use super::records::BeganTexts;
use super::url::{Url, url};
use crate::records::Text;
use crate::spans::semconv::METHOD_OTHER;
use crate::spans::{Counts, Settings, text};

/// A begun round trip.
#[derive(Debug, PartialEq, Eq)]
pub struct Begun {
    /// The trace id.
    pub trace_id: [u8; 16],
    /// The span's id.
    pub span_id: [u8; 8],
    /// The parent's; zeros without one.
    pub parent_span_id: [u8; 8],
    /// CLOCK_MONOTONIC at the beginning.
    pub start_ns: u64,
    /// W3C trace flags.
    pub trace_flags: u8,
    /// Whether the parent came over the wire: never yet.
    pub parent_is_remote: bool,
    /// As the conventions have it.
    pub method: String,
    /// What the request said, where that is another.
    pub original_method: Option<String>,
    /// Where it goes to.
    pub url: Url,
    /// Its trace's `tracestate`.
    pub trace_state: Option<Arc<str>>,
    /// How often it was sent before.
    pub resends: u32,
}

/// Bytes of the allocator and of the table that a round trip costs beside what it holds itself.
const OVERHEAD_BYTES: usize = 128;

impl Begun {
    /// From its record.
    pub fn new(began: &Began, texts: &BeganTexts<'_>, settings: &Settings, counts: &mut Counts) -> Self {
        let head = &began.head;
        let (method, original_method) = method(texts, settings, counts);
        Self {
            trace_id: head.trace_id,
            span_id: head.span_id,
            parent_span_id: head.parent_span_id,
            start_ns: head.start_ns,
            trace_flags: head.trace_flags,
            parent_is_remote: head.parent == PARENT_REMOTE,
            method,
            original_method,
            url: url(texts, began.has_user != 0, settings, counts),
            trace_state: None,
            resends: began.resends,
        }
    }

    /// About how much memory it takes while it is open.
    pub fn held_bytes(&self) -> usize {
        let original = self.original_method.as_ref().map_or(0, String::capacity);
        let url = self.url.full.capacity() + self.url.host.capacity();
        // Its request's, as long as that is open; longer than that it may be this one's alone.
        let list = self.trace_state.as_ref().map_or(0, |list| list.len());
        size_of::<Self>() + self.method.capacity() + original + url + list + OVERHEAD_BYTES
    }
}

/// `http.request.method` and, where that is `_OTHER`, what the request said. An empty one is GET.
fn method(texts: &BeganTexts<'_>, settings: &Settings, counts: &mut Counts) -> (String, Option<String>) {
    let Some(held) = texts.get(BEGAN_METHOD).copied().flatten() else { return (METHOD_OTHER.into(), None) };
    let held = if held.full_len == 0 { Text::whole(b"GET") } else { held };
    let method = text::lossy(held, counts).into_owned();
    let known = !held.is_cut() && settings.known_methods.contains(&method);
    if known { (method, None) } else { (METHOD_OTHER.into(), Some(method)) }
}
