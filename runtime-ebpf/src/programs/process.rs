//! Who runs: tells the agent of the programs that start, follows a command's descendants, and lists what only the kernel
//! knows (process ids by namespace, the inode behind a mapping).
//!
//! Raw tracepoints need no tracefs (field-notes §5): kernel 4.17. The iterators are `iter/task` (5.8) and `iter/task_vma`
//! (5.12); the agent loads them only where it needs them. All offsets into the kernel's structures come from its BTF, in
//! [`Layout`]. Where there is none every exec is an event, and the agent sorts them out.

use core::{ffi::c_void, mem::MaybeUninit};

use aya_ebpf::{
    bindings::seq_file,
    helpers::{
        bpf_get_current_pid_tgid,
        generated::{bpf_get_current_task, bpf_probe_read_kernel_str, bpf_seq_write},
    },
    macros::{map, raw_tracepoint},
    maps::{Array, HashMap, RingBuf},
    programs::RawTracePointContext,
};
use runtime_ebpf::{
    counters::Counter,
    process::{ExecEvent, InodeEntry, Layout, MAX_FOLLOWED, MAX_WANTED, NAME_BYTES, Name, TREE, TaskEntry},
};

use crate::{
    count::count,
    kernel::{half, word},
};

#[map]
static LAYOUT: Array<Layout> = Array::with_max_entries(1, 0);
#[map]
static WANTED: HashMap<Name, u32> = HashMap::with_max_entries(MAX_WANTED, 0);
#[map]
static INODES: HashMap<u64, u32> = HashMap::with_max_entries(MAX_WANTED, 0);
#[map]
static FOLLOWED: HashMap<u32, u32> = HashMap::with_max_entries(MAX_FOLLOWED, 0);
/// 5,461 events of 24 bytes, header included: more than a machine starts between two wake-ups. If not, it is counted.
#[map]
static EXECUTED: RingBuf = RingBuf::with_byte_size(128 * 1024, 0);

const BPF_ANY: u64 = 0;

#[inline(always)]
fn current_tgid() -> u32 {
    (bpf_get_current_pid_tgid() >> 32) as u32
}

/// The number that the namespace `namespace` at `level` has for a task; 0 if the task is not in it.
#[inline(always)]
fn number(layout: &Layout, task: u64, level: u32, namespace: u64) -> u32 {
    let pid = word(task + layout.task_thread_pid as u64);
    if pid == 0 || half(pid + layout.pid_level as u64) < level {
        return 0;
    }
    let upid = pid + layout.pid_numbers as u64 + level as u64 * layout.upid_bytes as u64;
    if word(upid + layout.upid_ns as u64) != namespace {
        return 0;
    }
    half(upid + layout.upid_nr as u64)
}

/// `sched_process_exec(struct task_struct *p, pid_t old_pid, struct linux_binprm *bprm)`, in the new program's context.
#[raw_tracepoint(tracepoint = "sched_process_exec")]
pub fn process_exec(ctx: RawTracePointContext) -> i32 {
    let Some(layout) = LAYOUT.get(0) else { return 0 };
    let tgid = current_tgid();
    // SAFETY: a word; user space replaces it whole.
    let followed = unsafe { FOLLOWED.get(tgid) }.map_or(0, |flags| *flags);
    if layout.filter != 0 && followed == 0 && !wanted(layout, ctx.arg::<u64>(2)) {
        return 0;
    }
    let pid = match layout.namespace {
        0 => tgid,
        namespace => number(layout, ctx.arg::<u64>(0), layout.level, namespace),
    };
    if pid == 0 {
        return 0;
    }
    let event = ExecEvent { tgid, pid, followed, reserved: 0 };
    if EXECUTED.output::<ExecEvent>(event, 0).is_err() {
        count(Counter::ExecLost);
    }
    0
}

/// May this be a program that the agent looks for? By the name of its file, the name by which it was called, or its inode.
/// A file that is a mount of its own has its source's name, so that one is asked about always.
#[inline(always)]
fn wanted(layout: &Layout, bprm: u64) -> bool {
    let file = word(bprm + layout.bprm_file as u64);
    let dentry = word(file + layout.file_dentry as u64);
    is_wanted_name(word(dentry + layout.dentry_name as u64))
        || is_wanted_name(word(bprm + layout.bprm_filename as u64))
        || is_wanted_inode(word(word(file + layout.file_inode as u64) + layout.inode_ino as u64))
        || word(word(file + layout.file_mount as u64) + layout.mount_root as u64) == dentry
}

#[inline(always)]
fn is_wanted_name(text: u64) -> bool {
    let mut name = MaybeUninit::<Name>::uninit();
    let words = name.as_mut_ptr().cast::<u64>();
    macro_rules! clear {
        // SAFETY: `Name` has eight words. Volatile, since a loop over them would become a call.
        ($($n:literal)+) => { $( unsafe { words.add($n).write_volatile(0) }; )+ };
    }
    clear!(0 1 2 3 4 5 6 7);
    // SAFETY: the buffer has that size; the helper ends the text with a zero and leaves the rest. Kernel 5.5.
    let len = unsafe { bpf_probe_read_kernel_str(words.cast(), NAME_BYTES as u32, text as *const c_void) };
    // SAFETY: written whole above; values are never looked at.
    len > 0 && unsafe { WANTED.get(&*name.as_ptr()) }.is_some()
}

