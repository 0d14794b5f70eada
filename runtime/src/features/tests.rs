use caps::Capability::{CAP_BPF, CAP_PERFMON, CAP_SYS_ADMIN, CAP_SYS_PTRACE};

use super::*;

fn facts(capabilities: &[Capability]) -> Facts {
    Facts {
        kernel: (6, 18, 44),
        capabilities: capabilities.to_vec(),
        user_namespace: false,
        memlock_bytes: u64::MAX,
        paranoid: 2,
        uprobes: Trial::Works,
        multi: Trial::Refused(Errno::EOPNOTSUPP),
        processes: Trial::Works,
        nested: false,
        btf: true,
    }
}

fn name(missing: Option<Missing>) -> String {
    missing.map(|missing| missing.to_string()).unwrap_or_default()
}

#[test]
fn what_was_refused_is_named() {
    let denied = || Trial::Refused(Errno::EACCES);
    let all = || facts(&[CAP_SYS_ADMIN, CAP_SYS_PTRACE]);
    let old =
        |capabilities: &[Capability]| Facts { kernel: (6, 12, 38), uprobes: denied(), ..facts(capabilities) };
    for (facts, expected) in [
        (all(), ""),
        (facts(&[]), ""),
        (Facts { uprobes: denied(), ..facts(&[CAP_BPF, CAP_PERFMON, CAP_SYS_PTRACE]) }, "CAP_SYS_ADMIN"),
        (Facts { uprobes: denied(), ..facts(&[]) }, "CAP_SYS_ADMIN"),
        (old(&[CAP_BPF]), "CAP_PERFMON"),
        (old(&[CAP_BPF, CAP_PERFMON]), "CAP_SYS_ADMIN"),
        (Facts { paranoid: 3, ..old(&[CAP_BPF, CAP_PERFMON]) }, "kernel.perf_event_paranoid"),
        (Facts { paranoid: 3, ..old(&[CAP_BPF]) }, "CAP_SYS_ADMIN"),
        (Facts { uprobes: denied(), ..all() }, "seccomp"),
        (Facts { uprobes: denied(), user_namespace: true, ..all() }, "user namespace"),
        (Facts { uprobes: Trial::Refused(Errno::EOPNOTSUPP), ..all() }, "CONFIG_UPROBE_EVENTS"),
        (Facts { uprobes: Trial::Impossible("no file".into()), ..all() }, "CONFIG_UPROBE_EVENTS"),
        (Facts { processes: denied(), ..facts(&[CAP_SYS_ADMIN]) }, "CAP_SYS_PTRACE"),
        (Facts { processes: denied(), ..all() }, ""),
        (Facts { processes: Trial::Refused(Errno::ENOENT), ..all() }, ""),
        (Facts { nested: true, ..all() }, ""),
        (Facts { nested: true, btf: false, ..all() }, "CONFIG_DEBUG_INFO_BTF"),
        // Links want no CAP_SYS_ADMIN, so what perf uprobes want does not matter; before them a denial says nothing.
        (Facts { uprobes: denied(), multi: Trial::Works, ..facts(&[CAP_BPF, CAP_PERFMON]) }, ""),
        (Facts { uprobes: denied(), multi: denied(), ..facts(&[CAP_PERFMON]) }, "CAP_BPF"),
        (Facts { multi: denied(), ..facts(&[CAP_BPF]) }, "CAP_PERFMON"),
        (Facts { multi: denied(), ..all() }, "seccomp"),
        (Facts { multi: denied(), user_namespace: true, ..all() }, "user namespace"),
        (Facts { multi: denied(), ..old(&[]) }, "CAP_BPF"),
        (Facts { multi: denied(), kernel: (6, 5, 0), ..old(&[]) }, "CAP_PERFMON"),
    ] {
        let said = name(facts.missing());
        assert!(said.contains(expected) && said.is_empty() == expected.is_empty(), "{facts:?}: {said}");
    }
}

