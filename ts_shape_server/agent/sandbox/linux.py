"""The Linux layers of the sandbox, from the standard library and `ctypes` alone: session, death signal, descriptors,
limits.

Landlock and seccomp are not applied yet: `available` says so, and the tier is ``limits``.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal

from ts_shape_server.agent.sandbox.policy import LIMITS, ON, Applied, Policy, SandboxUnavailable

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_NO_NEW_PRIVS = 38
_PENDING = "not part of this version"


def available() -> Applied:
    """The tier that `enter` reaches."""
    return Applied(
        LIMITS,
        {
            "session": ON,
            "death signal": ON,
            "descriptors": ON,
            "resource limits": ON,
            "no new privileges": ON,
            "environment": ON,
            "landlock": _PENDING,
            "seccomp": _PENDING,
        },
    )


def enter(policy: Policy) -> Applied:
    """Apply the layers in an order in which none needs what an earlier one took away. Raises SandboxUnavailable."""
    libc = ctypes.CDLL(None, use_errno=True)
    os.setsid()
    _prctl(libc, _PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != policy.parent:
        # The agent died before the death signal was set: nobody would end this child.
        os._exit(1)
    _prctl(libc, _PR_SET_DUMPABLE, 0)
    close_descriptors(policy.keep)
    _limit(policy)
    _prctl(libc, _PR_SET_NO_NEW_PRIVS, 1)
    return available()


def _prctl(libc: ctypes.CDLL, option: int, value: int) -> None:
    if libc.prctl(option, value, 0, 0, 0) != 0:
        raise SandboxUnavailable(f"prctl {option}: {os.strerror(ctypes.get_errno())}")


def close_descriptors(keep: tuple[int, ...]) -> None:
    """Close every descriptor but 0, 1, 2 and those of `keep`."""
    kept = {0, 1, 2, *keep}
    for name in os.listdir("/proc/self/fd"):
        number = int(name)
        if number not in kept:
            try:
                os.close(number)
            except OSError:
                continue


def _limit(policy: Policy) -> None:
    """Set soft and hard limits. Address space counts from what is mapped now: the data limit misses shared mappings."""
    with open("/proc/self/statm", encoding="ascii") as file:
        mapped = int(file.read().split()[0]) * resource.getpagesize()
    limits = (
        (resource.RLIMIT_CPU, policy.cpu_seconds),
        (resource.RLIMIT_AS, mapped + policy.memory_bytes),
        (resource.RLIMIT_FSIZE, policy.file_bytes),
        (resource.RLIMIT_NOFILE, policy.open_files),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_MEMLOCK, 0),
    )
    for kind, value in limits:
        hard = resource.getrlimit(kind)[1]
        bounded = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (bounded, bounded))
