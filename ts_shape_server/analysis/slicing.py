"""Backward slices: the statements of a file that some expressions need, and no others.

From a call outwards: statements before it that bind a needed name, then those of the enclosing blocks, then the
module's. A loop over a loader becomes the same loop with a `break`; a function's parameter without default cannot be
known, and then there is no slice. Pure.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True)
class Step:
    """One block on the way from the module to a statement: its owner, its statements, and the place among them."""

    owner: ast.AST
    body: Sequence[ast.stmt]
    index: int


@dataclass(frozen=True)
class Slice:
    """Source that binds what is needed, and the text of the iterable whose first item was taken (empty without a
    loop).
    """

    setup: str
    drawn: str


def steps(tree: ast.Module) -> Iterable[tuple[Step, ...]]:
    """The way to every statement of the file, outer statements before inner ones."""

    def walk(owner: ast.AST, body: Sequence[ast.stmt], before: tuple[Step, ...]) -> Iterable[tuple[Step, ...]]:
        for index, statement in enumerate(body):
            way = (*before, Step(owner, body, index))
            yield way
            for name in ("body", "orelse", "finalbody"):
                inner = getattr(statement, name, None)
                if isinstance(inner, list) and inner and isinstance(inner[0], ast.stmt):
                    yield from walk(statement, inner, way)
            for handler in getattr(statement, "handlers", ()):
                yield from walk(statement, handler.body, way)

    return walk(tree, tree.body, ())


def backward(way: tuple[Step, ...], expressions: Iterable[ast.expr]) -> Slice | None:
    """What the expressions need at the end of `way`; None where that cannot be known from the text."""
    needed = {name for expression in expressions for name in used(expression)}
    kept: list[str] = []
    drawn = ""
    for step in reversed(way):
        kept[:0] = _before(step, needed)
        owner = step.owner
        if isinstance(owner, (ast.For, ast.AsyncFor)) and bound(owner.target) & needed:
            needed -= bound(owner.target)
            needed |= used(owner.iter)
            kept.insert(0, f"for {ast.unparse(owner.target)} in {ast.unparse(owner.iter)}:\n    break")
            drawn = ast.unparse(_loader(owner.iter))
        elif isinstance(owner, ast.With) and any(
            item.optional_vars is not None and bound(item.optional_vars) & needed for item in owner.items
        ):
            return None
        elif isinstance(owner, _FUNCTIONS):
            defaults = _parameters(owner, needed)
            if defaults is None:
                return None
            kept[:0] = defaults
        elif isinstance(owner, ast.ClassDef):
            needed.discard("self")
    module = way[0].body
    kept[:0] = _from_module(module, needed, before=way[0].index if way[0].owner is not None else 0)
    if not drawn:
        drawn = _drawn_by_next(kept, expressions)
    return Slice("\n".join(kept), drawn)


def _loader(node: ast.expr) -> ast.expr:
    """The iterable inside `enumerate(…)`, `tqdm(…)` and the like."""
    if (
        isinstance(node, ast.Call)
        and node.args
        and isinstance(node.func, ast.Name)
        and node.func.id in ("enumerate", "tqdm")
    ):
        return node.args[0]
    return node


def _drawn_by_next(kept: Sequence[str], expressions: Iterable[ast.expr]) -> str:
    for node in (
        *(part for text in kept for part in ast.walk(ast.parse(text))),
        *(part for expression in expressions for part in ast.walk(expression)),
    ):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "next" and node.args:
            inner = node.args[0]
            if (
                isinstance(inner, ast.Call)
                and isinstance(inner.func, ast.Name)
                and inner.func.id == "iter"
                and inner.args
            ):
                return ast.unparse(inner.args[0])
            return ast.unparse(inner)
    return ""


def _before(step: Step, needed: set[str]) -> list[str]:
    """The statements before a place in one block that bind needed names; `needed` follows."""
    if isinstance(step.owner, (ast.Module, ast.ClassDef)):
        return []
    kept: list[str] = []
    for statement in reversed(step.body[: step.index]):
        names = bound_by(statement)
        if names & needed:
            if isinstance(
                statement, (ast.Assign, ast.AnnAssign, *_FUNCTIONS, ast.ClassDef, ast.Import, ast.ImportFrom)
            ):
                needed -= names
            needed |= used(statement)
            kept.insert(0, ast.unparse(statement))
    return kept


def _parameters(owner: ast.FunctionDef | ast.AsyncFunctionDef, needed: set[str]) -> list[str] | None:
    """Assignments of defaults to needed parameters; None if one has no default."""
    arguments = owner.args
    plain = [*arguments.posonlyargs, *arguments.args]
    defaults: dict[str, ast.expr | None] = dict.fromkeys((item.arg for item in plain), None)
    for item, default in zip(reversed(plain), reversed(arguments.defaults), strict=False):
        defaults[item.arg] = default
    for item, given in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        defaults[item.arg] = given
    for variadic in (arguments.vararg, arguments.kwarg):
        if variadic is not None:
            defaults[variadic.arg] = None
    kept: list[str] = []
    for name, value in defaults.items():
        if name in needed:
            if value is None:
                return None
            needed.discard(name)
            needed |= used(value)
            kept.append(f"{name} = {ast.unparse(value)}")
    return kept


def _from_module(module: Sequence[ast.stmt], needed: set[str], before: int) -> list[str]:
    """The module's statements that needed names come from, in their order; those after the call define functions
    only.
    """
    flat = [
        (number, statement)
        for number, top in enumerate(module)
        for statement in (_lifted(top) if number != before else _lifted(top) if isinstance(top, ast.If) else ())
    ]
    chosen: set[int] = set()
    waiting = set(needed)
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        for position, (number, statement) in enumerate(flat):
            definition = isinstance(statement, (*_FUNCTIONS, ast.ClassDef, ast.Import, ast.ImportFrom))
            if name in bound_by(statement) and (definition or number < before) and position not in chosen:
                chosen.add(position)
                waiting |= used(statement)
    return [ast.unparse(statement) for position, (_, statement) in enumerate(flat) if position in chosen]


def _lifted(statement: ast.stmt) -> list[ast.stmt]:
    """A statement as it is; of a main guard nothing, for its contents are reached through the way."""
    if isinstance(statement, ast.If) and "__main__" in ast.dump(statement.test):
        return []
    if isinstance(statement, (ast.For, ast.While, ast.With, ast.Expr)):
        return []
    return [statement]


def bound(target: ast.expr) -> set[str]:
    return {node.id for node in ast.walk(target) if isinstance(node, ast.Name)}


def bound_by(statement: ast.stmt) -> set[str]:
    """The names that a statement binds in its own scope."""
    if isinstance(statement, (*_FUNCTIONS, ast.ClassDef)):
        return {statement.name}
    names: set[str] = set()
    for node in ast.walk(statement):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names.update((alias.asname or alias.name).split(".")[0] for alias in node.names)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return names


def used(node: ast.AST) -> set[str]:
    """The names that a piece of code reads and that Python itself does not have."""
    return {
        inner.id
        for inner in ast.walk(node)
        if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Load) and not hasattr(builtins, inner.id)
    }
