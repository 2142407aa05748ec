"""What the text of `forward` says about its parameters: ranks, names of axes, containers, numbers, dtypes.

Reads the class's own source with `ast`. Everything here is a hint that a run has to confirm. Knows no torch.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ts_shape_server.agent.infer.facts.source import function_tree, taken
from ts_shape_server.agent.infer.facts.tensor_attributes import TENSOR_ATTRIBUTES


@dataclass
class Hint:
    """What the body says of one parameter. `axes` are the names it is unpacked to; `keys` those it is indexed by."""

    rank: int | None = None
    at_least: int = 0
    axes: tuple[str | None, ...] = ()
    kind: str = ""
    keys: tuple[str, ...] = ()
    tested: tuple[str, ...] = ()
    """The keys that it may have or not: those of ``"k" in x`` and of ``x.get("k")``."""
    length: int | None = None
    dtype: str | None = None
    compared: tuple[str, ...] = ()
    parts: tuple[int, ...] = ()
    """For each item that it is unpacked to, into how many that is unpacked: ``x, (h, c) = inputs`` has (0, 2)."""
    iterated: bool = False
    whole: bool = False
    """Whether it is used in another way than by taking items of it."""
    counts: bool = False
    """Whether its items are taken one by one as whole numbers."""
    attributes: frozenset[str] = field(default_factory=frozenset)
    methods: frozenset[str] = field(default_factory=frozenset)
    """Of these, those that are called."""
    asked: frozenset[int] = field(default_factory=frozenset)
    """The axes whose sizes are read one by one: ``x.size(1)``, ``x.shape[1]``."""
    item: Hint | None = None
    """What is done with its items: those of ``for target in targets``, and ``targets[i]``."""


def hints(function: Any) -> dict[str, Hint]:
    """A hint for each parameter of the method `function` (self left out), also for that of all keyword arguments."""
    tree = function_tree(function)
    if tree is None:
        return {}
    spread = [tree.args.kwarg] if tree.args.kwarg is not None else []
    result = {argument.arg: Hint() for argument in (*taken(tree), *spread)}
    reader = _Reader(result)
    for statement in tree.body:
        reader.visit(statement)
    return result


_NUMBER_CALLS = frozenset({"range"})
_SIZE_CALLS = frozenset(
    ["view", "reshape", "repeat", "expand", "new_zeros", "new_ones", "zeros", "ones", "randn", "rand", "empty", "eye"]
)
"""Calls that take sizes: a parameter among several of their arguments is a number."""
_LIST_CALLS = frozenset({"cat", "stack", "concat", "pad_sequence", "hstack", "vstack"})


class _Reader(ast.NodeVisitor):
    """Collects hints; a parameter that is assigned anew is followed while the value is the same thing reshaped
    little.
    """

    def __init__(self, result: dict[str, Hint]) -> None:
        self._hints = result
        self._stale: set[str] = set()
        self._items: set[int] = set()
        """The uses of names from which an item is taken."""
        self._called: set[int] = set()
        """The attributes that are called."""
        self._loops: dict[str, Hint] = {}
        """The hints behind the names that loops bind."""

    def visit_Name(self, node: ast.Name) -> None:
        hint = self._hint(node)
        if hint is not None and id(node) not in self._items:
            hint.whole = True

    def _hint(self, node: ast.expr) -> Hint | None:
        if isinstance(node, ast.Name) and node.id not in self._stale:
            return self._hints.get(node.id)
        return None

    def _item(self, node: ast.expr) -> Hint | None:
        """The hint for an item of a parameter: what a loop binds, or ``targets[i]``."""
        if isinstance(node, ast.Name) and node.id in self._loops:
            return self._loops[node.id]
        if isinstance(node, ast.Subscript) and isinstance(node.slice, (ast.Name, ast.Constant)):
            owner = self._hint(node.value)
            key = node.slice.value if isinstance(node.slice, ast.Constant) else 0
            return _item_of(owner) if owner is not None and type(key) is int else None
        return None

    def _loop(self, target: ast.expr, iterable: ast.expr) -> None:
        """Note the names that a loop binds to the items of a parameter, by itself or through `enumerate` and `zip`."""
        called = iterable.func if isinstance(iterable, ast.Call) else None
        name = called.id if isinstance(called, ast.Name) else ""
        parts = target.elts if isinstance(target, ast.Tuple) else []
        if isinstance(iterable, ast.Call) and name == "enumerate" and len(parts) == 2 and iterable.args:
            self._loop(parts[1], iterable.args[0])
        elif isinstance(iterable, ast.Call) and name == "zip" and len(parts) == len(iterable.args):
            for part, argument in zip(parts, iterable.args):
                self._loop(part, argument)
        elif isinstance(target, ast.Name):
            owner = self._hint(iterable)
            self._loops.pop(target.id, None)
            if owner is not None:
                self._loops[target.id] = _item_of(owner)

    def _comprehended(self, node: Any) -> None:
        for generator in node.generators:
            self._loop(generator.target, generator.iter)
        names = [name for generator in node.generators for name in ast.walk(generator.target)]
        # A parameter's name may stand for something else in there: ``[torch.cat(x) for x in parts]``.
        bound = {name.id for name in names if isinstance(name, ast.Name) and name.id in self._hints} - self._stale
        self._stale |= bound
        for part in (node.key, node.value) if isinstance(node, ast.DictComp) else (node.elt,):
            self.visit(part)
        self._stale -= bound
        for generator in node.generators:
            self.visit(generator)

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _comprehended

    def visit_Assign(self, node: ast.Assign) -> None:
        self.visit(node.value)
        target = node.targets[0]
        if isinstance(target, (ast.Tuple, ast.List)):
            self._unpack(target, node.value)
        elif isinstance(target, ast.Name):
            self._axis_name(target.id, node.value)
        for target in node.targets:
            for name in ast.walk(target):
                if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store):
                    self._stale.add(name.id)

    def visit_For(self, node: ast.For) -> None:
        hint = self._hint(node.iter)
        if hint is not None:
            hint.iterated = True
        if isinstance(node.iter, ast.Call) and getattr(node.iter.func, "id", "") in ("enumerate", "zip", "reversed"):
            for argument in node.iter.args:
                inner = self._hint(argument)
                if inner is not None:
                    inner.iterated = True
        self._loop(node.target, node.iter)
        self.generic_visit(node)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        hint = self._hint(node.iter)
        if hint is not None:
            hint.iterated = True
        self.generic_visit(node)

    def _unpack(self, target: Any, value: ast.expr) -> None:
        names = tuple(item.id if isinstance(item, ast.Name) else None for item in target.elts)
        starred = any(isinstance(item, ast.Starred) for item in target.elts)
        owner = _sized(value)
        hint = self._hint(owner) if owner is not None else None
        if hint is not None:
            if starred:
                hint.at_least = max(hint.at_least, len(names) - 1)
            elif hint.rank is None:
                hint.rank, hint.axes = len(names), names
            return
        hint = self._hint(value)
        if hint is not None and not starred:
            hint.kind, hint.length = hint.kind or "tuple", len(names)
            hint.parts = tuple(len(item.elts) if isinstance(item, (ast.Tuple, ast.List)) else 0 for item in target.elts)

    def _axis_name(self, name: str, value: ast.expr) -> None:
        axis = _axis(value)
        if axis is None:
            return
        hint = self._hint(axis[0])
        if hint is not None and 0 <= axis[1] < 8:
            hint.asked = hint.asked | {axis[1]}
            padded = [*hint.axes, *[None] * (axis[1] + 1 - len(hint.axes))]
            if padded[axis[1]] is None:
                padded[axis[1]] = name
                hint.axes = tuple(padded)
                hint.at_least = max(hint.at_least, len(padded))

    def visit_Attribute(self, node: ast.Attribute) -> None:
        hint = self._hint(node.value)
        if hint is not None:
            if node.attr in ("keys", "items", "values", "get"):
                hint.kind = "dict"
            elif node.attr in ("append", "extend", "copy", "pop"):
                hint.kind = hint.kind or "list"
            elif node.attr not in TENSOR_ATTRIBUTES:
                hint.attributes = hint.attributes | {node.attr}
                if id(node) in self._called:
                    hint.methods = hint.methods | {node.attr}
        axis = _axis(node)
        if axis is None:
            self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        axis = _axis(node)
        if axis is not None:
            self._ask(axis)
            return
        hint = self._hint(node.value)
        if hint is not None:
            self._subscript(hint, node.slice)
            self._items.add(id(node.value))
        item = self._item(node.value)
        if item is not None:
            self._subscript(item, node.slice)
        index = self._hint(node.slice)
        if index is not None and not index.kind:
            index.kind = "index"
        self.generic_visit(node)

    def _ask(self, axis: tuple[ast.expr, int]) -> None:
        hint = self._hint(axis[0])
        if hint is not None:
            hint.asked = hint.asked | {axis[1]}
            hint.at_least = max(hint.at_least, axis[1] + 1 if axis[1] >= 0 else -axis[1])

    @staticmethod
    def _subscript(hint: Hint, index: ast.expr) -> None:
        if isinstance(index, ast.Constant) and isinstance(index.value, str):
            hint.kind = "dict"
            hint.keys = (*hint.keys, index.value) if index.value not in hint.keys else hint.keys
        elif isinstance(index, ast.Tuple):
            wanted = [item for item in index.elts if not (isinstance(item, ast.Constant) and item.value in (None, ...))]
            hint.at_least = max(hint.at_least, len(wanted))
        elif isinstance(index, ast.Constant) and isinstance(index.value, int):
            position = index.value + 1 if index.value >= 0 else -index.value
            hint.length = max(hint.length or 0, position)
            hint.compared = (*hint.compared, "subscript")

    def visit_Call(self, node: ast.Call) -> None:
        self._called.add(id(node.func))
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        for argument in node.args:
            hint = self._hint(argument)
            if hint is None:
                continue
            if name in _NUMBER_CALLS:
                hint.kind = "int"
            elif name in _LIST_CALLS and argument is node.args[0]:
                hint.kind = hint.kind or "list"
            elif name == "isinstance":
                hint.compared = (*hint.compared, "isinstance")
        if name in ("get", "pop") and isinstance(node.func, ast.Attribute):
            self._tested(node.func.value, node.args[0] if node.args else None)
        if name in _SIZE_CALLS:
            self._sizes(node.args)
        self._counted(node, name)
        if isinstance(node.func, ast.Attribute):
            self._method(node)
        axis = _axis(node)
        if axis is not None:
            self._ask(axis)
            return
        if isinstance(node.func, ast.Name) and self._hint(node.func) is not None:
            self._hints[node.func.id].kind = "callable"
        self.generic_visit(node)

    def _counted(self, node: ast.Call, name: str) -> None:
        """``int(n[i])`` and ``n[i].item()``: a whole number for each item, where nothing else is done with it."""
        taken = node.func.value if isinstance(node.func, ast.Attribute) and name in ("item", "tolist") else None
        if name == "int" and len(node.args) == 1 and isinstance(node.func, ast.Name):
            taken = node.args[0]
        if isinstance(taken, ast.Subscript) and isinstance(taken.slice, ast.Name):
            hint = self._hint(taken.value)
            if hint is not None:
                hint.counts = True

    def _sizes(self, arguments: list[ast.expr]) -> None:
        """Parameters that stand for a size, alone or in a product of sizes."""
        if len(arguments) == 1 and isinstance(arguments[0], (ast.Tuple, ast.List)):
            arguments = arguments[0].elts
        several = len(arguments) > 1
        for argument in arguments:
            parts = (argument.left, argument.right) if isinstance(argument, ast.BinOp) else (argument,)
            for part in parts:
                hint = self._hint(part)
                if hint is not None and (several or len(parts) > 1) and not (hint.kind or hint.rank or hint.at_least):
                    hint.kind = "int"

    def _method(self, node: ast.Call) -> None:
        assert isinstance(node.func, ast.Attribute)
        hint = self._hint(node.func.value)
        if hint is None:
            return
        if node.func.attr == "permute" and hint.rank is None:
            arguments = node.args
            if len(arguments) == 1 and isinstance(arguments[0], (ast.Tuple, ast.List)):
                arguments = arguments[0].elts
            if len(arguments) > 1 and not any(isinstance(item, ast.Starred) for item in arguments):
                hint.rank = len(arguments)
        elif node.func.attr == "transpose":
            known = [_integer(item) for item in node.args]
            hint.at_least = max(
                hint.at_least, *(item + 1 if item >= 0 else -item for item in known if item is not None), 0
            )

    def _tested(self, owner: ast.expr, key: ast.expr | None) -> None:
        hint = self._hint(owner)
        if hint is not None and isinstance(key, ast.Constant) and isinstance(key.value, str):
            hint.tested = (*hint.tested, key.value) if key.value not in hint.tested else hint.tested

    def visit_Compare(self, node: ast.Compare) -> None:
        if isinstance(node.ops[0], (ast.In, ast.NotIn)):
            self._tested(node.comparators[0], node.left)
        hint = self._hint(node.left)
        if hint is not None:
            other = node.comparators[0]
            if isinstance(other, ast.Constant) and isinstance(other.value, str):
                hint.kind = hint.kind or "str"
                hint.keys = (*hint.keys, other.value)
            elif isinstance(other, ast.Constant) and other.value is None:
                hint.compared = (*hint.compared, "None")
        self.generic_visit(node)

    def visit_If(self, node: ast.If) -> None:
        refused = bool(node.orelse) and isinstance(node.orelse[-1], ast.Raise)
        self._branches(node.test, node.body, node.orelse, None if refused else _taken_for_container(node.test))

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self._branches(node.test, [node.body], [node.orelse], _taken_for_container(node.test))

    def _branches(
        self, test: ast.expr, body: Sequence[ast.AST], otherwise: Sequence[ast.AST], container: str | None
    ) -> None:
        """Both branches. Where `container` may be a container too, what is done with it then says nothing of what comes
        otherwise.
        """
        self._flag(test)
        self.visit(test)
        aside = {container} - self._stale if container is not None else set()
        self._stale |= aside
        for node in body:
            self.visit(node)
        self._stale -= aside
        for node in otherwise:
            self.visit(node)

    def _flag(self, test: ast.expr) -> None:
        if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            test = test.operand
        hint = self._hint(test)
        if hint is not None and not hint.kind:
            hint.kind = "bool"


def _item_of(hint: Hint) -> Hint:
    hint.item = hint.item or Hint()
    return hint.item


_CONTAINERS = frozenset({"list", "tuple", "dict", "set", "List", "Tuple", "Dict", "Sequence", "Mapping"})


def _taken_for_container(test: ast.expr) -> str | None:
    """The `x` of ``isinstance(x, list)``."""
    if not isinstance(test, ast.Call) or getattr(test.func, "id", "") != "isinstance" or len(test.args) != 2:
        return None
    kinds = test.args[1].elts if isinstance(test.args[1], ast.Tuple) else [test.args[1]]
    names = {item.attr if isinstance(item, ast.Attribute) else getattr(item, "id", "") for item in kinds}
    asked = test.args[0]
    return asked.id if isinstance(asked, ast.Name) and names <= _CONTAINERS else None


def _sized(node: ast.expr) -> ast.expr | None:
    """The `x` of `x.shape` and `x.size()`."""
    if isinstance(node, ast.Attribute) and node.attr == "shape":
        return node.value
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "size":
        return node.func.value if not node.args else None
    return None


def _axis(node: ast.expr) -> tuple[ast.expr, int] | None:
    """The `x` and `k` of `x.size(k)` and `x.shape[k]`."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "size" and node.args:
        index = _integer(node.args[0])
        return None if index is None else (node.func.value, index)
    if isinstance(node, ast.Subscript):
        owner = _sized(node.value)
        index = _integer(node.slice)
        return None if owner is None or index is None else (owner, index)
    return None


def _integer(node: ast.expr) -> int | None:
    if isinstance(node, ast.Constant) and type(node.value) is int:
        return node.value
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = _integer(node.operand)
        return None if inner is None else -inner
    return None
