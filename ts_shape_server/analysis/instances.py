"""Which expressions of a file stand for a class and for an instance of it, and where that instance was made.

Follows names through assignments, functions that return an instance, parameters that are given one, attributes of
`self`, wrappers such as `DataParallel`, and pytest fixtures. Pure.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, replace

from ts_shape_server.analysis import arguments
from ts_shape_server.analysis.modules import dotted, imports_of, resolve_name
from ts_shape_server.analysis.program import Program, Value, Way, enclosing_class
from ts_shape_server.analysis.scopes import FUNCTIONS, last_part, own_nodes

DEPTH = 6
"""How many names, calls and returns an instance is followed through."""
_KEEPS = frozenset({"cuda", "cpu", "eval", "train", "requires_grad_", "share_memory"})
"""Methods that give the object itself, and leave what it takes as it is."""
DTYPES = {"half": "float16", "double": "float64", "bfloat16": "bfloat16", "float": "float32"}
"""Methods that convert the weights, and the dtype that floating inputs then have."""
_CHANGES = frozenset({"to", "apply", "to_empty", "type", "xpu", "ipu", *DTYPES})
"""Methods that give the object itself, and may convert or change it."""
_WRAPS = frozenset(
    {"DataParallel", "DistributedDataParallel", "DDP", "FSDP", "compile", "script", "trace", "deepcopy", "prepare"}
    | {"fuse", "optimize_for_inference", "freeze", "setup", "symbolic_trace"}
)


@dataclass(frozen=True)
class Standing:
    """What stands for one class in one file: dotted `names` of the module's namespace, `paths` of imports.

    Those among `doubtful` are likely to be the class, as far as the files of the workspace tell.
    """

    names: frozenset[str]
    paths: frozenset[str] = frozenset()
    doubtful: frozenset[str] = frozenset()


@dataclass(frozen=True)
class InstanceOrigin:
    """The call that made an instance, None where that is not to be seen.

    `kept`: it is the object itself that is meant, which nothing on the way from the call has wrapped or converted.
    """

    call: ast.Call | None
    way: Way
    kept: bool = True
    dtype: str = ""


class Instances:
    """Answers about one class in one file."""

    def __init__(self, program: Program, standing: Standing) -> None:
        self._program = program
        self._standing = standing

    def is_class(self, node: ast.expr, way: Way = ()) -> bool:
        """Whether an expression names the class at the end of a way."""
        return self._names_class(node, way, frozenset())

    def _names_class(self, node: ast.expr, way: Way, followed: frozenset[int]) -> bool:
        """As `is_class`; names that are assigned to each other end with the bindings `followed`."""
        name = dotted(node)
        if name is None or isinstance(node, ast.Subscript):
            return False
        first, _, rest = name.partition(".")
        binder = self._program.binder_of(first, way) if way else None
        if binder is None:
            return name in self._standing.names and self._is_of_module(first)
        if isinstance(binder, (ast.Import, ast.ImportFrom)):
            path = resolve_name(name, imports_of(ast.Module([binder], [])))
            return path in self._standing.paths
        if isinstance(binder, ast.ClassDef):
            return not rest and any(known.endswith(f".<locals>.{first}") for known in self._standing.names)
        if isinstance(binder, ast.Assign) and isinstance(binder.value, (ast.Name, ast.Attribute)) and not rest:
            place = self._program.way_of.get(id(binder))
            named = isinstance(binder.targets[0], ast.Name) and last_part(binder.value) != first
            if not named or place is None or id(binder) in followed:
                return False
            return self._names_class(binder.value, place, followed | {id(binder)})
        return False

    def _is_of_module(self, name: str) -> bool:
        """Whether the last thing that the module binds the name to may be a class: a function of that name is none."""
        places = self._program.binders.get(name, ())
        return not places or not isinstance(self._program.module[places[-1]], FUNCTIONS)

    def is_sure(self, node: ast.expr) -> bool:
        """Whether the name of a class was settled by what Python would look up, and is bound once."""
        name = dotted(node) or ""
        return name not in self._standing.doubtful and len(self._program.binders.get(name.split(".")[0], ())) <= 1

    def origin(self, node: ast.expr | None, way: Way, depth: int = 0) -> InstanceOrigin | None:
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

    def _of_call(self, node: ast.Call, way: Way, depth: int) -> InstanceOrigin | None:
        function = node.func
        if self.is_class(function, way):
            return InstanceOrigin(node, way)
        if isinstance(function, ast.Attribute):
            if function.attr in _KEEPS or (function.attr == "to" and moves_only(node)):
                return self.origin(function.value, way, depth + 1)
            if function.attr in _CHANGES:
                found = self.origin(function.value, way, depth + 1)
                return None if found is None else replace(found, kept=False, dtype=converted_to(node) or found.dtype)
            if self.is_class(function.value, way):
                made_otherwise = function.attr.startswith(("from_", "load_"))
                return InstanceOrigin(None, way, False) if made_otherwise else None
        if last_part(function) in _WRAPS and node.args:
            found = self.origin(node.args[0], way, depth + 1)
            return None if found is None else replace(found, kept=False)
        if isinstance(function, ast.Name):
            return self._returned(function.id, None, depth)
        return None

    def _returned(self, name: str, item: int | None, depth: int) -> InstanceOrigin | None:
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

    def _of_value(self, name: str, value: Value, depth: int) -> InstanceOrigin | None:
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

    def _of_parameter(self, name: str, function: arguments.Function, way: Way, depth: int) -> InstanceOrigin | None:
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
        if annotation is not None and self.is_class(annotation, way):
            return InstanceOrigin(None, way, False)
        fixtures = [item for item, _ in self._program.functions.get(name, ()) if arguments.is_fixture(item)]
        return self._returned(name, None, depth) if fixtures else None

    def _of_attribute(self, name: str, way: Way, depth: int) -> InstanceOrigin | None:
        owner = enclosing_class(way)
        for value, place in self._program.attributes.get((id(owner), name), ()):
            found = self.origin(value, place, depth + 1)
            if found is not None:
                return found
        return None


def moves_only(call: ast.Call) -> bool:
    """Whether ``x.to(…)`` moves to another device and does no more."""
    if any(item.arg not in ("device", "non_blocking") for item in call.keywords) or len(call.args) > 1:
        return False
    return all(_is_device(item) for item in call.args)


def _is_device(node: ast.expr) -> bool:
    if isinstance(node, ast.Constant):
        return isinstance(node.value, (str, int))
    if isinstance(node, ast.Call):
        return last_part(node.func) == "device"
    if isinstance(node, ast.IfExp):
        return _is_device(node.body) and _is_device(node.orelse)
    return "dev" in last_part(node).lower() or last_part(node) in ("rank", "local_rank", "gpu")


def converted_to(call: ast.Call) -> str:
    """The dtype that ``x.double()`` or ``x.to(torch.float64)`` converts to; empty where it is not to be seen."""
    name = last_part(call.func)
    if name in DTYPES:
        return DTYPES[name]
    given = [last_part(item) for item in (*call.args, *(item.value for item in call.keywords))]
    return next((DTYPES.get(item, item) for item in given if DTYPES.get(item, item) in DTYPES.values()), "")
