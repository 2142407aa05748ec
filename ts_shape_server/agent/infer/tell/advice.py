"""What would help where nothing was found: a comment for this class, or the thing outside of it that is missing.

Made from the class's own parameters and the attempt that came furthest. Runs nothing.
"""

from __future__ import annotations

import socket
import urllib.error
from collections.abc import Collection, Iterable, Iterator, Mapping

from ts_shape_server.agent.infer.facts import uses
from ts_shape_server.agent.infer.guesses import first_tensors, values
from ts_shape_server.agent.infer.running.spy import Wish
from ts_shape_server.agent.infer.tell import naming

MOST_COMMENTS = 3
MOST_ARGUMENTS = 3
"""So many constructor arguments are written out."""
_NETWORK = (urllib.error.URLError, socket.gaierror, ConnectionError)


def for_inputs(inputs: values.Inputs, wishes: Mapping[int, Wish], objects: Mapping[str, tuple[str, ...]]) -> str:
    """Sentences with a comment that says what goes in, and with what is used of inputs that are no tensors; empty where
    there is nothing to say. `objects` are names that no tensor has, by the input of which they are used.

    What was refused is no advice: of a shape only what a consumer documents beyond that is written, the rest is left
    open.
    """
    parts = []
    index = 0
    for item in inputs:
        tensors = list(values.tensors(item.guess))
        if item.name not in objects and isinstance(item.guess, values.TensorGuess):
            parts.append(f"{item.name.lstrip('*')}={_tensor(item.guess, wishes.get(index), False)}")
        elif _is_list_of_tensors(item.guess):
            parts.append(f"{item.name.lstrip('*')}=[{_tensor(tensors[0], wishes.get(index), True)}, ...]")
        index += len(tensors)
    comments = " and ".join(f"`# ts-shape: {part}`" for part in parts[:MOST_COMMENTS])
    sentences = [_object(name, used) for name, used in objects.items()]
    if comments:
        sentences.append(f"Say what goes in, in a comment above the class: {comments}.")
    return " ".join(sentences)


def _is_list_of_tensors(guess: values.Guess) -> bool:
    if not isinstance(guess, values.SequenceGuess) or guess.kind != "list" or not guess.items:
        return False
    return all(isinstance(item, values.TensorGuess) for item in guess.items)


def _object(name: str, used: tuple[str, ...]) -> str:
    """What an input is that is no tensor."""
    named = ", ".join(f"`{item}`" for item in used[:MOST_COMMENTS])
    return f"`{name}` is an object with {named}: where its class is annotated, an instance of that is tried."


def _tensor(guess: values.TensorGuess, wish: Wish | None, in_list: bool) -> str:
    wanted = wish.rank if wish is not None and wish.rank is not None else len(guess.dims)
    shaped = first_tensors.ranked(guess, wanted) if wanted != len(guess.dims) else guess
    dims: list[str] = list(naming.conventional(shaped, wish, in_list))
    news = wanted != len(guess.dims)
    for axis, size in wish.axes.items() if wish is not None else ():
        if -len(dims) <= axis < len(dims):
            news = news or shaped.dims[axis] != size
            dims[axis] = str(size)
    shape = f"({', '.join(dims)}{',' if len(dims) == 1 else ''})" if news else "(...)"
    return shape if guess.dtype == "float32" else f"{shape} {guess.dtype}"


def for_constructor(cls: type, known: Collection[str]) -> str:
    """A comment for the arguments that the constructor has to have and that are not `known`; empty where all are."""
    needed = [item.name for item in uses.required(cls) if item.name not in known]
    rest = ", ..." if len(needed) > MOST_ARGUMENTS else ""
    parts = [f"{name}=..." for name in needed[:MOST_ARGUMENTS]]
    return f"`# ts-shape: init({', '.join(parts)}{rest})`" if parts else ""


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


def is_outside(error: BaseException) -> bool:
    """Whether a package or the network is missing: other arguments would meet the same."""
    return any(
        isinstance(cause, _NETWORK) or (isinstance(cause, ImportError) and cause.name) for cause in _chain(error)
    )


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error and what it came from."""
    seen: Iterable[int] = ()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        yield current
        seen = (*seen, id(current))
        current = current.__cause__ or current.__context__
