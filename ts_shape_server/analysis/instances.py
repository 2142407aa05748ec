"""Which expressions of a file stand for a class and for an instance of it, and where that instance was made.

Follows names through assignments, functions that return an instance, parameters that are given one, attributes of
`self`, wrappers such as `DataParallel`, and pytest fixtures. Pure.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass

from ts_shape_server.analysis import arguments
from ts_shape_server.analysis.modules import dotted, resolve_name
from ts_shape_server.analysis.program import Program, Value, Way, enclosing_class
from ts_shape_server.analysis.scopes import last_part, own_nodes

DEPTH = 6
"""How many names, calls and returns an instance is followed through."""
_KEEPS = frozenset(
    {"to", "cuda", "cpu", "eval", "train", "half", "float", "double", "bfloat16", "requires_grad_", "apply"}
    | {"share_memory", "to_empty"}
)
_WRAPS = frozenset(
    {"DataParallel", "DistributedDataParallel", "DDP", "FSDP", "compile", "script", "trace", "deepcopy", "prepare"}
    | {"fuse", "optimize_for_inference", "freeze", "setup", "symbolic_trace"}
)


@dataclass(frozen=True)
class Origin:
    """The call that made an instance, None where that is not to be seen."""

    call: ast.Call | None
    way: Way


class Instances:
    """Answers about one class in one file. `defined_in` is the path of the file that has the class, if known."""

    def __init__(
        self, program: Program, class_name: str, imports: Mapping[str, str], path: str, defined_in: str | None
    ) -> None:
        self._program = program
        self._class = class_name
        self._imports = imports
        self._elsewhere = defined_in is not None and defined_in != path
        self._parts = frozenset(re.split(r"[/\\]|\.py$", defined_in or ""))
        self._defined = class_name in program.classes

    def is_class(self, node: ast.expr) -> bool:
        """Whether an expression names the class."""
        name = dotted(node)
        if name is None or isinstance(node, ast.Subscript):
            return False
        resolved = resolve_name(name, self._imports)
        if resolved.rsplit(".", 1)[-1] != self._class:
            return False
        if not self._elsewhere:
            return True
        if resolved == name:
            return not self._defined or "." in name
        module = [part for part in resolved.split(".")[:-1] if part]
        return not module or module[-1] in self._parts or resolved.startswith(".")

    def origin(self, node: ast.expr | None, way: Way, depth: int = 0) -> Origin | None:
        """Where the instance comes from that an expression is; None if it is none."""
        if node is None or depth > DEPTH:
            return None
        if isinstance(node, ast.Call):
            return self._of_call(node, way, depth)
        if isinstance(node, ast.Name):
            value = self._program.value_of(node.id, way)
            return None if value is None else self._of_value(node.id, value, depth)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self":
            return self._of_attribute(node.attr, way, depth)
        if isinstance(node, ast.Attribute) and node.attr == "module":
            return self.origin(node.value, way, depth + 1)
        if isinstance(node, ast.IfExp):
            return self.origin(node.body, way, depth + 1) or self.origin(node.orelse, way, depth + 1)
        if isinstance(node, ast.NamedExpr):
            return self.origin(node.value, way, depth + 1)
        return None

    def _of_call(self, node: ast.Call, way: Way, depth: int) -> Origin | None:
        function = node.func
        if self.is_class(function):
            return Origin(node, way)
        if isinstance(function, ast.Attribute):
            if function.attr in _KEEPS:
                return self.origin(function.value, way, depth + 1)
            if self.is_class(function.value):
                return Origin(None, way) if function.attr.startswith(("from_", "load_")) else None
        if last_part(function) in _WRAPS and node.args:
            return self.origin(node.args[0], way, depth + 1)
        if isinstance(function, ast.Name):
            return self._returned(function.id, None, depth)
        return None

    def _returned(self, name: str, item: int | None, depth: int) -> Origin | None:
        """The instance that a function of this file returns, as its result or at one place of it."""
        for function, _ in self._program.functions.get(name, ()):
            for node in (inner for statement in function.body for inner in own_nodes(statement)):
                value = node.value if isinstance(node, (ast.Return, ast.Yield)) else None
                if item is not None:
                    value = value.elts[item] if isinstance(value, ast.Tuple) and item < len(value.elts) else None
                if value is None:
                    continue
                way = self._program.way_of.get(id(node)) if isinstance(node, ast.Return) else None
                found = self.origin(value, way or self._inside(function), depth + 1)
                if found is not None:
                    return found
        return None

    def _inside(self, function: arguments.Function) -> Way:
        return self._program.way_of[id(function.body[-1])]

    def _of_value(self, name: str, value: Value, depth: int) -> Origin | None:
        if value.function is not None:
            return self._of_parameter(name, value.function, value.way, depth)
        if value.item is None:
            return self.origin(value.expression, value.way, depth + 1)
        if isinstance(value.expression, ast.Tuple) and value.item < len(value.expression.elts):
            return self.origin(value.expression.elts[value.item], value.way, depth + 1)
        if isinstance(value.expression, ast.Call):
            call = value.expression
            if last_part(call.func) in _WRAPS and value.item < len(call.args):
                return self.origin(call.args[value.item], value.way, depth + 1)
            if isinstance(call.func, ast.Name):
                return self._returned(call.func.id, value.item, depth)
        return None

    def _of_parameter(self, name: str, function: arguments.Function, way: Way, depth: int) -> Origin | None:
        every = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
        annotation = next((item.annotation for item in every if item.arg == name), None)
        sites = self._program.sites.get(function.name, ())
        method = isinstance(way[-1].owner, ast.ClassDef)
        if method and function.name == "__init__":
            sites = self._program.sites.get(way[-1].owner.name, ())  # type: ignore[attr-defined]  # a class
        for site in list(sites)[:8]:
            given = arguments.passed(function, site.call, method) or {}
            found = self.origin(given.get(name), site.way, depth + 1)
            if found is not None:
                return found
        if annotation is not None and self.is_class(annotation):
            return Origin(None, way)
        fixtures = [item for item, _ in self._program.functions.get(name, ()) if arguments.is_fixture(item)]
        return self._returned(name, None, depth) if fixtures else None

    def _of_attribute(self, name: str, way: Way, depth: int) -> Origin | None:
        owner = enclosing_class(way)
        for value, place in self._program.attributes.get((id(owner), name), ()):
            found = self.origin(value, place, depth + 1)
            if found is not None:
                return found
        return None
