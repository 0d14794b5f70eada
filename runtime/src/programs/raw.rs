//! Maps by their bytes: bpf(2)'s element calls. The sizes of keys and values are the libraries' own, so that aya's typed maps,
//! which want them when the agent is compiled, do not fit.

use std::{
    io,
    os::fd::{AsFd as _, AsRawFd as _},
};

use aya::{Ebpf, maps::MapData};

use super::error::{ProgramsError, missing_map};

// include/uapi/linux/bpf.h, enum bpf_cmd.
const BPF_MAP_LOOKUP_ELEM: libc::c_long = 1;
const BPF_MAP_UPDATE_ELEM: libc::c_long = 2;
const BPF_MAP_DELETE_ELEM: libc::c_long = 3;
const BPF_MAP_GET_NEXT_KEY: libc::c_long = 4;

/// The part of `union bpf_attr` that the element calls have.
#[repr(C)]
struct Element {
    map_fd: u32,
    reserved: u32,
    key: u64,
    /// The value, or the next key.
    value: u64,
    flags: u64,
}

/// A map whose keys and values have these sizes; whoever makes one has them from the same source as the programs.
pub struct RawMap<'a> {
    pub map: &'a MapData,
    pub key_bytes: usize,
    pub value_bytes: usize,
}

impl RawMap<'_> {
    fn call(&self, command: libc::c_long, key: *const u8, value: *mut u8) -> io::Result<()> {
        let mut element = Element {
            map_fd: self.map.fd().as_fd().as_raw_fd().cast_unsigned(),
            reserved: 0,
            key: key as u64,
            value: value as u64,
            flags: 0,
        };
        // SAFETY: the attributes are ours and their size is stated; key and value have the map's sizes (checked by the callers).
        let result = unsafe { libc::syscall(libc::SYS_bpf, command, &raw mut element, size_of::<Element>()) };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    fn check(&self, key: &[u8], value: Option<&[u8]>) -> io::Result<()> {
        let fits = key.len() == self.key_bytes && value.is_none_or(|v| v.len() == self.value_bytes);
        if fits { Ok(()) } else { Err(io::Error::other("a key or value of another size than the map's")) }
    }

    /// Sets a value.
    pub fn update(&self, key: &[u8], value: &[u8]) -> io::Result<()> {
        self.check(key, Some(value))?;
        self.call(BPF_MAP_UPDATE_ELEM, key.as_ptr(), value.as_ptr().cast_mut())
    }

    /// Gets a value; `None` if there is none.
    pub fn lookup(&self, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        self.check(key, None)?;
        let mut value = vec![0; self.value_bytes];
        found(self.call(BPF_MAP_LOOKUP_ELEM, key.as_ptr(), value.as_mut_ptr()))
            .map(|found| found.then_some(value))
    }

    /// Removes a value; whether there was one.
    pub fn delete(&self, key: &[u8]) -> io::Result<bool> {
        self.check(key, None)?;
        found(self.call(BPF_MAP_DELETE_ELEM, key.as_ptr(), std::ptr::null_mut()))
    }

    /// The key that follows; the first one for none, and for one that is not there any more.
    pub fn next_key(&self, key: Option<&[u8]>) -> io::Result<Option<Vec<u8>>> {
        key.map_or(Ok(()), |key| self.check(key, None))?;
        let mut next = vec![0; self.key_bytes];
        let key = key.map_or(std::ptr::null(), <[u8]>::as_ptr);
        found(self.call(BPF_MAP_GET_NEXT_KEY, key, next.as_mut_ptr())).map(|found| found.then_some(next))
    }
}

/// "No such element" is an answer, not a failure.
fn found(result: io::Result<()>) -> io::Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(false),
        Err(error) => Err(error),
    }
}

/// A map by its bytes, if the object's has these sizes.
pub fn raw<'a>(
    ebpf: &'a Ebpf,
    name: &'static str,
    key_bytes: usize,
    value_bytes: usize,
) -> Result<RawMap<'a>, ProgramsError> {
    use aya::maps::Map;
    let map = match ebpf.map(name) {
        Some(Map::Array(map) | Map::HashMap(map)) => map,
        _ => return Err(missing_map(name)),
    };
    let wrong = |source| ProgramsError::Map { map: name, source };
    let info = map.info().map_err(wrong)?;
    if (info.key_size() as usize, info.value_size() as usize) != (key_bytes, value_bytes) {
        return Err(ProgramsError::Element {
            action: "using",
            map: name,
            source: io::Error::other(format!(
                "its keys and values have {} and {} bytes, not {key_bytes} and {value_bytes}: run scripts/build-ebpf",
                info.key_size(),
                info.value_size()
            )),
        });
    }
    Ok(RawMap { map, key_bytes, value_bytes })
}
