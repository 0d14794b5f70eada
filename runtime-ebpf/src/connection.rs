//! Which TCP connection a program has in its hands.
//!
//! Addresses do not tell: ports are used again, loopback is there once for each network namespace, pods of different networks have equal
//! addresses, and behind a service's address the two ends see different ones. What both ends of a connection have in common, and nobody
//! else, is what it began with: the two initial sequence numbers (RFC 9293, 3.4.1), which the kernel chooses by a secret hash of the
//! addresses and a clock. A kernel does not keep them, but what has been acknowledged less how much that was is the one, and what has
//! been received less how much is the other (RFC 4898's counters, Linux 4.1). No proxy hands them on, and Linux's own address
//! translation does not change them. A Unix socket's other end the kernel knows.

use core::mem::MaybeUninit;

use aya_ebpf::{
    helpers::generated::bpf_get_current_task,
    macros::map,
    maps::{Array, LruHashMap},
};
use runtime_ebpf::{
    abi::MAX_FILES,
    counters::Counter,
    sockets::{Connections, KeptLink, MOST_LINKS, NO_LINK, Sockets, WRAPPERS},
};

use crate::{
    count::count,
    enter::Hit,
    kernel::{half, quarter, word},
    read::{is_known, is_some, opaque, read_or_zero, try_read, try_read_bytes},
    whole_key::WholeKey as _,
};

#[map]
static SOCKETS: Array<Sockets> = Array::with_max_entries(1, 0);
#[map]
static CONNECTIONS: Array<Connections> = Array::with_max_entries(MAX_FILES, 0);
/// Preallocated. Of what has given way the next reading is believed.
#[map]
static LINKS: LruHashMap<u64, KeptLink> = LruHashMap::with_max_entries(MOST_LINKS, 0);

/// `net.Conn`s that hold one another: TLS over a limited listener's connection, say.
const MOST_HELD: u32 = 3;
const _: () = assert!(WRAPPERS == 6);
/// `S_IFMT`, `S_IFSOCK` (include/uapi/linux/stat.h).
const FORMAT: u16 = 0o170_000;
const SOCKET: u16 = 0o140_000;
/// `IPPROTO_TCP`.
const TCP: u16 = 6;
/// `AF_UNIX`.
const UNIX: u16 = 1;
/// Of the kernel's addresses: refused before it is looked at, where a read at 0 would cost a page fault.
const NOWHERE: u64 = 0xffff_ffff_ffff_f000;

/// Which end of it the program is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum End {
    Client,
    Server,
}

/// A value of `net.Conn`.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Conn {
    pub itab: u64,
    pub data: u64,
}

impl Conn {
    /// The value at an offset; none where that is not known, or it cannot be read.
    #[inline(always)]
    pub fn at(base: u64, offset: u16) -> Self {
        let is_known = is_known(offset) & is_some(base);
        Self::read(base.wrapping_add(offset as u64) & is_known.wrapping_neg())
    }

    #[inline(always)]
    fn read(address: u64) -> Self {
        let mut conn = MaybeUninit::<Self>::uninit();
        try_read_bytes(conn.as_mut_ptr().cast(), size_of::<Self>() as u32, opaque(address));
        // SAFETY: the helper has filled it, with zeros where it failed.
        unsafe { conn.assume_init() }
    }
}

/// The connection of a `net.Conn`; [`NO_LINK`]: it is none of TCP or a Unix socket, is closed, or is held by a type of which nobody knows that
/// it hands on what comes over it.
#[inline(always)]
pub fn link(hit: &Hit, bias: u64, conn: Conn, end: End) -> u64 {
    link_of(hit.file(), bias, conn, end)
}

