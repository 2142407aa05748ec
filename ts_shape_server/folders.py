"""Folders that a stranger's code has filled, counted and removed by descriptors and without recursion.

Such a tree may be nested deeper than Python recurses, than a path may be long and than a process may hold descriptors,
and its folders may be locked. Server and agent both have to deal with one, and neither may end over it. No link is
followed.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Optional

DEEPEST = 64
"""Folders inside of folders that are counted: each takes a descriptor."""
_AT_ONCE = 4096
"""Names that are held at once: there may be millions."""
_BY_DESCRIPTOR = os.scandir in os.supports_fd and {os.open, os.unlink, os.rmdir, os.rename} <= os.supports_dir_fd
_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)


@dataclass(frozen=True)
class Usage:
    """What is below a folder: bytes on the disk, and files with the folders among them. `too_deep`: perhaps more."""

    size: int
    files: int
    too_deep: bool = False


def usage(place: str, most: int) -> Usage:
    """What is below a folder; counting ends once there are more than `most` files. Raises nothing."""
    size = files = 0
    too_deep = False
    waiting = [_entries(place, None)]
    while waiting and files <= most:
        entry = next(waiting[-1], None)
        if entry is None:
            waiting.pop()
            continue
        files += 1
        name, parent, state = entry
        if not stat.S_ISDIR(state.st_mode):
            size += state.st_blocks * 512 if hasattr(state, "st_blocks") else state.st_size
        elif len(waiting) < DEEPEST:
            waiting.append(_entries(name, parent))
        else:
            too_deep = True
    return Usage(size, files, too_deep)


def remove(place: str) -> None:
    """Remove a folder and all that is in it; what resists is left to the system. Raises nothing.

    A folder inside of a folder is moved up to the top one first, so that no more than two are ever open.
    """
    if not _BY_DESCRIPTOR:
        with contextlib.suppress(OSError, RecursionError):
            shutil.rmtree(place, ignore_errors=True)
        return
    top = _opened(place, None)
    if top is None:
        return
    with contextlib.closing(_Top(top)) as emptied:
        emptied.empty()
    with contextlib.suppress(OSError):
        os.rmdir(place)


class _Top:
    """The folder that is emptied, by its descriptor."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._prefix = secrets.token_hex(8)
        self._moved = 0

    def close(self) -> None:
        os.close(self._descriptor)

    def empty(self) -> None:
        """Remove name after name, until there is none or none of those that are left goes."""
        top = self._descriptor
        while names := _names(top):
            gone = [_unlinked(name, top) or self._removed(name) for name in names]
            if not any(gone):
                return

    def _removed(self, name: str) -> bool:
        """Remove a folder of the top one; what is in it is removed or moved up."""
        inner = _opened(name, self._descriptor)
        if inner is None:
            return False
        try:
            while names := _names(inner):
                gone = [_unlinked(item, inner) or self._moved_up(item, inner) for item in names]
                if not any(gone):
                    return False
        finally:
            os.close(inner)
        try:
            os.rmdir(name, dir_fd=self._descriptor)
        except OSError:
            return False
        return True

    def _moved_up(self, name: str, folder: int) -> bool:
        self._moved += 1
        target = f"{self._prefix}-{self._moved}"
        _unlock(name, folder)
        try:
            os.rename(name, target, src_dir_fd=folder, dst_dir_fd=self._descriptor)
        except OSError:
            return False
        return True


def _unlinked(name: str, folder: int) -> bool:
    try:
        os.unlink(name, dir_fd=folder)
    except OSError:
        return False
    return True


def _names(folder: int) -> list[str]:
    """The first names in a folder."""
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in islice(entries, _AT_ONCE)]
    except OSError:
        return []


def _entries(name: str, parent: Optional[int]) -> Iterator[tuple[str, Optional[int], os.stat_result]]:
    """Each entry of a folder as a name, the descriptor that it is relative to, and its state."""
    folder = _opened(name, parent) if _BY_DESCRIPTOR else None
    try:
        with os.scandir(name if folder is None else folder) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    state = entry.stat(follow_symlinks=False)
                    yield entry.path if folder is None else entry.name, folder, state
    except OSError:
        return
    finally:
        if folder is not None:
            os.close(folder)


def _opened(name: str, parent: Optional[int]) -> Optional[int]:
    """A descriptor of a folder, which is unlocked if need be; None where there is none."""
    for _ in range(2):
        try:
            descriptor = os.open(name, _FOLDER, dir_fd=parent)
        except PermissionError:
            _unlock(name, parent)
            continue
        except (OSError, ValueError):
            return None
        with contextlib.suppress(OSError):
            os.fchmod(descriptor, stat.S_IRWXU)
        return descriptor
    return None


def _unlock(name: str, parent: Optional[int]) -> None:
    """Let this user into a folder of theirs: whoever made it may have locked it."""
    with contextlib.suppress(OSError, ValueError):
        state = os.stat(name, dir_fd=parent, follow_symlinks=False)
        if stat.S_ISDIR(state.st_mode) and state.st_mode & stat.S_IRWXU != stat.S_IRWXU:
            os.chmod(name, stat.S_IRWXU, dir_fd=parent)
