"""Removes what a probe may have left: any number of files, under any mode, without following a link out of it."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any


async def remove(place: str) -> None:
    """Remove a folder and what is in it; the event loop goes on meanwhile. A missing folder is no error."""
    if place:
        await asyncio.to_thread(_remove, place)


def _remove(place: str) -> None:
    shutil.rmtree(place, onerror=_retry)


def _retry(function: Callable[..., Any], path: str, error: Any) -> None:
    """A folder that its maker has locked is opened; what still resists is left to the system."""
    try:
        folder = Path(path) if function in (os.open, os.scandir, os.listdir) else Path(path).parent
        folder.chmod(stat.S_IRWXU)
        if function in (os.open, os.scandir, os.listdir):
            shutil.rmtree(path, ignore_errors=True)
        else:
            Path(path).unlink()
    except OSError:
        return
