//! What the in-flight tables of all libraries have in common: an entry belongs to a goroutine, which alone writes to it and removes it
//! while its process lives, so that it needs no lock.

use core::ptr::NonNull;

use aya_ebpf::maps::{Array, HashMap};

use crate::{
    enter::{Hit, atomic_add},
    whole_key::WholeKey as _,
};

/// Whose entry.
#[repr(C)]
pub struct Key {
    goroutine: u64,
    tgid: u64,
}

impl Key {
    #[inline(always)]
    pub fn of(hit: &Hit) -> Self {
        Self { goroutine: hit.goroutine, tgid: hit.tgid as u64 }
    }
}

/// An entry of a table, which is the running goroutine's alone.
pub struct Entry<T: 'static>(NonNull<T>);

// Not derived: that would want T to be Copy.
impl<T> Clone for Entry<T> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Entry<T> {}

impl<T> Entry<T> {
    /// The running goroutine's entry, of whatever generation.
    #[inline(always)]
    pub fn find(table: &HashMap<Key, T>, key: &Key) -> Option<Self> {
        NonNull::new(table.get_ptr_mut(key)?).map(Self)
    }

    #[inline(always)]
    pub fn get(&self) -> &'static T {
        // SAFETY: `find` had the pointer from the map; an entry of the running goroutine is removed by that goroutine alone.
        unsafe { self.0.as_ref() }
    }

    #[inline(always)]
    pub fn get_mut(&mut self) -> &'static mut T {
        // SAFETY: as above; the goroutine has one hit at a time.
        unsafe { self.0.as_mut() }
    }
}

/// How many entries a table has. Word 0: those that programs have made, less those that they removed; 1: those that the agent has swept.
#[inline(always)]
pub fn used(counts: &Array<u64>) -> u64 {
    let made = counts.get_at(0).copied().unwrap_or(0);
    let swept = counts.get_at(1).copied().unwrap_or(0);
    made.wrapping_sub(swept)
}

/// There are so many more now, or fewer.
#[inline(always)]
pub fn add_use(counts: &Array<u64>, more: i64) {
    if let Some(word) = counts.at(0) {
        atomic_add(word.as_ptr(), more);
    }
}
