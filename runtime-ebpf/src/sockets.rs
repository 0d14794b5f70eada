//! What tells one TCP connection from all others, and which span sends over it: how a server learns of whom a request is, where both ends
//! are traced by one agent and the request does not say it (docs/decisions/correlation.md).
//!
//! ```text
//! SOCKETS      0           -> Sockets       where the kernel keeps it, written by the agent before anything is attached
//! CONNECTIONS  file index  -> Connections   where the program keeps its descriptor
//! LINKS        socket      -> KeptLink      which connection it is, as most have read it
//! SENDERS      SenderKey   -> Sender        written by clients' programs, read by servers'
//! SENDING      0           -> u64           1 once a client's program has written there
//! CALLERS      CallerKey   -> g             goroutines whose calls others send
//! ```

/// Where this kernel keeps what tells a connection: byte offsets, from its BTF. All zero without BTF: then nothing is correlated.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sockets {
    /// 1: the offsets below are known.
    pub known: u32,
    /// `task_struct.files`, a `struct files_struct *`
    pub task_files: u32,
    /// `files_struct.fdt`, a `struct fdtable *`
    pub files_table: u32,
    /// `fdtable.max_fds`
    pub table_max: u32,
    /// `fdtable.fd`, a `struct file **`
    pub table_files: u32,
    /// `file.f_inode`
    pub file_inode: u32,
    /// `inode.i_mode`, two bytes
    pub inode_mode: u32,
    /// `file.private_data`: of a socket's file a `struct socket *`
    pub file_private: u32,
    /// `socket.sk`, a `struct sock *`
    pub socket_sock: u32,
    /// `sock.sk_protocol`, two bytes
    pub sock_protocol: u32,
    /// `tcp_sock.snd_una`: the first byte that the peer has not acknowledged
    pub tcp_unacknowledged: u32,
    /// `tcp_sock.bytes_acked`: how many it has, eight bytes
    pub tcp_acknowledged: u32,
    /// `tcp_sock.rcv_nxt`: the next byte that the peer will send
    pub tcp_next: u32,
    /// `tcp_sock.bytes_received`: how many it has sent, eight bytes
    pub tcp_received: u32,
    /// `sock.__sk_common.skc_family`, two bytes
    pub sock_family: u32,
    /// `unix_sock.peer`, a `struct sock *`
    pub unix_peer: u32,
    /// `sock.sk_socket`, a `struct socket *`
    pub sock_socket: u32,
    /// `socket_alloc.vfs_inode`, from where its `struct socket` begins
    pub socket_inode: u32,
    /// `inode.i_ino`
    pub inode_number: u32,
    /// Zero.
    pub reserved: u32,
}

/// Types that hold a connection and hand on all that comes over it.
pub const WRAPPERS: usize = 6;

/// Where a program keeps a connection's descriptor. Value of `CONNECTIONS`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connections {
    /// Address in the file of the itab (net.Conn, *net.TCPConn); 0: nothing is known, as in the next.
    pub tcp_itab_vaddr: u64,
    /// The same of *net.UnixConn.
    pub unix_itab_vaddr: u64,
    /// Types that hold another `net.Conn`.
    pub wrappers: [ConnectionWrapper; WRAPPERS],
    /// From a `netFD` to its descriptor.
    pub descriptor: u64,
    /// From a `netFD` to the word whose lowest bit says that it is closed.
    pub closed: u64,
}

/// A type that holds a connection.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionWrapper {
    /// Address in the file of its itab for `net.Conn`; 0: none.
    pub itab_vaddr: u64,
    /// From where the interface's data word points to the `net.Conn` that it holds.
    pub offset: u64,
}

/// A connection, and what is sent over it.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SenderKey {
    /// The connection. Of TCP: its client's initial sequence number in the upper half, its server's in the lower. Of a Unix socket: its client's
    /// inode number in the upper half, and some of its address in the kernel.
    pub link: u64,
    /// HTTP/2's number of the stream; 0: HTTP/1.x, where a connection has one request at a time.
    pub stream: u64,
}

