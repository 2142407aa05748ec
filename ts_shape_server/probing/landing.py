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


def refusal(order: ExportOrder, root: str = "") -> str | None:
    """Why an export cannot be, told before any work is done; None if it can. `root` is the folder of the workspace."""
    try:
        check_destination(order.output, order.force, root)
    except LandingError as error:
        return str(error)
    found = order.checkpoint
    if found is not None and _are_one(found, order.output):
        return f"{order.output} is the checkpoint that is read: choose another name for the export."
    if found is None:
        return None
    is_file = os.path.isfile(found)  # noqa: PTH113  # the method of paths raises for a name that is too long
    if is_file and os.access(found, os.R_OK):
        return None
    if os.path.isdir(found):  # noqa: PTH112  # as above
        return f"The checkpoint {found} is a folder: name a file in it."
    return f"The checkpoint {found} {'may not be read by you' if is_file else 'does not exist'}."


def _are_one(first: Path, second: Path) -> bool:
    try:
        return first.samefile(second)
    except (OSError, ValueError):
        return False


def check_destination(destination: Path, force: bool, root: str = "") -> None:
    """Refuse a destination before any work is done. LandingError."""
    try:
        if "\0" in str(destination):
            raise ValueError("no file has a NUL in its name")
        _check(destination, force)
        leads_to = _leads_out(destination, root)
    except (OSError, ValueError) as error:
        words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise LandingError(f"{str(destination)[:200]!r} cannot be written: {words}.") from None
    if leads_to is not None:
        where = f"{destination} is named inside of the workspace, and a link leads from there to {leads_to}"
        raise LandingError(f"{where}: name that place itself if it is meant.")


def _leads_out(destination: Path, root: str) -> Path | None:
    """The folder outside of the workspace that a destination is in by a link, though its name says that it is inside:
    the links of a workspace are a stranger's.
    """
    if not root or not Path(os.path.abspath(destination)).is_relative_to(root):  # noqa: PTH100  # follows no link
        return None
    folder = destination.parent.resolve()
    return None if folder.is_relative_to(Path(root).resolve()) else folder


def _check(destination: Path, force: bool) -> None:
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


def land(source: Path, destination: Path, force: bool, root: str = "") -> None:
    """Copy `source` to `destination`, atomically. LandingError; then no part of it is left behind."""
    check_destination(destination, force, root)
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
