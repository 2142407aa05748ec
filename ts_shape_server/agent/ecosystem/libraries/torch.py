"""torch itself: what compiles is taken as it is, and `torch.hub` runs the code that is on this machine.

A compiled function gives what the function gives; compiling would start processes, and takes minutes.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Mapping
from typing import Any

from ts_shape_server.agent.ecosystem import checkpoints


def _uncompiled(module: Any) -> None:
    def compile(model: Any = None, *_: Any, **__: Any) -> Any:
        return model if model is not None else lambda function: function

    def compile_module(self: Any, *_: Any, **__: Any) -> None:
        return None

    if hasattr(module, "compile"):
        module.compile = compile
        module.nn.Module.compile = compile_module


def _hub(module: Any) -> None:
    usual = module.load

    def load(repo_or_dir: Any, model: str, *arguments: Any, source: str = "github", **keywords: Any) -> Any:
        if source == "local" or os.path.isdir(repo_or_dir):
            keywords = {key: value for key, value in keywords.items() if key not in _LOADING}
            return usual(repo_or_dir, model, *arguments, source="local", **keywords)
        kept = {key: value for key, value in keywords.items() if key not in _LOADING}
        owner, _, rest = str(repo_or_dir).partition("/")
        name, _, reference = rest.partition(":")
        folder = _cached(module, f"{owner}_{name}_", reference.replace("/", "_"))
        if folder is not None:
            return module._load_local(folder, model, *arguments, **kept)
        if (owner, name) == ("pytorch", "vision"):
            return getattr(importlib.import_module("torchvision.models"), model)(*arguments, **kept)
        raise checkpoints.NotHere(
            f"`{repo_or_dir}` is code that `torch.hub` would download: name its folder in the setting `readable`, or "
            "clone it"
        )

    module.load = load


_LOADING = frozenset({"trust_repo", "force_reload", "verbose", "skip_validation"})


def _cached(module: Any, beginning: str, reference: str) -> str | None:
    """The folder of a repository in the cache: of that reference, or the first one."""
    try:
        found = [name for name in sorted(os.listdir(module.get_dir())) if name.startswith(beginning)]
    except OSError:
        return None
    chosen = [name for name in found if not reference or name == beginning + reference]
    places = [os.path.join(module.get_dir(), name) for name in chosen]
    return next((place for place in places if os.access(os.path.join(place, "hubconf.py"), os.R_OK)), None)


ADAPTED: Mapping[str, Callable[[Any], None]] = {"torch": _uncompiled}
WATCHED: Mapping[str, Callable[[Any], None]] = {"torch.hub": _hub}
