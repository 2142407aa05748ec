"""A module that a variable of a file holds, as a class: each instance is a copy of it.

So a variable is asked about as a class is. Knows nothing of files.
"""

from __future__ import annotations

import copy
import linecache
from typing import Any

from torch import nn

_FILE = "<held module>"
_CONSTRUCTOR = """def __init__(self):
    nn.Module.__init__(self)
    self.__dict__.update(copy.deepcopy(held.__dict__))
"""
"""TorchScript reads the source of a constructor, and nothing of ours is readable in the sandbox."""

_made: dict[int, tuple[nn.Module, type[nn.Module]]] = {}


def class_of(held: nn.Module, name: str) -> type[nn.Module]:
    """The class of the copies of a module, of that name: the same one each time. Its source is that of the module's own
    class, which TorchScript reads.
    """
    known = _made.get(id(held))
    if known is not None and known[0] is held:
        return known[1]
    linecache.cache[_FILE] = (len(_CONSTRUCTOR), None, _CONSTRUCTOR.splitlines(True), _FILE)
    namespace: dict[str, Any] = {"nn": nn, "copy": copy, "held": held}
    exec(compile(_CONSTRUCTOR, _FILE, "exec"), namespace)
    kind = type(held)
    members = {
        "__init__": namespace["__init__"],
        "__module__": kind.__module__,
        "__qualname__": kind.__qualname__,
    }
    made: type[nn.Module] = type(name, (kind,), members)
    _made[id(held)] = held, made
    return made
