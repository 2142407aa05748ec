"""Has torch compile what most modules are made of, so that the processes forked from this one find it compiled.

Only the compiler runs, which starts no thread. It knows nothing of the user's files.
"""

from __future__ import annotations

import io
import warnings
from typing import Any

import torch
from torch import nn

from ts_shape_server.agent.script.compiler import Compiler


def warm_up() -> None:
    """Compile the common layers once. What this torch cannot compile is left out."""
    layers: list[nn.Module] = [
        nn.Conv2d(1, 1, 1),
        nn.BatchNorm2d(1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.AdaptiveAvgPool2d(1),
        nn.Linear(1, 1),
        nn.LayerNorm(1),
        nn.Dropout(),
        nn.Embedding(1, 1),
        nn.GELU(),
        nn.LSTM(1, 1),
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for layer in layers:
            Compiler(layer.eval())()
        _trace()
        _archive()


def _trace() -> None:
    jit: Any = torch.jit
    with torch.no_grad():
        jit.trace(nn.Identity(), torch.ones(1), check_trace=False)


def _archive() -> None:
    """A script that is saved, loaded and called once."""
    jit: Any = torch.jit
    file = io.BytesIO()
    with torch.no_grad(), jit.optimized_execution(False):
        jit.save(jit.script(nn.Identity()), file)
        file.seek(0)
        jit.load(file)(torch.ones(1))
