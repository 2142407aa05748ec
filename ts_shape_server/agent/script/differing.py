"""Where a scripted module first computes something else than eager: the submodule, then the expression in it.

Functions are cut short so that they return what they have computed so far, in eager and in script; the first value on
which the two do not agree is the place. It knows nothing of why they differ.
"""

from __future__ import annotations

import ast
import copy
import functools
import inspect
import types as python
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from ts_shape_server.agent import clock, shares
from ts_shape_server.agent.compare import compare
from ts_shape_server.agent.script import edits
from ts_shape_server.agent.script.compiler import Compiler
from ts_shape_server.agent.script.expressions import compiled_like
from ts_shape_server.agent.script.locate import MarkedPlace
from ts_shape_server.agent.script.problem import RefusalSearch
from ts_shape_server.agent.script.session import ScriptSession
from ts_shape_server.agent.script.sources import Edit

ATTEMPTS = 60
"""Of cut functions that are compiled."""


@dataclass(frozen=True)
class Differing:
    """`code` gives `scripted` in TorchScript and `eager` in Python, where `values` are known."""

    place: MarkedPlace
    code: str
    scripted: Any = None
    eager: Any = None
    values: bool = True

    def words(self) -> str:
        if not self.values:
            return f"all agrees before `{self.code}`"
        scripted, eager = _shown(self.scripted, self.eager), _shown(self.eager, self.scripted)
        return f"`{self.code}` is {scripted} in TorchScript, {eager} in Python"


@dataclass(frozen=True)
class _Call:
    """One call of a submodule, with copies of what it was given."""

    name: str
    arguments: tuple[Any, ...]
    keywords: dict[str, Any]


def locate(session: ScriptSession, search: RefusalSearch, scripted: Any, second: bool) -> Differing | None:
    """The first expression that differs on a size, None if it cannot be told."""
    if session.context.remaining() < shares.FREEZING_NEEDS:
        return None
    try:
        call = _first_call(session, search, scripted, second)
        return _Cutting(session, search, call).first()
    except Exception:
        # To find the place is a service: whatever goes wrong here, the difference itself stands.
        return None


def _first_call(session: ScriptSession, search: RefusalSearch, scripted: Any, second: bool) -> _Call:
    """The innermost call of a user's submodule that differs on the same inputs; that of the whole if none does."""
    module = session.fresh()
    calls: list[tuple[_Call, Any]] = []
    handles: list[Any] = []
    for name, part in module.named_modules():
        if name and search.sources.functions and _is_users(part, search):
            handles += _watched(part, name, calls)
    session.call(module, second)
    for handle in handles:
        handle.remove()
    for call, expected in calls:
        part = functools.reduce(getattr, call.name.split("."), scripted)
        with torch.no_grad():
            actual = part(*copy.deepcopy(call.arguments), **copy.deepcopy(call.keywords))
        if not compare(expected, actual).agree:
            return call
    arguments, keywords = session.run.arguments(second)
    return _Call("", arguments, keywords)


def _is_users(part: nn.Module, search: RefusalSearch) -> bool:
    code = getattr(inspect.unwrap(type(part).forward), "__code__", None)
    return code is not None and search.users(code.co_filename)


def _watched(part: nn.Module, name: str, calls: list[tuple[_Call, Any]]) -> Iterator[Any]:
    given: list[_Call] = []

    def before(module: nn.Module, arguments: Any, keywords: Any) -> None:
        given.append(_Call(name, copy.deepcopy(arguments), copy.deepcopy(keywords)))

    def after(module: nn.Module, arguments: Any, keywords: Any, output: Any) -> None:
        calls.append((given.pop(), copy.deepcopy(output)))

    yield part.register_forward_pre_hook(before, with_kwargs=True)
    yield part.register_forward_hook(after, with_kwargs=True)


