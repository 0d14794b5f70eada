//! The client: its programs' configuration.

use analyzer::{Plan, plan};
use runtime_ebpf::{
    abi::{CHECK_NONE, GRPC_CLIENT_TABLE, MAX_OFFSET, NO_OFFSET},
    grpc::client::{BIND_ATTEMPT, BIND_ATTEMPTS, BIND_CALL, BOUND, File, IN_FLIGHT_BYTES, STREAM_AT},
    libraries::GRPC_CLIENT,
};

use super::config::Part;
use super::joiner::Joiner;
use super::records::Side;
use crate::libraries::{
    errors::{self, Wrapper},
    join,
    library::{Carrier, ConfigError, Flight, GivesWay, Library},
    values::{self, ANYWHERE, bytes_of, is_called_with},
};
use crate::spans::Kind;

/// The library.
pub struct GrpcClient;

/// Errors that hold another.
const WRAPPERS: [Wrapper; 1] = [("*fmt.wrapError", "fmt.wrapError", "err")];

impl Library for GrpcClient {
    fn id(&self) -> &'static str {
        GRPC_CLIENT.id
    }

    fn code(&self) -> u16 {
        GRPC_CLIENT.code
    }

    fn kind(&self) -> Kind {
        Kind::Client
    }

    fn programs(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("start", "grpc_client_start"),
            ("bind", "grpc_client_bind"),
            ("number", "grpc_client_number"),
            ("fields", "grpc_client_fields"),
            ("send", "grpc_client_send"),
            ("fail", "grpc_client_fail"),
            ("end", "grpc_client_end"),
        ]
    }

    fn correlating(&self) -> &'static [&'static str] {
        &["number", "fields", "send"]
    }

    fn takes(&self, role: &str, library: &plan::Library, carries: bool) -> bool {
        // Whose an attempt is, is known where it passes the site that says so: else one of another RPC, made on the same goroutine, would be
        // taken for this one's.
        let has_number = || !carries && has_number(library);
        match role {
            "number" => has_number(),
            "fields" | "send" => bind(library) != BIND_CALL && !has_number(),
            _ => true,
        }
    }

    fn telling(&self) -> &'static [(&'static str, &'static str)] {
        &[("send", "grpc_client_send_carrying"), ("frame", "grpc_client_frame")]
    }

    fn carriers(&self) -> &'static [Carrier] {
        &[Carrier { what: "RPCs", roles: &["fields", "send", "frame"] }]
    }

    fn may_carry(&self, carrier: &Carrier, library: &plan::Library, plan: &Plan) -> bool {
        let Ok(file) = file(Part { id: GRPC_CLIENT.id, library, plan }) else { return false };
        let offsets = [file.frame, file.field_name, file.frame_stream, file.frame_fields];
        // Of fields that stand in registers the program needs no offsets.
        let needed = if file.frame_argument == 0 { 2 } else { offsets.len() };
        let is_there = |role: &&str| values::role(library, role).is_some() && self.takes(role, library, true);
        offsets.iter().take(needed).all(|offset| *offset != NO_OFFSET)
            && file.field_bytes != 0
            && carrier.roles.iter().all(is_there)
            && is_called_with(library, plan, "frame", &OF_FRAME)
    }

    fn file_map(&self) -> Option<&'static str> {
        Some("GRPC_CLIENT_FILES")
    }

    fn flight(&self) -> Option<Flight> {
        Some(Flight {
            map: "GRPC_CLIENT_FLIGHT",
            value_bytes: IN_FLIGHT_BYTES,
            use_map: "GRPC_CLIENT_USE",
            entries_global: "GRPC_CLIENT_ENTRIES",
            part: 1,
            lost: None,
            gives_way: Some(GivesWay {
                counter: "grpc_client.streams_gave_way",
                is_loss: false,
                states: BOUND,
                table: GRPC_CLIENT_TABLE,
                address_at: Some(STREAM_AT),
            }),
        })
    }

    fn asks_for_parents(&self) -> bool {
        true
    }

    fn joiner(&self) -> Box<dyn join::Joiner> {
        Box::new(Joiner::new(Side::Client))
    }

    fn config(&self, library: &plan::Library, plan: &Plan) -> Result<Vec<u8>, ConfigError> {
        let file = file(Part { id: GRPC_CLIENT.id, library, plan })?;
        // SAFETY: a File is repr(C), integers without padding (its size is pinned by a test in runtime-ebpf).
        Ok(unsafe { bytes_of(&file) })
    }
}

const TRANSPORT: &str = "google.golang.org/grpc/internal/transport";
/// What a client's header is in when it is sent.
const FRAMES: [&str; 2] = [
    "google.golang.org/grpc/internal/transport.clientHeaders",
    "google.golang.org/grpc/internal/transport.headerFrame",
];

/// What a header is made of.
const FIELD: &str = "golang.org/x/net/http2/hpack.HeaderField";
/// The value of the site where a frame is written, and the word of the arguments that the program takes for it.
const OF_FRAME: [(&str, &[usize]); 1] = [("framer", &[0])];

