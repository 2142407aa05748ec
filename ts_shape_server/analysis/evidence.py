"""Calls and loaders in a file that say how a class is constructed and what goes into it.

Follows the names that stand for the class and for its instances, and cuts out, by backward slices, what makes the
arguments. The slices are run elsewhere, in the sandbox. Pure.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from ts_shape_server.analysis import slicing
from ts_shape_server.analysis.modules import dotted, imports_of, parse, resolve_name
from ts_shape_server.analysis.text import SourceText

_KEEPS_INSTANCE = frozenset({"to", "cuda", "cpu", "eval", "train", "half", "float", "double", "requires_grad_"})
_TRACERS = {
    "torch.jit.trace": "trace",
    "torch.jit.trace_module": "trace",
    "torch.onnx.export": "export",
    "torch.export.export": "export",
}
MAXIMUM_SETUP = 60_000
"""Characters of a slice; a longer one is no evidence."""


@dataclass(frozen=True)
class CallArguments:
    """Expressions by position and by name."""

    args: tuple[str, ...]
    kwargs: tuple[tuple[str, str], ...]

    def to_wire(self) -> dict[str, Any]:
        return {"args": list(self.args), "kwargs": dict(self.kwargs)}


@dataclass(frozen=True)
class CallEvidence:
    """One call: `setup` is source that binds what the expressions need, `label` says where it stands."""

    kind: str
    path: str
    line: int
    setup: str
    init: CallArguments | None
    inputs: CallArguments | None
    label: str

    def to_wire(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "path": self.path,
            "line": self.line,
            "label": self.label,
            "setup": self.setup,
            "init": None if self.init is None else self.init.to_wire(),
            "inputs": None if self.inputs is None else self.inputs.to_wire(),
        }


def calls_of(class_name: str, source: SourceText, path: str) -> tuple[CallEvidence, ...]:
    """Everything in this file that constructs or calls the class of that (last) name, in the order of the lines."""
    tree, _ = parse(source)
    finder = _Finder(class_name, imports_of(tree), path)
    found: list[CallEvidence] = []
    for way in slicing.steps(tree):
        found.extend(finder.in_statement(way))
    unique = {(item.kind, item.line, item.init, item.inputs): item for item in found}
    return tuple(sorted(unique.values(), key=lambda item: item.line))


class _Finder:
    """Walks a file's statements in order and remembers which names hold an instance."""

    def __init__(self, class_name: str, imports: Mapping[str, str], path: str) -> None:
        self._class = class_name
        self._imports = imports
        self._path = path
        self._instances: set[str] = set()

    def in_statement(self, way: tuple[slicing.Step, ...]) -> Iterator[CallEvidence]:
        statement = way[-1].body[way[-1].index]
        for node in _own_expressions(statement):
            if isinstance(node, ast.Call):
                yield from self._call(way, node)
        self._remember(statement)

    def _remember(self, statement: ast.stmt) -> None:
        if isinstance(statement, (ast.Assign, ast.AnnAssign)) and statement.value is not None:
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            for target in targets:
                name = dotted(target)
                if name is None:
                    continue
                if self._is_instance(statement.value):
                    self._instances.add(name)
                else:
                    self._instances.discard(name)

    def _is_class(self, node: ast.expr) -> bool:
        name = dotted(node)
        if name is None:
            return False
        return name == self._class or resolve_name(name, self._imports).rsplit(".", 1)[-1] == self._class

    def _is_instance(self, node: ast.expr) -> bool:
        """Whether an expression is an instance: a construction, a name that holds one, either with `.to(…)` behind
        it.
        """
        if isinstance(node, ast.Call):
            if self._is_class(node.func):
                return True
            function = node.func
            return (
                isinstance(function, ast.Attribute)
                and function.attr in _KEEPS_INSTANCE
                and self._is_instance(function.value)
            )
        name = dotted(node) if isinstance(node, (ast.Name, ast.Attribute)) else None
        return name is not None and name in self._instances

    def _call(self, way: tuple[slicing.Step, ...], node: ast.Call) -> Iterator[CallEvidence]:
        if self._is_class(node.func):
            made = self._evidence("constructor", way, node, init=node, inputs=None)
            if made is not None:
                yield made
            return
        tracer = _TRACERS.get(resolve_name(dotted(node.func) or "", self._imports))
        if tracer is not None and len(node.args) >= 2 and self._is_instance(node.args[0]):
            arguments = node.args[1].elts if isinstance(node.args[1], ast.Tuple) else [node.args[1]]
            given = ast.Call(node.func, list(arguments), [])
            made = self._evidence(tracer, way, node, init=None, inputs=given)
            if made is not None:
                yield made
            return
        target = node.func
        if isinstance(target, ast.Attribute) and target.attr == "forward":
            target = target.value
        if (node.args or node.keywords) and self._is_instance(target):
            init = target if isinstance(target, ast.Call) and self._is_class(target.func) else None
            made = self._evidence("call", way, node, init=init, inputs=node)
            if made is not None:
                yield made

    def _evidence(
        self, kind: str, way: tuple[slicing.Step, ...], node: ast.Call, init: ast.Call | None, inputs: ast.Call | None
    ) -> CallEvidence | None:
        parts = [part for call in (init, inputs) if call is not None for part in _parts(call)]
        if any(isinstance(part, ast.Starred) for part in parts) or _unpacks(init) or _unpacks(inputs):
            return None
        sliced = slicing.backward(way, parts)
        if sliced is None or len(sliced.setup) > MAXIMUM_SETUP:
            return None
        place = f"{PurePath(self._path).name}:{node.lineno}"
        label = f"{'call' if kind == 'constructor' else kind} {place}"
        if sliced.drawn and inputs is not None:
            kind, label = "loader", f"loader {_short(sliced.drawn)} {place}"
        return CallEvidence(kind, self._path, node.lineno, sliced.setup, _arguments(init), _arguments(inputs), label)


def _parts(call: ast.Call) -> list[ast.expr]:
    return [*call.args, *(item.value for item in call.keywords)]


def _unpacks(call: ast.Call | None) -> bool:
    return call is not None and any(item.arg is None for item in call.keywords)


def _arguments(call: ast.Call | None) -> CallArguments | None:
    if call is None:
        return None
    keywords = tuple((str(item.arg), ast.unparse(item.value)) for item in call.keywords)
    return CallArguments(tuple(ast.unparse(item) for item in call.args), keywords)


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:39] + "…"


def _own_expressions(statement: ast.stmt) -> Iterator[ast.AST]:
    """The expression nodes of a statement, without those of statements inside it."""
    waiting: list[ast.AST] = [statement]
    while waiting:
        node = waiting.pop()
        for child in ast.iter_child_nodes(node):
            if not isinstance(child, (ast.stmt, ast.ExceptHandler)):
                yield child
                waiting.append(child)
