"""Expressions for constructor arguments that are modules: a class of the file whose name fits, or a module that passes
its first input on.

The file's own classes come first, with constructor arguments guessed as for any class. Builds nothing.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from torch import nn

PASSING = "type('Passing', (nn.Module,), {'forward': lambda self, *inputs, **named: inputs[0]})()"
"""A module that takes what it is given: an `nn.Identity` for callers that pass more than one value."""
MAXIMUM = 2
_LONGER = {
    "attn": "attention",
    "ff": "feedforward",
    "ffn": "feedforward",
    "enc": "encoder",
    "dec": "decoder",
    "emb": "embedding",
    "embed": "embedding",
    "gen": "generator",
    "disc": "discriminator",
    "net": "network",
}
_SHORTEST = 3


def candidates(
    name: str, host: type, namespace: Mapping[str, Any], arguments_of: Callable[[type], str | None]
) -> Iterator[str]:
    """Expressions for the parameter `name` of `host`, best first.

    `arguments_of` gives the argument list for a class, None where it has none to offer.
    """
    own = namespace.get("__name__")
    scored: list[tuple[int, str, type]] = []
    for known, value in namespace.items():
        if inspect.isclass(value) and issubclass(value, nn.Module) and value is not host and value.__module__ == own:
            score = _likeness(name, host.__name__, value.__name__)
            if score and not issubclass(value, host):
                scored.append((-score, known, value))
    for _, known, value in sorted(scored, key=lambda item: item[:2])[:MAXIMUM]:
        arguments = arguments_of(value)
        if arguments is not None:
            yield f"{known}({arguments})"


def _likeness(name: str, host: str, candidate: str) -> int:
    """How well a class's name fits a parameter: the whole name, then its words; that of the host counts besides."""
    plain = re.sub(r"[^a-z]", "", candidate.lower())
    words = [_LONGER.get(word, word) for word in re.findall(r"[a-z]+", name.lower())]
    joined = "".join(words)
    score = 4 * (len(joined) >= _SHORTEST and joined in plain)
    score += sum(len(word) >= _SHORTEST and word in plain for word in words)
    return score * 2 + (score > 0 and host.lower() in plain)
