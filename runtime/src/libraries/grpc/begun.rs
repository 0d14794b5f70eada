//! An RPC that has begun, as it is kept until its end: what its span needs and no more.

use std::net::IpAddr;
use std::sync::Arc;

use runtime_ebpf::grpc::{client, server};
use runtime_ebpf::record::{self, Head};

use super::target;
use crate::libraries::open::Kept;
use crate::records::Text;
use crate::spans::authority::host_port_of;
use crate::spans::{Counts, text, trace_state};

/// What follows a method that was too long to be kept.
const CUT: char = '\u{2026}';
/// Bytes of the allocator and of the table that an RPC costs beside what it holds itself.
const OVERHEAD_BYTES: usize = 128;

/// A begun RPC.
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
    /// Whether the parent came over the wire.
    pub parent_is_remote: bool,
    /// As it came: with a slash in front. One that is too long has its first bytes and a mark; empty: not known.
    pub method: String,
    /// Which server it is for: its host, and its port.
    pub server: Option<(String, Option<u16>)>,
    /// Who calls.
    pub peer: Option<(String, Option<u16>)>,
    /// Its trace's `tracestate`.
    pub trace_state: Option<Arc<str>>,
}

impl Begun {
    fn new(head: &Head, method: Option<Text<'_>>, counts: &mut Counts) -> Self {
        let method = method.map_or_else(String::new, |held| {
            let mut method = text::lossy(held, counts).into_owned();
            if held.is_cut() {
                method.push(CUT);
            }
            method
        });
        Self {
            trace_id: head.trace_id,
            span_id: head.span_id,
            parent_span_id: head.parent_span_id,
            start_ns: head.start_ns,
            trace_flags: head.trace_flags,
            parent_is_remote: record::is_remote(head.parent),
            method,
            server: None,
            peer: None,
            trace_state: None,
        }
    }

    /// An RPC of a client.
    pub fn called(
        head: &Head,
        texts: &[Option<Text<'_>>; client::BEGAN_SLOT_COUNT],
        counts: &mut Counts,
    ) -> Self {
        let [method, target] = texts;
        let server = target.filter(|target| target.full_len > 0).map(|held| {
            let target = text::lossy(held, counts);
            // Of a target that was cut nobody knows what stood at its end.
            let (host, port) = if held.is_cut() { (&*target, None) } else { target::server(&target) };
            (host.to_owned(), port)
        });
        Self { server, ..Self::new(head, *method, counts) }
    }

    /// An RPC of a server.
    pub fn served(
        began: &server::Began,
        texts: &[Option<Text<'_>>; server::BEGAN_SLOT_COUNT],
        counts: &mut Counts,
    ) -> Self {
        let [method, authority, peer, list] = texts;
        let server = authority.filter(|authority| authority.full_len > 0).map(|held| {
            let (host, port) = host_port_of(text::lossy(held, counts));
            (host.into_owned(), port.filter(|_| !held.is_cut()))
        });
        let peer = peer.and_then(|peer| address(began, peer, counts));
        let list = list.filter(|list| list.full_len > 0).and_then(|list| {
            let parsed = trace_state::parse(list);
            counts.trace_states_void += u64::from(parsed.is_none());
            parsed.filter(|list| !list.is_empty()).map(Arc::from)
        });
        let server = server.filter(|(host, _)| !host.is_empty());
        Self { server, peer, trace_state: list, ..Self::new(&began.head, *method, counts) }
    }
}

/// The peer of a beginning.
fn address(began: &server::Began, peer: Text<'_>, counts: &mut Counts) -> Option<(String, Option<u16>)> {
    match began.peer_kind {
        server::PEER_IP => {
            let ip = match <[u8; 4]>::try_from(peer.bytes) {
                Ok(four) => IpAddr::from(four),
                Err(_) => IpAddr::from(<[u8; 16]>::try_from(peer.bytes).ok()?),
            };
            // Go keeps IPv4 addresses in 16 bytes, and prints them as what they are.
            Some((ip.to_canonical().to_string(), u16::try_from(began.peer_port).ok()))
        }
        // A socket that its client has given no name.
        server::PEER_UNIX if matches!(peer.bytes, b"" | b"@") => None,
        server::PEER_UNIX => Some((text::lossy(peer, counts).into_owned(), None)),
        _ => None,
    }
}

impl Kept for Begun {
    fn start_ns(&self) -> u64 {
        self.start_ns
    }

    fn held_bytes(&self) -> usize {
        let hosts = [&self.server, &self.peer].into_iter().flatten().map(|(host, _)| host.capacity());
        let list = self.trace_state.as_ref().map_or(0, |list| list.len());
        size_of::<Self>() + self.method.capacity() + hosts.sum::<usize>() + list + OVERHEAD_BYTES
    }
}
