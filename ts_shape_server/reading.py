"""Reads files of a workspace, which is a stranger's: only plain files, only up to a size, and never waiting.

A link may lead to a device without end, a pipe may never be written. Knows nothing of what the files mean.
"""

from __future__ import annotations

import errno
import os
import stat

LARGEST = 1 << 20
"""Bytes of a file that is looked into."""


def data(path: str | os.PathLike[str], most: int = LARGEST) -> bytes:
    """The bytes of a plain file. OSError if there is none, if it is something else, or larger than `most` bytes."""
    try:
        # A device is not even opened: that alone may do something.
        _checked(os.stat(path), most)  # noqa: PTH116  # `path` may be a text
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except ValueError as error:
        raise OSError(errno.EINVAL, str(error)) from None
    with os.fdopen(descriptor, "rb") as file:
        _checked(os.fstat(descriptor), most)
        found = file.read(most + 1)
    if len(found) > most:
        raise OSError(errno.EFBIG, "The file grows while it is read")
    return found


def text(path: str | os.PathLike[str], most: int = LARGEST) -> str:
    """A plain file as UTF-8; what is none is replaced. OSError as `data`."""
    return data(path, most).decode("utf-8", "replace")


def _checked(state: os.stat_result, most: int) -> None:
    if not stat.S_ISREG(state.st_mode):
        raise OSError(errno.EINVAL, "It is no plain file")
    if state.st_size > most:
        raise OSError(errno.EFBIG, f"It is larger than {most >> 10} KiB")
