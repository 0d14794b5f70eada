//! What the process programs and the agent share: events about programs that start, and where the kernel keeps what the
//! programs look at.
//!
//! ```text
//!  LAYOUT     [0] Layout         written by the agent before anything is attached
//!  WANTED     Name    -> u32     names that a wanted executable may have: of its file, or as it was called
//!  INODES     u64     -> u32     inode numbers that a wanted executable may have
//!  FOLLOWED   tgid    -> u32     processes whose every exec is an event (FOLLOW), or whose children's are too (TREE)
//!  EXECUTED   ring of ExecEvent
//! ```

/// A process has executed a program.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExecEvent {
    /// Its process id (thread group id) in the initial PID namespace.
    pub tgid: u32,
    /// The same as the agent's PID namespace numbers it; never 0, since what the agent cannot see is not reported.
    pub pid: u32,
    /// [`FOLLOW`] and [`TREE`] as `FOLLOWED` has them of this process.
    pub followed: u32,
    /// Zero.
    pub reserved: u32,
}

/// One line of what `process_task` lists.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskEntry {
    /// In the initial PID namespace.
    pub tgid: u32,
    /// In the PID namespace of the process that reads the list.
    pub pid: u32,
    /// The PID namespace of the process that reads the list: its address in the kernel.
    pub namespace: u64,
    /// How deep that namespace is: 0 is the initial one.
    pub level: u32,
    /// Zero.
    pub reserved: u32,
}

/// What `process_vma` finds at [`Layout::mapping`].
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InodeEntry {
    /// The inode's number.
    pub ino: u64,
    /// Its file system's device as the kernel writes it: 12 bits of major, 20 of minor.
    pub dev: u64,
}

/// Each exec of this process is an event.
pub const FOLLOW: u32 = 1;
/// Its children are of the tree, too.
pub const TREE: u32 = 2;

/// The bytes of a name in `WANTED`, the zero at its end included: a longer one is cut, and matches by what is left.
pub const NAME_BYTES: usize = 64;

/// A key of `WANTED`: a name, zeros behind it. Words, since the programs write them as such.
pub type Name = [u64; NAME_BYTES / 8];

/// Processes in `FOLLOWED` at once.
pub const MAX_FOLLOWED: u32 = 16_384;
/// Names, and inodes, that can be wanted at once.
pub const MAX_WANTED: u32 = 4096;

macro_rules! layout {
    ($($(#[doc = $doc:literal])+ $field:ident,)+) => {
        /// Where this kernel keeps what the programs read: byte offsets, from its BTF. All zero without BTF.
        #[repr(C)]
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct Layout {
            /// The agent's PID namespace (its address in the kernel); 0 for the initial one, whose numbers need no look.
            pub namespace: u64,
            /// Where the agent has mapped the file whose inode `process_vma` is to find.
            pub mapping: u64,
            /// How deep the agent's PID namespace is.
            pub level: u32,
            /// 1: the offsets below are known, and events are filtered by name. 0: every exec is an event.
            pub filter: u32,
            $($(#[doc = $doc])+ pub $field: u32,)+
        }
    };
}

layout! {
    /// `task_struct.pid`
    task_pid,
    /// `task_struct.tgid`
    task_tgid,
    /// `task_struct.thread_pid`, a `struct pid *`
    task_thread_pid,
    /// `task_struct.signal`, a `struct signal_struct *`
    task_signal,
    /// `signal_struct.live`: threads that have not ended
    signal_live,
    /// `pid.level`
    pid_level,
    /// `pid.numbers`, a `struct upid []`
    pid_numbers,
    /// `upid.nr`
    upid_nr,
    /// `upid.ns`
    upid_ns,
    /// The size of `struct upid`
    upid_bytes,
    /// `linux_binprm.file`
    bprm_file,
    /// `linux_binprm.filename`, a `char *`: as the program was called
    bprm_filename,
    /// `file.f_path.dentry`
    file_dentry,
    /// `file.f_path.mnt`
    file_mount,
    /// `file.f_inode`
    file_inode,
    /// `vfsmount.mnt_root`
    mount_root,
    /// `dentry.d_name.name`, a `char *`
    dentry_name,
    /// `inode.i_ino`
    inode_ino,
    /// `inode.i_sb`
    inode_super,
    /// `super_block.s_dev`
    super_dev,
    /// `vm_area_struct.vm_start`
    vma_start,
    /// `vm_area_struct.vm_file`
    vma_file,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_both_sides_share_has_no_padding() {
        assert_eq!(size_of::<ExecEvent>(), 16);
        assert_eq!(size_of::<TaskEntry>(), 24);
        assert_eq!(size_of::<InodeEntry>(), 16);
        assert_eq!(size_of::<Layout>(), 24 + 22 * 4);
        assert_eq!(size_of::<Name>(), NAME_BYTES);
    }
}
