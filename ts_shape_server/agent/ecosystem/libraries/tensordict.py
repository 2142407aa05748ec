"""tensordict: a `TensorDict` as an input, with the keys that the body reads, or those that a module takes which it is
given to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ts_shape_server.agent.ecosystem import Asked
from ts_shape_server.agent.infer.guesses.first_tensors import named_tensor, tensor
from ts_shape_server.agent.infer.guesses.values import Guess, RecordGuess, TensorGuess

_MAKER = "(lambda **items: __import__('tensordict').TensorDict(items, batch_size=next(iter(items.values())).shape[:1]))"
"""Its batch is that of what it holds first, and so of all that it holds."""


def container(asked: Asked, namespace: Mapping[str, Any]) -> Guess | None:
    named = getattr(asked.annotation, "__name__", "") in ("TensorDict", "TensorDictBase")
    taken = [key for item in asked.passed if _is_module(item.target) for key in item.target.in_keys]
    # What a module of the library is given has the keys that it takes; those that it writes are read afterwards.
    keys = tuple(dict.fromkeys(map(str, taken))) or asked.keys
    if not (named or taken or asked.attributes & _OF_ITS_OWN) or not keys:
        return None
    return RecordGuess(_MAKER, tuple((key, _item(key)) for key in keys), "TensorDict")


def _is_module(target: Any) -> bool:
    """Whether a part takes a `TensorDict` and says which keys of it."""
    return any(base.__name__ == "TensorDictModuleBase" for base in type(target).__mro__)


_OF_ITS_OWN = frozenset({"batch_size", "batch_dims", "auto_batch_size_", "set_", "exclude"})
"""What is read of a `TensorDict` and of no dict."""


def _item(key: str) -> TensorGuess:
    known = named_tensor(key)
    return known if known != tensor(4) else tensor(2)


def instance(value: Any, namespace: Mapping[str, Any], guess: Callable[[Any], Guess | None]) -> Guess | None:
    """A `TensorDict` that the workspace made."""
    if type(value).__name__ != "TensorDict" or not type(value).__module__.startswith("tensordict"):
        return None
    items = {str(key): guess(item) for key, item in value.items()}
    if any(item is None for item in items.values()):
        return None
    return RecordGuess(_MAKER, tuple((key, item) for key, item in items.items() if item is not None), "TensorDict")
