"""The Windows layers: a job object that bounds memory, time and processes, and low integrity, which withholds writes.

NOT TESTED on Windows: written after Microsoft's documentation. Reading files and the network are not withheld there,
and the layers say so; the tier is at most `partial`, so that by default nothing is run.
"""

from __future__ import annotations

import ctypes
import os
import time
from typing import Any

from ts_shape_server.agent.sandbox.policy import LIMITS, ON, PARTIAL, TURNED_OFF, Applied, Policy, SandboxUnavailable

_NOT_WITHHELD = "Windows withholds it from no process of this kind"
_EXTENDED_LIMITS, _UI_RESTRICTIONS = 9, 4
_PROCESS_TIME, _ACTIVE_PROCESS, _PROCESS_MEMORY = 0x2, 0x8, 0x100
_DIE_ON_EXCEPTION, _KILL_ON_CLOSE = 0x400, 0x2000
_ALL_UI = 0xFF
_TOKEN_ADJUST_DEFAULT, _TOKEN_QUERY, _TOKEN_INTEGRITY_LEVEL = 0x80, 0x8, 25
_SE_GROUP_INTEGRITY = 0x20
_LOW = "S-1-16-4096"
_LOW_FOLDER = "S:(ML;OICI;NW;;;LW)"
"""A label that lets processes of low integrity write a folder and what will be in it."""
_FILE_OBJECT, _LABEL_INFORMATION = 1, 0x10
_QUERY_LIMITED = 0x1000


class _Basic(ctypes.Structure):
    _fields_ = (
        ("process_time", ctypes.c_int64),
        ("job_time", ctypes.c_int64),
        ("flags", ctypes.c_uint32),
        ("minimum_set", ctypes.c_size_t),
        ("maximum_set", ctypes.c_size_t),
        ("active", ctypes.c_uint32),
        ("affinity", ctypes.c_size_t),
        ("priority", ctypes.c_uint32),
        ("scheduling", ctypes.c_uint32),
    )


class _Extended(ctypes.Structure):
    _fields_ = (
        ("basic", _Basic),
        ("counters", ctypes.c_uint64 * 6),
        ("process_memory", ctypes.c_size_t),
        ("job_memory", ctypes.c_size_t),
        ("peak_process", ctypes.c_size_t),
        ("peak_job", ctypes.c_size_t),
    )


class _Label(ctypes.Structure):
    _fields_ = (("sid", ctypes.c_void_p), ("attributes", ctypes.c_uint32))


class _Memory(ctypes.Structure):
    _fields_ = (
        ("size", ctypes.c_uint32),
        ("faults", ctypes.c_uint32),
        ("peak", ctypes.c_size_t),
        ("working_set", ctypes.c_size_t),
        ("others", ctypes.c_size_t * 6),
    )


def available(turned_off: bool) -> Applied:
    """The tier that `enter` reaches."""
    layers = {
        "job object": ON,
        "environment": ON,
        "low integrity": TURNED_OFF if turned_off else ON,
        "reading files": _NOT_WITHHELD,
        "network": _NOT_WITHHELD,
        "file sizes": "watched from outside",
    }
    return Applied(LIMITS if turned_off else PARTIAL, layers)


def enter(policy: Policy) -> None:
    """Apply the layers of the policy's tier and try what they withhold. Raises SandboxUnavailable."""
    kernel = _library("kernel32")
    _confine(kernel, policy)
    if policy.tier == LIMITS:
        return
    _open_folder(policy.scratch)
    _lower(kernel)
    try:
        os.close(os.open(os.path.join(policy.forbidden, "outside"), os.O_WRONLY | os.O_CREAT))
    except PermissionError:
        return
    except OSError as error:
        raise SandboxUnavailable(str(error)) from None
    raise SandboxUnavailable("the witness could still write a file outside")


