"""Checkpoints by name: what is told of those that were stood in for, and the configuration files that can be read.

A name is that of a hub (``organisation/model``), or a folder. Knows the layout of the caches and no library.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from typing import Any

from ts_shape_server.agent import absent
from ts_shape_server.agent.standins import StandInUsed

LARGEST = 1 << 18
"""Bytes of a configuration file."""
WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".h5", ".msgpack", ".npz", ".onnx", ".gguf")

_stood_in: list[str] = []
_notes: dict[str, str] = {}
"""What is said of weights, by their names among those of all that was stood in for."""


class NotHere(StandInUsed):
    """What decides the shapes of a module would have to be downloaded."""

    def __init__(self, message: str) -> None:
        ImportError.__init__(self, message)


def begin(names: list[str]) -> None:
    """From here on what is stood in for is added to `names`."""
    global _stood_in
    _stood_in = names
    _notes.clear()


def weights(name: Any, said: str = "") -> str:
    """Tell that the weights of a checkpoint are random ones here, and what else is `said` of it. The name, short."""
    shown = shortened(name)
    name = absent.note(shown, _stood_in)
    _notes.setdefault(name, f"The weights of `{shown}` are a stand-in: random ones of the same sizes{said}.")
    return shown


def notes(names: Iterable[str]) -> tuple[str, ...]:
    """What is to be told of the checkpoints among `names` of what was stood in for, in sentences."""
    return tuple(_notes[name] for name in names if name in _notes)


def shortened(name: Any) -> str:
    """A checkpoint's name for people: that of the hub, or the last part of a path."""
    text = os.fspath(name) if isinstance(name, (str, os.PathLike)) else str(name)
    text = os.path.basename(text.rstrip(os.sep)) if os.path.isabs(text) else text
    return text[:80]


def is_weights(filename: Any) -> bool:
    """Whether a file of that name holds weights."""
    return str(filename).lower().endswith(WEIGHTS)


def file_of(name: Any, filename: str, subfolder: str = "") -> str | None:
    """The path of a checkpoint's file: in the folder of that name, or in the cache of the hub; None if not here."""
    for folder in _folders(name):
        path = os.path.join(folder, subfolder or "", filename)
        if os.path.isfile(path):
            return path
    return None


def _folders(name: Any) -> Iterator[str]:
    text = os.fspath(name) if isinstance(name, (str, os.PathLike)) else str(name)
    if os.path.isdir(text):
        yield text
    for hub in _hubs():
        place = os.path.join(hub, "models--" + text.replace("/", "--"))
        try:
            with open(os.path.join(place, "refs", "main"), encoding="utf-8") as file:
                yield os.path.join(place, "snapshots", file.read(100).strip())
        except OSError:
            pass
        try:
            yield from sorted(
                os.path.join(place, "snapshots", item) for item in os.listdir(os.path.join(place, "snapshots"))
            )
        except OSError:
            continue


def _hubs() -> Iterator[str]:
    for variable in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "TRANSFORMERS_CACHE"):
        if os.environ.get(variable):
            yield os.environ[variable]
    yield os.path.join(os.environ.get("HF_HOME") or os.path.expanduser("~/.cache/huggingface"), "hub")


def configuration(name: Any, filename: str = "config.json", subfolder: str = "") -> dict[str, Any] | None:
    """What a checkpoint's configuration file says; None if it is not here, or no JSON object."""
    text = os.fspath(name) if isinstance(name, (str, os.PathLike)) else ""
    path = text if text.endswith(".json") and os.path.isfile(text) else file_of(name, filename, subfolder)
    try:
        if path is None or os.path.getsize(path) > LARGEST:
            return None
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