class _Cutting:
    """Runs one function cut short, in eager and in script."""

    def __init__(self, session: ScriptSession, search: RefusalSearch, call: _Call) -> None:
        self._session, self._search, self._call = session, search, call
        self._attempts = 0
        self._until = clock.now() + shares.FREEZING
        self._slowest = 0.0
        part = session.pristine.get_submodule(call.name)
        function = inspect.unwrap(type(part).forward)
        code = function.__code__
        found = search.sources.function_at(code.co_filename, code.co_firstlineno)
        if found is None or found.tree.name != code.co_name:
            raise LookupError(code.co_name)
        self._function, self._parsed = function, found

    def first(self) -> Differing | None:
        """The first statement that leaves another value, then the first expression in it that does."""
        body = self._parsed.tree.body
        for number, statement in enumerate(body):
            if not self._left():
                return None
            returns = any(isinstance(node, ast.Return) for node in ast.walk(statement))
            if returns and not isinstance(statement, ast.Return):
                return self._at_head(statement)
            if returns or self._differs(number + 1, _stored(statement)) is not None:
                return self._within(number, statement)
        return None

    def _at_head(self, statement: ast.stmt) -> Differing | None:
        """A statement that returns somewhere inside, by the test or the items that it starts with."""
        head = getattr(statement, "test", None) or getattr(statement, "iter", None)
        if not isinstance(head, ast.expr):
            return None
        return Differing(self._parsed.place_of(head), ast.unparse(head), values=False)

    def _left(self) -> bool:
        if self._attempts >= ATTEMPTS or clock.now() > self._until:
            return False
        return self._session.affords(4) and self._session.context.remaining() > 3 * self._slowest

    def _within(self, number: int, statement: ast.stmt) -> Differing | None:
        value = getattr(statement, "value", None)
        if not isinstance(value, ast.expr):
            return self._differing(statement, self._differs(number + 1, _stored(statement)))
        for node in _inner_first(value):
            found = self._differs(number, node)
            if found is not None:
                return self._differing(node, found)
        return None

    def _differing(self, node: ast.AST, found: tuple[Any, Any] | None) -> Differing | None:
        if found is None:
            return None
        code = ast.unparse(node).split("\n")[0]
        return Differing(self._parsed.place_of(node), code, found[1], found[0])

    def _differs(self, number: int, value: ast.expr | None) -> tuple[Any, Any] | None:
        """Both values of an expression after so many statements; None if they agree or cannot be had."""
        if value is None or not self._left():
            return None
        self._attempts += 1
        began = clock.now()
        try:
            eager = self._eager(number, value)
            scripted = self._scripted(number, value)
        except Exception:
            return None
        finally:
            self._slowest = max(self._slowest, clock.now() - began)
        alike = compare(eager, scripted).agree and _same_kind(eager, scripted)
        return None if alike else (eager, scripted)

    def _eager(self, number: int, value: ast.expr) -> Any:
        tree = ast.parse(ast.unparse(self._parsed.tree)).body[0]
        assert isinstance(tree, ast.FunctionDef)
        tree.body = [*tree.body[:number], ast.Return(ast.parse(ast.unparse(value), mode="eval").body)]
        whole = self._function
        code = compiled_like(whole.__code__, tree)
        if code is None:
            raise LookupError(tree.name)
        cells = dict(zip(whole.__code__.co_freevars, whole.__closure__ or ()))
        closure = tuple(cells[name] for name in code.co_freevars)
        cut = python.FunctionType(code, whole.__globals__, tree.name, whole.__defaults__, closure)
        cut.__kwdefaults__ = whole.__kwdefaults__
        module = self._session.fresh().get_submodule(self._call.name)
        module.forward = python.MethodType(cut, module)
        return self._run(module)

    def _scripted(self, number: int, value: ast.expr) -> Any:
        module = self._session.fresh().get_submodule(self._call.name)
        made = self._search.sources.edits.setdefault(self._parsed.key, [])
        made.append(_cut(number, value))
        try:
            compiler = Compiler(module, self._search.sources)
            compiler.attempts = 1
            error = compiler()
            if error is not None:
                raise error
            return self._run(compiler.scripted)
        finally:
            made.pop()

    def _run(self, module: Any) -> Any:
        jit: Any = torch.jit
        with torch.no_grad(), jit.optimized_execution(False):
            return module(*copy.deepcopy(self._call.arguments), **copy.deepcopy(self._call.keywords))


def _cut(number: int, value: ast.expr) -> Edit:
    def edit(tree: ast.FunctionDef) -> None:
        where = tree.body[min(number, len(tree.body) - 1)]
        returned = ast.Return(copy.deepcopy(value))
        edits.placed(returned, where)
        tree.returns = None
        tree.body = [*tree.body[:number], returned]

    return edit


def _stored(statement: ast.stmt) -> ast.expr | None:
    """What a statement leaves: the name that it binds, or a tuple of them."""
    names = sorted(edits.stored_names(statement))
    loads: list[ast.expr] = [ast.Name(name, ast.Load()) for name in names]
    if not loads:
        return None
    return loads[0] if len(loads) == 1 else ast.Tuple(loads, ast.Load())


def _inner_first(node: ast.expr) -> Iterator[ast.expr]:
    """The expressions under a node that compute something, arguments before calls."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.expr):
            yield from _inner_first(child)
        elif isinstance(child, ast.keyword):
            yield from _inner_first(child.value)
    if isinstance(
        node, (ast.Call, ast.BinOp, ast.BoolOp, ast.UnaryOp, ast.Compare, ast.IfExp, ast.Subscript, ast.List)
    ):
        yield node


def _same_kind(eager: Any, scripted: Any) -> bool:
    """Whether plain values are of one type: ``4`` and ``4.0`` are equal, and give tensors of two dtypes."""
    plain = (bool, int, float, str)
    return not isinstance(eager, plain) or type(eager) is type(scripted)


def _shown(value: Any, other: Any) -> str:
    if isinstance(value, torch.Tensor):
        kind = f"{tuple(value.shape)} {str(value.dtype).replace('torch.', '')}"
        alike = isinstance(other, torch.Tensor) and (value.shape, value.dtype) == (other.shape, other.dtype)
        return f"{_numbers(value)}" if alike else f"a Tensor {kind}"
    text = repr(value)
    return text if len(text) <= 60 else f"a {type(value).__name__}"


def _numbers(value: torch.Tensor) -> str:
    """The first values of a tensor."""
    first = [f"{item:.4g}" for item in value.detach().flatten()[:3].tolist()]
    return ", ".join(first) + (", …" if value.numel() > 3 else "")