#[test]
fn programs_that_do_not_load_are_explained() {
    let (denied, other) = (Some(Errno::EPERM), Some(Errno::E2BIG));
    let all = || facts(&[CAP_BPF, CAP_PERFMON]);
    for (facts, errno, expected) in [
        (facts(&[CAP_PERFMON]), denied, "CAP_BPF"),
        (facts(&[CAP_BPF]), denied, "CAP_PERFMON"),
        (facts(&[CAP_SYS_ADMIN]), denied, "the verifier's words"),
        (all(), other, "the verifier's words"),
        (Facts { kernel: (5, 4, 0), ..all() }, other, "5.8 or newer"),
        (Facts { kernel: (5, 10, 0), memlock_bytes: 65_536, ..all() }, denied, "CAP_SYS_RESOURCE"),
        (Facts { kernel: (5, 11, 0), memlock_bytes: 65_536, ..all() }, denied, "the verifier's words"),
        (Facts { user_namespace: true, ..all() }, denied, "user namespace"),
    ] {
        let said = facts.missing_after(errno, || "the verifier's words".to_owned()).to_string();
        assert!(said.contains(expected), "{facts:?}: {said}");
    }
}

#[test]
fn each_stable_series_has_its_own_first_patch() {
    for (kernel, wanted) in [
        ((5, 8, 0), false),
        ((5, 10, 239), false),
        ((5, 10, 240), true),
        ((5, 15, 188), false),
        ((6, 1, 146), true),
        ((6, 2, 99), false),
        ((6, 6, 98), false),
        ((6, 12, 39), true),
        ((6, 14, 11), false),
        ((6, 15, 6), false),
        ((6, 15, 7), true),
        ((6, 16, 0), true),
        ((7, 0, 0), true),
    ] {
        assert_eq!(uprobes_want_sys_admin(kernel), wanted, "{kernel:?}");
    }
}

#[test]
fn distributors_say_the_true_patch_elsewhere() {
    for (release, built, signature, expected) in [
        ("5.10.0-32-amd64", "#1 SMP Debian 5.10.223-1 (2024-08-10)", "", (5, 10, 223)),
        ("6.1.0-47-cloud-arm64", "#1 SMP PREEMPT_DYNAMIC Debian 6.1.176-1 (2026-01-02)", "", (6, 1, 176)),
        ("6.12.117+deb13-amd64", "#1 SMP PREEMPT_DYNAMIC Debian 6.12.117-1 (2026-03-04)", "", (6, 12, 117)),
        (
            "6.8.0-31-generic",
            "#31-Ubuntu SMP PREEMPT_DYNAMIC",
            "Ubuntu 6.8.0-31.31-generic 6.8.1\n",
            (6, 8, 1),
        ),
        ("6.8.0-31-generic", "#31-Ubuntu SMP PREEMPT_DYNAMIC", "", (6, 8, 0)),
        ("6.18.44-fc-v782", "#1 SMP Thu Jan 1", "", (6, 18, 44)),
        // A kernel of one's own, whose text says something else.
        ("6.19.2", "#1 SMP Debian 5.10.223-1", "Ubuntu x 6.8.1", (6, 19, 2)),
        ("6.19.2", "#1 SMP Debian testing", "Ubuntu", (6, 19, 2)),
    ] {
        assert_eq!(true_version(release, built, signature), expected, "{release}, {built}, {signature}");
    }
}

#[test]
fn releases_are_read() {
    assert_eq!(version("6.18.44-fc-v782"), (6, 18, 44));
    assert_eq!(version("5.10.0-35-cloud-arm64"), (5, 10, 0));
    assert_eq!(version("garbage"), (0, 0, 0));
}

#[test]
fn names_are_found_whole() {
    let strings = b"\0int\0bpf_iter_task_vma\0bpf_iter_task\0";
    assert!(trials::has_name(strings, "bpf_iter_task"));
    assert!(!trials::has_name(strings, "bpf_iter"));
}
