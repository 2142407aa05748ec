"""Smaller constructor arguments with which the same code runs, for runs that only look at code: what TorchScript makes
of a class does not hang on how wide its layers are and how often a block repeats. Knows nothing of TorchScript.

The same code means: the same kinds of modules with attributes of the same kinds, the same lines of the workspace's
files, and inputs of the very same sizes.
"""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Any

from torch import nn

from ts_shape_server.agent import trees
from ts_shape_server.agent.infer.guesses import values
from ts_shape_server.agent.infer.running import instances
from ts_shape_server.agent.infer.running.session import Session

DEAR = 300_000_000
"""Products from which on a run is dear: a tenth of a second on one core."""
LESS = 0.9
"""Smaller arguments have to leave this part of the products at most."""
WIDE, NARROWER = 256, 8
"""Sizes from this on are divided by that."""
MOST = 2
"""Numbers that are tried alone, where all together are too many."""
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
    takes few anyway, or where nothing smaller does the same.
    """
    numbers = _numbers(plan)
    wanted, work, sizes = _look(session, runs[:1], root, path) if numbers else (None, 0, frozenset())
    if wanted is None or work < DEAR:
        return None
    best: tuple[dict[str, str], Session] | None = None
    numbers = [item for item in numbers if item.value not in sizes]
    for chosen in (numbers, *([item] for item in numbers[:MOST] if len(numbers) > 1)):
        smaller = _with_smaller(plan, chosen)
        other = _built(session, smaller) if chosen else None
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
    """A large integer of a plan: its argument, its place in that, and what it is."""

    argument: str
    place: int
    value: int


def _numbers(plan: Mapping[str, str]) -> list[_Number]:
    """The large integers of a plan, the largest first."""
    found = [
        _Number(name, place, constant.value)
        for name, expression in plan.items()
        for place, constant in enumerate(_integers(ast.parse(expression, mode="eval")))
        if constant.value >= WIDE
    ]
    return sorted(found, key=lambda item: -item.value)


def _with_smaller(plan: Mapping[str, str], numbers: Sequence[_Number]) -> dict[str, str]:
    found = dict(plan)
    for item in numbers:
        tree = ast.parse(found[item.argument], mode="eval")
        _integers(tree)[item.place].value = item.value // NARROWER
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
        (name, value if value is None or type(value) in (bool, str) else type(value))
        for name, value in vars(module).items()
        if not name.startswith("_")
    ]
    return type(module), tuple(held), tuple(tensors), tuple(plain)


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
