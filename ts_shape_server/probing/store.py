"""Reports by the hash of all that they depend on, in memory and on disk.

An entry holds the report, the file's text it was made from and the hashes of the workspace files that the probe
imported; it is valid while those files are the same. A damaged entry is no entry. Lines follow edits that leave the
class's code and its evidence alone (comments, other classes, lines above a caller).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import tempfile
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ts_shape_server import reading
from ts_shape_server.contract import schema, wire
from ts_shape_server.contract.report import VERSION, Report
from ts_shape_server.probing.moving import Place, with_places, with_text

IN_MEMORY = 2000
ON_DISK = 5000
LARGEST = 2 * wire.MAXIMUM_CLAIM + 2 * wire.MAXIMUM_FRAME
"""Bytes of an entry: it holds a report and the text of a file."""


@dataclass(frozen=True)
class Entry:
    """A final report with what it was made from. `depends` maps paths to hashes of their text, `places` says where each
    piece of evidence stood, `until` is by `time.monotonic()`.
    """

    report: Report
    text: str
    depends: Mapping[str, str]
    places: tuple[Place, ...] = ()
    until: float = math.inf


def digest(*parts: str) -> str:
    """A hash of texts, told apart."""
    hasher = hashlib.sha256()
    for part in parts:
        encoded = part.encode("utf-8", "surrogatepass")
        hasher.update(f"{len(encoded)}:".encode())
        hasher.update(encoded)
    return hasher.hexdigest()


def file_digest(path: str, overlays: Mapping[str, str]) -> str:
    """The hash of a file as a probe would see it; words for one that cannot be read, or is too large to be read often.

    Which file may be a probe's word: devices and pipes are not opened.
    """
    text = overlays.get(path)
    if text is not None:
        return digest(text)
    try:
        state = Path(path).stat()
        if state.st_size > reading.LARGEST:
            return f"{state.st_size} bytes of {state.st_mtime_ns}"
        known = _digests.get(path)
        if known is None or known[:2] != (state.st_mtime_ns, state.st_size):
            known = (state.st_mtime_ns, state.st_size, digest(reading.text(path)))
            _digests[path] = known
        return known[2]
    except (OSError, ValueError):
        return "unreadable"


def written(path: str, overlays: Mapping[str, str]) -> int:
    """When a file was last written, in nanoseconds since 1970; 0 for an open one, whose text is known, and for none."""
    try:
        return 0 if path in overlays else Path(path).stat().st_mtime_ns
    except (OSError, ValueError):
        return 0


_digests: dict[str, tuple[int, int, str]] = {}
"""By path: when the file was written, its size, its hash. A hover asks for the same files again and again."""


class Store:
    """Entries by key. `folder` None keeps them in memory alone. Errors of the disk are never errors here."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._memory: OrderedDict[str, Entry] = OrderedDict()

    def get(self, key: str, text: str, overlays: Mapping[str, str], places: Sequence[Place] = ()) -> Report | None:
        """The report under this key for a file of that text and evidence that now stands at `places`."""
        entry = self._memory.get(key) or self._read(key)
        if entry is None or time.monotonic() > entry.until:
            return None
        if any(file_digest(path, overlays) != known for path, known in entry.depends.items()):
            return None
        self._remember(key, entry)
        return with_places(with_text(entry.report, entry.text, text), entry.places, places)

    def put(self, key: str, entry: Entry, seconds: float | None = None) -> None:
        """Keep an entry; with `seconds`, for so long and in memory alone."""
        if seconds is not None:
            self._remember(key, replace(entry, until=time.monotonic() + seconds))
        else:
            self._remember(key, entry)
            self._write(key, entry)

    def clear(self) -> None:
        """Forget what is in memory; what is on disk stays."""
        self._memory.clear()

    def _remember(self, key: str, entry: Entry) -> None:
        self._memory[key] = entry
        self._memory.move_to_end(key)
        while len(self._memory) > IN_MEMORY:
            self._memory.popitem(last=False)

    def _read(self, key: str) -> Entry | None:
        if self._folder is None:
            return None
        try:
            data = wire.parse(reading.data(self._folder / f"{key}.json", LARGEST))
            if data["contract"] != VERSION or not isinstance(data["text"], str):
                return None
            depends = {str(path): str(known) for path, known in data["depends"].items()}
            places = tuple((str(path), int(line), str(label)) for path, line, label in data["places"])
            return Entry(schema.read(Report, data["report"]), data["text"], depends, places)
        except (OSError, KeyError, TypeError, AttributeError, ValueError):
            return None

    def _write(self, key: str, entry: Entry) -> None:
        if self._folder is None:
            return
        data = {
            "contract": VERSION,
            "report": schema.write(entry.report),
            "text": entry.text,
            "depends": dict(entry.depends),
            "places": [list(place) for place in entry.places],
        }
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self._folder, suffix=".tmp")
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    json.dump(data, file)
                Path(name).replace(self._folder / f"{key}.json")
            except BaseException:
                with contextlib.suppress(OSError):
                    Path(name).unlink()
                raise
            self._prune()
        except (OSError, ValueError):
            return

    def _prune(self) -> None:
        """Drop the oldest tenth once there are too many files."""
        assert self._folder is not None
        files = list(self._folder.glob("*.json"))
        if len(files) > ON_DISK:
            files.sort(key=lambda file: file.stat().st_mtime)
            for file in files[: ON_DISK // 10]:
                file.unlink(missing_ok=True)


def key(digest_of_class: str, path: str, name: str, *rest: Any) -> str:
    """The key of a report: the class's code, where it is, and everything else that decides."""
    return digest(digest_of_class, path, name, json.dumps(rest, sort_keys=True, default=str))