def _confine(kernel: Any, policy: Policy) -> None:
    """Into a job object that ends with this process, the only one in it."""
    job = _checked("CreateJobObject", kernel.CreateJobObjectW(None, None))
    limits = _Extended()
    limits.basic.flags = _PROCESS_TIME | _ACTIVE_PROCESS | _PROCESS_MEMORY | _DIE_ON_EXCEPTION | _KILL_ON_CLOSE
    limits.basic.active = 1
    # Time in units of 100 ns; what was used before, to load torch, is not the job's.
    limits.basic.process_time = int((policy.cpu_seconds + time.process_time()) * 10_000_000)
    limits.process_memory = resident(os.getpid()) + policy.memory_bytes
    handle = ctypes.c_void_p(job)
    size = ctypes.sizeof(limits)
    done = kernel.SetInformationJobObject(handle, _EXTENDED_LIMITS, ctypes.byref(limits), size)
    _checked("SetInformationJobObject", done)
    everything = ctypes.c_uint32(_ALL_UI)
    done = kernel.SetInformationJobObject(handle, _UI_RESTRICTIONS, ctypes.byref(everything), 4)
    _checked("SetInformationJobObject", done)
    current = ctypes.c_void_p(kernel.GetCurrentProcess())
    _checked("AssignProcessToJobObject", kernel.AssignProcessToJobObject(handle, current))


def _open_folder(folder: str) -> None:
    """Let processes of low integrity write this folder, before this process becomes one."""
    rights = _library("advapi32")
    descriptor, acl = ctypes.c_void_p(), ctypes.c_void_p()
    present, defaulted = ctypes.c_int(), ctypes.c_int()
    made = rights.ConvertStringSecurityDescriptorToSecurityDescriptorW(_LOW_FOLDER, 1, ctypes.byref(descriptor), None)
    _checked("the label of scratch", made)
    found = rights.GetSecurityDescriptorSacl(
        descriptor, ctypes.byref(present), ctypes.byref(acl), ctypes.byref(defaulted)
    )
    _checked("the label of scratch", found)
    error = rights.SetNamedSecurityInfoW(folder, _FILE_OBJECT, _LABEL_INFORMATION, None, None, None, acl)
    _checked("SetNamedSecurityInfo", error == 0)


def _lower(kernel: Any) -> None:
    """Give this process's token low integrity, for good."""
    rights = _library("advapi32")
    token, sid = ctypes.c_void_p(), ctypes.c_void_p()
    access = _TOKEN_ADJUST_DEFAULT | _TOKEN_QUERY
    current = ctypes.c_void_p(kernel.GetCurrentProcess())
    _checked("OpenProcessToken", rights.OpenProcessToken(current, access, ctypes.byref(token)))
    _checked("the level", rights.ConvertStringSidToSidW(_LOW, ctypes.byref(sid)))
    label = _Label(sid, _SE_GROUP_INTEGRITY)
    size = ctypes.sizeof(label) + rights.GetLengthSid(sid)
    done = rights.SetTokenInformation(token, _TOKEN_INTEGRITY_LEVEL, ctypes.byref(label), size)
    _checked("SetTokenInformation", done)


def resident(pid: int) -> int:
    """The bytes of memory that a process holds; 0 if that cannot be told."""
    kernel = _library("kernel32")
    handle = kernel.OpenProcess(_QUERY_LIMITED, 0, pid)
    if not handle:
        return 0
    found = _Memory()
    found.size = ctypes.sizeof(found)
    process = ctypes.c_void_p(handle)
    told = kernel.K32GetProcessMemoryInfo(process, ctypes.byref(found), found.size)
    kernel.CloseHandle(process)
    return int(found.working_set) if told else 0


def _library(name: str) -> Any:
    library = getattr(ctypes, "WinDLL")(name, use_last_error=True)  # noqa: B009  # not there on other systems
    for function in ("CreateJobObjectW", "GetCurrentProcess", "OpenProcess"):
        if name == "kernel32":
            getattr(library, function).restype = ctypes.c_void_p
    return library


def _checked(what: str, result: Any) -> Any:
    """`result` unless it is zero, which is how these functions fail."""
    if not result:
        raise SandboxUnavailable(f"{what} failed with error {getattr(ctypes, 'get_last_error')()}")  # noqa: B009
    return result
