"""The Linux layers of the sandbox, from the standard library and `ctypes` alone, in an order in which none needs what
an earlier one took away: session, death signal, descriptors, limits, capabilities, Landlock, seccomp, witness.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import pwd
import resource
import select
import signal
import struct
import time

from ts_shape_server import folders
from ts_shape_server.agent.sandbox import landlock, seccomp, witness
from ts_shape_server.agent.sandbox.policy import (
    FULL,
    LIMITS,
    ON,
    PARTIAL,
    TURNED_OFF,
    Applied,
    Policy,
    SandboxUnavailable,
)

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38
_CAPSET = {"x86_64": 126, "aarch64": 91}
_CAPABILITY_VERSION = 0x20080522
_STRAY_SECONDS = 5.0

_SYSTEM = (
    "/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/local/lib", "/usr/share/zoneinfo",
    "/usr/share/locale", "/usr/share/i18n", "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d",
    "/etc/localtime", "/etc/mime.types", "/etc/alternatives", "/nix/store",
    *(f"/proc/self/{name}" for name in (
        "auxv", "cmdline", "comm", "environ", "fd", "fdinfo", "io", "limits", "maps", "oom_score", "smaps",
        "smaps_rollup", "stat", "statm", "status",
    )),
    "/proc/cpuinfo", "/proc/meminfo", "/proc/filesystems", "/proc/sys/vm/overcommit_memory",
    "/sys/devices/system/cpu", "/sys/devices/system/node", "/dev/urandom", "/dev/random",
)  # fmt: skip
"""What the C library, the interpreter and torch read of the system. No folder of configuration as a whole, and of a
process's own folder not what tells of the network (`net`, `task`) and of other file systems (`mountinfo`).
"""
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full")
_TOO_WIDE = frozenset({"/", "/etc", "/home", "/root", "/proc", "/sys", "/dev", "/run", "/var", "/tmp"})
"""Never granted as a whole, nor is the user's home or a folder around it, whatever says that it lives there."""


def available(turned_off: bool) -> Applied:
    """The tier that `enter` reaches, as far as the kernel tells without being tried."""
    names = ("session", "death signal", "descriptors", "resource limits", "no new privileges", "environment")
    layers = dict.fromkeys(names, ON)
    if turned_off:
        return Applied(LIMITS, {**layers, "landlock": TURNED_OFF, "seccomp": TURNED_OFF})
    libc = _libc()
    _home()
    version = landlock.abi(libc)
    layers["landlock"] = ON if version else "the kernel does not have it"
    layers["seccomp"] = ON if seccomp.supported(libc) else "the kernel, or this kind of machine, does not have it"
    both = layers["landlock"] == layers["seccomp"] == ON
    tier = FULL if both else PARTIAL if ON in (layers["landlock"], layers["seccomp"]) else LIMITS
    return Applied(tier, layers)


