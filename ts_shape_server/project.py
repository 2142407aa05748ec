"""What settings come to for a folder: what its ``pyproject.toml`` may set, and what probing needs of all layers.

The file comes with the code that is probed, so it does not widen what that code may do. Reads that one file, and knows
no class and no LSP.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ts_shape_server import reading
from ts_shape_server.probing.agents import Limits
from ts_shape_server.probing.service import Options
from ts_shape_server.settings import PROJECT_ENV, Settings, from_pyproject

_VARIABLE = re.compile(r"(?!LD_|DYLD_|PYTHON|GCONV_PATH$)[A-Za-z_][A-Za-z0-9_]{0,99}", re.IGNORECASE)
"""A variable that a project file may set. Names that have code loaded would do nothing, since it is set in a process
that runs already.
"""
_MOST_VARIABLES = 100
_LONGEST_VALUE = 4096
_NOT_OF_PROJECTS = {
    "extraPaths": "only your own settings name folders outside of the workspace",
    "env": "only your own settings name variables that have code loaded, or are no names or no short texts",
}


def options(settings: Settings, folders: Sequence[str], cache: Path | None) -> Options:
    """What probing needs of the settings."""
    limits = Limits(wall=settings.timeout_ms / 1000, memory=settings.memory_megabytes << 20)
    return Options(
        interpreter=settings.interpreter,
        folders=tuple(folders),
        extra_paths=settings.extra_paths,
        environment=settings.env,
        probe_environment=settings.probe_env,
        limits=limits,
        jobs=settings.jobs,
        cache=cache,
        sandbox=settings.sandbox,
        readable=settings.readable,
    )


def project_settings(folder: str) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    """The layer of settings in the ``pyproject.toml`` of a folder, and what was wrong with it, in sentences."""
    try:
        layer, problems = from_pyproject(reading.text(Path(folder) / "pyproject.toml"))
    except FileNotFoundError:
        return {}, ()
    except OSError as error:
        return {}, (f"pyproject.toml cannot be read: {error.strerror or error}; its settings are left out",)
    kept: dict[str, Any] = {}
    refused: list[str] = []
    for name, value in layer.items():
        key = str(name).removeprefix("tsShape.")
        if key == "sandbox" and value != "required":
            refused.append("`sandbox` in pyproject.toml is left out: only your own settings weaken the sandbox")
            continue
        if key in ("readable", PROJECT_ENV):
            refused.append(f"`{key}` in pyproject.toml is left out: only your own settings say what a probe may read")
            continue
        allowed: Any = value
        if key == "extraPaths" and isinstance(value, list):
            places = [os.path.join(folder, str(item)) for item in value]  # noqa: PTH118
            allowed = [place for place in places if _within(place, folder)]
        elif key == "env" and isinstance(value, Mapping):
            name, allowed = PROJECT_ENV, _variables(value)
        kept[name] = allowed
        if isinstance(value, (list, Mapping)) and len(allowed) != len(value):
            refused.append(f"`{key}` in pyproject.toml is left out in part: {_NOT_OF_PROJECTS[key]}")
    return kept, (*problems, *refused)


def _variables(given: Mapping[Any, Any]) -> dict[str, Any]:
    """What of a project's variables is set, inside of the sandbox alone."""
    texts = {str(name): text for name, text in given.items() if isinstance(text, str) and "\0" not in text}
    allowed = [name for name, text in texts.items() if _VARIABLE.fullmatch(name) and len(text) <= _LONGEST_VALUE]
    return {name: texts[name] for name in allowed[:_MOST_VARIABLES]}


def _within(path: str, folder: str) -> bool:
    """Whether a path leads, through all links, to a place in a folder."""
    try:
        return Path(path).resolve().is_relative_to(Path(folder).resolve())
    except (OSError, ValueError, RuntimeError):
        return False
