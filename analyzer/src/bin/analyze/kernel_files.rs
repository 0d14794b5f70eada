//! File systems that the kernel makes up: their files are no programs, some wait when they are read, and some do something.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// `f_type` of statfs(2), from include/uapi/linux/magic.h.
const MAGIC: [u32; 8] = [
    0x9fa0,      // proc
    0x6265_6572, // sysfs
    0x6462_6720, // debugfs
    0x7472_6163, // tracefs
    0x7363_6673, // securityfs
    0x0027_e0eb, // cgroup
    0x6367_7270, // cgroup2
    0xcafe_4a11, // bpf
];

/// Whether a folder lies on such a file system.
pub fn are_below(folder: &Path) -> bool {
    let Ok(path) = CString::new(folder.as_os_str().as_bytes()) else { return false };
    // SAFETY: the path ends with a NUL, and the kernel fills the structure, for which zeros are valid.
    let answer = unsafe {
        let mut answer: libc::statfs = std::mem::zeroed();
        (libc::statfs(path.as_ptr(), &raw mut answer) == 0).then_some(answer)
    };
    answer.is_some_and(|answer| u32::try_from(answer.f_type).is_ok_and(|magic| MAGIC.contains(&magic)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn procfs_is_one_and_a_temporary_folder_is_none() {
        assert!(are_below(Path::new("/proc/self")));
        assert!(!are_below(&std::env::temp_dir()));
        assert!(!are_below(Path::new("/no/such/folder")));
    }
}
