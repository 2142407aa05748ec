"""Weights that are not on this machine: what would download or read them gives a stand-in that loads into any module.

Shapes do not depend on the values of weights, so a class that starts from pretrained ones still probes; each file that
was stood in for is named. Not used where an export takes its weights from the class itself.
"""

from __future__ import annotations

import contextlib
import os
import sys
import weakref
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import torch
from torch import nn


class UnknownWeights(dict):  # type: ignore[type-arg]  # it stands for a mapping of anything
    """A state dict, a checkpoint that holds one, or a tensor in it: nothing is known of it. What torch does with it
    gives another one, and what it is copied into stays as it is.
    """

    def __missing__(self, key: Any) -> Any:
        return UnknownWeights()

    def __getitem__(self, key: Any) -> Any:
        return super().__getitem__(key) if isinstance(key, str) else UnknownWeights()

    @classmethod
    def __torch_function__(cls, function: Any, types: Any, arguments: Any = (), keywords: Any = None) -> Any:
        first = arguments[0] if arguments else None
        return first if isinstance(first, torch.Tensor) else UnknownWeights()

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


PREFIX = "weights "
"""With what the names of weights begin among those of all that was stood in for."""
_being_built: list[set[str]] = []
_of_classes: weakref.WeakKeyDictionary[type, set[str]] = weakref.WeakKeyDictionary()


@contextlib.contextmanager
def building(cls: type) -> Iterator[None]:
    """What is stood in for meanwhile belongs to the latest instance of `cls`."""
    found: set[str] = set()
    _being_built.append(found)
    try:
        yield
    finally:
        _being_built.remove(found)
        _of_classes[cls] = found


def note(name: str, names: list[str]) -> str:
    """Add weights to `names` of all that was stood in for, and to those of what is being built. How they are told."""
    shown = PREFIX + name
    if shown not in names:
        names.append(shown)
    for found in _being_built:
        found.add(shown)
    return shown


def told_of(cls: type, names: Collection[str], loaded: Collection[str]) -> tuple[str, ...]:
    """Those of `names` that the report of a class tells: weights only if its latest instance takes them, or the file
    had `loaded` them before. Other classes may have been built to see what they pass on.
    """
    own = {*loaded, *_of_classes.get(cls, ())}
    return tuple(name for name in names if not name.startswith(PREFIX) or name in own)


def pretend(names: list[str]) -> None:
    """From here on absent weights of this process are stood in for, and added to `names`."""
    usual_load = torch.load
    usual_load_state_dict = nn.Module.load_state_dict

    def unknown(name: str) -> UnknownWeights:
        note(name, names)
        return UnknownWeights()

    def from_url(url: Any, *arguments: Any, **keywords: Any) -> Any:
        return unknown(str(url).rsplit("/", 1)[-1][:80])

    def load(file: Any, *arguments: Any, **keywords: Any) -> Any:
        if isinstance(file, (str, os.PathLike)) and not os.path.exists(file):
            return unknown(os.path.basename(os.fspath(file))[:80])
        return usual_load(file, *arguments, **keywords)

    def load_state_dict(self: nn.Module, state_dict: Mapping[str, Any], *arguments: Any, **keywords: Any) -> Any:
        stood_in = any(name.startswith(PREFIX) for name in names)
        if isinstance(state_dict, UnknownWeights) or (stood_in and not state_dict):
            return nn.modules.module._IncompatibleKeys([], [])
        return usual_load_state_dict(self, state_dict, *arguments, **keywords)

    torch.load = load  # type: ignore[assignment]  # likewise
    nn.Module.load_state_dict = load_state_dict  # type: ignore[method-assign]  # the point of this module
    torch.hub.load_state_dict_from_url = from_url
    zoo = sys.modules.get("torch.utils.model_zoo")
    if zoo is not None:
        zoo.load_url = from_url  # type: ignore[attr-defined]  # an alias of the function above
