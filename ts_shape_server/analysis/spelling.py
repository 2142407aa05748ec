"""TorchScript types in a file's own words, and the imports that the words still need as text edits.

Knows how a file imports torch and typing, whether it writes ``list[int]`` or ``List[int]``, ``int | None`` or
``Optional[int]``. Pure.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ts_shape_server.analysis.imports import Imports
from ts_shape_server.analysis.modules import resolve_name
from ts_shape_server.analysis.scopes import FUNCTIONS
from ts_shape_server.analysis.syntax import expression, statements
from ts_shape_server.analysis.text import SourceText
from ts_shape_server.contract.places import TextEdit

_TYPING = frozenset({"Any", "Callable", "Dict", "Final", "List", "NamedTuple", "Optional", "Tuple", "Union"})
_GENERICS = {"dict": "Dict", "list": "List", "tuple": "Tuple"}
_SAME = {
    "torch.Tensor": "Tensor",
    "builtins.dict": "Dict",
    "builtins.list": "List",
    "builtins.tuple": "Tuple",
    **{f"typing.{name}": name for name in _TYPING},
    **{f"typing_extensions.{name}": name for name in _TYPING},
}


class TypeSpelling:
    """Spells types for one file, and remembers which names have to be imported for that."""

    def __init__(self, source: SourceText, tree: ast.Module) -> None:
        self._source = source
        self._tree = tree
        self._imports = Imports(source, tree)
        self._imported = self._imports.known
        annotations = list(_annotations(tree))
        self._builtin_generics = any(
            isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id in _GENERICS
            for node in annotations
        )
        self._bars = "typing.Optional" not in self._imported.values() and any(
            isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr) for node in annotations
        )

    def of(self, kind: str) -> str:
        """The type as this file would write it."""
        node = expression(kind)
        return kind if node is None else self._spell(node)

    def same(self, written: str | None, wanted: str) -> bool:
        """Whether a written annotation is the type already, however it is imported and spelled."""
        if written is None:
            return False
        left, right = expression(written), expression(wanted)
        return left is not None and right is not None and self._plain(left) == _canonical(right)

    def _spell(self, node: ast.expr) -> str:
        if isinstance(node, ast.Subscript):
            inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
            name = node.value.id if isinstance(node.value, ast.Name) else ""
            if name == "Optional" and self._bars:
                return f"{self._spell(inner[0])} | None"
            if name == "Union" and self._bars:
                return " | ".join(self._spell(item) for item in inner)
            return f"{self._spell(node.value)}[{', '.join(self._spell(item) for item in inner) or '()'}]"
        if isinstance(node, ast.Name):
            return self._word(node.id)
        text = ast.unparse(node)
        if isinstance(node, ast.Attribute) and text.startswith("torch."):
            return self.member("torch", text.removeprefix("torch."))
        return text

    def _word(self, word: str) -> str:
        if word == "Tensor":
            return self.member("torch", word)
        if word not in _TYPING:
            return word
        short = word.lower()
        if short in _GENERICS and self._builtin_generics and f"typing.{word}" not in self._imported.values():
            return short
        return self.member("typing", word)

    def member(self, module: str, word: str) -> str:
        """A member of a module, newly imported if need be."""
        return self._imports.member(module, word)

    def imports(self) -> list[TextEdit]:
        """The edits that import what was spelled and is not imported yet."""
        return self._imports.edits()

    def _plain(self, node: ast.expr) -> str:
        """A written annotation in TorchScript's words."""
        return _canonical(_Resolved(self._imported).visit(_copy(node)))


class _Resolved(ast.NodeTransformer):
    """Names as TorchScript knows them: what is imported from torch and typing by its bare name."""

    def __init__(self, imports: dict[str, str]) -> None:
        self._imports = imports

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self._named(node)

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        return self._named(node)

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        inner = expression(node.value) if isinstance(node.value, str) else None
        return node if inner is None else self.visit(inner)

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        parts = [self.visit(item) for item in _alternatives(node)]
        empty = [item for item in parts if isinstance(item, ast.Constant) and item.value is None]
        rest = [item for item in parts if item not in empty]
        if empty and len(rest) == 1:
            return ast.Subscript(ast.Name("Optional", ast.Load()), rest[0], ast.Load())
        return ast.Subscript(ast.Name("Union", ast.Load()), ast.Tuple(parts, ast.Load()), ast.Load())

    def _named(self, node: ast.Name | ast.Attribute) -> ast.expr:
        text = ast.unparse(node)
        path = resolve_name(text, self._imports)
        if text in _GENERICS and text not in self._imports:
            path = f"builtins.{text}"
        return ast.Name(_SAME.get(path, path), ast.Load())


def _alternatives(node: ast.expr) -> Iterator[ast.expr]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        yield from _alternatives(node.left)
        yield from _alternatives(node.right)
    else:
        yield node


def _canonical(node: ast.expr) -> str:
    return ast.unparse(ast.fix_missing_locations(node))


def _copy(node: ast.expr) -> ast.expr:
    return expression(ast.unparse(node)) or node


def _annotations(tree: ast.Module) -> Iterator[ast.AST]:
    """The nodes of all annotations of the file."""
    for node in statements(tree.body):
        found: list[ast.expr | None] = []
        if isinstance(node, ast.AnnAssign):
            found.append(node.annotation)
        elif isinstance(node, FUNCTIONS):
            arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            found += [node.returns, *(item.annotation for item in arguments)]
        for annotation in found:
            if annotation is not None:
                yield from ast.walk(annotation)
