//! Who calls: the other end of the stream's connection.

use runtime_ebpf::grpc::server::{File, PEER_IP, PEER_NONE, PEER_UNIX, TCP_WINDOW};

use crate::{
    read::{GoString, known, read},
    texts::{Window, string_in},
};

/// A peer's string lies in the target.
#[derive(Clone, Copy)]
pub struct Peer {
    pub kind: u32,
    pub text: GoString,
    pub port: u32,
}

const NOBODY: Peer = Peer { kind: PEER_NONE, text: GoString { address: 0, len: 0 }, port: 0 };

/// The peer of a `ServerTransport`. `scratch` has room for [`TCP_WINDOW`] bytes.
#[inline(always)]
pub fn of(file: &File, bias: u64, [itab, transport]: [u64; 2], scratch: *mut u8) -> Peer {
    if itab.wrapping_sub(bias) != file.http2_itab_vaddr {
        return NOBODY;
    }
    let Some(addr) = known(transport, file.peer_addr).and_then(read::<GoString>) else { return NOBODY };
    let (itab, data) = (addr.address.wrapping_sub(bias), addr.len);
    if addr.address == 0 {
        return NOBODY;
    }
    if itab == file.tcp_itab_vaddr {
        let window = Window::<TCP_WINDOW>::read(scratch, data, 0, file.tcp_bytes);
        if !window.ok() {
            return NOBODY;
        }
        let (text, port) = (window.known_string(file.tcp_ip), window.known_word(file.tcp_port));
        return Peer { kind: PEER_IP, text, port: port as u32 };
    }
    if itab == file.unix_itab_vaddr {
        return Peer { kind: PEER_UNIX, text: string_in(data, file.unix_name), port: 0 };
    }
    NOBODY
}
