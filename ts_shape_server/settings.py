"""Settings from any number of layers (defaults, ``pyproject.toml``, editor, command line), the later one winning.

`parse` never raises: a bad value is one problem in words that names the key and the value used instead. The module
reads no files and knows nothing of LSP; whoever has the layers hands them over as plain mappings.
"""

from __future__ import annotations

import difflib
import importlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, cast

_toml = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")

Sandbox = Literal["required", "bestEffort", "off"]
InlayHints = Literal["off", "changed", "all"]
TorchScript = Literal["auto", "warning", "information", "off"]
LogLevel = Literal["debug", "info", "warning", "error"]


@dataclass(frozen=True)
class Settings:
    """What a user can choose. The key in a configuration is the name in `KEYS`, nested or dotted."""

    interpreter: str | None = None
    extra_paths: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    probe_env: Mapping[str, str] = field(default_factory=dict)
    timeout_ms: int = 20_000
    memory_megabytes: int = 4096
    jobs: int = 1
    sandbox: Sandbox = "required"
    readable: tuple[str, ...] = ("model-configurations",)
    hover_wait_ms: int = 1500
    debounce_ms: int = 50
    inlay_hints: InlayHints = "changed"
    code_lens: bool = True
    torchscript: TorchScript = "auto"
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


@dataclass(frozen=True)
class Key:
    """One key of a configuration: the field of `Settings` that it sets, what reads a value, what the docs say of it."""

    field: str
    read: Callable[[object], Any]
    about: str


_INTERPRETER = (
    "the Python whose torch runs the probes: a path, or the folder of an environment. Without it: `VIRTUAL_ENV`, "
    "`.venv` or `venv` in the workspace, `python3` on `PATH`, the server's own; the first that has torch 2.2 or newer"
)
_SANDBOX = '`"required"`: no probe without the full sandbox; `"bestEffort"`: what the system offers; `"off"`'
_READABLE = (
    "what probes may read besides the workspace and the installed packages: folders, and `model-configurations`, the "
    "configuration files of the hub's cache (JSON and YAML, no weights, no code)"
)
_HINTS = 'shapes beside assignments in `forward`: `"off"`, `"changed"` dims only, `"all"`'
_TORCHSCRIPT = (
    'how findings about TorchScript are shown: `"warning"`, `"information"`, `"off"`, or `"auto"`: a warning where '
    "something in the workspace scripts, traces or exports the class (or one that it is a part of), else information"
)
_LEVELS = '`"debug"`, `"info"`, `"warning"`, `"error"`; the log goes to standard error'

KEYS: Mapping[str, Key] = {
    "interpreter": Key("interpreter", _text_or_none, _INTERPRETER),
    "extraPaths": Key("extra_paths", _texts, "folders that imports are also looked for in"),
    "env": Key("env", _environment, "environment variables for the probes"),
    "timeoutMs": Key("timeout_ms", _whole(100, 3_600_000), "how long the probe of one class may take"),
    "memoryMegabytes": Key("memory_megabytes", _whole(256, 1_048_576), "how much memory a probe may use"),
    "jobs": Key("jobs", _whole(1, 64), "how many probes run at once"),
    "sandbox": Key("sandbox", _one_of("required", "bestEffort", "off"), _SANDBOX),
    "readable": Key("readable", _texts, _READABLE),
    "hover.waitMs": Key("hover_wait_ms", _whole(0, 60_000), "how long a hover waits for the first report of a class"),
    "debounceMs": Key("debounce_ms", _whole(0, 60_000), "the pause after a key before a probe starts"),
    "inlayHints": Key("inlay_hints", _one_of("off", "changed", "all"), _HINTS),
    "codeLens": Key("code_lens", _flag, "the line above each class"),
    "diagnostics.torchscript": Key("torchscript", _one_of("auto", "warning", "information", "off"), _TORCHSCRIPT),
    "loglevel": Key("loglevel", _one_of("debug", "info", "warning", "error"), _LEVELS),
}

EARLIER_KEYS: Mapping[str, Key] = {
    "diagnostics.scriptErrors": Key("script_errors", _flag, "findings about `torch.jit.script`"),
    "diagnostics.traceWarnings": Key("trace_warnings", _flag, "findings about `torch.jit.trace`"),
}
"""Keys of earlier versions that are still read: each turns one kind of finding off."""

PROJECT_ENV = "projectEnv"
PROJECT_KEYS: Mapping[str, Key] = {
    PROJECT_ENV: Key("probe_env", _environment, "the `env` of a project file: it is set inside of the sandbox alone"),
}
"""Keys that nobody writes: what a project file says of others, once it is known to be a project's."""

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
            known = KEYS.get(key) or EARLIER_KEYS.get(key) or PROJECT_KEYS.get(key)
            if known is None:
                if key.split(".")[0] not in CLIENT_ONLY:
                    problems.append(f'there is no setting "{key}"{_nearest(key)}; it is left out')
                continue
            if value is None and key != "interpreter":
                continue
            try:
                settings = replace(settings, **{known.field: known.read(value)})
            except _Refused as refused:
                used = _shown(getattr(settings, known.field))
                problems.append(f'the setting "{key}" takes {refused}, not {_shown(value)}; {used} is used')
    return settings, tuple(dict.fromkeys(problems))


def _flat(layer: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys and their values. A mapping is descended into unless its key takes a mapping."""
    for raw, value in layer.items():
        key = prefix + str(raw).removeprefix("tsShape.")
        if isinstance(value, Mapping) and key not in _WHOLE and (key in _GROUPS or not prefix):
            if key in CLIENT_ONLY:
                continue
            yield from _flat(value, key + ".")
        else:
            yield key, value


_WHOLE = frozenset((*KEYS, *PROJECT_KEYS))
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


def table() -> str:
    """Every key with its default, as the table of the documentation."""
    rows = [f"| `{key}` | {_default(known.field)} | {known.about} |" for key, known in KEYS.items()]
    return "\n".join(["| key | default | what it does |", "| --- | --- | --- |", *rows])


def _default(field: str) -> str:
    value = getattr(Settings(), field)
    return "none" if value is None else f"`{json.dumps(list(value) if isinstance(value, tuple) else value)}`"


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
