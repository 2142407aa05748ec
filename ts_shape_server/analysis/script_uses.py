"""What a file gives to `torch.jit.script`, `torch.jit.trace` and the exporters, and what each of its definitions names.

From both the workspace tells which classes are scripted, traced or exported anywhere, those inside of them included.
Names are those of the file; which files they lead to is somebody else's knowledge. Pure.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from ts_shape_server.analysis import arguments
from ts_shape_server.analysis.modules import dotted, imports_of, parse, resolve_name
from ts_shape_server.analysis.program import Program, Way, enclosing_class
from ts_shape_server.analysis.scopes import COMPREHENSIONS, FUNCTIONS, bound_by, stored
from ts_shape_server.analysis.text import SourceText

Purpose = Literal["script", "trace", "export"]

DEPTH = 8
"""How many names and calls an object is followed through."""
WORDS = frozenset({"jit", "onnx", "export", "to_torchscript", "to_onnx"})
"""A file without one of these words uses nothing of the kind."""

_TAKERS: Mapping[str, tuple[str, tuple[Purpose, ...]]] = {
    "torch.jit.script": ("obj", ("script",)),
    "torch.jit.trace": ("func", ("trace",)),
    "torch.jit.trace_module": ("mod", ("trace",)),
    "torch.onnx.export": ("model", ("trace", "export")),
    "torch.onnx.dynamo_export": ("model", ("export",)),
    "torch.export.export": ("mod", ("export",)),
    "torch.export.export_for_training": ("mod", ("export",)),
}
"""Functions that take a module first: the name of that parameter, and what for."""
_DECORATORS = frozenset({"script", "script_method", "export", "ignore", "unused"})
"""Of `torch.jit`: who writes one of these in a class, scripts it."""


@dataclass(frozen=True)
class Helper:
    """A function that has what it is given scripted, traced or exported: the name that a file has for it, and the
    parameter by position and name.
    """

    name: str
    position: int
    parameter: str
    purpose: Purpose


@dataclass(frozen=True)
class ScriptUse:
    """`names`: dotted names of the file that the object given may be made of: classes, and functions that make one."""

    purpose: Purpose
    names: frozenset[str]


def uses(text: str, helpers: frozenset[Helper] = frozenset()) -> tuple[ScriptUse, ...]:
    """What a file gives to be scripted, traced or exported, also through `helpers`."""
    return _uses(text, helpers)[0]


def passing_on(text: str, helpers: frozenset[Helper] = frozenset()) -> frozenset[Helper]:
    """The functions of a file that pass a parameter on to be scripted, traced or exported."""
    return _uses(text, helpers)[1]


@lru_cache(maxsize=1024)
def _uses(text: str, helpers: frozenset[Helper]) -> tuple[tuple[ScriptUse, ...], frozenset[Helper]]:
    tree, _ = parse(SourceText(text))
    finder = _UseFinder(Program(tree), imports_of(tree), helpers)
    try:
        found = dict.fromkeys(use for use in finder.all() if use.names)
    except RecursionError:
        return (), frozenset()
    return tuple(found), frozenset(finder.passed)


@lru_cache(maxsize=1024)
def definitions(text: str) -> Mapping[str, frozenset[str]]:
    """For each class, function and value of the module itself the dotted names in what it is bound to."""
    tree, _ = parse(SourceText(text))
    found: dict[str, frozenset[str]] = {}
    for statement in Program(tree).module:
        if isinstance(statement, (ast.Import, ast.ImportFrom)):
            continue
        for name in bound_by(statement):
            found[name] = found.get(name, frozenset()) | _named(statement)
    return found


@lru_cache(maxsize=1024)
def names(text: str) -> frozenset[str]:
    """Every dotted name in a file."""
    return _named(parse(SourceText(text))[0])


def _named(node: ast.AST) -> frozenset[str]:
    nodes = ast.walk(node)
    return frozenset(
        name for node in nodes if isinstance(node, (ast.Name, ast.Attribute)) for name in [dotted(node)] if name
    )


class _UseFinder:
    """Goes through the calls, decorators and bases of one file."""

    def __init__(self, program: Program, imports: Mapping[str, str], helpers: frozenset[Helper]) -> None:
        self._program = program
        self._imports = imports
        self._helpers = helpers
        self.passed: set[Helper] = set()

    def all(self) -> Iterator[ScriptUse]:
        for way in self._program.ways:
            statement = way[-1].body[way[-1].index]
            if isinstance(statement, FUNCTIONS):
                yield from self._decorated(statement, way)
            elif isinstance(statement, ast.ClassDef):
                bases = [self._resolved(base) for base in (*statement.bases, *statement.decorator_list)]
                if "torch.jit.ScriptModule" in bases or "torch.jit.script" in bases:
                    yield ScriptUse("script", frozenset({statement.name}))
        for site in self._program.calls:
            for purpose, target in self._taken(site.call):
                names = frozenset(self._origins(target, site.way, 0))
                self._pass_on(target, site.way, purpose)
                yield ScriptUse(purpose, names)

    def _resolved(self, node: ast.expr) -> str:
        return resolve_name(dotted(node.func if isinstance(node, ast.Call) else node) or "", self._imports)

    def _decorated(self, function: ast.FunctionDef | ast.AsyncFunctionDef, way: Way) -> Iterator[ScriptUse]:
        resolved = (self._resolved(item) for item in function.decorator_list)
        if any(path.startswith("torch.jit.") and path.rsplit(".", 1)[-1] in _DECORATORS for path in resolved):
            owner = enclosing_class(way)
            yield ScriptUse("script", frozenset({function.name if owner is None else owner.name}))

    def _taken(self, call: ast.Call) -> Iterator[tuple[Purpose, ast.expr]]:
        """What a call has scripted, traced or exported."""
        known = _TAKERS.get(self._resolved(call))
        if known is not None:
            named = next((item.value for item in call.keywords if item.arg == known[0]), None)
            target = call.args[0] if call.args else named
            if target is not None:
                yield from ((purpose, target) for purpose in known[1])
            return
        if isinstance(call.func, ast.Attribute) and call.func.attr in ("to_torchscript", "to_onnx"):
            traced = any(isinstance(item, ast.Constant) and item.value == "trace" for item in _given(call))
            purpose: Purpose = "export" if call.func.attr == "to_onnx" else "trace" if traced else "script"
            yield purpose, call.func.value
            return
        spelled = dotted(call.func) or ""
        for helper in self._helpers:
            if helper.name == spelled:
                yield from ((helper.purpose, item) for item in _argument(call, helper))

    def _pass_on(self, node: ast.expr, way: Way, purpose: Purpose) -> None:
        """Note the function whose parameter it is that is given away."""
        for _ in range(DEPTH):
            node = node.func.value if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else node
            if not isinstance(node, ast.Name):
                return
            value = self._program.value_of(node.id, way)
            if value is None:
                return
            if value.function is not None:
                every = [item.arg for item in [*value.function.args.posonlyargs, *value.function.args.args]]
                if node.id in every and isinstance(value.way[-1].owner, ast.Module):
                    self.passed.add(Helper(value.function.name, every.index(node.id), node.id, purpose))
                return
            if value.expression is None:
                return
            node, way = value.expression, value.way

    def _origins(self, node: ast.expr | None, way: Way, depth: int) -> Iterator[str]:
        """The dotted names that an object may be made by."""
        if node is None or depth > DEPTH:
            return
        if isinstance(node, ast.Call):
            yield from self._of_call(node, way, depth)
        elif isinstance(node, ast.Name):
            yield from self._of_name(node, way, depth)
        elif isinstance(node, ast.Attribute):
            own = isinstance(node.value, ast.Name) and node.value.id == "self"
            owner = enclosing_class(way) if own else None
            for value, place in self._program.attributes.get((id(owner), node.attr), ()) if owner else ():
                yield from self._origins(value, place, depth + 1)
            if not own:
                yield from self._origins(node.value, way, depth + 1)
                yield from filter(None, [dotted(node)])
        elif isinstance(node, ast.Subscript):
            yield from self._origins(node.value, way, depth + 1)
        elif not isinstance(node, ast.Constant):
            for child in ast.iter_child_nodes(node):
                inner = child.iter if isinstance(child, ast.comprehension) else child
                if isinstance(inner, ast.expr):
                    yield from self._origins(inner, way, depth + 1)

    def _of_call(self, node: ast.Call, way: Way, depth: int) -> Iterator[str]:
        yield from self._origins(node.func, way, depth + 1)
        for item in _given(node):
            yield from self._origins(item, way, depth + 1)

    def _of_name(self, node: ast.Name, way: Way, depth: int) -> Iterator[str]:
        owner = enclosing_class(way)
        if node.id == "self" and owner is not None:
            yield owner.name
            return
        for loop in self._loops(node.id, way):
            yield from self._origins(loop, way, depth + 1)
        value = self._program.value_of(node.id, way)
        if value is None:
            yield node.id
        elif value.function is not None:
            yield from self._of_parameter(node.id, value.function, value.way, depth)
        else:
            yield from self._origins(value.expression, value.way, depth + 1)

    def _loops(self, name: str, way: Way) -> Iterator[ast.expr]:
        """What the loops around a place, or in its statement, take the values of a name from."""
        statement = way[-1].body[way[-1].index]
        for comprehension in self._program.comprehensions.get(id(statement), ()):
            if isinstance(comprehension, COMPREHENSIONS):
                yield from (item.iter for item in comprehension.generators if name in stored(item.target))
        for step in way:
            if isinstance(step.owner, (ast.For, ast.AsyncFor)) and name in stored(step.owner.target):
                yield step.owner.iter

    def _of_parameter(
        self, name: str, function: ast.FunctionDef | ast.AsyncFunctionDef, way: Way, depth: int
    ) -> Iterator[str]:
        """What the calls in this file, a default, a test's parametrization or a fixture give to a parameter."""
        method = isinstance(way[-1].owner, ast.ClassDef)
        callee = function.name if function.name != "__init__" else getattr(way[-1].owner, "name", "")
        for site in self._program.sites.get(callee, ()):
            given = arguments.passed(function, site.call, method) or {}
            yield from self._origins(given.get(name), site.way, depth + 1)
        yield from self._origins(arguments.defaults(function).get(name), way, depth + 1)
        for decorator in function.decorator_list:
            for item in _given(decorator) if isinstance(decorator, ast.Call) else ():
                yield from self._origins(item, way, depth + 1)
        if any(arguments.is_fixture(item) for item, _ in self._program.functions.get(name, ())):
            yield name


def _given(call: ast.Call) -> list[ast.expr]:
    return [*call.args, *(item.value for item in call.keywords)]


def _argument(call: ast.Call, helper: Helper) -> Iterator[ast.expr]:
    if helper.position < len(call.args):
        yield call.args[helper.position]
    yield from (item.value for item in call.keywords if item.arg == helper.parameter)