/// The size of a field; 0 where it is not known.
fn field_bytes(library: &plan::Library) -> u16 {
    let size = library.sizes.iter().find(|size| size.type_name == FIELD).and_then(|size| size.size);
    size.and_then(|size| u16::try_from(size).ok()).filter(|size| *size <= MAX_OFFSET).unwrap_or(0)
}

/// Who passes the site where a stream is bound.
fn bind(library: &plan::Library) -> u8 {
    match values::role(library, "bind").and_then(|function| function.site.as_deref()) {
        Some("attempt") => BIND_ATTEMPT,
        Some("attempts") => BIND_ATTEMPTS,
        _ => BIND_CALL,
    }
}

/// The fields by which an attempt's transport and its connection are found.
const OF_NUMBER: [(&str, &str); 3] = [
    ("google.golang.org/grpc.csAttempt", "transport"),
    ("google.golang.org/grpc/internal/transport.http2Client", "activeStreams"),
    ("google.golang.org/grpc/internal/transport.http2Client", "conn"),
];

/// Whether nothing of a stream was tried before.
const FIRST: (&str, &str) = ("google.golang.org/grpc.clientStream", "firstAttempt");

/// Where such a field is; `csAttempt.transport` was `t` up to v1.70.
fn of_number(library: &plan::Library, (type_name, field): (&str, &str)) -> u16 {
    let at = values::offset(library, type_name, field, ANYWHERE);
    if at == NO_OFFSET && field == "transport" {
        values::offset(library, type_name, "t", ANYWHERE)
    } else {
        at
    }
}

/// Whether one probe tells the number of an attempt's stream and its connection.
fn has_number(library: &plan::Library) -> bool {
    bind(library) == BIND_ATTEMPT
        && values::role(library, "number").is_some()
        && OF_NUMBER.into_iter().all(|field| of_number(library, field) != NO_OFFSET)
}

/// What the programs need to know of this binary.
fn file(part: Part<'_>) -> Result<File, ConfigError> {
    let (start, bound, end) = (part.site("start")?, part.site("bind")?, part.site("end")?);
    let send = part.role("send").and_then(|role| Some((role, role.sites.first()?)));
    // The struct that is sent was split in two by v1.82.1.
    let in_frame = |of: &dyn Fn(&'static str) -> u16| {
        FRAMES.into_iter().map(of).find(|at| *at != NO_OFFSET).unwrap_or(NO_OFFSET)
    };
    let of_transport = |name: &str, field| part.offset(&format!("{TRANSPORT}.{name}"), field, ANYWHERE);
    Ok(File {
        start_vaddr: start.vaddr,
        status_error_vaddr: part.vaddr("*google.golang.org/grpc/internal/status.Error"),
        errors: errors::config(part.library, part.plan, &WRAPPERS),
        status: part.status()?,
        error_status: part.required("google.golang.org/grpc/internal/status.Error", "s", ANYWHERE)?,
        conn_target: part.required("google.golang.org/grpc.ClientConn", "target", ANYWHERE)?,
        stream_conn: part.required("google.golang.org/grpc.clientStream", "cc", ANYWHERE)?,
        start_check: part.check(start),
        bind_check: part.check(bound),
        end_check: part.check(end),
        send_check: send.map_or(CHECK_NONE, |(_, site)| part.check(site)),
        frame_argument: match send.and_then(|(role, _)| role.site.as_deref()) {
            Some("header") => 0,
            Some("third") => 2,
            _ => 1,
        },
        frame_has_fields: u8::from(
            part.role("fields").is_some_and(|role| role.site.as_deref() == Some("frame")),
        ),
        frame: part.offset("golang.org/x/net/http2.Framer", "wbuf", ANYWHERE),
        field_name: part.offset(FIELD, "Name", ANYWHERE),
        field_bytes: field_bytes(part.library),
        bind: bind(part.library),
        reserved: 0,
        frame_stream: in_frame(&|frame| part.offset_of_half(frame, "streamID")),
        frame_fields: in_frame(&|frame| part.offset(frame, "hf", ANYWHERE)),
        writer_net: of_transport("loopyWriter", "conn"),
        writer_framer: of_transport("loopyWriter", "framer"),
        framer_writer: of_transport("framer", "writer"),
        buffered_net: of_transport("bufWriter", "conn"),
        send_vaddr: send.map_or(0, |(_, site)| site.vaddr),
        attempt_stream: part.required("google.golang.org/grpc.csAttempt", "cs", ANYWHERE)?,
        attempt_transport: of_number(part.library, OF_NUMBER[0]),
        transport_streams: of_number(part.library, OF_NUMBER[1]),
        transport_net: of_number(part.library, OF_NUMBER[2]),
        stream_first: values::offset_of(part.library, FIRST.0, FIRST.1, 1)
            .ok_or_else(|| values::unusable(part.library, part.id, FIRST, ANYWHERE))?,
        stream_attempt: part.offset("google.golang.org/grpc.clientStream", "attempt", ANYWHERE),
        reserved_end: 0,
    })
}