#[inline(always)]
fn link_of(file: u32, bias: u64, conn: Conn, end: End) -> u64 {
    let Some(known) = CONNECTIONS.get_at(file) else { return NO_LINK };
    let Some(sockets) = SOCKETS.get_at(0) else { return NO_LINK };
    let fd = netfd(known, bias, conn);
    if fd == 0 {
        return NO_LINK;
    }
    let socket = socket(sockets, read_or_zero(fd.wrapping_add(known.descriptor)));
    let sock = word(socket.wrapping_add(sockets.socket_sock as u64) & is_some(socket).wrapping_neg());
    if sock == 0 {
        return NO_LINK;
    }
    let link = of_sock(sockets, sock, end);
    // Go says that a descriptor is closed before it closes it (`fdMutex.increfAndClose`), and another connection may get its number at once:
    // what is not closed now was the connection's all the time. What cannot be read is not known to be open.
    match try_read::<u64>(fd.wrapping_add(known.closed)) {
        Some(state) if state & 1 == 0 && link != NO_LINK => settle(this_socket(sockets, socket, sock), link),
        _ => NO_LINK,
    }
}

/// What most readings of this socket have said. One alone may be wrong however often it is repeated: the processor that writes count and position,
/// which may be another machine's guest, can be stopped between the two for milliseconds. But a connection's beginning does not change, and who
/// has read the same in two hits believes what comes after it no more than that.
#[inline(always)]
fn settle(socket: u64, link: u64) -> u64 {
    let Some(kept) = LINKS.get_ptr_mut(&socket) else {
        // Where nothing gives way, as in `senders`, the next one keeps it.
        let _ = LINKS.insert(&socket, &KeptLink { sealed: link ^ socket, votes: 0 }, 0);
        return link;
    };
    // SAFETY: the pointers are the map's, here and below. Volatile: programs on other processors write to it.
    let (sealed, votes) = unsafe { (&raw mut (*kept).sealed, &raw mut (*kept).votes) };
    // SAFETY: as above.
    let (known, before) = unsafe { (sealed.read_volatile() ^ socket, votes.read_volatile()) };
    let (believed, after) = KeptLink::hear((known, before), link);
    if after != before {
        // SAFETY: as above.
        unsafe { votes.write_volatile(after) };
    }
    if known == link {
        return link;
    }
    count(Counter::LinkDiffers);
    // SAFETY: as above.
    unsafe { sealed.write_volatile(believed ^ socket) };
    believed
}

/// What tells a socket from all others: its inode's number, which is given once, and its address, a multiple of the size of a cache line.
#[inline(always)]
fn this_socket(at: &Sockets, socket: u64, sock: u64) -> u64 {
    word(socket + at.socket_inode as u64 + at.inode_number as u64) << 32 | sock >> 6 & 0xffff_ffff
}

#[inline(always)]
fn of_sock(sockets: &Sockets, sock: u64, end: End) -> u64 {
    if quarter(sock + sockets.sock_family as u64) == UNIX {
        let clients = if end == End::Client { sock } else { word(sock + sockets.unix_peer as u64) };
        return unix(sockets, clients);
    }
    if quarter(sock + sockets.sock_protocol as u64) != TCP {
        return NO_LINK;
    }
    let (own, peers) = (own(sockets, sock), peers(sockets, sock));
    match end {
        // What a client counts as acknowledged has its SYN in it.
        End::Client => (own + 1) << 32 | peers & 0xffff_ffff,
        End::Server => peers << 32 | own & 0xffff_ffff,
    }
}

/// The same of a server, as a function of its own: in a program that has no room on its stack for what this needs. Not in one that goes on in
/// another program (arm64 before Linux 6.0 refuses both in one).
#[inline(never)]
pub fn link_apart(file: u32, bias: u64, itab: u64, data: u64) -> u64 {
    link_of(file, bias, Conn { itab, data }, End::Server)
}

