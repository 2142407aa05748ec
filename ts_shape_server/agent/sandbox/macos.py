"""The macOS layers: limits, and the profile of `sandbox_init`, which the kernel's Seatbelt holds.

NOT TESTED on a Mac: written after Apple's headers and the profiles of others; only what is pure, the profile's text, is
tested. The witness tries the profile before any user code, so that one which does not hold is found and told. A limit
of memory is not among them: macOS ignores it, and the agent looks from outside.
"""

from __future__ import annotations

import ctypes
import os
import resource
import struct
import time

from ts_shape_server.agent.sandbox import witness
from ts_shape_server.agent.sandbox.policy import LIMITS, ON, SEATBELT, TURNED_OFF, Applied, Policy, SandboxUnavailable

_SYSTEM = ("/usr/lib", "/usr/share", "/System", "/Library/Frameworks", "/Library/Apple", "/private/var/db/dyld", "/opt")
"""What the loader, the interpreter and torch read of the system."""
_DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")
_TASK_INFO, _TASK_INFO_BYTES = 4, 96
"""`PROC_PIDTASKINFO` of libproc; its second field is the resident size."""


def available(turned_off: bool) -> Applied:
    """The tier that `enter` reaches, as far as the libraries tell without being tried."""
    layers = dict.fromkeys(("session", "descriptors", "resource limits", "environment"), ON)
    layers["memory"] = "watched from outside"
    if turned_off:
        return Applied(LIMITS, {**layers, "seatbelt": TURNED_OFF})
    there = hasattr(ctypes.CDLL(None), "sandbox_init")
    layers["seatbelt"] = ON if there else "the system does not have it"
    return Applied(SEATBELT if there else LIMITS, layers)


def enter(policy: Policy) -> None:
    """Apply the layers of the policy's tier and try what they withhold. Raises SandboxUnavailable."""
    os.setsid()
    _close_descriptors(policy.keep)
    _limit(policy)
    if policy.tier == LIMITS:
        return
    error = ctypes.c_char_p()
    libc = ctypes.CDLL(None)
    if libc.sandbox_init(profile(policy).encode(), ctypes.c_uint64(0), ctypes.byref(error)) != 0:
        raise SandboxUnavailable(f"sandbox_init: {(error.value or b'').decode('utf-8', 'replace')}")
    failed = witness.failures(policy, files=True, calls=True)
    if failed:
        raise SandboxUnavailable(f"the witness could still {failed[0]}")


def profile(policy: Policy) -> str:
    """The profile: all is denied but what is said here."""
    readable = "".join(f" (subpath {_quoted(path)})" for path in (*_SYSTEM, *policy.readable))
    devices = "".join(f" (literal {_quoted(path)})" for path in _DEVICES)
    scratch = f"(subpath {_quoted(os.path.realpath(policy.scratch))})"
    return "\n".join(
        (
            "(version 1)",
            "(deny default)",
            "(allow process-info* (target self))",
            "(allow signal (target self))",
            "(allow sysctl-read)",
            "(allow file-read-metadata)",
            f"(allow file-read*{readable}{devices})",
            f"(allow file-read* file-write-data{devices})",
            f"(allow file-read* file-write-data file-write-create file-write-unlink {scratch})",
            # Links are made in scratch for nobody else to follow.
            "(deny file-write-create (vnode-type SYMLINK) (vnode-type FIFO) (vnode-type SOCKET))",
            "(deny network*)",
            "(deny process-fork process-exec*)",
        )
    )


def _quoted(path: str) -> str:
    return '"' + path.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _close_descriptors(keep: tuple[int, ...]) -> None:
    kept = {0, 1, 2, *keep}
    for number in range(3, 1024):
        if number not in kept:
            try:
                os.close(number)
            except OSError:
                continue


def _limit(policy: Policy) -> None:
    limits = (
        # What was used before is not the job's: a spare process has loaded torch.
        (resource.RLIMIT_CPU, policy.cpu_seconds + int(time.process_time())),
        (resource.RLIMIT_FSIZE, policy.file_bytes),
        (resource.RLIMIT_NOFILE, policy.open_files),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_MEMLOCK, 0),
    )
    for kind, value in limits:
        hard = resource.getrlimit(kind)[1]
        bounded = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (bounded, bounded))


def resident(pid: int) -> int:
    """The bytes of memory that a process holds; 0 if that cannot be told."""
    buffer = ctypes.create_string_buffer(_TASK_INFO_BYTES)
    libproc = ctypes.CDLL("/usr/lib/libproc.dylib")
    size = libproc.proc_pidinfo(pid, _TASK_INFO, ctypes.c_uint64(0), buffer, _TASK_INFO_BYTES)
    return int(struct.unpack_from("=QQ", buffer.raw)[1]) if size == _TASK_INFO_BYTES else 0