def enter(policy: Policy) -> None:
    """Apply the layers of the policy's tier and try what they withhold. Raises SandboxUnavailable."""
    libc = _libc()
    os.setsid()
    _prctl(libc, _PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != policy.parent:
        # The agent died before the death signal was set: nobody would end this child.
        os._exit(1)
    _prctl(libc, _PR_SET_DUMPABLE, 0)
    close_descriptors(policy.keep)
    own_streams()
    _limit(policy)
    _prctl(libc, _PR_SET_NO_NEW_PRIVS, 1)
    if policy.tier == LIMITS:
        return
    layers = available(turned_off=False).layers
    _drop_capabilities(libc)
    try:
        if layers["landlock"] == ON:
            landlock.restrict(libc, _grants(policy))
        if layers["seccomp"] == ON:
            seccomp.restrict(libc, os.getpid())
    except OSError as error:
        raise SandboxUnavailable(str(error)) from None
    failed = witness.failures(policy, files=layers["landlock"] == ON, calls=layers["seccomp"] == ON)
    if failed:
        raise SandboxUnavailable(f"the witness could still {failed[0]}")


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _grants(policy: Policy) -> list[tuple[str, int]]:
    home = os.path.join(_home(), "")
    readable = [path for path in policy.readable if path not in _TOO_WIDE and not home.startswith(f"{path}/")]
    return [
        *((path, landlock.READ) for path in (*_SYSTEM, *readable)),
        *((path, landlock.USE) for path in _DEVICES),
        (policy.scratch, landlock.WRITE),
    ]


@functools.cache
def _home() -> str:
    """The user's home as the system knows it: the environment of a probe names another. Asked once, by the agent."""
    try:
        return os.path.realpath(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        return "/root"


def _prctl(libc: ctypes.CDLL, option: int, value: int) -> None:
    if libc.prctl(option, value, 0, 0, 0) != 0:
        raise SandboxUnavailable(f"prctl {option}: {os.strerror(ctypes.get_errno())}")


def _drop_capabilities(libc: ctypes.CDLL) -> None:
    """A child of root is an ordinary process from here on, one that may not raise its limits again."""
    number = _CAPSET.get(os.uname().machine)
    if number is None:
        return
    header = struct.pack("=Ii", _CAPABILITY_VERSION, 0)
    if libc.syscall(number, header, bytes(24)) != 0:
        raise SandboxUnavailable(f"capabilities: {os.strerror(ctypes.get_errno())}")


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


def own_streams() -> None:
    """Open 0, 1 and 2 anew: flags such as `O_NONBLOCK` belong to what is open, which the agent and later children would
    share. What cannot be opened by its number, as a socket, stays.
    """
    for number, mode in ((0, os.O_RDONLY), (1, os.O_WRONLY), (2, os.O_WRONLY)):
        try:
            own = os.open(f"/proc/self/fd/{number}", mode)
        except OSError:
            continue
        os.dup2(own, number)
        os.close(own)


def _limit(policy: Policy) -> None:
    """Set soft and hard limits. Address space counts from what is mapped now: the data limit misses shared mappings."""
    with open("/proc/self/statm", "rb", buffering=0) as file:
        mapped = int(file.read().split()[0]) * resource.getpagesize()
    limits = (
        # What was used before is not the job's: a spare process has loaded torch.
        (resource.RLIMIT_CPU, policy.cpu_seconds + int(time.process_time())),
        (resource.RLIMIT_AS, mapped + policy.memory_bytes),
        (resource.RLIMIT_FSIZE, policy.file_bytes),
        (resource.RLIMIT_NOFILE, policy.open_files),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_MEMLOCK, 0),
        (resource.RLIMIT_MSGQUEUE, 0),
    )
    for kind, value in limits:
        hard = resource.getrlimit(kind)[1]
        bounded = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (bounded, bounded))


def end_with_server(scratch: str, request: int) -> None:
    """See `policy`."""

    def end(number: int, frame: object) -> None:
        folders.remove(scratch)
        os._exit(0)

    signal.signal(signal.SIGTERM, end)
    _prctl(_libc(), _PR_SET_PDEATHSIG, signal.SIGTERM)
    waiting = select.poll()
    waiting.register(request, 0)
    if waiting.poll(0):
        # It was killed before the signal was set; this tells of nothing but the end of the other side.
        end(0, None)


def outlive_server() -> None:
    """See `policy`."""
    _prctl(_libc(), _PR_SET_PDEATHSIG, 0)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends."""
    _prctl(_libc(), _PR_SET_CHILD_SUBREAPER, 1)


def end_strays(keep: frozenset[int]) -> None:
    """Kill children but those of `keep` until there are none; a child's children become this process's own."""
    deadline = time.monotonic() + _STRAY_SECONDS
    while time.monotonic() < deadline:
        strays = [number for number in _children() if number not in keep]
        if not strays:
            return
        for number in strays:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(number, signal.SIGKILL)
        for number in strays:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(number, os.WNOHANG)
        time.sleep(0.001)


def _children() -> list[int]:
    me = os.getpid()
    try:
        with open(f"/proc/{me}/task/{me}/children", encoding="ascii") as file:
            return [int(number) for number in file.read().split()]
    except OSError:
        return []


def worked(pid: int) -> float | None:
    """Seconds of processor time that a process has used, its threads included; None if that cannot be told."""
    ticks = _numbers(pid, 14, 15)
    return sum(ticks) / os.sysconf("SC_CLK_TCK") if ticks else None


def threads(pid: int) -> int:
    """How many threads a process has; 0 if that cannot be told."""
    return sum(_numbers(pid, 20, 20))


def _numbers(pid: int, first: int, last: int) -> list[int]:
    """Numbers of what the kernel tells of a process, counted from 1; none if it is not there."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            # The name, which comes second, may hold spaces and parentheses.
            return [int(text) for text in file.read().rpartition(")")[2].split()[first - 3 : last - 2]]
    except (OSError, ValueError):
        return []


def resident(pid: int) -> int:
    """The bytes of memory that a process holds; 0 if that cannot be told."""
    try:
        with open(f"/proc/{pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * resource.getpagesize()
    except (OSError, ValueError, IndexError):
        return 0
