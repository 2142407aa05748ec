"""The table behind the seccomp filter: which system calls a probe may not make, or only so, and why.

Nothing but data; `seccomp` makes instructions of it. A call that is in no row is allowed up to the newest that the
table was made with. Numbers are those of x86_64 and aarch64, None where a machine has no such call.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

NEWEST = 450
"""The last call that the table was made with; later ones get `ENOSYS`, as on an older kernel."""
OWN = -1
"""Stands in `values` for the number of the process itself."""


class Call(NamedTuple):
    """A call that is refused whatever its arguments are, and what it would give."""

    name: str
    x86_64: int | None
    aarch64: int | None
    reason: str


class Test(Enum):
    """What is asked of an argument for the call to be allowed."""

    ONE_OF = "it is one of the values"
    ANY_BIT = "it has a bit of the value"
    ZERO = "it is zero"
    UNLIKE = "under the mask of the first value, it is not the second"


class Checked(NamedTuple):
    """A call that is allowed while one of its arguments passes a test, and what it would give otherwise. A call in
    several rows must pass all of them.
    """

    name: str
    x86_64: int | None
    aarch64: int | None
    argument: int
    test: Test
    values: tuple[int, ...]
    reason: str


REFUSED: tuple[Call, ...] = (
    # Other programs and processes
    Call("execve", 59, 221, "runs another program"),
    Call("execveat", 322, 281, "runs another program"),
    Call("fork", 57, None, "starts a process"),
    Call("vfork", 58, None, "starts a process"),
    Call("ptrace", 101, 117, "looks into another process"),
    Call("process_vm_readv", 310, 270, "reads another process's memory"),
    Call("process_vm_writev", 311, 271, "writes another process's memory"),
    Call("kcmp", 312, 272, "looks into another process"),
    Call("process_madvise", 440, 440, "steers another process's memory"),
    Call("process_mrelease", 448, 448, "takes another process's memory"),
    Call("pidfd_open", 434, 434, "a handle of another process"),
    Call("pidfd_getfd", 438, 438, "takes another process's descriptor"),
    Call("pidfd_send_signal", 424, 424, "signals another process"),
    Call("tkill", 200, 130, "signals without naming the process; libraries use tgkill"),
    Call("rt_sigqueueinfo", 129, 138, "signals another process"),
    Call("rt_tgsigqueueinfo", 297, 240, "signals another process"),
    Call("setsid", 112, 157, "leaves the group that the agent kills"),
    Call("setpgid", 109, 154, "leaves the group that the agent kills"),
    # The network, and talking to other processes
    Call("socket", 41, 198, "the way to every network and daemon"),
    Call("connect", 42, 203, "the network"),
    Call("bind", 49, 200, "the network"),
    Call("listen", 50, 201, "the network"),
    Call("accept", 43, 202, "the network"),
    Call("accept4", 288, 242, "the network"),
    Call("shmget", 29, 194, "memory shared with other processes, which outlives the probe"),
    Call("shmat", 30, 196, "memory shared with other processes"),
    Call("shmctl", 31, 195, "memory shared with other processes"),
    Call("semget", 64, 190, "semaphores of other processes, which outlive the probe"),
    Call("semop", 65, 193, "semaphores of other processes"),
    Call("semctl", 66, 191, "semaphores of other processes"),
    Call("semtimedop", 220, 192, "semaphores of other processes"),
    Call("msgget", 68, 186, "queues of other processes, which outlive the probe"),
    Call("msgsnd", 69, 189, "queues of other processes"),
    Call("msgrcv", 70, 188, "queues of other processes"),
    Call("msgctl", 71, 187, "queues of other processes"),
    Call("mq_open", 240, 180, "queues of other processes, which outlive the probe"),
    Call("mq_unlink", 241, 181, "queues of other processes"),
    Call("mq_timedsend", 242, 182, "queues of other processes"),
    Call("mq_timedreceive", 243, 183, "queues of other processes"),
    Call("mq_notify", 244, 184, "queues of other processes"),
    # Files, where Landlock lets it through
    Call("chmod", 90, None, "Landlock does not hold modes"),
    Call("fchmod", 91, 52, "Landlock does not hold modes"),
    Call("fchmodat", 268, 53, "Landlock does not hold modes"),
    Call("chown", 92, None, "Landlock does not hold owners"),
    Call("lchown", 94, None, "Landlock does not hold owners"),
    Call("fchown", 93, 55, "Landlock does not hold owners"),
    Call("fchownat", 260, 54, "Landlock does not hold owners"),
    Call("utime", 132, None, "Landlock does not hold times"),
    Call("utimes", 235, None, "Landlock does not hold times"),
    Call("utimensat", 280, 88, "Landlock does not hold times"),
    Call("futimesat", 261, None, "Landlock does not hold times"),
    Call("setxattr", 188, 5, "Landlock does not hold attributes"),
    Call("lsetxattr", 189, 6, "Landlock does not hold attributes"),
    Call("fsetxattr", 190, 7, "Landlock does not hold attributes"),
    Call("removexattr", 197, 14, "Landlock does not hold attributes"),
    Call("lremovexattr", 198, 15, "Landlock does not hold attributes"),
    Call("fremovexattr", 199, 16, "Landlock does not hold attributes"),
    Call("getxattr", 191, 8, "Landlock does not hold attributes, which tell where a file is from"),
    Call("lgetxattr", 192, 9, "Landlock does not hold attributes"),
    Call("listxattr", 194, 11, "Landlock does not hold attributes"),
    Call("llistxattr", 195, 12, "Landlock does not hold attributes"),
    Call("truncate", 76, 45, "Landlock holds it only since its version 3"),
    Call("link", 86, None, "the server would find a file of someone else in scratch"),
    Call("linkat", 265, 37, "the server would find a file of someone else in scratch"),
    Call("symlink", 88, None, "the server would find a file of someone else in scratch"),
    Call("symlinkat", 266, 36, "the server would find a file of someone else in scratch"),
    Call("mknod", 133, None, "pipes and devices, on which the server would wait"),
    Call("mknodat", 259, 33, "pipes and devices, on which the server would wait"),
    Call("name_to_handle_at", 303, 264, "opens files past their paths"),
    Call("open_by_handle_at", 304, 265, "opens files past their paths"),
    Call("fanotify_init", 300, 262, "watches what others open"),
    Call("fanotify_mark", 301, 263, "watches what others open"),
    Call("inotify_init", 253, None, "watches what others open"),
    Call("inotify_init1", 294, 26, "watches what others open"),
    Call("sync", 162, 81, "has the whole machine write its disks"),
    Call("syncfs", 306, 267, "has a whole disk written"),
    # The system
    Call("mount", 165, 40, "another view of the files"),
    Call("umount2", 166, 39, "another view of the files"),
    Call("pivot_root", 155, 41, "another view of the files"),
    Call("chroot", 161, 51, "another view of the files"),
    Call("open_tree", 428, 428, "another view of the files"),
    Call("move_mount", 429, 429, "another view of the files"),
    Call("fsopen", 430, 430, "another view of the files"),
    Call("fsconfig", 431, 431, "another view of the files"),
    Call("fsmount", 432, 432, "another view of the files"),
    Call("fspick", 433, 433, "another view of the files"),
    Call("mount_setattr", 442, 442, "another view of the files"),
    Call("swapon", 167, 224, "administration"),
    Call("swapoff", 168, 225, "administration"),
    Call("unshare", 272, 97, "a namespace, in which it would be root"),
    Call("setns", 308, 268, "another's namespace"),
    Call("bpf", 321, 280, "runs code in the kernel"),
    Call("perf_event_open", 298, 241, "watches other processes; often the kernel's weak place"),
    Call("userfaultfd", 323, 282, "holds the kernel up; the usual tool of exploits"),
    Call("keyctl", 250, 219, "the user's keys"),
    Call("add_key", 248, 217, "the user's keys"),
    Call("request_key", 249, 218, "the user's keys"),
    Call("io_uring_setup", 425, 425, "makes calls that no filter sees"),
    Call("io_uring_enter", 426, 426, "makes calls that no filter sees"),
    Call("io_uring_register", 427, 427, "makes calls that no filter sees"),
    Call("io_setup", 206, 0, "a large surface that nothing here needs"),
    Call("io_destroy", 207, 1, "a large surface that nothing here needs"),
    Call("io_submit", 209, 2, "a large surface that nothing here needs"),
    Call("io_cancel", 210, 3, "a large surface that nothing here needs"),
    Call("init_module", 175, 105, "runs code in the kernel"),
    Call("finit_module", 313, 273, "runs code in the kernel"),
    Call("delete_module", 176, 106, "administration"),
    Call("kexec_load", 246, 104, "another kernel"),
    Call("kexec_file_load", 320, 294, "another kernel"),
    Call("reboot", 169, 142, "administration"),
    Call("acct", 163, 89, "administration"),
    Call("quotactl", 179, 60, "administration"),
    Call("quotactl_fd", 443, 443, "administration"),
    Call("syslog", 103, 116, "the kernel's log"),
    Call("sethostname", 170, 161, "administration"),
    Call("setdomainname", 171, 162, "administration"),
    Call("settimeofday", 164, 170, "the clock of all"),
    Call("clock_settime", 227, 112, "the clock of all"),
    Call("clock_adjtime", 305, 266, "the clock of all"),
    Call("adjtimex", 159, 171, "the clock of all"),
    Call("iopl", 172, None, "the hardware"),
    Call("ioperm", 173, None, "the hardware"),
    Call("personality", 135, 92, "turns protections of memory off"),
    Call("vhangup", 153, 58, "ends the user's terminal"),
    Call("lookup_dcookie", 212, 18, "a leftover of the kernel"),
    Call("uselib", 134, None, "a leftover of the kernel"),
    Call("sysfs", 139, None, "a leftover of the kernel"),
    Call("nfsservctl", 180, 42, "a leftover of the kernel"),
    Call("modify_ldt", 154, None, "often the kernel's weak place"),
    Call("vmsplice", 278, 75, "often the kernel's weak place"),
    Call("seccomp", 317, 277, "a filter of its own: a large surface that nothing here needs"),
    Call("memfd_secret", 447, 447, "memory that the limits do not count"),
    # The process's own limits and standing, and those of others
    Call("setrlimit", 160, 164, "its limits"),
    Call("setuid", 105, 146, "another user"),
    Call("setgid", 106, 144, "another user"),
    Call("setreuid", 113, 145, "another user"),
    Call("setregid", 114, 143, "another user"),
    Call("setresuid", 117, 147, "another user"),
    Call("setresgid", 119, 149, "another user"),
    Call("setgroups", 116, 159, "another user"),
    Call("setfsuid", 122, 151, "another user"),
    Call("setfsgid", 123, 152, "another user"),
    Call("capset", 126, 91, "more rights"),
    Call("sched_setscheduler", 144, 119, "starves others, and reaches other processes"),
    Call("sched_setparam", 142, 118, "starves others, and reaches other processes"),
    Call("sched_setattr", 314, 274, "starves others, and reaches other processes"),
    Call("sched_setaffinity", 203, 122, "reaches other processes"),
    Call("setpriority", 141, 140, "reaches other processes"),
    Call("ioprio_set", 251, 30, "reaches other processes"),
    Call("migrate_pages", 256, 238, "reaches other processes"),
    Call("move_pages", 279, 239, "reaches other processes"),
)
"""These get `EPERM`: Python raises `PermissionError`."""

ABSENT: tuple[Call, ...] = (
    Call("clone3", 435, 435, "its flags lie in memory, where no filter looks; libraries then take clone"),
    Call("openat2", 437, 437, "its flags lie in memory, where no filter looks; libraries then take openat"),
    Call("memfd_create", 319, 279, "a file without a place; libraries then take one in scratch"),
)
"""These get `ENOSYS`: a library then takes an older way, which the filter can look into, or does without."""

UNSUPPORTED: tuple[Call, ...] = (Call("fallocate", 285, 47, "takes the disk in no time; libraries then write"),)
"""These get `EOPNOTSUPP`, as on a file system that has them not: the C library has a way of its own for that alone."""

_AF_UNIX = 1
_CLONE_THREAD, _CLONE_FILES = 0x00010000, 0x00000400
_O_ACCMODE, _O_TRUNC = 0o3, 0o1000
_STREAMS = tuple(kind | flags for kind in (1, 5) for flags in (0, 0o4000, 0o2000000, 0o2004000))
"""`SOCK_STREAM` and `SOCK_SEQPACKET`, with `SOCK_NONBLOCK` and `SOCK_CLOEXEC`."""
_PRCTL = (
    *(2, 3, 7, 13, 16, 21, 23, 27, 30, 34, 37, 39, 40, 42, 51, 52, 56, 64, 0x41555856),
    *(15, 29, 38, 41, 50, 54, 55, 63, 0x53564D41),
)
"""All that only asks; then a thread's name, timer slack, no new privileges, huge pages, vectors (SVE, SME), pointer
keys and tags, the name of a mapping. Not the death signal, dumpable, capabilities, secure bits, the memory map,
subreaper, tracer, filters, core scheduling.
"""
_FCNTL = (0, 1, 2, 3, 4, 5, 6, 7, 9, 11, 16, 36, 37, 38, 1025, 1027, 1030, 1032, 1033, 1034)
"""Copies, flags, locks, seals and what only asks. Not `F_SETOWN`, `F_SETSIG`, `F_SETOWN_EX`, leases and delegations,
`F_NOTIFY`, the size of a pipe, which it shares with the agent.
"""
_IOCTL = (0x5401, 0x540F, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)
"""`TCGETS` (is it a terminal?), `TIOCGPGRP`, `TIOCGWINSZ`, `FIONREAD`, `FIONBIO`, `FIONCLEX`, `FIOCLEX`."""

CHECKED: tuple[Checked, ...] = (
    Checked("clone", 56, 220, 0, Test.ANY_BIT, (_CLONE_THREAD,), "starts a process, and not a thread"),
    Checked("clone", 56, 220, 0, Test.ANY_BIT, (_CLONE_FILES,), "a thread with descriptors of its own, past the limit"),
    Checked("kill", 62, 129, 0, Test.ONE_OF, (OWN,), "signals another process, or a group"),
    Checked("tgkill", 234, 131, 0, Test.ONE_OF, (OWN,), "signals another process"),
    Checked("socketpair", 53, 199, 0, Test.ONE_OF, (_AF_UNIX,), "a family of sockets that only the kernel needs"),
    Checked("socketpair", 53, 199, 1, Test.ONE_OF, _STREAMS, "a socket of datagrams, which go to any daemon by name"),
    Checked("open", 2, None, 1, Test.UNLIKE, (_O_TRUNC | _O_ACCMODE, _O_TRUNC), "empties a file that it may only read"),
    Checked("openat", 257, 56, 2, Test.UNLIKE, (_O_TRUNC | _O_ACCMODE, _O_TRUNC), "the same"),
    Checked(
        "open",
        2,
        None,
        1,
        Test.UNLIKE,
        (_O_ACCMODE, _O_ACCMODE),
        "neither reads nor writes, so Landlock asks for no right",
    ),
    Checked("openat", 257, 56, 2, Test.UNLIKE, (_O_ACCMODE, _O_ACCMODE), "the same"),
    Checked("prctl", 157, 167, 0, Test.ONE_OF, _PRCTL, "outlives the agent; is looked into; takes rights back"),
    Checked("fcntl", 72, 25, 1, Test.ONE_OF, _FCNTL, "has the kernel signal another process; watches, holds up files"),
    Checked("ioctl", 16, 29, 1, Test.ONE_OF, _IOCTL, "types into a terminal; a file's flags; whatever a device does"),
    Checked("prlimit64", 302, 261, 2, Test.ZERO, (), "its limits, and those of other processes"),
)
"""These get `EPERM` where the argument fails the test."""
