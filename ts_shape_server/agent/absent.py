"""Weights that are not on this machine: what would download or read them gives a stand-in that loads into any module.

Shapes do not depend on the values of weights, so a class that starts from pretrained ones still probes; each file that
was stood in for is named. Not used where an export takes its weights from the class itself.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn


class UnknownWeights(dict):  # type: ignore[type-arg]  # it stands for a mapping of anything
    """A state dict, or a checkpoint that holds one, of which nothing is known."""

    def __missing__(self, key: Any) -> Any:
        return UnknownWeights()

    def get(self, key: Any, default: Any = None) -> Any:
        return UnknownWeights()

    def pop(self, key: Any, *default: Any) -> Any:
        return UnknownWeights()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return UnknownWeights()

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        return UnknownWeights()


def pretend(names: list[str]) -> None:
    """From here on absent weights of this process are stood in for, and added to `names`."""
    usual_load = torch.load
    usual_load_state_dict = nn.Module.load_state_dict

    def note(name: str) -> UnknownWeights:
        shown = f"weights {name}"
        if shown not in names:
            names.append(shown)
        return UnknownWeights()

    def from_url(url: Any, *arguments: Any, **keywords: Any) -> Any:
        return note(str(url).rsplit("/", 1)[-1][:80])

    def load(file: Any, *arguments: Any, **keywords: Any) -> Any:
        if isinstance(file, (str, os.PathLike)) and not os.path.exists(file):
            return note(os.path.basename(os.fspath(file))[:80])
        return usual_load(file, *arguments, **keywords)

    def load_state_dict(self: nn.Module, state_dict: Mapping[str, Any], *arguments: Any, **keywords: Any) -> Any:
        unknown = any(name.startswith("weights ") for name in names)
        if isinstance(state_dict, UnknownWeights) or (unknown and not state_dict):
            return nn.modules.module._IncompatibleKeys([], [])
        return usual_load_state_dict(self, state_dict, *arguments, **keywords)

    torch.load = load  # type: ignore[assignment]  # likewise
    nn.Module.load_state_dict = load_state_dict  # type: ignore[method-assign]  # the point of this module
    torch.hub.load_state_dict_from_url = from_url
    zoo = sys.modules.get("torch.utils.model_zoo")
    if zoo is not None:
        zoo.load_url = from_url  # type: ignore[attr-defined]  # an alias of the function above