/// The `netFD`; 0: there is none. Without a branch in what is repeated: the verifier would follow each way to the program's end.
#[inline(always)]
fn netfd(known: &Connections, bias: u64, conn: Conn) -> u64 {
    let mut conn = conn;
    let (mut tcp, mut is_tcp) = (0, 0);
    for _ in 0..MOST_HELD {
        let vaddr = conn.itab.wrapping_sub(bias);
        let here = is(vaddr, known.tcp_itab_vaddr) | is(vaddr, known.unix_itab_vaddr);
        tcp |= conn.data & here.wrapping_neg();
        is_tcp |= here;
        conn = held(known, vaddr, conn.data);
    }
    // `TCPConn` and `UnixConn` are { conn }, and `conn` { fd *netFD }.
    read_or_zero(tcp & opaque(is_tcp).wrapping_neg())
}

/// 1 if they are equal, and there is one.
#[inline(always)]
fn is(vaddr: u64, known: u64) -> u64 {
    (is_some(known ^ vaddr) ^ 1) & is_some(known)
}

/// What a type holds that hands on what comes over it.
#[inline(always)]
fn held(known: &Connections, vaddr: u64, data: u64) -> Conn {
    let (mut offset, mut is_it) = (0, 0);
    macro_rules! look {
        ($($i:literal)+) => { $(
            let wrapper = &known.wrappers[$i];
            let here = is(vaddr, wrapper.itab_vaddr);
            offset |= wrapper.offset & here.wrapping_neg();
            is_it |= here;
        )+ };
    }
    look!(0 1 2 3 4 5);
    let is_it = is_it.wrapping_neg();
    Conn::read(data.wrapping_add(offset) & is_it | NOWHERE & !is_it)
}

/// A Unix socket's connection, by its client's socket: its inode's number, which is given once, and its address, which nobody else has while
/// its peer is there. 0 is none: the client has closed it.
#[inline(always)]
fn unix(at: &Sockets, client: u64) -> u64 {
    let socket = word(client + at.sock_socket as u64);
    if client == 0 || socket == 0 {
        return NO_LINK;
    }
    this_socket(at, socket, client)
}

/// The `struct socket` of a descriptor of the running process, if it has one; else 0.
#[inline(always)]
fn socket(at: &Sockets, descriptor: u64) -> u64 {
    if at.known == 0 {
        return 0;
    }
    // SAFETY: no arguments.
    let task = unsafe { bpf_get_current_task() };
    let table = word(word(task + at.task_files as u64) + at.files_table as u64);
    // 0 is also what could not be read; a program would have to close its standard input for a connection to have it.
    if descriptor == 0 || descriptor >= half(table + at.table_max as u64) as u64 {
        return 0;
    }
    let file = word(word(table + at.table_files as u64) + 8 * descriptor);
    let mode = quarter(word(file + at.file_inode as u64) + at.inode_mode as u64);
    if file == 0 || mode & FORMAT != SOCKET {
        return 0;
    }
    word(file + at.file_private as u64)
}

/// The sequence number that this end has begun with, and one more: of the byte behind its SYN.
#[inline(always)]
fn own(at: &Sockets, sock: u64) -> u64 {
    begun_with(sock + at.tcp_acknowledged as u64, sock + at.tcp_unacknowledged as u64)
}

/// The same of the other end.
#[inline(always)]
fn peers(at: &Sockets, sock: u64) -> u64 {
    begun_with(sock + at.tcp_received as u64, sock + at.tcp_next as u64)
}

/// Both are written one after the other while a segment is taken in, on any processor, and they lie in different cache lines: who reads between
/// the two is wrong by that segment. So it is read twice, which agrees where it is right; where it does not, the writer is mostly done by the third
/// time. (Else: [`settle`].)
#[inline(always)]
fn begun_with(count: u64, position: u64) -> u64 {
    // The kernel writes the count first (tcp_snd_una_update, tcp_rcv_nxt_update): in this order less lies between.
    let read = || {
        let counted = word(count);
        (half(position) as u64).wrapping_sub(counted)
    };
    let (first, second) = (read(), read());
    if first == second { first } else { read() }
}
