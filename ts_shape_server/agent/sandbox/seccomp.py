"""A seccomp filter, assembled here and attached by `prctl`: system calls that a probe never needs are refused.

Refused calls get an error, so that Python raises `PermissionError`; calls of another architecture kill. Numbers are
tabulated for x86_64 and aarch64; calls newer than the table get `ENOSYS`, as on an older kernel.
"""

from __future__ import annotations

import ctypes
import platform
import struct
from collections.abc import Iterator

_PR_SET_SECCOMP, _PR_GET_SECCOMP, _MODE_FILTER = 22, 21, 2
_ALLOW, _KILL, _ERROR = 0x7FFF0000, 0x80000000, 0x00050000
_EPERM, _ENOSYS = 1, 38
_LOAD, _JUMP_EQUAL, _JUMP_GREATER_EQUAL, _JUMP_ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16
_X32 = 0x40000000
_CLONE_THREAD = 0x00010000
_AF_UNIX = 1
_NEWEST = 450
"""The last call that the table was made with."""

_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_COLUMN = {"x86_64": 0, "aarch64": 1}

REFUSED: dict[str, tuple[int | None, int | None]] = {
    # other programs and processes
    "execve": (59, 221), "execveat": (322, 281), "fork": (57, None), "vfork": (58, None),
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272),
    "process_madvise": (440, 440), "process_mrelease": (448, 448), "pidfd_open": (434, 434), "pidfd_getfd": (438, 438),
    "pidfd_send_signal": (424, 424), "tkill": (200, 130), "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240), "setsid": (112, 157), "setpgid": (109, 154),
    # the network, and talking to other processes
    "socket": (41, 198), "connect": (42, 203), "bind": (49, 200), "listen": (50, 201), "accept": (43, 202),
    "accept4": (288, 242), "shmget": (29, 194), "shmat": (30, 196), "shmctl": (31, 195), "semget": (64, 190),
    "semop": (65, 193), "semctl": (66, 191), "semtimedop": (220, 192), "msgget": (68, 186), "msgsnd": (69, 189),
    "msgrcv": (70, 188), "msgctl": (71, 187), "mq_open": (240, 180), "mq_unlink": (241, 181),
    "mq_timedsend": (242, 182), "mq_timedreceive": (243, 183), "mq_notify": (244, 184),
    # what Landlock lets through of files
    "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "chown": (92, None), "lchown": (94, None),
    "fchown": (93, 55), "fchownat": (260, 54), "utime": (132, None), "utimes": (235, None), "utimensat": (280, 88),
    "futimesat": (261, None), "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7),
    "removexattr": (197, 14), "lremovexattr": (198, 15), "fremovexattr": (199, 16), "link": (86, None),
    "linkat": (265, 37), "symlink": (88, None), "symlinkat": (266, 36), "mknod": (133, None), "mknodat": (259, 33),
    "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265), "fanotify_init": (300, 262),
    "fanotify_mark": (301, 263), "inotify_init": (253, None), "inotify_init1": (294, 26),
    # the system
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51), "open_tree": (428, 428),
    "move_mount": (429, 429), "fsopen": (430, 430), "fsconfig": (431, 431), "fsmount": (432, 432),
    "fspick": (433, 433), "mount_setattr": (442, 442), "swapon": (167, 224), "swapoff": (168, 225),
    "unshare": (272, 97), "setns": (308, 268), "bpf": (321, 280), "perf_event_open": (298, 241),
    "userfaultfd": (323, 282), "keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218),
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    "io_setup": (206, 0), "io_destroy": (207, 1), "io_submit": (209, 2), "io_cancel": (210, 3),
    "init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106), "kexec_load": (246, 104),
    "kexec_file_load": (320, 294), "reboot": (169, 142), "acct": (163, 89), "quotactl": (179, 60),
    "quotactl_fd": (443, 443), "syslog": (103, 116), "sethostname": (170, 161), "setdomainname": (171, 162),
    "settimeofday": (164, 170), "clock_settime": (227, 112), "clock_adjtime": (305, 266), "adjtimex": (159, 171),
    "iopl": (172, None), "ioperm": (173, None), "personality": (135, 92), "vhangup": (153, 58),
    "lookup_dcookie": (212, 18), "uselib": (134, None), "sysfs": (139, None), "nfsservctl": (180, 42),
    "modify_ldt": (154, None), "vmsplice": (278, 75), "memfd_secret": (447, 447),
    # the process's own limits and standing
    "setrlimit": (160, 164), "setuid": (105, 146), "setgid": (106, 144), "setreuid": (113, 145),
    "setregid": (114, 143), "setresuid": (117, 147), "setresgid": (119, 149), "setgroups": (116, 159),
    "setfsuid": (122, 151), "setfsgid": (123, 152), "capset": (126, 91), "sched_setscheduler": (144, 119),
    "sched_setparam": (142, 118), "sched_setattr": (314, 274), "setpriority": (141, 140), "ioprio_set": (251, 30),
    "migrate_pages": (256, 238), "move_pages": (279, 239),
}  # fmt: skip
"""Calls that get `EPERM`, with their numbers on x86_64 and aarch64 (None: it has no such call)."""

