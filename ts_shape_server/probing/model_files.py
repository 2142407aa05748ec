"""The configuration files of the hub's cache, copied to where a probe may read: no weights, and no code.

A sandbox grants folders and not kinds of files, so this process copies what is small and ends as a configuration does,
before any of the workspace's code runs. Where the cache is, this process' own environment says, and never a workspace.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from ts_shape_server import reading

CONFIGURATIONS = "model-configurations"
"""The entry of the setting `readable` that stands for these files."""
SUFFIXES = (".json", ".yaml", ".yml")
LARGEST = 1 << 18
"""Bytes of one file."""
MAXIMUM_BYTES = 16 << 20
MAXIMUM_FILES = 4000
DEPTH = 3
"""Folders below a snapshot."""
FOLDERS = "TS_SHAPE_READABLE"
"""The variable that tells an agent which folders its probes may read besides."""


def granted(readable: tuple[str, ...], place: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Do what the setting `readable` says, below the folder `place`: the variables that tell an agent of it."""
    folders = [str(Path(entry).expanduser()) for entry in readable if entry != CONFIGURATIONS]
    hub = hub_of(environment)
    variables: dict[str, str] = {}
    if any(hub.resolve().is_relative_to(Path(folder).resolve()) for folder in folders):
        variables["HF_HUB_CACHE"] = str(hub)
    elif CONFIGURATIONS in readable:
        target = Path(place) / "readable" / "hub"
        if copy(hub, target):
            folders.append(str(target.parent))
            variables["HF_HUB_CACHE"] = str(target)
    torch_home = environment.get("TORCH_HOME") or str(Path(_caches(environment)) / "torch")
    return {**variables, "TORCH_HOME": torch_home, FOLDERS: os.pathsep.join(folders)}


def hub_of(environment: Mapping[str, str]) -> Path:
    """The folder of the hub's cache, as its own library finds it."""
    known = environment.get("HF_HUB_CACHE") or environment.get("HUGGINGFACE_HUB_CACHE")
    home = environment.get("HF_HOME") or Path(_caches(environment)) / "huggingface"
    return Path(known).expanduser() if known else Path(home).expanduser() / "hub"


def _caches(environment: Mapping[str, str]) -> str:
    return environment.get("XDG_CACHE_HOME") or str(Path("~/.cache").expanduser())


def copy(hub: Path, target: Path) -> int:
    """Copy the configuration files of a cache in its own layout; what resists is left out. How many there were."""
    count, size = 0, 0
    for source in files(hub):
        if count >= MAXIMUM_FILES or size >= MAXIMUM_BYTES:
            break
        try:
            found = reading.data(source, LARGEST)
            place = target / source.relative_to(hub)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(found)
        except OSError:
            continue
        count, size = count + 1, size + len(found)
    return count


def files(hub: Path) -> Iterator[Path]:
    """The references and the configuration files of every model in a hub's cache."""
    for model in _listed(hub):
        if not model.name.startswith("models--"):
            continue
        yield from (item for item in _listed(model / "refs") if item.is_file())
        for snapshot in _listed(model / "snapshots"):
            yield from (item for item in _below(snapshot, DEPTH) if _leads_into(item, model))


def _below(folder: Path, depth: int) -> Iterator[Path]:
    for item in _listed(folder):
        if item.is_dir() and not item.is_symlink():
            if depth:
                yield from _below(item, depth - 1)
        elif item.name.lower().endswith(SUFFIXES):
            yield item


def _leads_into(item: Path, model: Path) -> bool:
    """Whether a file is one of its model's: a snapshot links to the cache's blobs, and should link nowhere else."""
    try:
        return item.resolve().is_relative_to(model.resolve())
    except (OSError, RuntimeError):
        return False


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []
