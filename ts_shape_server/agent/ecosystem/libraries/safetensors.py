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


def _absent(filename: Any) -> UnknownWeights:
    if not str(filename).startswith(os.path.join(os.sep, "absent", "")):
        checkpoints.weights(filename)
    return UnknownWeights()


WATCHED: Mapping[str, Callable[[Any], None]] = {"safetensors.torch": _torch}
