"""Edits of a function's tree that take one refusal out of the compiler's way: small makers of `sources.Edit`.

Every replacement stands exactly where the replaced node stood. A value becomes a call of an ignored function whose
annotations say the type, so that the compiler goes on as if the expression had worked. Which edit helps against which
refusal is not decided here.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Union

import torch

from ts_shape_server.agent.script import types
from ts_shape_server.agent.script.sources import Edit, NodeKey, Sources, key_of
from ts_shape_server.agent.script.types import Type

Replacement = Union[ast.AST, list[ast.stmt]]


@dataclass(frozen=True)
class Replace:
    """Put what `make` gives in the place of the node with this key (statements: one or several)."""

    key: NodeKey
    make: Callable[[Any], Replacement]

    def __call__(self, tree: ast.FunctionDef) -> None:
        apply([self], tree)


def replaced(key: NodeKey, make: Callable[[Any], Replacement]) -> Edit:
    """The edit that puts what `make` gives in the place of a node."""
    return Replace(key, make)


def apply(made: Sequence[Edit], tree: ast.FunctionDef) -> None:
    """Make edits in order; replacements that follow each other share one walk of the tree."""
    waiting: dict[NodeKey, Callable[[Any], Replacement]] = {}
    for edit in made:
        if isinstance(edit, Replace):
            waiting.setdefault(edit.key, edit.make)
            continue
        if waiting:
            _Replacer(waiting).visit(tree)
            waiting = {}
        edit(tree)
    if waiting:
        _Replacer(waiting).visit(tree)


class _Replacer(ast.NodeTransformer):
    def __init__(self, makers: dict[NodeKey, Callable[[Any], Replacement]]) -> None:
        self.makers = makers
        self.lines = {key.line for key in makers}

    def visit(self, node: ast.AST) -> Any:
        if getattr(node, "lineno", None) not in self.lines or getattr(node, "made", False):
            return self.generic_visit(node)
        make = self.makers.get(key_of(node))
        if make is None:
            return self.generic_visit(node)
        found = placed(make(node), node)
        for item in found if isinstance(found, list) else [found]:
            if item is node:
                item.made = True  # type: ignore[attr-defined]
        if isinstance(found, list):
            inner = [self.visit(item) for item in found]
            return [part for item in inner for part in (item if isinstance(item, list) else [item])]
        return self.visit(found)


def placed(made: Replacement, where: ast.AST) -> Replacement:
    """Give every new node under `made` the place of `where`; nodes that have a place keep it."""
    for item in made if isinstance(made, list) else [made]:
        for node in ast.walk(item):
            if "lineno" in node._attributes and not hasattr(node, "lineno"):
                ast.copy_location(node, where)
                node.made = True  # type: ignore[attr-defined]
    return made


def value_call(sources: Sources, kind: Type, children: Sequence[ast.expr] = ()) -> ast.expr:
    """An expression of a type that compiles; `children` stay in it, so that they are compiled too."""
    if kind == types.NONE:
        return ast.Constant(None)
    name = sources.define(_maker(types.python_type(kind), len(children)))
    return ast.Call(ast.Name(name, ast.Load()), list(children), [])


def _maker(result: Any, arity: int) -> Any:
    """An ignored function: the compiler takes its annotations and never its body."""
    names = [f"argument_{index}" for index in range(arity)]
    scope: dict[str, Any] = {"__name__": __name__}
    exec(f"def made({', '.join(names)}):\n    raise RuntimeError('never runs')", scope)
    made = scope["made"]
    made.__annotations__ = {**dict.fromkeys(names, Any), "return": result}
    ignore: Any = torch.jit.ignore
    return ignore(made)


def annotated(sources: Sources, parameter: str, kind: Type) -> Edit:
    """Annotate a parameter."""
    name = sources.define(types.python_type(kind))

    def edit(tree: ast.FunctionDef) -> None:
        for argument in [*tree.args.args, *tree.args.kwonlyargs]:
            if argument.arg == parameter:
                argument.annotation = ast.copy_location(ast.Name(name, ast.Load()), argument)

    return edit


def any_signature(sources: Sources) -> Edit:
    """Let every parameter take anything, and say nothing of the result."""
    name = sources.define(Any)

    def edit(tree: ast.FunctionDef) -> None:
        tree.returns = None
        for argument in [*tree.args.args, *tree.args.kwonlyargs]:
            if argument.arg != "self":
                argument.annotation = ast.copy_location(ast.Name(name, ast.Load()), argument)

    return edit


def without_result(tree: ast.FunctionDef) -> None:
    """Take the annotation of the result away."""
    tree.returns = None


def plain_signature(sources: Sources, kinds: dict[str, Type]) -> Edit:
    """Make ``*args`` positions, ``**kwargs`` a local value and keyword-only parameters plain ones.

    `kinds` says what arrived; an ``*args`` of two items becomes two parameters and a tuple of them.
    """

    def edit(tree: ast.FunctionDef) -> None:
        arguments = tree.args
        variadic, keywords = arguments.vararg, arguments.kwarg
        arguments.args = [*arguments.args]
        prefix: list[ast.stmt] = []
        if variadic is not None:
            items = kinds.get(variadic.arg, types.UNKNOWN).items
            names = [f"{variadic.arg}_{index}" for index in range(len(items))]
            for name, kind in zip(names, items):
                annotation = ast.Name(sources.define(types.python_type(_held(kind))), ast.Load())
                arguments.args.append(ast.arg(name, annotation))
            pack = ast.Tuple([ast.Name(name, ast.Load()) for name in names], ast.Load())
            prefix.append(ast.Assign([ast.Name(variadic.arg, ast.Store())], pack))
        if keywords is not None:
            value = value_call(sources, _held(kinds.get(keywords.arg, types.OPAQUE)))
            prefix.append(ast.Assign([ast.Name(keywords.arg, ast.Store())], value))
        arguments.args.extend(arguments.kwonlyargs)
        arguments.vararg = arguments.kwarg = None
        arguments.kwonlyargs, arguments.kw_defaults = [], []
        for node in [*prefix, *arguments.args]:
            placed(node, tree.body[0] if isinstance(node, ast.stmt) else variadic or keywords or tree.body[0])
        tree.body = [*prefix, *tree.body]

    return edit


def _held(kind: Type) -> Type:
    return kind if kind.representable else types.ANY


def inserted_before(key: NodeKey, make: Callable[[], list[ast.stmt]]) -> Edit:
    """Put statements before the statement with this key."""
    return replaced(key, lambda node: [*make(), node])


def assignment(name: str, value: ast.expr) -> ast.stmt:
    """``name = value``, without a place yet."""
    return ast.Assign([ast.Name(name, ast.Store())], value)


def raising() -> ast.stmt:
    """A statement after which the compiler expects nothing of the block."""
    call = ast.Call(ast.Name("RuntimeError", ast.Load()), [ast.Constant("not reached")], [])
    return ast.Raise(call, None)


def cut_from(key: NodeKey) -> Edit:
    """Replace a statement and all that follow it in its block by a raise."""

    def edit(tree: ast.FunctionDef) -> None:
        for block in blocks(tree):
            for index, statement in enumerate(block):
                if hasattr(statement, "lineno") and key_of(statement) == key:
                    made = raising()
                    placed(made, statement)
                    block[index:] = [made]
                    return

    return edit


def whole_body(sources: Sources, result: Type) -> Edit:
    """Leave nothing of a function but a result of the type the run saw."""

    def edit(tree: ast.FunctionDef) -> None:
        first = tree.body[0]
        value = ast.Return(None if result == types.NONE else value_call(sources, _held(result)))
        placed(value, first)
        tree.returns = None
        tree.body = [value]

    return edit


def blocks(tree: ast.AST) -> list[list[ast.stmt]]:
    """Every list of statements under a node, outer ones first."""
    found: list[list[ast.stmt]] = []
    for node in ast.walk(tree):
        for name in ("body", "orelse", "finalbody"):
            block = getattr(node, name, None)
            if isinstance(block, list) and block and isinstance(block[0], ast.stmt):
                found.append(block)
    return found


def stored_names(node: ast.AST) -> set[str]:
    """The names that a statement binds."""
    found = {item.id for item in ast.walk(node) if isinstance(item, ast.Name) and isinstance(item.ctx, ast.Store)}
    for item in ast.walk(node):
        if isinstance(item, (ast.Import, ast.ImportFrom)):
            found.update((alias.asname or alias.name).split(".")[0] for alias in item.names)
        elif isinstance(item, (ast.FunctionDef, ast.ClassDef)):
            found.add(item.name)
    return found


def loaded_names(node: ast.AST) -> set[str]:
    """The names that a node reads."""
    return {item.id for item in ast.walk(node) if isinstance(item, ast.Name) and isinstance(item.ctx, ast.Load)}


def parents(tree: ast.AST) -> dict[ast.AST, ast.AST]:
    """The parent of every node under `tree`."""
    return {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}


def statement_of(tree: ast.AST, node: ast.AST) -> ast.stmt | None:
    """The innermost statement that contains a node."""
    above = parents(tree)
    current: ast.AST | None = node
    while current is not None and not isinstance(current, ast.stmt):
        current = above.get(current)
    return current


def called_name(node: ast.Call) -> str:
    """The last name of what is called: ``relu`` in ``F.relu(x)``."""
    function = node.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
