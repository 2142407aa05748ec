"""safetensors: a file that is not here gives a state dict that loads into any module."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from ts_shape_server.agent.absent import UnknownWeights
from ts_shape_server.agent.ecosystem import checkpoints


def _torch(module: Any) -> None:
    usual_load, usual_load_model = module.load_file, module.load_model

    def load_file(filename: Any, *arguments: Any, **keywords: Any) -> Any:
        return usual_load(filename, *arguments, **keywords) if os.path.exists(filename) else _absent(filename)

    def load_model(model: Any, filename: Any, *arguments: Any, **keywords: Any) -> Any:
        if os.path.exists(filename):
            return usual_load_model(model, filename, *arguments, **keywords)
        _absent(filename)
        return [], []

    module.load_file, module.load_model = load_file, load_model


def _package(module: Any) -> None:
    usual = module.safe_open

    def safe_open(filename: Any, *arguments: Any, **keywords: Any) -> Any:
        if os.path.exists(filename):
            return usual(filename, *arguments, **keywords)
        _absent(filename)
        return AbsentFile()

    module.safe_open = safe_open


class AbsentFile:
    """A file of weights that is not here, opened: it names no tensor, and gives one of which nothing is known."""

    def __enter__(self) -> AbsentFile:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def keys(self) -> list[str]:
        return []

    def metadata(self) -> dict[str, str]:
        return {}

    def get_tensor(self, name: str) -> UnknownWeights:
        return UnknownWeights()

    get_slice = get_tensor


def _absent(filename: Any) -> UnknownWeights:
    if not str(filename).startswith(os.path.join(os.sep, "absent", "")):
        checkpoints.weights(filename)
    return UnknownWeights()


WATCHED: Mapping[str, Callable[[Any], None]] = {"safetensors": _package, "safetensors.torch": _torch}