/// Who sends it.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sender {
    /// The trace.
    pub trace_id: [u64; 2],
    /// The span.
    pub span_id: u64,
    /// Its W3C trace flags.
    pub trace_flags: u64,
    /// Its process in the upper half, that one's generation in the lower: of another one than the present it was left behind, by a program that
    /// is there no more, or before its probes were taken out for a while.
    pub process: u64,
    /// All these words and those of the key together: whoever reads it while another one takes its place sees that it is not whole.
    pub seal: u64,
    /// The span that has ended, written by who has ended it, whatever is here by then: this one, if it is its own id.
    pub ended: u64,
}

/// A goroutine's id and its process.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallerKey {
    /// `g.goid`.
    pub goid: u64,
    /// In the initial PID namespace.
    pub tgid: u64,
}

/// Senders, and callers, that are remembered at once over all processes. The ones that were used least recently give way.
pub const MOST_SENDERS: u32 = 32_768;

/// Which connection a socket is. Its key is its inode's number in the upper half, and some of its address in the kernel.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeptLink {
    /// The exclusive or of [`SenderKey::link`] and the key: whoever writes to a place that is another socket's by now, or reads there, leaves and
    /// finds a connection that is nobody's.
    pub sealed: u64,
    /// How many more have read this one than another, less one.
    pub votes: u64,
}

impl KeptLink {
    /// Readings that count beyond the first, and as many have to differ until another one is kept.
    const MOST_VOTES: u64 = 4;

    /// What is kept after one more reading, both without seal: the connection, and its votes. It is what is to be believed, too.
    #[inline(always)]
    #[must_use]
    pub const fn hear(kept: (u64, u64), read: u64) -> (u64, u64) {
        match kept {
            (link, votes) if link == read => (link, if votes < Self::MOST_VOTES { votes + 1 } else { votes }),
            (_, 0) => (read, 0),
            (link, votes) => (link, votes - 1),
        }
    }
}

/// Sockets of which that is kept. The ones that were used least recently give way.
pub const MOST_LINKS: u32 = 16_384;

/// No connection that can be told. Sequence numbers are of the kernel's choice, so a pair of them can be this one, and then one connection
/// of 2^64 is not told.
pub const NO_LINK: u64 = u64::MAX;

#[cfg(test)]
mod tests {
    use super::*;

    /// What is believed at each reading.
    fn believed(readings: &[u64]) -> std::vec::Vec<u64> {
        let (first, rest) = readings.split_first().expect("a reading");
        let mut kept = (*first, 0);
        let later = rest.iter().map(|read| {
            kept = KeptLink::hear(kept, *read);
            kept.0
        });
        core::iter::once(*first).chain(later).collect()
    }

    #[test]
    fn a_reading_that_was_torn_is_not_believed_against_two_others() {
        const WRONG: u64 = 7;
        assert_eq!(believed(&[1, 1, WRONG, 1, 1]), [1; 5]);
        assert_eq!(believed(&[1, 1, 1, 1, WRONG, WRONG, WRONG, 1]), [1; 8]);
        // The first had no witness; nor had the second.
        assert_eq!(believed(&[WRONG, 1, 1, WRONG, 1]), [WRONG, 1, 1, 1, 1]);
        assert_eq!(believed(&[1, WRONG, 1, 1, WRONG]), [1, WRONG, 1, 1, 1]);
        // Whatever was believed for however long, it is not for good.
        let late: std::vec::Vec<u64> = [[WRONG; 100].as_slice(), &[1; 7]].concat();
        assert_eq!(believed(&late)[100..], [WRONG, WRONG, WRONG, WRONG, 1, 1, 1]);
    }

    #[test]
    fn values_have_no_padding() {
        assert_eq!(size_of::<Sockets>(), 20 * 4);
        assert_eq!(size_of::<Connections>(), 16 + 16 * WRAPPERS + 16);
        assert_eq!(size_of::<KeptLink>(), 16);
        assert_eq!((size_of::<SenderKey>(), size_of::<Sender>(), size_of::<CallerKey>()), (16, 56, 16));
    }
}
