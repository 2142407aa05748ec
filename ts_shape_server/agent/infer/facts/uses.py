"""How a constructor's body, and the methods that see what it stored, use each parameter. Reads source, runs nothing."""

from __future__ import annotations

import ast
import inspect
import math
from dataclasses import dataclass, field
from typing import Any

from ts_shape_server.agent.infer.facts.source import function_tree

LARGEST_STEP = 64
"""What a greater number divides is no number of layers."""


@dataclass
class Use:
    """How a constructor's body uses one parameter."""

    called: bool = False
    indexed: bool = False
    iterated: bool = False
    ranged: bool = False
    attributes: set[str] = field(default_factory=set)
    keys: set[str] = field(default_factory=set)
    strings: list[str] = field(default_factory=list)
    stored: set[str] = field(default_factory=set)
    numeric: bool = False
    spread: bool = False
    pairs: bool = False
    """Whether a method calls what was stored with two values or more."""
    steps: list[tuple[int, int]] = field(default_factory=list)
    """The constant and the step of each ``(depth - 4) // 6``, ``/`` or ``%`` of it: below 10 it counts nothing."""

    def least_counted(self) -> int | None:
        """The least number with which each of `steps` comes out even, and counts one or more; None without steps."""
        if not self.steps:
            return None
        repeats = math.lcm(*(step for _, step in self.steps))
        first = max(start + step for start, step in self.steps)
        found = (
            number
            for number in range(first, first + repeats)
            if all((number - start) % step == 0 for start, step in self.steps)
        )
        return next(found, None)


def parameters(cls: type) -> list[inspect.Parameter]:
    """The constructor's parameters, self and variadic ones left out. One that takes nothing by name and passes all on
    to its base (``def __init__(self, *args, **kwargs)``) has those of its base.
    """
    try:
        found = list(inspect.signature(_naming(cls)).parameters.values())[1:]
    except (TypeError, ValueError):
        return []
    return [item for item in found if item.kind not in _VARIADIC]


_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def _naming(cls: type) -> Any:
    """The constructor that names the parameters."""
    for kind in cls.__mro__:
        function = vars(kind).get("__init__")
        if function is not None and not _only_passes_on(function):
            return function
    return cls.__init__  # type: ignore[misc]  # read, not called


def _only_passes_on(function: Any) -> bool:
    """Whether a constructor names nothing, and calls that of its base with all that it gets and nothing else."""
    tree = function_tree(function)
    if tree is None or tree.args.vararg is None or tree.args.kwarg is None:
        return False
    if len(tree.args.posonlyargs) + len(tree.args.args) != 1 or tree.args.kwonlyargs:
        return False
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and _is_of_base(node)]
    arguments = [ast.unparse(item) for call in calls for item in call.args]
    keywords = [(item.arg, ast.unparse(item.value)) for call in calls for item in call.keywords]
    return arguments == [f"*{tree.args.vararg.arg}"] and keywords == [(None, tree.args.kwarg.arg)]


def _is_of_base(call: ast.Call) -> bool:
    """Whether a call is ``super().__init__(…)``."""
    if not isinstance(call.func, ast.Attribute) or call.func.attr != "__init__":
        return False
    owner = call.func.value
    return isinstance(owner, ast.Call) and isinstance(owner.func, ast.Name) and owner.func.id == "super"


def required(cls: type) -> list[inspect.Parameter]:
    """Those of `parameters` that have no default."""
    return [item for item in parameters(cls) if item.default is item.empty]


