"""Other classes of the file that make an instance of the class and run it: what they give it is evidence.

The host is built and run by the engine's own means, on guesses where nobody constructs it, and its part is watched.
What the part got is spelled as expressions in the module's namespace. A host that fails is no evidence.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from ts_shape_server.agent import runs
from ts_shape_server.agent.clock import TimeLimit, now, time_limit
from ts_shape_server.agent.context import Context
from ts_shape_server.agent.infer.constructor import arguments, building
from ts_shape_server.agent.infer.facts import constructions
from ts_shape_server.agent.infer.facts.evidence import Drawn
from ts_shape_server.agent.infer.facts.uses import required
from ts_shape_server.agent.infer.guesses import values
from ts_shape_server.agent.infer.inputs import search, starting
from ts_shape_server.agent.infer.running import instances

MAXIMUM = 2
SECONDS = 2.0


def draw(cls: type[nn.Module], context: Context, fake: bool) -> list[Drawn]:
    """What the first hosts that build give to their part, those that need no guesses first."""
    found: list[Drawn] = []
    for host in _candidates(cls, context)[:MAXIMUM]:
        try:
            with time_limit(min(SECONDS, max(0.1, context.remaining() / 4))):
                drawn = _watched(cls, host, context, fake)
        except (Exception, TimeLimit, SystemExit):
            continue
        if drawn is not None:
            found.append(drawn)
    return found


def _candidates(cls: type[nn.Module], context: Context) -> list[type[nn.Module]]:
    """Module classes of the file in whose body the class is named."""
    try:
        tree = ast.parse(context.source)
    except (SyntaxError, ValueError):
        return []
    found: list[type[nn.Module]] = []
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name != cls.__name__:
            host = context.namespace.get(node.name)
            named = any(isinstance(item, ast.Name) and item.id == cls.__name__ for item in ast.walk(node))
            if named and inspect.isclass(host) and issubclass(host, nn.Module) and not issubclass(host, cls):
                found.append(host)
    return sorted(found, key=lambda host: len(required(host)))


def _watched(cls: type[nn.Module], host: type[nn.Module], context: Context, fake: bool) -> Drawn | None:
    lines = dict(enumerate(context.source.splitlines(), 1))
    deadline = now() + SECONDS
    built = building.first_that_builds(
        host, {}, arguments.PROFILES[0], context.namespace, context.path, lines, fake, deadline
    )
    if isinstance(built, building.NotBuilt):
        return None
    parts = {name: runs.evaluate(text, context.namespace) for name, text in built.plan.items()}
    local = {f"_part_{name}": value for name, value in parts.items()}
    with constructions.watched(cls) as made:
        session = instances.build(host, {name: f"_part_{name}" for name in parts}, {**context.namespace, **local}, fake)
    kept = {id(module) for module in session.module.modules()}
    first = next((item for item in made if id(item.instance) in kept), None)
    if first is None:
        return None
    known = {id(value): built.plan[name] for name, value in parts.items()}
    init = constructions.spelled_call(first, context.namespace, lambda value: known.get(id(value)))
    if init is None:
        return None
    inputs = _inputs(cls, first.instance, host, session, context, lines, deadline)
    return Drawn(f"{host.__name__} makes it", "call", context.path, 0, init, inputs)


def _inputs(
    cls: type[nn.Module],
    part: nn.Module,
    host: type[nn.Module],
    session: Any,
    context: Context,
    lines: Mapping[int, str],
    deadline: float,
) -> dict[str, values.InputGuess] | None:
    """What reaches the part when the host runs; None if the host does not run, or runs without it."""
    guess, _, omitted = starting.first_guess(host, {})
    found = search.search(session, [guess], context.path, lines, deadline, omitted, True)
    if not isinstance(found, search.Found):
        return None
    seen: list[dict[str, Any]] = []

    def note(module: nn.Module, given: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        if not seen:
            bound = inspect.signature(cls.forward).bind(module, *given, **keywords)
            seen.append(dict(list(bound.arguments.items())[1:]))

    handle = part.register_forward_pre_hook(note, with_kwargs=True)
    try:
        session.concrete(found.inputs)
    finally:
        handle.remove()
    if not seen:
        return None
    guesses = {name: _guess(value) for name, value in seen[0].items()}
    if any(item is None for item in guesses.values()):
        return None
    return {name: values.InputGuess(name, item, "call") for name, item in guesses.items() if item is not None}


def _guess(value: Any) -> values.Guess | None:
    """A tensor by its dims and dtype alone: in the host's run it may have no values."""
    if isinstance(value, torch.Tensor):
        return values.TensorGuess(tuple(int(size) for size in value.shape), str(value.dtype).replace("torch.", ""))
    if type(value) in (list, tuple):
        items = [_guess(item) for item in value]
        if any(item is None for item in items):
            return None
        kind = "list" if isinstance(value, list) else "tuple"
        return values.SequenceGuess(tuple(item for item in items if item is not None), kind)
    return values.from_value(value)
