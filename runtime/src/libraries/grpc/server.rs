//! The server: its programs' configuration.

use analyzer::{
    Plan,
    plan::{self, Held},
};
use runtime_ebpf::{
    abi::NO_OFFSET,
    grpc::server::{CONTEXT_ITABS, File, IN_FLIGHT_BYTES, STREAM_WINDOW, TCP_WINDOW},
    libraries::GRPC_SERVER,
};

use super::config::Part;
use super::joiner::Joiner;
use super::records::Side;
use crate::libraries::{
    join,
    library::{ConfigError, Flight, Library},
    values::{ANYWHERE, bytes_of, walk},
};
use crate::spans::Kind;

/// The library.
pub struct GrpcServer;

const STREAM: &str = "google.golang.org/grpc/internal/transport.Stream";
const SERVER_STREAM: &str = "google.golang.org/grpc/internal/transport.ServerStream";
const HTTP2_SERVER: &str = "google.golang.org/grpc/internal/transport.http2Server";
const PEER: &str = "google.golang.org/grpc/peer.Peer";
const TRANSPORT: &str = "google.golang.org/grpc/internal/transport.ServerTransport";
const ADDR: &str = "net.Addr";
const HANDLE: &str = "google.golang.org/grpc.(*Server).handleStream";
/// Contexts that begin with the one that they were made of; the first has a key and a value behind it.
const CONTEXTS: [&str; CONTEXT_ITABS] = ["*context.valueCtx", "*context.cancelCtx", "*context.timerCtx"];
const STRING_BYTES: u16 = 16;
const WORD_BYTES: u16 = 8;

impl Library for GrpcServer {
    fn id(&self) -> &'static str {
        GRPC_SERVER.id
    }

    fn code(&self) -> u16 {
        GRPC_SERVER.code
    }

    fn kind(&self) -> Kind {
        Kind::Server
    }

    fn programs(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("start", "grpc_server_start"),
            ("end", "grpc_server_end"),
            ("handler_end", "grpc_server_handler_end"),
        ]
    }

    fn file_map(&self) -> Option<&'static str> {
        Some("GRPC_SERVER_FILES")
    }

    fn flight(&self) -> Option<Flight> {
        Some(Flight {
            map: "GRPC_SERVER_FLIGHT",
            value_bytes: IN_FLIGHT_BYTES,
            use_map: "GRPC_SERVER_USE",
            entries_global: "GRPC_SERVER_ENTRIES",
            part: 1,
            lost: None,
            gives_way: None,
        })
    }

    fn is_served_within_another(&self) -> bool {
        true
    }

    fn joiner(&self) -> Box<dyn join::Joiner> {
        Box::new(Joiner::new(Side::Server))
    }

    fn config(&self, library: &plan::Library, plan: &Plan) -> Result<Vec<u8>, ConfigError> {
        let file = file(Part { id: GRPC_SERVER.id, library, plan })?;
        // SAFETY: a File is repr(C), integers without padding (its size is pinned by a test in runtime-ebpf).
        Ok(unsafe { bytes_of(&file) })
    }
}

/// What the programs need to know of this binary.
fn file(part: Part<'_>) -> Result<File, ConfigError> {
    let (start, end) = (part.site("start")?, part.site("end")?);
    let handler_end = part.role("handler_end").and_then(|role| role.sites.first());
    let handle = part.role("end").and_then(|end| end.callers.iter().find(|caller| caller.name == HANDLE));
    let in_stream = |field| part.required(STREAM, field, STREAM_WINDOW as u64 - u64::from(STRING_BYTES));
    let in_tcp = |field, bytes: u16| part.offset("net.TCPAddr", field, TCP_WINDOW as u64 - u64::from(bytes));
    let own =
        part.library.fields.iter().find(|field| field.type_name == SERVER_STREAM && field.field == "Stream");
    let (method, ctx) = (in_stream("method")?, in_stream("ctx")?);
    let (tcp_ip, tcp_port) = (in_tcp("IP", STRING_BYTES), in_tcp("Port", WORD_BYTES));
    let knows_tcp = tcp_ip != NO_OFFSET && tcp_port != NO_OFFSET;
    Ok(File {
        start_vaddr: start.vaddr,
        handle_vaddr: handle.map_or(0, |handle| handle.vaddr),
        handle_bytes: handle.map_or(0, |handle| handle.size),
        http2_itab_vaddr: part.itab(TRANSPORT, "*google.golang.org/grpc/internal/transport.http2Server"),
        handler_itab_vaddr: part
            .itab(TRANSPORT, "*google.golang.org/grpc/internal/transport.serverHandlerTransport"),
        tcp_itab_vaddr: if knows_tcp { part.itab(ADDR, "*net.TCPAddr") } else { 0 },
        unix_itab_vaddr: part.itab(ADDR, "*net.UnixAddr"),
        context_itab_vaddrs: CONTEXTS.map(|concrete| context(part.library, concrete)),
        metadata_vaddr: part.vaddr("google.golang.org/grpc/metadata.MD"),
        status: part.status()?,
        headers: walk(part.library.maps.iter().find(|m| m.type_name == "map[string][]string")),
        stream_at: if own.is_some() { part.required(SERVER_STREAM, "Stream", ANYWHERE)? } else { 0 },
        stream_bytes: method.max(ctx) + STRING_BYTES,
        stream_method: method,
        stream_ctx: ctx,
        stream_id: part.offset_of_half(STREAM, "id"),
        conn_net: part.offset(HTTP2_SERVER, "conn", ANYWHERE),
        peer_addr: peer_addr(part),
        tcp_ip,
        tcp_port,
        tcp_bytes: if knows_tcp { (tcp_ip + STRING_BYTES).max(tcp_port + WORD_BYTES) } else { 0 },
        unix_name: part.offset("net.UnixAddr", "Name", ANYWHERE),
        stream_is_pointer: u8::from(own.is_some_and(|own| own.kind.starts_with('*'))),
        start_check: part.check(start),
        end_check: part.check(end),
        handler_end_check: handler_end.map_or(0, |site| part.check(site)),
        reserved: [0; 2],
    })
}

/// The itab of a context, if it begins with the one that it was made of.
fn context(library: &plan::Library, concrete: &str) -> u64 {
    const CONTEXT: &str = "context.Context";
    let is_it = |itab: &&plan::Itab| {
        let begins = |held: &Held| held.type_name == CONTEXT && held.offset == 0;
        itab.interface == CONTEXT && itab.concrete == concrete && itab.holds.as_ref().is_some_and(begins)
    };
    library.itabs.iter().find(is_it).and_then(|itab| itab.vaddr).unwrap_or(0)
}

/// From an http2Server to its peer's address.
fn peer_addr(part: Part<'_>) -> u16 {
    let peer = part.offset(HTTP2_SERVER, "peer", ANYWHERE);
    if peer == NO_OFFSET {
        return part.offset(HTTP2_SERVER, "remoteAddr", ANYWHERE);
    }
    match part.offset(PEER, "Addr", ANYWHERE) {
        NO_OFFSET => NO_OFFSET,
        addr => peer.saturating_add(addr),
    }
}
