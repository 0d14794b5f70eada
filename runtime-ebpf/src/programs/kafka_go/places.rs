//! Where a writer and a reader go to, and for whom: brokers' addresses, and the reader's group.

use runtime_ebpf::kafka_go::File;

use super::flight::Flight;
use crate::{
    read::{GoString, read_or_zero, word_or_zero},
    texts::{MISSING, string_in},
};

/// What `kafka.TCP` made of one address; several, and addresses of other types, are not looked at.
#[inline(always)]
pub fn writers_address(file: &File, flight: &Flight) -> GoString {
    let itab = word_or_zero(flight.subject, file.writer_addr, 0).wrapping_sub(flight.bias);
    if file.addr_itab == 0 || itab != file.addr_itab {
        return MISSING;
    }
    string_in(word_or_zero(flight.subject, file.writer_addr, 8), file.addr_address)
}

/// How many brokers the reader was given.
#[inline(always)]
pub fn readers_brokers(file: &File, flight: &Flight) -> u64 {
    word_or_zero(flight.subject, file.reader_brokers, 8)
}

/// The address of the first of them.
#[inline(always)]
pub fn readers_first_address(file: &File, flight: &Flight) -> GoString {
    string_in(word_or_zero(flight.subject, file.reader_brokers, 0), 0)
}

/// The address of the reader's only broker.
#[inline(always)]
pub fn readers_address(file: &File, flight: &Flight) -> GoString {
    if readers_brokers(file, flight) != 1 {
        return MISSING;
    }
    readers_first_address(file, flight)
}

/// The reader's group.
#[inline(always)]
pub fn readers_group(file: &File, flight: &Flight) -> GoString {
    GoString {
        address: word_or_zero(flight.subject, file.reader_group, 0),
        len: word_or_zero(flight.subject, file.reader_group, 8),
    }
}

/// What `kafka.TCP` made of one address, or the first of several; addresses of other types are not looked at.
#[inline(always)]
pub fn first_address(file: &File, writer: u64, bias: u64) -> GoString {
    let mut itab = word_or_zero(writer, file.writer_addr, 0);
    let mut data = word_or_zero(writer, file.writer_addr, 8);
    if file.addrs_itab != 0 && itab.wrapping_sub(bias) == file.addrs_itab {
        // A slice of them.
        let first = read_or_zero(data);
        itab = read_or_zero(first);
        data = read_or_zero(first.wrapping_add(8));
    }
    if file.addr_itab == 0 || itab.wrapping_sub(bias) != file.addr_itab {
        return MISSING;
    }
    string_in(data, file.addr_address)
}
