"""The type of every expression in the user's functions, seen in an eager run.

`record` recompiles the functions with each expression wrapped in a recorder, swaps the code objects for one run, and
puts the old ones back. It knows nothing of what the types are wanted for.
"""

from __future__ import annotations

import ast
import contextlib
import copy
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import CodeType
from typing import Any

from ts_shape_server.agent.script import types
from ts_shape_server.agent.script.sources import NodeKey, ParsedFunction, key_of
from ts_shape_server.agent.script.types import Type

_RECORDER = "__ts_shape_record__"
_VISITOR = "__ts_shape_visit__"
_ENOUGH_VISITS = 256


@dataclass
class Expressions:
    """What ran and what it gave, by function and node. A function that is not in `functions` was not recorded.

    `tried` are the functions that need no second attempt.
    """

    tried: set[tuple[str, int]] = field(default_factory=set)
    functions: set[tuple[str, int]] = field(default_factory=set)
    values: dict[tuple[tuple[str, int], NodeKey], Type] = field(default_factory=dict)
    blocks: set[tuple[tuple[str, int], NodeKey]] = field(default_factory=set)

    def type_of(self, function: ParsedFunction, node: ast.AST) -> Type | None:
        """None where the expression never ran."""
        return self.values.get((function.key, key_of(node)))

    def ran(self, function: ParsedFunction, block: list[ast.stmt]) -> bool:
        """Whether a branch was taken. True for a function that was not recorded."""
        return function.key not in self.functions or (function.key, key_of(block[0])) in self.blocks


def record(
    functions: Sequence[ParsedFunction],
    call: Callable[[], Any],
    into: Expressions,
    training: Callable[[], Any] | None = None,
) -> bool:
    """Run `call` with the functions recorded, and say whether it came to its end. Never raises what `call` raises: what
    was seen by then counts.

    `training` adds types of what only runs there, and does not say which branches are taken: it is asked where
    something has not run.
    """
    swapped: list[tuple[Any, CodeType]] = []
    recorder = _Recorder(into)
    try:
        for parsed in functions:
            inner = inspect.unwrap(parsed.function)
            inner = getattr(inner, "__func__", inner)
            code = _instrumented(parsed, inner, recorder)
            if code is not None:
                swapped.append((inner, inner.__code__))
                inner.__code__ = code
                into.functions.add(parsed.key)
        for function, _ in swapped:
            # Not among the builtins: a file may have been loaded with builtins of its own.
            function.__globals__.update({_RECORDER: recorder.record, _VISITOR: recorder.visit})
        ended = False
        try:
            call()
            ended = True
        except Exception:
            # What ran before counts; what did not run then might have run.
            into.functions.difference_update(parsed.key for parsed in functions)
        if training is not None and not all(recorder.visits):
            recorder.visiting = False
            with contextlib.suppress(Exception):
                training()
    finally:
        for function, code in swapped:
            function.__code__ = code
            function.__globals__.pop(_RECORDER, None)
            function.__globals__.pop(_VISITOR, None)
    return ended


class _Recorder:
    """Numbers stand for keys in the instrumented code: a constant is cheaper than a tuple."""

    def __init__(self, into: Expressions) -> None:
        self.into = into
        self.keys: list[tuple[tuple[str, int], NodeKey]] = []
        self.visits: list[int] = []
        self.visiting = True

    def number(self, function: ParsedFunction, node: ast.AST) -> int:
        self.keys.append((function.key, key_of(node)))
        self.visits.append(0)
        return len(self.keys) - 1

    def record(self, number: int, value: Any) -> Any:
        if self.visits[number] < _ENOUGH_VISITS:
            self.visits[number] += 1
            key = self.keys[number]
            known = self.into.values.get(key, types.UNKNOWN)
            found = types.of(value)
            self.into.values[key] = types.join(
                known, types.Type("!", python=type(value)) if found.name == "!" else found
            )
        return value

    def visit(self, number: int) -> None:
        self.visits[number] += 1
        if self.visiting:
            self.into.blocks.add(self.keys[number])


def _instrumented(parsed: ParsedFunction, function: Any, recorder: _Recorder) -> CodeType | None:
    """The function's code with recorders in it; None where it cannot stand in for the old one."""
    old = getattr(function, "__code__", None)
    if old is None or old.co_name != parsed.tree.name or parsed.tree.args.posonlyargs:
        return None
    tree = copy.deepcopy(parsed.tree)
    wrapper = _Wrapper(parsed, recorder)
    tree.body = wrapper.block(tree.body)
    code = compiled_like(old, tree)
    return code if code is not None and code.co_freevars == old.co_freevars else None


