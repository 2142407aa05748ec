"""Landlock by bare system calls: files outside the granted roots, TCP, and signals and sockets across the border are
withheld by the kernel, for good.

Every right that the running kernel knows, up to those that this table knows, is handled; what is not granted is denied.
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
from collections.abc import Iterable

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
"""The same numbers on every architecture."""
_VERSION = 1
_PATH_BENEATH = 1

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_REMOVE_DIR, _REMOVE_FILE = 1 << 4, 1 << 5
_MAKE_CHAR, _MAKE_DIR, _MAKE_REG, _MAKE_SOCK, _MAKE_FIFO, _MAKE_BLOCK, _MAKE_SYM = (1 << bit for bit in range(6, 13))
_REFER, _TRUNCATE, _IOCTL_DEVICE = 1 << 13, 1 << 14, 1 << 15
_FIRST_RIGHTS = (1 << 13) - 1
_BIND_TCP, _CONNECT_TCP = 1 << 0, 1 << 1
_ABSTRACT_SOCKET, _SIGNAL = 1 << 0, 1 << 1

READ = _READ_FILE | _READ_DIR
WRITE = READ | _WRITE_FILE | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REG | _REFER | _TRUNCATE
"""Plain files and folders: no links, devices, pipes or sockets, and nothing to execute."""
USE = _READ_FILE | _WRITE_FILE
_OF_A_FILE = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEVICE


class LandlockUnavailable(OSError):
    """The kernel has no Landlock, or refuses it."""


def abi(libc: ctypes.CDLL) -> int:
    """The version of Landlock that the kernel has; 0 if none."""
    return max(0, int(libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint(_VERSION))))


def restrict(libc: ctypes.CDLL, grants: Iterable[tuple[str, int]]) -> int:
    """Leave this process only what is granted, pairs of a path and rights; the version that holds.

    `NO_NEW_PRIVS` must be set. A path that does not exist grants nothing. Raises Unavailable.
    """
    version = abi(libc)
    if version < 1:
        raise LandlockUnavailable(ctypes.get_errno(), "the kernel has no Landlock")
    handled = _FIRST_RIGHTS
    handled |= _REFER if version >= 2 else 0
    handled |= _TRUNCATE if version >= 3 else 0
    handled |= _IOCTL_DEVICE if version >= 5 else 0
    network = _BIND_TCP | _CONNECT_TCP if version >= 4 else 0
    scoped = _ABSTRACT_SOCKET | _SIGNAL if version >= 6 else 0
    attributes = struct.pack("=QQQ", handled, network, scoped)
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    ruleset = libc.syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(size), ctypes.c_uint(0))
    if ruleset < 0:
        raise LandlockUnavailable(ctypes.get_errno(), "no Landlock ruleset could be made")
    try:
        for path, rights in grants:
            _grant(libc, ruleset, path, rights & handled)
        if libc.syscall(_RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint(0)) != 0:
            raise LandlockUnavailable(ctypes.get_errno(), "Landlock refused to restrict the process")
    finally:
        os.close(ruleset)
    return version


def _grant(libc: ctypes.CDLL, ruleset: int, path: str, rights: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            rights &= _OF_A_FILE
        rule = struct.pack("=Qi", rights, descriptor)
        if libc.syscall(_ADD_RULE, ctypes.c_int(ruleset), ctypes.c_int(_PATH_BENEATH), rule, ctypes.c_uint(0)) != 0:
            raise LandlockUnavailable(ctypes.get_errno(), f"Landlock took no rule for {path}")
    finally:
        os.close(descriptor)
