"""Removes what a probe may have left, while the event loop goes on."""

from __future__ import annotations

import asyncio
import logging

from ts_shape_server import folders

log = logging.getLogger(__name__)


async def remove(place: str) -> None:
    """Remove a folder and what is in it. A missing folder is no error, nor is one that resists."""
    if place:
        await asyncio.to_thread(_remove, place)


def _remove(place: str) -> None:
    try:
        folders.remove(place)
    except Exception:
        # Whatever a stranger has left, the report of its probe is not lost over it.
        log.exception("%s could not be removed", place)