def compiled_like(old: CodeType, tree: ast.FunctionDef) -> CodeType | None:
    """The code of another version of a function, without its annotations, decorators and the values of its defaults;
    names from around it stay free. `tree` is changed. None where it does not compile.
    """
    tree.decorator_list = []
    tree.returns = None
    for argument in ast.walk(tree.args):
        if isinstance(argument, ast.arg):
            argument.annotation = None
    tree.args.defaults = [ast.Constant(None) for _ in tree.args.defaults]
    tree.args.kw_defaults = [None if item is None else ast.Constant(None) for item in tree.args.kw_defaults]
    free = [ast.Assign([ast.Name(name, ast.Store())], ast.Constant(None)) for name in old.co_freevars]
    outer = ast.parse("def outer(): pass").body[0]
    assert isinstance(outer, ast.FunctionDef)
    outer.body = [*free, tree]
    unit = ast.fix_missing_locations(ast.Module([outer], []))
    try:
        compiled = compile(unit, old.co_filename, "exec")
    except (SyntaxError, ValueError):
        return None
    return _find(_find(compiled, "outer"), tree.name)


def _find(code: CodeType | None, name: str) -> CodeType | None:
    constants = code.co_consts if code is not None else ()
    return next((item for item in constants if isinstance(item, CodeType) and item.co_name == name), None)


class _Wrapper(ast.NodeTransformer):
    """Wraps every loaded expression, and marks the start of every block."""

    def __init__(self, parsed: ParsedFunction, recorder: _Recorder) -> None:
        self.parsed = parsed
        self.recorder = recorder

    def block(self, statements: list[ast.stmt]) -> list[ast.stmt]:
        if not statements:
            return statements
        number = self.recorder.number(self.parsed, statements[0])
        call = ast.Call(ast.Name(_VISITOR, ast.Load()), [ast.Constant(number)], [])
        result: list[ast.stmt] = [ast.Expr(call)]
        result.extend(item if _is_docstring(item) else self.visit(item) for item in statements)
        return result

    def generic_visit(self, node: ast.AST) -> ast.AST:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            return node
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "returns", "decorator_list"):
                continue
            if isinstance(value, list) and value and isinstance(value[0], ast.stmt):
                setattr(node, name, self.block(value))
            elif isinstance(value, list):
                setattr(node, name, [self.visit(item) if isinstance(item, ast.AST) else item for item in value])
            elif isinstance(value, ast.AST):
                setattr(node, name, self.visit(value))
        return node

    def visit(self, node: ast.AST) -> Any:
        if isinstance(node, (ast.JoinedStr, ast.Constant, ast.Lambda)):
            return self._wrapped(node) if isinstance(node, ast.JoinedStr) else node
        if type(node).__name__.startswith("Match"):
            return node
        if not isinstance(node, ast.expr) or isinstance(node, (ast.Starred, ast.Slice)):
            return self.generic_visit(node)
        if not isinstance(getattr(node, "ctx", None) or ast.Load(), ast.Load):
            return self.generic_visit(node)
        if isinstance(node, ast.Call):
            return self._call(node)
        if isinstance(node, ast.Tuple) and any(isinstance(item, ast.Slice) for item in node.elts):
            return self.generic_visit(node)
        return self._wrapped(node, self.generic_visit)

    def _call(self, node: ast.Call) -> ast.AST:
        """What is called stays bare but for what it is taken from: `super()` must read as such."""
        key = self.recorder.number(self.parsed, node)
        if isinstance(node.func, ast.Attribute):
            node.func.value = self.visit(node.func.value)
        elif not isinstance(node.func, ast.Name):
            node.func = self.visit(node.func)
        node.args = [self.visit(item) for item in node.args]
        for keyword in node.keywords:
            keyword.value = self.visit(keyword.value)
        return ast.Call(ast.Name(_RECORDER, ast.Load()), [ast.Constant(key), node], [])

    def _wrapped(self, node: ast.expr, inside: Callable[[ast.AST], ast.AST] | None = None) -> ast.AST:
        number = self.recorder.number(self.parsed, node)
        value = inside(node) if inside is not None else node
        assert isinstance(value, ast.expr)
        return ast.Call(ast.Name(_RECORDER, ast.Load()), [ast.Constant(number), value], [])


def _is_docstring(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
