"""What the parameters of `forward` are passed on to as they are, to a part of the module or to a function, and as what.

A part that a library documents takes what it documents: the second argument of `self.bert(ids, mask)` is an attention
mask. The same holds for an item that is taken out by its key (``batch["mask"]``), and for what the author's own
methods, functions and parts pass on in turn. Reads source and signatures, runs nothing.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import nn

from ts_shape_server.agent.ecosystem import SPREAD, Passed
from ts_shape_server.agent.infer.facts.source import function_tree, taken

MAXIMUM = 200
"""Calls of one function that are looked at, and of what one value is passed to."""
DEPTH = 5
"""So many functions of the author's pass a value on, one to the next."""
_LIBRARIES = ("site-packages", "dist-packages")


@dataclass
class Uses:
    """What one value is passed to. `items` are its parts by their keys, in the order in which they are read."""

    passed: tuple[Passed, ...] = ()
    items: dict[str, Uses] = field(default_factory=dict)

    def add(self, other: Uses, call: str = "") -> None:
        """Take over what another function does with the value, in a call of it."""
        more = other.passed[: MAXIMUM - len(self.passed)] if len(self.passed) < MAXIMUM else ()
        self.passed = (*self.passed, *(replace(item, call=f"{call} {item.call}".strip()) for item in more))
        for key, item in other.items.items():
            self.items.setdefault(key, Uses()).add(item, call)

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(self.items)


def of(forward: Any, module: Any, namespace: Mapping[str, Any]) -> dict[str, Uses]:
    """For each parameter of `forward` what it is passed to. `module` is an instance, or None if there is none yet."""
    tree = function_tree(forward)
    return {} if tree is None else _Function(tree, taken(tree), module, namespace, {}, (), {}).uses()


