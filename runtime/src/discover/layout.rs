//! Where this kernel keeps what the process programs read.

use runtime_ebpf::{process::Layout, sockets::Sockets};

use super::btf::{Btf, BtfError};

/// All offsets of [`Layout`]. What the agent itself fills in (its namespace, a mapping) is left zero.
pub fn layout(btf: &Btf) -> Result<Layout, BtfError> {
    let at = |name: &str, path: &[&str]| btf.offset_of(name, path);
    Ok(Layout {
        namespace: 0,
        mapping: 0,
        level: 0,
        filter: 1,
        task_pid: at("task_struct", &["pid"])?,
        task_tgid: at("task_struct", &["tgid"])?,
        task_thread_pid: at("task_struct", &["thread_pid"])?,
        task_signal: at("task_struct", &["signal"])?,
        signal_live: at("signal_struct", &["live"])?,
        pid_level: at("pid", &["level"])?,
        pid_numbers: at("pid", &["numbers"])?,
        upid_nr: at("upid", &["nr"])?,
        upid_ns: at("upid", &["ns"])?,
        upid_bytes: btf.size_of("upid")?,
        bprm_file: at("linux_binprm", &["file"])?,
        bprm_filename: at("linux_binprm", &["filename"])?,
        file_dentry: at("file", &["f_path", "dentry"])?,
        file_mount: at("file", &["f_path", "mnt"])?,
        file_inode: at("file", &["f_inode"])?,
        mount_root: at("vfsmount", &["mnt_root"])?,
        dentry_name: at("dentry", &["d_name", "name"])?,
        inode_ino: at("inode", &["i_ino"])?,
        inode_super: at("inode", &["i_sb"])?,
        super_dev: at("super_block", &["s_dev"])?,
        vma_start: at("vm_area_struct", &["vm_start"])?,
        vma_file: at("vm_area_struct", &["vm_file"])?,
    })
}

/// Whether this kernel says where it keeps what tells a connection.
pub fn tells_connections() -> Result<(), BtfError> {
    sockets(&Btf::of_kernel()?).map(|_| ())
}

/// All offsets of [`Sockets`].
pub fn sockets(btf: &Btf) -> Result<Sockets, BtfError> {
    let at = |name: &str, field: &str| btf.offset_of(name, &[field]);
    Ok(Sockets {
        known: 1,
        task_files: at("task_struct", "files")?,
        files_table: at("files_struct", "fdt")?,
        table_max: at("fdtable", "max_fds")?,
        table_files: at("fdtable", "fd")?,
        file_inode: at("file", "f_inode")?,
        inode_mode: at("inode", "i_mode")?,
        file_private: at("file", "private_data")?,
        socket_sock: at("socket", "sk")?,
        sock_protocol: at("sock", "sk_protocol")?,
        tcp_unacknowledged: at("tcp_sock", "snd_una")?,
        tcp_acknowledged: at("tcp_sock", "bytes_acked")?,
        tcp_next: at("tcp_sock", "rcv_nxt")?,
        tcp_received: at("tcp_sock", "bytes_received")?,
        sock_family: btf.offset_of("sock", &["__sk_common", "skc_family"])?,
        unix_peer: at("unix_sock", "peer")?,
        sock_socket: at("sock", "sk_socket")?,
        socket_inode: at("socket_alloc", "vfs_inode")? - at("socket_alloc", "socket")?,
        inode_number: at("inode", "i_ino")?,
        reserved: 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Needs a kernel with BTF, as every kernel has that strobe is developed on.
    #[test]
    fn this_kernel_has_every_field() {
        let layout = layout(&Btf::of_kernel().expect("BTF")).expect("a layout");
        // The first members of their structs since 4.x, in every configuration.
        assert_eq!((layout.mount_root, layout.upid_nr), (0, 0));
        assert!(layout.task_tgid == layout.task_pid + 4, "{layout:?}");
    }

    /// The same.
    #[test]
    fn this_kernel_tells_connections() {
        let sockets = sockets(&Btf::of_kernel().expect("BTF")).expect("what tells a connection");
        assert!(sockets.tcp_next > sockets.sock_protocol && sockets.table_files > 0, "{sockets:?}");
    }
}
