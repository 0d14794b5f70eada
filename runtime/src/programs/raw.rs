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
const BPF_MAP_LOOKUP_BATCH: libc::c_long = 24; // Of hash maps since Linux 5.6.

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

/// The part of it that [`BPF_MAP_LOOKUP_BATCH`] has.
#[repr(C)]
struct Batch {
    /// Where to begin, and where that is said of the next call: the number of a bucket.
    in_batch: u64,
    out_batch: u64,
    keys: u64,
    values: u64,
    count: u32,
    map_fd: u32,
    elem_flags: u64,
    flags: u64,
}

/// How far somebody has read in a hash map: the next bucket; `None` is the first. Unlike a key it is not lost with an entry that is removed
/// meanwhile.
pub type Bucket = Option<u32>;

/// Some entries of a hash map.
pub struct Entries {
    keys: Vec<u8>,
    values: Vec<u8>,
    sizes: [usize; 2],
}

impl Entries {
    /// Keys with their values.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let [key, value] = self.sizes;
        self.keys.chunks_exact(key).zip(self.values.chunks_exact(value))
    }
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

    /// Up to `limit` entries of a hash map from a bucket on, which is set to the next one, or `None` at the end. Those of one bucket come together:
    /// where more lie in it than that, all of them do.
    pub fn entries(&self, bucket: &mut Bucket, limit: u32) -> io::Result<Entries> {
        let mut limit = limit.max(1);
        loop {
            let room = |bytes: usize| vec![0; bytes * limit as usize];
            let mut entries = Entries {
                keys: room(self.key_bytes),
                values: room(self.value_bytes),
                sizes: [self.key_bytes, self.value_bytes],
            };
            let (from, mut next) = (*bucket, 0_u32);
            let mut batch = Batch {
                in_batch: from.as_ref().map_or(0, |from| &raw const *from as u64),
                out_batch: &raw mut next as u64,
                keys: entries.keys.as_mut_ptr() as u64,
                values: entries.values.as_mut_ptr() as u64,
                count: limit,
                map_fd: self.map.fd().as_fd().as_raw_fd().cast_unsigned(),
                elem_flags: 0,
                flags: 0,
            };
            // SAFETY: the attributes are ours and their size is stated; there is room for so many keys and values of the map's sizes.
            let result = unsafe {
                libc::syscall(libc::SYS_bpf, BPF_MAP_LOOKUP_BATCH, &raw mut batch, size_of::<Batch>())
            };
            let is_there = found(if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) });
            match is_there {
                Err(error) if error.raw_os_error() == Some(libc::ENOSPC) && limit < MOST_IN_A_BUCKET => {
                    limit *= 2
                }
                Err(error) => return Err(error),
                Ok(goes_on) => {
                    *bucket = goes_on.then_some(next);
                    entries.keys.truncate(self.key_bytes * batch.count as usize);
                    return Ok(entries);
                }
            }
        }
    }
}

/// More than any bucket has: they are as many as entries.
const MOST_IN_A_BUCKET: u32 = 1 << 20;

/// Whether a map had no room for another entry.
pub fn is_full(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::E2BIG)
}

/// Whether the same call may succeed the next time: a bucket's lock was held for too long (`htab_lock_bucket` in kernel/bpf/hashtab.c; EBUSY since
/// Linux 5.11, the others where it is a resilient lock), or there was no memory.
pub fn is_passing(error: &io::Error) -> bool {
    let passing = [libc::EBUSY, libc::ETIMEDOUT, libc::EDEADLK, libc::EAGAIN, libc::ENOMEM];
    error.raw_os_error().is_some_and(|number| passing.contains(&number))
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