class _Function:
    """One function whose text is read, and the parameters that a caller passes to it. `known` are the objects that
    they hold in the call that is followed, `outer` the functions that lead here, `read` what was read of other
    functions.
    """

    def __init__(
        self,
        tree: ast.FunctionDef,
        parameters: list[ast.arg],
        module: Any,
        namespace: Mapping[str, Any],
        known: Mapping[str, Any],
        outer: tuple[ast.AST, ...],
        read: dict[Any, tuple[dict[str, Uses], Any]],
    ) -> None:
        self._tree, self._module, self._namespace, self._known = tree, module, namespace, known
        self._outer, self._read = (*outer, tree), read
        every = [*tree.args.posonlyargs, *tree.args.args, *tree.args.kwonlyargs]
        self._own = every[0].arg if len(parameters) < len(every) else ""
        self.spread = tree.args.kwarg.arg if tree.args.kwarg is not None else ""
        self._names = {item.arg for item in parameters} | ({self.spread} if self.spread else set())
        self._assigned: dict[str, list[ast.Assign]] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
                self._assigned.setdefault(node.targets[0].id, []).append(node)

    def uses(self) -> dict[str, Uses]:
        found = {name: Uses() for name in self._names}
        nodes = list(ast.walk(self._tree))
        for node in nodes:
            place = self._place(node) if isinstance(node, (ast.Subscript, ast.Call)) else None
            if place is not None and place[1]:
                found[place[0]].items.setdefault(place[1], Uses())
        for call in [node for node in nodes if isinstance(node, ast.Call)][:MAXIMUM]:
            target = self._target(call.func)
            if target is None:
                continue
            for value, parameter in _arguments(call, target):
                place = self._place(value)
                if place is None or self._assigned_before(place[0], call):
                    continue
                where = found[place[0]]
                if place[1]:
                    where = where.items.setdefault(place[1], Uses())
                where.add(Uses((Passed(target, parameter),)), f"{call.lineno}:{call.col_offset}")
                where.add(self._inside(call, target, parameter), f"{call.lineno}:{call.col_offset}")
        return found

    def _place(self, node: ast.expr) -> tuple[str, str] | None:
        """The parameter that an expression is, and the key where it is an item of one: ``x``, ``batch["ids"]``, and a
        local name that holds such an item.
        """
        if isinstance(node, ast.Name):
            made = self._assigned.get(node.id, [])
            if node.id in self._names:
                return node.id, ""
            return self._place(made[0].value) if len(made) == 1 and not isinstance(made[0].value, ast.Name) else None
        owner: ast.expr | None = None
        key: ast.expr | None = None
        if isinstance(node, ast.Subscript):
            owner, key = node.value, node.slice
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("get", "pop"):
            owner, key = node.func.value, node.args[0] if node.args else None
        named = isinstance(owner, ast.Name) and owner.id in self._names
        if named and isinstance(key, ast.Constant) and isinstance(key.value, str):
            assert isinstance(owner, ast.Name)
            return owner.id, key.value
        return None

    def _target(self, node: ast.expr) -> Any:
        """The module or function that is called, or the `autograd.Function` that is applied; None where that is not
        plain from the text.
        """
        if isinstance(node, ast.Attribute) and node.attr == "apply":
            function = self._value(node.value)
            if inspect.isclass(function) and issubclass(function, torch.autograd.Function):
                return function
        value = self._value(node)
        return value if isinstance(value, nn.Module) or inspect.isroutine(value) else None

    def _value(self, node: ast.expr, local: bool = True) -> Any:
        """The object that an expression is: a part, a method, what a module of Python holds; None if not plain."""
        if isinstance(node, ast.IfExp):
            first = self._value(node.body, local)
            return first if first is not None else self._value(node.orelse, local)
        if isinstance(node, ast.Attribute):
            owner = self._value(node.value, local)
            return _attribute(owner, node.attr) if isinstance(owner, nn.Module) or inspect.ismodule(owner) else None
        if not isinstance(node, ast.Name):
            return None
        if node.id == self._own and self._module is not None:
            return self._module
        if node.id in self._known:
            return self._known[node.id]
        if node.id in self._assigned:
            made = [self._value(item.value, False) for item in self._assigned[node.id]] if local else []
            return next((value for value in made if value is not None), None)
        return None if node.id in self._names else self._namespace.get(node.id)

    def _inside(self, call: ast.Call, target: Any, parameter: str) -> Uses:
        """What a method, a function or a part of the author's does with what it gets as that parameter."""
        function = target.forward if isinstance(target, nn.Module) else target
        code = getattr(inspect.unwrap(function), "__code__", None) if inspect.isroutine(function) else None
        if code is None or any(name in code.co_filename for name in _LIBRARIES) or len(self._outer) >= DEPTH:
            return Uses()
        tree = function_tree(function)
        if tree is None or tree in self._outer:
            return Uses()
        owner = target if isinstance(target, nn.Module) else getattr(target, "__self__", None)
        known = {name: self._value(value) for value, name in _arguments(call, target)}
        known = {name: value for name, value in known.items() if value is not None}
        namespace = getattr(inspect.unwrap(function), "__globals__", {})
        bound = inspect.ismethod(function)
        parameters = taken(tree) if bound else [*tree.args.posonlyargs, *tree.args.args, *tree.args.kwonlyargs]
        inner = _Function(tree, parameters, owner if bound else None, namespace, known, self._outer, self._read)
        # A part that is called many times is read once: all of a block's parts are, for each call of the block.
        key = self._outer, tree, id(owner), tuple((name, id(value)) for name, value in known.items())
        if key not in self._read:
            # What the identities are of is kept, so that they stay theirs.
            self._read[key] = inner.uses(), (owner, known)
        uses = self._read[key][0]
        if parameter != SPREAD:
            return uses.get(parameter, Uses())
        # What is spread goes to the parameters by its keys, and the others to the one that takes all others.
        found = Uses()
        if inner.spread:
            found.add(uses[inner.spread])
        given = {name for _, name in _arguments(call, target)}
        for name, item in inspect.signature(function).parameters.items():
            if item.default is item.empty and name in uses and name != inner.spread and name not in given:
                found.add(Uses(items={name: uses[name]}))
        return found

    def _assigned_before(self, name: str, call: ast.Call) -> bool:
        """Whether the name may hold something else at the call."""
        return any(
            isinstance(node, ast.Name)
            and node.id == name
            and isinstance(node.ctx, ast.Store)
            and node.lineno < call.lineno
            for node in ast.walk(self._tree)
        )


def _attribute(owner: Any, name: str) -> Any:
    """What an attribute holds; None where there is none, or where the author's code that gives it fails."""
    try:
        return getattr(owner, name, None)
    except Exception:
        return None


def _arguments(call: ast.Call, target: Any) -> Iterator[tuple[ast.expr, str]]:
    """Pairs of what is passed and the parameter that it is passed as."""
    try:
        signature = inspect.signature(getattr(target, "forward", target))
    except (TypeError, ValueError):
        return
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    positions = [item.name for item in signature.parameters.values() if item.kind in kinds]
    if isinstance(target, type) and "setup_context" not in vars(target):
        # What is passed to `apply` comes after the context.
        positions = positions[1:]
    for position, argument in enumerate(call.args):
        if isinstance(argument, ast.Starred):
            break
        if position < len(positions):
            yield argument, positions[position]
    yield from ((item.value, item.arg or SPREAD) for item in call.keywords)
