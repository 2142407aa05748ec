"""Settings from any number of layers (defaults, ``pyproject.toml``, editor, command line), the later one winning.

`parse` never raises: a bad value is one problem in words that names the key and the value used instead. The module
reads no files and knows nothing of LSP; whoever has the layers hands them over as plain mappings.
"""

from __future__ import annotations

import difflib
import importlib
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, cast

_toml = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")

Sandbox = Literal["required", "bestEffort", "off"]
InlayHints = Literal["off", "changed", "all"]
LogLevel = Literal["debug", "info", "warning", "error"]


@dataclass(frozen=True)
class Settings:
    """What a user can choose. The key in a configuration is the name in `KEYS`, nested or dotted."""

    interpreter: str | None = None
    extra_paths: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    timeout_ms: int = 20_000
    memory_megabytes: int = 4096
    jobs: int = 1
    sandbox: Sandbox = "bestEffort"
    hover_wait_ms: int = 1500
    debounce_ms: int = 50
    inlay_hints: InlayHints = "changed"
    code_lens: bool = True
    script_errors: bool = True
    trace_warnings: bool = True
    loglevel: LogLevel = "info"


class _Refused(ValueError):
    """A value that a key cannot take; the text says what it takes."""


def _text_or_none(value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise _Refused("a path, or nothing")
    return value.strip() or None


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)) or not all(isinstance(item, str) for item in value):
        raise _Refused("a list of strings")
    return tuple(value)


def _environment(value: object) -> Mapping[str, str]:
    if not isinstance(value, Mapping):
        raise _Refused("a table of strings")
    if not all(isinstance(name, str) and isinstance(item, str) for name, item in value.items()):
        raise _Refused("a table of strings")
    return dict(value)


def _whole(low: int, high: int) -> Callable[[object], int]:
    def read(value: object) -> int:
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise _Refused(f"a whole number from {low} to {high}")
        return value

    return read


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise _Refused("true or false")
    return value


def _one_of(*choices: str) -> Callable[[object], str]:
    def read(value: object) -> str:
        if not isinstance(value, str) or value not in choices:
            raise _Refused("one of " + ", ".join(f'"{choice}"' for choice in choices))
        return value

    return read


KEYS: Mapping[str, tuple[str, Callable[[object], Any]]] = {
    "interpreter": ("interpreter", _text_or_none),
    "extraPaths": ("extra_paths", _texts),
    "env": ("env", _environment),
    "timeoutMs": ("timeout_ms", _whole(100, 3_600_000)),
    "memoryMegabytes": ("memory_megabytes", _whole(256, 1_048_576)),
    "jobs": ("jobs", _whole(1, 64)),
    "sandbox": ("sandbox", _one_of("required", "bestEffort", "off")),
    "hover.waitMs": ("hover_wait_ms", _whole(0, 60_000)),
    "debounceMs": ("debounce_ms", _whole(0, 60_000)),
    "inlayHints": ("inlay_hints", _one_of("off", "changed", "all")),
    "codeLens": ("code_lens", _flag),
    "diagnostics.scriptErrors": ("script_errors", _flag),
    "diagnostics.traceWarnings": ("trace_warnings", _flag),
    "loglevel": ("loglevel", _one_of("debug", "info", "warning", "error")),
}
"""Key in a configuration: field of `Settings`, and what reads a value."""

CLIENT_ONLY = ("trace", "server", "path")
"""Keys that editors keep in the same section for themselves."""


def parse(*layers: Any) -> tuple[Settings, tuple[str, ...]]:
    """The settings of all layers, later ones winning key by key, and what was wrong in them."""
    settings = Settings()
    problems: list[str] = []
    for layer in layers:
        if not isinstance(layer, Mapping):
            problems.append(f"settings must be a table of keys and values, not {_shown(layer)}; they are left out")
            continue
        for key, value in _flat(layer):
            if key not in KEYS:
                if key.split(".")[0] not in CLIENT_ONLY:
                    problems.append(f'there is no setting "{key}"{_nearest(key)}; it is left out')
                continue
            name, read = KEYS[key]
            if value is None and key != "interpreter":
                continue
            try:
                settings = replace(settings, **{name: read(value)})
            except _Refused as refused:
                used = _shown(getattr(settings, name))
                problems.append(f'the setting "{key}" takes {refused}, not {_shown(value)}; {used} is used')
    return settings, tuple(dict.fromkeys(problems))


def _flat(layer: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys and their values. A mapping is descended into unless its key takes a mapping."""
    for raw, value in layer.items():
        key = prefix + str(raw).removeprefix("tsShape.")
        if isinstance(value, Mapping) and key not in KEYS and (key in _GROUPS or not prefix):
            if key in CLIENT_ONLY:
                continue
            yield from _flat(value, key + ".")
        else:
            yield key, value


_GROUPS = frozenset(key.rsplit(".", 1)[0] for key in KEYS if "." in key)


def _nearest(key: str) -> str:
    near = difflib.get_close_matches(key, KEYS, n=1)
    return f' (did you mean "{near[0]}"?)' if near else ""


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "nothing"
    text = f'"{value}"' if isinstance(value, str) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def from_pyproject(text: str) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    """The layer under ``[tool.ts-shape]`` in the text of a ``pyproject.toml``, and what was wrong with it."""
    try:
        document = _toml.loads(text)
    except (ValueError, RecursionError) as problem:
        return {}, (f"pyproject.toml cannot be read: {problem}; its settings are left out",)
    tool = document.get("tool")
    layer = tool.get("ts-shape", {}) if isinstance(tool, Mapping) else {}
    if not isinstance(layer, Mapping):
        return {}, ("[tool.ts-shape] in pyproject.toml must be a table; it is left out",)
    return cast("Mapping[str, Any]", layer), ()
