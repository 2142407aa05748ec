"""Plain classes of the user that hold what they are made of: ``NestedTensor(tensors, mask)``, ``Batch(src, trg)``.

Such a class is known by its constructor, which keeps each of its parameters as an attribute: it is called once with
markers to see that. Where nothing names a class, the one in the module's namespace is meant that has all attributes and
methods which are used. Runs no `forward`.
"""

from __future__ import annotations

import enum
import inspect
import sys
import sysconfig
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from ts_shape_server.agent.infer.guesses.portable import SIMPLE_NAMESPACE

UNNAMED = SIMPLE_NAMESPACE.rstrip("(")
"""What makes an object of which only the attributes are known."""
_LIBRARIES = tuple(path for key, path in sysconfig.get_paths().items() if key in ("stdlib", "platstdlib"))
MOST = 12
"""Parameters of a constructor."""


@dataclass(frozen=True)
class Holder:
    """A class with the annotations of the parameters that its constructor has to have, and all that an instance has."""

    cls: type
    needed: Mapping[str, Any]
    names: frozenset[str]


class _Marker:
    """Stands for a value of which only the identity matters."""


def of(cls: Any) -> Holder | None:
    """The class as a holder; None for any other class."""
    if not _is_of_the_user(cls) or not isinstance(cls.__init__, types.FunctionType):
        return None
    try:
        parameters = list(inspect.signature(cls.__init__).parameters.values())[1:]
    except (TypeError, ValueError):
        return None
    empty = inspect.Parameter.empty
    named = [item for item in parameters if item.kind in (item.POSITIONAL_OR_KEYWORD, item.KEYWORD_ONLY)]
    needed = {item.name: item.annotation for item in named if item.default is empty}
    if not needed or len(parameters) > MOST or len(named) < len([item for item in parameters if item.default is empty]):
        return None
    markers = {name: _Marker() for name in needed}
    try:
        held = dict(vars(cls(**markers)))
    except (Exception, SystemExit):
        return None
    if not all(any(value is marker for value in held.values()) for marker in markers.values()):
        return None
    return Holder(cls, needed, frozenset({*held, *dir(cls)}))


def _is_of_the_user(cls: Any) -> bool:
    """Whether it is a class of values that is written in no library."""
    if not isinstance(cls, type) or issubclass(cls, (nn.Module, torch.Tensor, enum.Enum, BaseException, tuple)):
        return False
    module = sys.modules.get(cls.__module__)
    file = getattr(module, "__file__", None)
    if module is not None and not isinstance(file, str):
        return False
    return file is None or ("site-packages" not in file and not file.startswith(_LIBRARIES))


def with_names(names: frozenset[str], own: Mapping[str, Any]) -> Holder | None:
    """The only class of the module's namespace whose instances have all of these names; None where none or several
    have.
    """
    found = [holder for holder in _all(own) if names <= holder.names]
    return found[0] if len(found) == 1 else None


def _all(own: Mapping[str, Any]) -> Iterator[Holder]:
    seen: set[int] = set()
    for value in list(own.values()):
        if isinstance(value, type) and id(value) not in seen:
            seen.add(id(value))
            holder = of(value)
            if holder is not None:
                yield holder


def fields_of(value: Any) -> dict[str, Any] | None:
    """What an instance of a holder is made of; None for any other object."""
    holder = of(type(value))
    if holder is None:
        return None
    held = vars(value)
    return {name: held[name] for name in holder.needed} if all(name in held for name in holder.needed) else None