class _Uses(ast.NodeVisitor):
    def __init__(self, names: list[str]) -> None:
        self.uses = {name: Use() for name in names}
        self.attributes: dict[str, str] = {}

    def _of(self, node: ast.AST) -> Use | None:
        return self.uses.get(node.id) if isinstance(node, ast.Name) else None

    def visit_Call(self, node: ast.Call) -> None:
        use = self._of(node.func)
        if use is not None:
            use.called = True
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        for argument in node.args:
            inner = self._of(argument.value if isinstance(argument, ast.Starred) else argument)
            if inner is None:
                continue
            if isinstance(argument, ast.Starred):
                inner.spread = True
            elif name == "range":
                inner.ranged = True
            elif name in (
                "Linear",
                "Conv1d",
                "Conv2d",
                "Conv3d",
                "BatchNorm2d",
                "Embedding",
                "LSTM",
                "GRU",
                "LayerNorm",
            ):
                inner.numeric = True
            elif name in ("len", "enumerate", "zip", "list", "tuple", "sum"):
                inner.iterated = True
        self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        use = self._of(node.value)
        if use is not None:
            if node.attr in ("keys", "items", "values"):
                use.keys.add("x")
            elif node.attr in ("lower", "upper", "split", "startswith"):
                use.strings.append("relu")
            elif node.attr not in ("append", "copy", "index"):
                use.attributes.add(node.attr)
        self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        use = self._of(node.value)
        if use is not None:
            if isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str):
                use.keys.add(node.slice.value)
            else:
                use.indexed = True
        index = self._of(node.slice)
        if index is not None and isinstance(node.value, ast.Dict):
            index.strings += [
                key.value for key in node.value.keys if isinstance(key, ast.Constant) and type(key.value) is str
            ]
        self.generic_visit(node)

    def visit_For(self, node: ast.For) -> None:
        use = self._of(node.iter)
        if use is not None:
            use.iterated = True
        self.generic_visit(node)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        use = self._of(node.iter)
        if use is not None:
            use.iterated = True
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        for side in (node.left, node.right):
            use = self._of(side)
            if use is not None:
                use.numeric = True
        self._count(node)
        self.generic_visit(node)

    def _count(self, node: ast.BinOp) -> None:
        """Note ``(depth - 4) // 6``, of a parameter or of what holds one."""
        of, step = node.left, node.right
        if not isinstance(node.op, (ast.FloorDiv, ast.Div, ast.Mod)) or not isinstance(of, ast.BinOp):
            return
        held = self.attributes.get(_own_attribute(of.left))
        use = self._of(of.left) or (self.uses[held] if held else None)
        if use is not None and isinstance(of.op, ast.Sub) and _is_count(of.right) and _is_count(step):
            use.steps.append((ast.literal_eval(of.right), ast.literal_eval(step)))

    def visit_Compare(self, node: ast.Compare) -> None:
        use = self._of(node.left)
        if use is not None:
            for other in node.comparators:
                parts = other.elts if isinstance(other, (ast.List, ast.Tuple, ast.Set)) else [other]
                use.strings += [
                    part.value for part in parts if isinstance(part, ast.Constant) and type(part.value) is str
                ]
        self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        for target in node.targets:
            name = _own_attribute(target)
            if name and isinstance(node.value, ast.Name) and node.value.id in self.uses:
                self.attributes[name] = node.value.id
        self.generic_visit(node)


def uses_of(cls: type) -> dict[str, Use]:
    tree = function_tree(_naming(cls))
    names = [parameter.name for parameter in required(cls)]
    reader = _Uses(names)
    if tree is None:
        return reader.uses
    for statement in tree.body:
        reader.visit(statement)
    for name, function in vars(cls).items():
        if inspect.isfunction(function) and name != "__init__":
            _stored_uses(function_tree(function), reader)
    return reader.uses


def _stored_uses(tree: ast.FunctionDef | None, reader: _Uses) -> None:
    """How methods use the attributes that hold a parameter."""
    if tree is None:
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = _own_attribute(node.func)
            if name in reader.attributes:
                use = reader.uses[reader.attributes[name]]
                use.stored.add("called")
                use.pairs = use.pairs or len(node.args) + len(node.keywords) > 1
        elif isinstance(node, ast.Attribute):
            name = _own_attribute(node.value)
            if name in reader.attributes:
                reader.uses[reader.attributes[name]].attributes.add(node.attr)
        elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant) and type(node.slice.value) is str:
            name = _own_attribute(node.value)
            if name in reader.attributes:
                reader.uses[reader.attributes[name]].keys.add(node.slice.value)


def _is_count(node: ast.AST) -> bool:
    """Whether a number stands there that may be a step: a whole one from 1 on, and no large one."""
    return isinstance(node, ast.Constant) and type(node.value) is int and 0 < node.value <= LARGEST_STEP


def _own_attribute(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self":
        return node.attr
    return ""
