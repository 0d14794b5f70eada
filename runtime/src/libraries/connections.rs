//! Where a program keeps the descriptors of its connections, as the programs want to be told it (docs/decisions/correlation.md).

use analyzer::{
    Plan,
    plan::{self, Itab},
};
use runtime_ebpf::{
    abi::{MAX_OFFSET, NO_OFFSET},
    sockets::{ConnectionWrapper, Connections, WRAPPERS},
};

use super::values::offset;

const INTERFACE: &str = "net.Conn";
const TCP: &str = "*net.TCPConn";
const UNIX: &str = "*net.UnixConn";
/// Types that hold a connection and hand on all that comes over it, and nothing else: one request of HTTP/1.x at a time stays one, and
/// the numbers of HTTP/2's streams stay what they are. Of any other type nobody knows that: several that hold one connection may share
/// it, as a multiplexer's do.
const HAND_ON: [&str; WRAPPERS] = [
    "*crypto/tls.Conn",
    "*golang.org/x/net/netutil.limitListenerConn",
    "*golang.org/x/net/http2/h2c.bufConn",
    "*google.golang.org/grpc/internal/credentials.syscallConn",
    "*github.com/soheilhy/cmux.MuxConn",
    "net/http.unencryptedNetConnInTLSConn",
];
const NOTHING: ConnectionWrapper = ConnectionWrapper { itab_vaddr: 0, offset: 0 };

/// What leads from a connection of this binary to its descriptor; nothing where one step is not known.
pub fn connections(plan: &Plan) -> Connections {
    let of_any = |type_name, field| {
        let of = |library: &plan::Library| offset(library, type_name, field, u64::from(MAX_OFFSET));
        plan.libraries.iter().map(of).find(|at| *at != NO_OFFSET)
    };
    let itabs = || plan.libraries.iter().flat_map(|library| &library.itabs);
    let itab = |concrete: &str| {
        itabs().find(|itab| itab.interface == INTERFACE && itab.concrete == concrete && itab.vaddr.is_some())
    };
    let holds = |itab: &Itab| {
        let held = itab.holds.as_ref().filter(|held| held.type_name == INTERFACE)?;
        Some(ConnectionWrapper { itab_vaddr: itab.vaddr?, offset: held.offset })
    };
    let descriptor = of_any("net.netFD", "pfd").zip(of_any("internal/poll.FD", "Sysfd"));
    let descriptor = descriptor.map(|(inner, number)| u64::from(inner) + u64::from(number));
    // Its lowest bit is `mutexClosed` (internal/poll/fd_mutex.go, Go 1.8 and newer).
    let closed = [
        of_any("net.netFD", "pfd"),
        of_any("internal/poll.FD", "fdmu"),
        of_any("internal/poll.fdMutex", "state"),
    ];
    let closed = closed.into_iter().try_fold(0, |sum, offset| Some(sum + u64::from(offset?)));
    let descriptor = descriptor.filter(|_| closed.is_some());
    // The programs take it that a connection begins with the pointer to its netFD.
    let begins =
        |of| of_any(of, "conn") == Some(0) && of_any("net.conn", "fd") == Some(0) && descriptor.is_some();
    let known = |concrete, of| itab(concrete).filter(|_| begins(of)).and_then(|itab| itab.vaddr).unwrap_or(0);
    Connections {
        tcp_itab_vaddr: known(TCP, "net.TCPConn"),
        unix_itab_vaddr: known(UNIX, "net.UnixConn"),
        wrappers: HAND_ON.map(|concrete| itab(concrete).and_then(holds).unwrap_or(NOTHING)),
        descriptor: descriptor.unwrap_or(0),
        closed: closed.unwrap_or(0),
    }
}
