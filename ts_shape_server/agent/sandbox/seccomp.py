"""A seccomp filter, assembled here from the table in `calls` and attached by `prctl`.

Refused calls get an error, so that Python raises `PermissionError`; calls of another architecture kill.
"""

from __future__ import annotations

import ctypes
import functools
import platform
import struct
from collections.abc import Iterator

from ts_shape_server.agent.sandbox import calls
from ts_shape_server.agent.sandbox.calls import Checked, Test

_PR_SET_SECCOMP, _PR_GET_SECCOMP, _MODE_FILTER = 22, 21, 2
_ALLOW, _KILL, _ERROR = 0x7FFF0000, 0x80000000, 0x00050000
_EPERM, _ENOSYS, _EOPNOTSUPP = 1, 38, 95
_LOAD, _JUMP_EQUAL, _JUMP_GREATER_EQUAL, _JUMP_ANY_BIT, _AND, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16
_X32 = 0x40000000
_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

_Step = tuple[int, int, str, str]
"""An instruction, its value, and where it goes on if it holds and if not: ``next``, ``allow`` or ``refuse``."""


class SeccompUnavailable(OSError):
    """The kernel takes no filter, or the machine's calls are not tabulated."""


def supported(libc: ctypes.CDLL) -> bool:
    """Whether a filter for this machine is known and the kernel knows of filters, be there one already (a container's)
    or not. The filter is assembled by the way: forks find it done.
    """
    machine = platform.machine()
    if machine not in _ARCHITECTURES or libc.prctl(_PR_GET_SECCOMP, 0, 0, 0, 0) < 0:
        return False
    _assembled(machine)
    return True


def restrict(libc: ctypes.CDLL, pid: int) -> None:
    """Attach the filter to this process, whose number is `pid`. `NO_NEW_PRIVS` must be set. Raises Unavailable."""
    machine = platform.machine()
    if machine not in _ARCHITECTURES:
        raise SeccompUnavailable(_ENOSYS, f"there is no table of system calls for {machine}")
    code, own = _assembled(machine)
    buffer = ctypes.create_string_buffer(code, len(code))
    for place in own:
        struct.pack_into("=I", buffer, place, pid)

    class FilterProgram(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_void_p))

    filter_program = FilterProgram(len(code) // 8, ctypes.cast(buffer, ctypes.c_void_p))
    if libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(filter_program), 0, 0) != 0:
        raise SeccompUnavailable(ctypes.get_errno(), "the kernel took no filter")


@functools.cache
def _assembled(machine: str) -> tuple[bytes, tuple[int, ...]]:
    """The filter for some process, and where in it the number of the process stands."""
    some, other = list(program(machine, 0)), list(program(machine, 1))
    places = [place for place, (one, two) in enumerate(zip(some, other)) if one != two]
    return b"".join(some), tuple(len(some[0]) * place + 4 for place in places)


def program(machine: str, pid: int) -> Iterator[bytes]:
    """The filter's instructions."""
    yield _step(_LOAD, _ARCHITECTURE)
    yield _step(_JUMP_EQUAL, _ARCHITECTURES[machine], 1, 0)
    yield _step(_RETURN, _KILL)
    yield _step(_LOAD, _NUMBER)
    if machine == "x86_64":
        yield _step(_JUMP_GREATER_EQUAL, _X32, 0, 1)
        yield _step(_RETURN, _KILL)
    yield _step(_JUMP_GREATER_EQUAL, calls.NEWEST + 1, 0, 1)
    yield _error(_ENOSYS)
    tables = ((calls.REFUSED, _EPERM), (calls.ABSENT, _ENOSYS), (calls.UNSUPPORTED, _EOPNOTSUPP))
    for table, error in tables:
        for call in table:
            number = getattr(call, machine)
            if number is not None:
                yield _step(_JUMP_EQUAL, number, 0, 1)
                yield _error(error)
    rows: dict[int, list[Checked]] = {}
    for checked in calls.CHECKED:
        number = getattr(checked, machine)
        if number is not None:
            rows.setdefault(number, []).append(checked)
    for number, tests in rows.items():
        yield from _block(number, [list(_steps(checked, pid)) for checked in tests])
    yield _step(_RETURN, _ALLOW)


def _block(number: int, tests: list[list[_Step]]) -> Iterator[bytes]:
    """For this call, the steps of each test, of which all but the last go on to the next where they allow it, and then
    the two ends that they go to.
    """
    total = sum(map(len, tests))
    yield _step(_JUMP_EQUAL, number, 0, total + 2)
    place = 0
    for number_of_test, steps in enumerate(tests, 1):
        end = place + len(steps)
        for code, value, if_true, if_false in steps:
            refuse = total - place - 1
            allow = refuse + 1 if number_of_test == len(tests) else end - place - 1
            distance = {"next": 0, "refuse": refuse, "allow": allow}
            yield _step(code, value, distance[if_true], distance[if_false])
            place += 1
    yield _error(_EPERM)
    yield _step(_RETURN, _ALLOW)


def _steps(checked: Checked, pid: int) -> Iterator[_Step]:
    values = [pid if value == calls.OWN else value for value in checked.values]
    yield _load(checked.argument)
    if checked.test is Test.ONE_OF:
        for place, value in enumerate(values, 1):
            yield (_JUMP_EQUAL, value, "allow", "refuse" if place == len(values) else "next")
    elif checked.test is Test.ANY_BIT:
        yield (_JUMP_ANY_BIT, values[0], "allow", "refuse")
    elif checked.test is Test.UNLIKE:
        yield (_AND, values[0], "next", "next")
        yield (_JUMP_EQUAL, values[1], "refuse", "allow")
    else:
        # An address: both halves of it must be zero.
        yield (_JUMP_EQUAL, 0, "next", "refuse")
        yield _load(checked.argument, high=True)
        yield (_JUMP_EQUAL, 0, "allow", "refuse")


def _load(place: int, high: bool = False) -> _Step:
    """A half of an argument (both machines are little-endian)."""
    return (_LOAD, _ARGUMENTS + 8 * place + (4 if high else 0), "next", "next")


def _error(number: int) -> bytes:
    return _step(_RETURN, _ERROR | number)


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)
