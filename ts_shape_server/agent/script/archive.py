"""Files that hold a module: writing and reading TorchScript archives, exported programs, and expected results.

Everything read here is untrusted but for what an export of ours wrote beside it: only plain values are unpickled.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Mapping
from typing import IO, Any

import torch

SPEC_FILE = "ts_shape.json"


def save(module: Any, path: str, spec: Mapping[str, Any]) -> None:
    """Write a scripted or traced module, or an exported program, with its input spec inside if there is one."""
    extra = {SPEC_FILE: json.dumps(spec)} if spec else {}
    if isinstance(module, torch.jit.ScriptModule):
        module.save(path, _extra_files=extra)
    else:
        torch.export.save(module, path, extra_files=extra)


def opened(source: str | bytes) -> Any:
    """A file as torch reads it: its path, or a stream of its bytes."""
    return io.BytesIO(source) if isinstance(source, bytes) else source


def load(source: str | bytes) -> Callable[..., Any]:
    """The module in an archive, a path or its bytes, as something to call. Raises what torch raises on a file that
    holds none.
    """
    with zipfile.ZipFile(opened(source)) as archive:
        names = archive.namelist()
    if any("/code/" in name for name in names) and any(name.endswith("/constants.pkl") for name in names):
        jit: Any = torch.jit
        loaded: Callable[..., Any] = jit.load(opened(source), map_location="cpu")
        return loaded
    program: Any = torch.export.load(opened(source))
    module: Callable[..., Any] = program.module()
    return module


def save_calls(calls: list[dict[str, Any]], file: str | IO[bytes]) -> None:
    """Write calls with their expected results (``args``, ``kwargs``, ``expected``), as plain values. ``random`` is the
    state of torch's generator before the call, where it is not that of a fresh seed.
    """
    torch.save([{key: plain(value) for key, value in call.items()} for call in calls], file)


def load_calls(source: str | bytes) -> list[dict[str, Any]]:
    """What `save_calls` wrote."""
    calls: list[dict[str, Any]] = torch.load(opened(source), map_location="cpu", weights_only=True)
    return calls


def is_plain(value: Any) -> bool:
    """Whether a value is no more than `plain` keeps of it: a process without the source has all that it takes."""
    if type(value) in (tuple, list):
        return all(map(is_plain, value))
    if type(value) is dict:
        return all(map(is_plain, value.values()))
    return value is None or isinstance(value, torch.Tensor) or type(value) in (bool, int, float, complex, str)


def plain(value: Any) -> Any:
    """The value in containers that unpickle without anyone's code; what is no such value becomes its name."""
    if isinstance(value, torch.Tensor):
        return value.detach().clone()
    if isinstance(value, tuple):
        return tuple(map(plain, value))
    if isinstance(value, list):
        return list(map(plain, value))
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if value is None or isinstance(value, (bool, int, float, complex, str)):
        return value
    return f"<{type(value).__name__}>"
