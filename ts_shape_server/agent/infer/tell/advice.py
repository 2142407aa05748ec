"""What would help where nothing was found: a comment for this class, or the thing outside of it that is missing.

Made from the class's own parameters and the attempt that came furthest. Runs nothing.
"""

from __future__ import annotations

import socket
import urllib.error
from collections.abc import Iterable, Iterator, Mapping

from ts_shape_server.agent.infer.facts import uses
from ts_shape_server.agent.infer.guesses import values
from ts_shape_server.agent.infer.running.spy import Wish
from ts_shape_server.agent.infer.tell import naming

MOST_COMMENTS = 3
MOST_ARGUMENTS = 3
"""So many constructor arguments are written out."""
_NETWORK = (urllib.error.URLError, socket.gaierror, ConnectionError)


def for_inputs(inputs: values.Inputs, wishes: Mapping[int, Wish]) -> str:
    """A comment that says what goes in; empty where nothing that goes in is a tensor."""
    parts = []
    index = 0
    for item in inputs:
        tensors = list(values.tensors(item.guess))
        if isinstance(item.guess, values.TensorGuess):
            parts.append(f"{item.name.lstrip('*')}={_tensor(item.guess, wishes.get(index), False)}")
        elif isinstance(item.guess, values.SequenceGuess) and item.guess.kind == "list" and tensors:
            parts.append(f"{item.name.lstrip('*')}=[{_tensor(tensors[0], wishes.get(index), True)}, ...]")
        index += len(tensors)
    return " and ".join(f"`# ts-shape: {part}`" for part in parts[:MOST_COMMENTS])


def _tensor(guess: values.TensorGuess, wish: Wish | None, in_list: bool) -> str:
    dims: list[str] = list(naming.conventional(guess, wish, in_list))
    for axis, size in wish.axes.items() if wish is not None else ():
        if -len(dims) <= axis < len(dims):
            dims[axis] = str(size)
    shape = f"({', '.join(dims)}{',' if len(dims) == 1 else ''})"
    return shape if guess.dtype == "float32" else f"{shape} {guess.dtype}"


def for_constructor(cls: type, plan: Mapping[str, str]) -> str:
    """A comment with the arguments that the constructor has to have; empty where it needs none."""
    needed = [item.name for item in uses.required(cls)]
    parts = [f"{name}={_plain(plan.get(name, ''))}" for name in needed[:MOST_ARGUMENTS]]
    rest = ", ..." if len(needed) > MOST_ARGUMENTS else ""
    return f"`# ts-shape: init({', '.join(parts)}{rest})`" if parts else ""


def _plain(expression: str) -> str:
    """A guess that a person would write; anything longer stands for itself."""
    return expression if expression and len(expression) <= 12 and "(" not in expression else "..."


def missing(error: BaseException) -> str:
    """A sentence on what is missing outside of the class; empty where that is not the reason."""
    for cause in _chain(error):
        if isinstance(cause, ImportError) and cause.name:
            return (
                f"It needs the package `{cause.name.partition('.')[0]}`, which is not installed where the probes run."
            )
        if isinstance(cause, FileNotFoundError) and cause.filename:
            return f"It reads `{cause.filename}`, which is not there."
        if isinstance(cause, _NETWORK):
            return "It downloads something, and a probe has no network: what is in the cache is used."
        if isinstance(cause, PermissionError):
            what = f"`{cause.filename}`" if cause.filename else "the network, other processes or files"
            return f"It asks for {what}, which is withheld from probes."
    return ""


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error and what it came from."""
    seen: Iterable[int] = ()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        yield current
        seen = (*seen, id(current))
        current = current.__cause__ or current.__context__