#[inline(always)]
fn is_wanted_inode(ino: u64) -> bool {
    // SAFETY: the value is never looked at.
    unsafe { INODES.get(ino) }.is_some()
}

/// `sched_process_fork(struct task_struct *parent, struct task_struct *child)`, in the parent's context: what a member of the
/// tree makes is of the tree. Threads have their process's tgid, which is in there already.
#[raw_tracepoint(tracepoint = "sched_process_fork")]
pub fn process_fork(ctx: RawTracePointContext) -> i32 {
    let Some(layout) = LAYOUT.get(0) else { return 0 };
    let parent = current_tgid();
    // SAFETY: a word; user space replaces it whole.
    let flags = unsafe { FOLLOWED.get(parent) }.map_or(0, |flags| *flags);
    if flags & TREE == 0 {
        return 0;
    }
    let child = half(ctx.arg::<u64>(1) + layout.task_tgid as u64);
    if child != 0 && child != parent && FOLLOWED.insert(child, flags, BPF_ANY).is_err() {
        // An exec of that child will not be told.
        count(Counter::ExecLost);
    }
    0
}

/// `sched_process_exit(struct task_struct *p)`, in the context of the thread that ends: a member of the tree leaves it with
/// its last thread.
#[raw_tracepoint(tracepoint = "sched_process_exit")]
pub fn process_exit(ctx: RawTracePointContext) -> i32 {
    let Some(layout) = LAYOUT.get(0) else { return 0 };
    let tgid = current_tgid();
    // SAFETY: a word; user space replaces it whole.
    if unsafe { FOLLOWED.get(tgid) }.is_none() {
        return 0;
    }
    let signal = word(ctx.arg::<u64>(0) + layout.task_signal as u64);
    // The kernel has counted this thread out already (kernel/exit.c, do_exit).
    if signal != 0 && half(signal + layout.signal_live as u64) == 0 {
        // It may be gone already: the agent removes what it follows itself.
        let _ = FOLLOWED.remove(tgid);
    }
    0
}

/// What each iterator's context begins with: `struct bpf_iter_meta *meta`, whose first field is `struct seq_file *seq`.
#[repr(C)]
struct IteratorContext {
    meta: *mut *mut seq_file,
}

/// A word of an iterator's context as a plain number: the verifier would let no offset be added to the pointer that it is.
#[inline(always)]
fn context_word(ctx: *mut IteratorContext, index: u64) -> u64 {
    word(ctx as u64 + 8 * index)
}

/// Writes a line of an iterator's output.
#[inline(always)]
fn write_entry<T>(ctx: *mut IteratorContext, entry: &T) {
    // SAFETY: the kernel gives both pointers; the entry is ours and of that size. Kernel 5.7. If the buffer is full the
    // kernel calls again for the same element, with a larger one.
    unsafe {
        let seq = core::ptr::read_volatile(*core::ptr::addr_of!((*ctx).meta));
        bpf_seq_write(seq, (entry as *const T).cast(), size_of::<T>() as u32);
    }
}

/// Lists the processes that the reader can see, with their numbers in its PID namespace and the initial one: `struct
/// bpf_iter__task { meta; struct task_struct *task; }`. Kernel 5.8.
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/task")]
pub extern "C" fn process_task(ctx: *mut c_void) -> i32 {
    let ctx = ctx.cast::<IteratorContext>();
    let task = context_word(ctx, 1);
    let Some(layout) = LAYOUT.get(0) else { return 0 };
    let tgid = half(task + layout.task_tgid as u64);
    // The end of the list has no task; threads are not listed.
    if task == 0 || tgid == 0 || half(task + layout.task_pid as u64) != tgid {
        return 0;
    }
    // SAFETY: no arguments. The iterator runs as the reader.
    let reader = word(unsafe { bpf_get_current_task() } + layout.task_thread_pid as u64);
    let level = half(reader + layout.pid_level as u64);
    let upid = reader + layout.pid_numbers as u64 + level as u64 * layout.upid_bytes as u64;
    let namespace = word(upid + layout.upid_ns as u64);
    let pid = number(layout, task, level, namespace);
    if pid != 0 {
        write_entry(ctx, &TaskEntry { tgid, pid, namespace, level, reserved: 0 });
    }
    0
}

/// Tells the inode behind the mapping that the agent asks about: `struct bpf_iter__task_vma { meta; task; struct
/// vm_area_struct *vma; }`. On overlayfs that is the inode that a uprobe belongs to, which stat(2) does not show. Kernel 5.12.
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/task_vma")]
pub extern "C" fn process_vma(ctx: *mut c_void) -> i32 {
    let ctx = ctx.cast::<IteratorContext>();
    let vma = context_word(ctx, 2);
    let Some(layout) = LAYOUT.get(0) else { return 0 };
    if vma == 0 || word(vma + layout.vma_start as u64) != layout.mapping {
        return 0;
    }
    let inode = word(word(vma + layout.vma_file as u64) + layout.file_inode as u64);
    let ino = word(inode + layout.inode_ino as u64);
    let dev = half(word(inode + layout.inode_super as u64) + layout.super_dev as u64) as u64;
    if ino != 0 {
        write_entry(ctx, &InodeEntry { ino, dev });
    }
    0
}