ABSENT: dict[str, tuple[int | None, int | None]] = {"clone3": (435, 435), "memfd_create": (319, 279)}
"""Calls that get `ENOSYS`: libraries then take the older way, which the filter can look into, or do without."""

_SOCKETPAIR, _CLONE, _KILL_CALL, _TGKILL = (53, 199), (56, 220), (62, 129), (234, 131)
_PRCTL, _PRLIMIT, _IOCTL = (157, 167), (302, 261), (16, 29)
_REFUSED_PRCTL = (1, 4, 24, 28, 35, 36, 0x59616D61)
"""Death signal, dumpable, capability bounds, secure bits, memory map, subreaper, tracer."""
_REFUSED_IOCTL = (0x5412, 0x541C, 0x540E)
"""Typing into a terminal (`TIOCSTI`, `TIOCLINUX`), and taking one."""


class Unavailable(OSError):
    """The kernel takes no filter, or the machine's calls are not tabulated."""


def supported(libc: ctypes.CDLL) -> bool:
    """Whether a filter for this machine is known and the kernel knows of filters."""
    return platform.machine() in _ARCHITECTURES and libc.prctl(_PR_GET_SECCOMP, 0, 0, 0, 0) == 0


def restrict(libc: ctypes.CDLL, pid: int) -> None:
    """Attach the filter to this process, whose number is `pid`. `NO_NEW_PRIVS` must be set. Raises Unavailable."""
    machine = platform.machine()
    if machine not in _ARCHITECTURES:
        raise Unavailable(_ENOSYS, f"there is no table of system calls for {machine}")
    code = b"".join(program(machine, pid))
    buffer = ctypes.create_string_buffer(code, len(code))

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_void_p))

    filter_program = Program(len(code) // 8, ctypes.cast(buffer, ctypes.c_void_p))
    if libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(filter_program), 0, 0) != 0:
        raise Unavailable(ctypes.get_errno(), "the kernel took no filter")


def program(machine: str, pid: int) -> Iterator[bytes]:
    """The filter's instructions."""
    column = _COLUMN[machine]
    yield _step(_LOAD, _ARCHITECTURE)
    yield _step(_JUMP_EQUAL, _ARCHITECTURES[machine], 1, 0)
    yield _step(_RETURN, _KILL)
    yield _step(_LOAD, _NUMBER)
    if machine == "x86_64":
        yield _step(_JUMP_GREATER_EQUAL, _X32, 0, 1)
        yield _step(_RETURN, _KILL)
    yield _step(_JUMP_GREATER_EQUAL, _NEWEST + 1, 0, 1)
    yield _error(_ENOSYS)
    for table, number in ((REFUSED, _EPERM), (ABSENT, _ENOSYS)):
        for calls in table.values():
            call = calls[column]
            if call is not None:
                yield _step(_JUMP_EQUAL, call, 0, 1)
                yield _error(number)
    yield from _only(_SOCKETPAIR[column], [_argument(0), _step(_JUMP_EQUAL, _AF_UNIX, 1, 0)])
    yield from _only(_CLONE[column], [_argument(0), _step(_JUMP_ANY_BIT, _CLONE_THREAD, 1, 0)])
    for call in (_KILL_CALL[column], _TGKILL[column]):
        yield from _only(call, [_argument(0), _step(_JUMP_EQUAL, pid, 1, 0)])
    for call, place, values in ((_PRCTL[column], 0, _REFUSED_PRCTL), (_IOCTL[column], 1, _REFUSED_IOCTL)):
        body = [_argument(place)]
        for left, value in zip(range(len(values), 0, -1), values):
            body.append(_step(_JUMP_EQUAL, value, left - 1, 0 if left > 1 else 1))
        yield from _only(call, body)
    # A new limit is passed by address: both halves of it must be zero.
    body = [_argument(2), _step(_JUMP_EQUAL, 0, 0, 2), _argument(2, high=True), _step(_JUMP_EQUAL, 0, 1, 0)]
    yield from _only(_PRLIMIT[column], body)
    yield _step(_RETURN, _ALLOW)


def _only(call: int, body: list[bytes]) -> Iterator[bytes]:
    """For this call, `body` runs; it falls through to a refusal, or jumps over that to permission."""
    yield _step(_JUMP_EQUAL, call, 0, len(body) + 2)
    yield from body
    yield _error(_EPERM)
    yield _step(_RETURN, _ALLOW)


def _argument(place: int, high: bool = False) -> bytes:
    """Load a half of an argument (both machines are little-endian)."""
    return _step(_LOAD, _ARGUMENTS + 8 * place + (4 if high else 0))


def _error(number: int) -> bytes:
    return _step(_RETURN, _ERROR | number)


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)
