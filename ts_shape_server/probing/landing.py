"""Brings a file that a child made to the place that the user named. The child is not trusted with the destination.

The source is opened without following links and must be a plain file with one link; the copy is renamed into place,
so that a reader sees the old file or the whole new one. Errors are sentences for the user.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import stat
from pathlib import Path

from ts_shape_server.probing.requests import ExportOrder

MAXIMUM = 8 << 30
"""Bytes."""
_SOURCES = frozenset({".py", ".pyi", ".pyw", ".ipynb"})
"""What holds a person's own text: no export replaces it, and none is to be taken for it."""
_EXISTS = "{} exists: choose another name, or allow it to be replaced (--force)."


class LandingError(Exception):
    """The export cannot be written where the user wants it; the message says what to do."""


def refusal(order: ExportOrder) -> str | None:
    """Why an export cannot be, told before any work is done; None if it can."""
    try:
        check_destination(order.output, order.force)
    except LandingError as error:
        return str(error)
    found = order.checkpoint
    if found is not None and _are_one(found, order.output):
        return f"{order.output} is the checkpoint that is read: choose another name for the export."
    if found is None or (found.is_file() and os.access(found, os.R_OK)):
        return None
    if found.is_dir():
        return f"The checkpoint {found} is a folder: name a file in it."
    return f"The checkpoint {found} {'may not be read by you' if found.is_file() else 'does not exist'}."


def _are_one(first: Path, second: Path) -> bool:
    try:
        return first.samefile(second)
    except OSError:
        return False


def check_destination(destination: Path, force: bool) -> None:
    """Refuse a destination before any work is done. LandingError."""
    if destination.is_dir():
        raise LandingError(f"{destination} is a folder: name a file in it.")
    if destination.suffix.lower() in _SOURCES:
        raise LandingError(f"{destination} is named as source code: name the export *.pt, or *.pt2 for a program.")
    if destination.parent.is_file():
        raise LandingError(f"{destination.parent} is a file and no folder.")
    if not destination.parent.is_dir():
        raise LandingError(f"The folder {destination.parent} does not exist: make it first.")
    if destination.exists() and not destination.is_file():
        raise LandingError(f"{destination} is a device, pipe or socket, which an export does not replace.")
    if os.path.lexists(destination) and not force:
        raise LandingError(_EXISTS.format(destination))
    if not os.access(destination.parent, os.W_OK):
        raise LandingError(f"The folder {destination.parent} cannot be written.")


def land(source: Path, destination: Path, force: bool) -> None:
    """Copy `source` to `destination`, atomically. LandingError; then no part of it is left behind."""
    check_destination(destination, force)
    try:
        descriptor = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise LandingError(f"The probe left no export: {error.strerror}.") from None
    temporary = destination.with_name(f".{destination.name}.{secrets.token_hex(4)}.tmp")
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
            raise LandingError("The probe left something that is no plain file; nothing was written.")
        if found.st_size > MAXIMUM:
            raise LandingError(f"The export is larger than {MAXIMUM >> 30} GiB; nothing was written.")
        with os.fdopen(descriptor, "rb", closefd=False) as file, temporary.open("xb") as copy:
            shutil.copyfileobj(file, copy, 1 << 20)
        _rename(temporary, destination, force)
    except OSError as error:
        raise LandingError(f"{destination} cannot be written: {error.strerror or error}.") from None
    finally:
        os.close(descriptor)
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _rename(temporary: Path, destination: Path, force: bool) -> None:
    """Put the copy in place; without `force`, only where still nothing is. Raises OSError."""
    if not force:
        try:
            os.link(temporary, destination)
            return
        except FileExistsError:
            raise LandingError(_EXISTS.format(destination)) from None
        except OSError:
            # A file system without hard links: the check at the start has to do.
            check_destination(destination, force)
    temporary.replace(destination)
