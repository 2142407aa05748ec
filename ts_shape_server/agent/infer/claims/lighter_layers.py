"""Smaller constructor arguments with which the same code runs, for runs that only look at code: what TorchScript makes
of a class does not hang on how wide its layers are and how often a block repeats. Knows nothing of TorchScript.

The same code means: the same kinds of modules with attributes of the same kinds, the same lines of the workspace's
files, and inputs of the very same sizes.
"""

from __future__ import annotations

import ast
import inspect
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Any

import torch
from torch import nn

from ts_shape_server.agent import trees
from ts_shape_server.agent.infer.guesses import values
from ts_shape_server.agent.infer.running import instances
from ts_shape_server.agent.infer.running.session import Session

DEAR = 300_000_000
"""Products from which on a run is dear: a tenth of a second on one core."""
MANY = 40
"""Modules from which on a compilation is dear: a tenth of a second on one core."""
LESS = 0.9
"""Smaller arguments have to leave this part of the products at most."""
WIDE, NARROWER = 256, 8
"""Sizes from this on are divided by that."""
REPEATED, FEWER = 3, 2
"""So many blocks of one list, or more, become that many: a first and a last one."""
MOST = 2
"""Numbers that are tried alone, where all together are too many."""
_COUNTED = (nn.ModuleList, nn.Sequential, nn.ParameterList)
_LISTS = (nn.ModuleList, nn.ModuleDict, nn.Sequential, nn.ParameterList, nn.ParameterDict)


@dataclass(frozen=True)
class _Seen:
    """What two instances have in common where the same code runs in both."""

    kinds: frozenset[Any]
    lines: frozenset[tuple[str, int]]
    ranks: tuple[int, ...]


def arguments(
    session: Session,
    plan: Mapping[str, str],
    runs: Sequence[values.Inputs],
    root: str,
    path: str,
) -> dict[str, str] | None:
    """`plan` with smaller numbers, for which all `runs` run and the first takes fewer products; None where the first
    takes few anyway and the module has few parts, or where nothing smaller does the same.
    """
    known = {**_defaults(session), **plan}
    wide, repeated = _wide(known), _repeated(known, session.module)
    wanted, work, sizes = _look(session, runs[:1], root, path) if wide or repeated else (None, 0, frozenset())
    dear, many = work >= DEAR, sum(1 for _ in session.module.modules()) >= MANY
    if wanted is None or not (dear or (many and repeated)):
        return None
    best: tuple[dict[str, str], Session] | None = None
    wide, repeated = ([item for item in found if item.value not in sizes] for found in (wide, repeated))
    for chosen in _choices(wide if dear else [], repeated):
        smaller = {**plan, **_smaller(known, chosen)}
        other = _built(session, smaller)
        seen, products, _ = (None, 0, sizes) if other is None else _look(other, runs[:1], root, path)
        if other is not None and seen == wanted and products < work * LESS:
            best = smaller, other
            break
    if best is None or not all(best[1].concrete(inputs).ok for inputs in runs):
        return None
    # Values are looked at by real runs alone.
    return best[0] if all(best[1].on_real(inputs).ok for inputs in runs) else None


@dataclass(frozen=True)
class _Number:
    """An integer of a plan: its argument, its place in that, what it is, and a smaller one."""

    argument: str
    place: int
    value: int
    smaller: int


def _defaults(session: Session) -> dict[str, str]:
    """The integers that the constructor takes where nothing else is given."""
    try:
        parameters = inspect.signature(session.cls).parameters
    except (TypeError, ValueError):
        return {}
    return {name: repr(item.default) for name, item in parameters.items() if type(item.default) is int}


