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
    top = Path(place)

    def retry(function: Callable[..., Any], path: str, error: Any) -> None:
        """A folder that its maker has locked is opened; what still resists is left to the system.

        Nothing above the place is ever opened: the folder that it lies in belongs to everyone.
        """
        reading = function in (os.open, os.scandir, os.listdir)
        folder = Path(path) if reading else Path(path).parent
        if isinstance(error[1], FileNotFoundError) or (folder != top and top not in folder.parents):
            return
        try:
            folder.chmod(stat.S_IRWXU)
            if reading:
                shutil.rmtree(path, ignore_errors=True)
            else:
                Path(path).unlink()
        except OSError:
            return

    shutil.rmtree(place, onerror=retry)