def _wide(plan: Mapping[str, str]) -> list[_Number]:
    """The large integers of a plan, the largest first."""
    found = [_Number(*item, item[2] // NARROWER) for item in _every(plan) if item[2] >= WIDE]
    return sorted(found, key=lambda item: -item.value)


def _repeated(plan: Mapping[str, str], module: nn.Module) -> list[_Number]:
    """The integers of a plan that are as many as a list of the module has blocks, the largest first."""
    lengths = {len(part) for part in module.modules() if isinstance(part, _COUNTED)}
    found = [_Number(*item, FEWER) for item in _every(plan) if REPEATED <= item[2] < WIDE and item[2] in lengths]
    return sorted(found, key=lambda item: -item.value)


def _every(plan: Mapping[str, str]) -> Iterator[tuple[str, int, int]]:
    """The integers of a plan: the argument, the place in it, the value."""
    for name, expression in plan.items():
        for place, constant in enumerate(_integers(ast.parse(expression, mode="eval"))):
            yield name, place, constant.value


def _choices(wide: Sequence[_Number], repeated: Sequence[_Number]) -> Iterator[Sequence[_Number]]:
    """What is made smaller together, what saves most first."""
    if wide and repeated:
        yield [*wide, *repeated]
    for found in (wide, repeated):
        if found:
            yield found
    for found in (wide, repeated):
        if len(found) > 1:
            yield from ([item] for item in found[:MOST])


def _smaller(plan: Mapping[str, str], numbers: Sequence[_Number]) -> dict[str, str]:
    """The arguments that change."""
    found: dict[str, str] = {}
    for item in numbers:
        tree = ast.parse(found.get(item.argument, plan[item.argument]), mode="eval")
        _integers(tree)[item.place].value = item.smaller
        found[item.argument] = ast.unparse(tree)
    return found


def _integers(tree: ast.AST) -> list[Any]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and type(node.value) is int]


def _built(session: Session, plan: Mapping[str, str]) -> Session | None:
    try:
        return instances.build(session.cls, plan, session.namespace, True)
    except Exception:
        return None


def _look(
    session: Session, runs: Sequence[values.Inputs], root: str, path: str
) -> tuple[_Seen | None, int, frozenset[int]]:
    """What an instance shows in these runs (None where one of them fails), the products of the first, and the sizes of
    what goes in and comes out.
    """
    lines = _Lines(root, path)
    outcomes = [session.concrete(inputs, [lines]) for inputs in runs]
    if not all(outcome.ok for outcome in outcomes):
        return None, 0, frozenset()
    made = [len(tensor.shape) for outcome in outcomes for tensor in trees.tensors(outcome.output)]
    kinds = frozenset(map(_kind, session.module.modules()))
    sizes = {int(size) for outcome in outcomes for tensor in trees.tensors(outcome.output) for size in tensor.shape}
    sizes.update(size for inputs in runs for size in values.sizes(inputs))
    return _Seen(kinds, frozenset(lines.seen), tuple(made)), outcomes[0].work, frozenset(sizes)


def _kind(module: nn.Module) -> Any:
    """The class of a module with the names of what it holds and of which kind that is; how much a list holds is left
    out, and what a number is.
    """
    if isinstance(module, _LISTS):
        return type(module)
    held = [(name, type(part)) for name, part in module._modules.items()]
    tensors = [(name, value is None) for name, value in (*module._parameters.items(), *module._buffers.items())]
    plain = [
        (name, value if value is None or type(value) in (bool, str) else _type(value))
        for name, value in vars(module).items()
        if not name.startswith("_")
    ]
    return type(module), tuple(held), tuple(tensors), tuple(plain)


def _type(value: Any) -> type:
    """The class of what a module holds. Whether a tensor has memory hangs on how large it is, and tells nothing."""
    return torch.Tensor if isinstance(value, torch.Tensor) and not isinstance(value, nn.Parameter) else type(value)


class _Lines:
    """Context manager: notes the lines of the workspace's files that run while it is active."""

    def __init__(self, root: str, path: str) -> None:
        self.seen: set[tuple[str, int]] = set()
        self._root, self._path = os.path.join(root, ""), path
        self._before: Any = None

    def __enter__(self) -> _Lines:
        self._before = sys.gettrace()
        sys.settrace(self._call)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._before)

    def _call(self, frame: FrameType, event: str, argument: Any) -> Any:
        path = frame.f_code.co_filename
        own = path == self._path or (path.startswith(self._root) and "site-packages" not in path)
        return self._line if own else None

    def _line(self, frame: FrameType, event: str, argument: Any) -> Any:
        self.seen.add((frame.f_code.co_filename, frame.f_lineno))
        return self._line
