"""Edits that make two sizes agree: the argument of a layer that takes or gives a size, or a flatten before it.

They are wishes: which of them makes `forward` run is for a probe of the changed text to say. An argument that is
computed from names stays as it is, since the names say more than a number would. Pure.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

from ts_shape_server.analysis.modules import FileClasses, dotted
from ts_shape_server.analysis.rewrites.situation import Rewrite
from ts_shape_server.analysis.scopes import FUNCTIONS
from ts_shape_server.analysis.spelling import TypeSpelling
from ts_shape_server.analysis.syntax import statements
from ts_shape_server.analysis.text import SourceText
from ts_shape_server.contract.places import Range, TextEdit
from ts_shape_server.contract.report import Disagreement, Failure

_TAKES = (
    (re.compile(r"(Linear|Bilinear)"), "in_features", 0),
    (re.compile(r"Conv(Transpose)?[123]d"), "in_channels", 0),
    (re.compile(r"(Sync)?(Batch|Instance)Norm([123]d)?"), "num_features", 0),
    (re.compile(r"(Layer|RMS)Norm"), "normalized_shape", 0),
    (re.compile(r"GroupNorm"), "num_channels", 1),
    (re.compile(r"(LSTM|GRU|RNN)(Cell)?"), "input_size", 0),
    (re.compile(r"MultiheadAttention"), "embed_dim", 0),
    (re.compile(r"Transformer(En|De)coderLayer"), "d_model", 0),
)
"""Which argument of a layer says how many features or channels it takes: name and place."""
_GIVES = (
    (re.compile(r"Linear"), "out_features", 1),
    (re.compile(r"Conv(Transpose)?[123]d"), "out_channels", 1),
    (re.compile(r"Embedding(Bag)?"), "embedding_dim", 1),
    (re.compile(r"(LSTM|GRU|RNN)(Cell)?"), "hidden_size", 1),
)
_LARGEST = 1 << 31


@dataclass(frozen=True)
class _Layer:
    """``self.<name> = nn.…(…)``; a part of a `Sequential` is named by its place, as in `named_modules`."""

    name: str
    call: ast.Call
    function: ast.AST
    holder: ast.Call | None = None

    @property
    def kind(self) -> str:
        return _last(self.call)

    def taken(self) -> tuple[str, ast.expr] | None:
        return _argument(self, _TAKES)

    def given(self) -> tuple[str, ast.expr] | None:
        return _argument(self, _GIVES)


def _argument(layer: _Layer, table: tuple[tuple[re.Pattern[str], str, int], ...]) -> tuple[str, ast.expr] | None:
    for pattern, name, place in table:
        if pattern.fullmatch(layer.kind):
            for keyword in layer.call.keywords:
                if keyword.arg == name:
                    return name, keyword.value
            plain = layer.call.args[: place + 1]
            if len(plain) > place and not any(isinstance(item, ast.Starred) for item in plain):
                return name, plain[place]
    return None


def fitted(source: SourceText, classes: FileClasses, class_name: str, failure: Failure) -> list[Rewrite]:
    """What could make the two sizes agree, the change that costs the least first."""
    line = next((item.line for item in classes.classes if item.name == class_name), None)
    owner = next(
        (node for node in statements(classes.tree.body) if isinstance(node, ast.ClassDef) and node.lineno == line), None
    )
    if owner is None or failure.sizes is None or classes.syntax_error is not None:
        return []
    fitting = _Fitting(source, classes, owner, failure.sizes)
    return list({item.edits: item for item in fitting.rewrites()}.values())


class _Fitting:
    def __init__(self, source: SourceText, classes: FileClasses, owner: ast.ClassDef, sizes: Disagreement) -> None:
        self._source, self._classes, self._owner, self._sizes = source, classes, owner, sizes
        self._layers = list(_layers(owner))

    def rewrites(self) -> Iterator[Rewrite]:
        takers = [item for item in self._layers if item.name == self._sizes.layer]
        if not self._sizes.layer:
            takers = [item for item in self._layers if self._says(item.taken(), self._sizes.wanted)]
        for layer in takers[:2]:
            giver = self._giver(layer)
            if layer.kind == "Linear":
                yield from self._flattened(layer)
            yield from self._set(layer, layer.taken(), self._sizes.got, giver.given() if giver else None, giver)
            if giver is not None:
                yield from self._set(giver, giver.given(), self._sizes.wanted, layer.taken(), layer)

    def _says(self, argument: tuple[str, ast.expr] | None, number: int) -> bool:
        return argument is not None and _number(argument[1]) == number

    def _giver(self, taker: _Layer) -> _Layer | None:
        """The layer that gives what arrives: the one that the run names, or the last before it that says the size."""
        if not self._sizes.layer:
            return None
        named = [item for item in self._layers if item.name == self._sizes.producer and item.given() is not None]
        if named:
            return named[0]
        if not self._sizes.producer:
            return None
        before = self._layers[: self._layers.index(taker)]
        return next((item for item in reversed(before) if self._says(item.given(), self._sizes.got)), None)

    def _set(
        self,
        layer: _Layer,
        argument: tuple[str, ast.expr] | None,
        number: int,
        other: tuple[str, ast.expr] | None,
        beside: _Layer | None,
    ) -> Iterator[Rewrite]:
        """One argument changed to a number, or to the name that the other layer's argument is."""
        if argument is None:
            return
        text = str(number)
        if _number(argument[1]) is None:
            # The size of a parameter: so many times that, where the sizes say so.
            wanted = self._sizes.wanted
            if not _is_name(argument[1]) or number != self._sizes.got or wanted < 2 or number % wanted:
                return
            text = _times(ast.unparse(argument[1]), number // wanted)
            edit = TextEdit(self._source.range_of(argument[1]), text)
            yield Rewrite("layer-argument", f"Set `{argument[0]}={text}` in `{layer.name}`", (edit,))
            return
        if other is not None and beside is not None and beside.function is layer.function and _is_name(other[1]):
            text = ast.unparse(other[1])
        edit = TextEdit(self._source.range_of(argument[1]), text)
        yield Rewrite("layer-argument", f"Set `{argument[0]}={text}` in `{layer.name}`", (edit,))

    def _flattened(self, layer: _Layer) -> Iterator[Rewrite]:
        title = f"Flatten what goes into `{layer.name}`"
        start = self._source.range_of(layer.call)
        if layer.holder is not None:
            before = layer.holder.args[: layer.holder.args.index(layer.call)]
            if before and isinstance(before[-1], ast.Call) and _last(before[-1]) == "Flatten":
                return
            module = (dotted(layer.call.func) or "").rpartition(".")[0]
            if not module:
                return
            place = Range(start.line, start.column, start.line, start.column)
            alone = not self._source.line(start.line)[: start.column].strip()
            gap = self._source.newline + self._source.line(start.line)[: start.column] if alone else " "
            yield Rewrite("flatten", title, (TextEdit(place, f"{module}.Flatten(),{gap}"),))
            return
        calls = [node for node in self._calls() if _attribute_of_self(node.func) == layer.name]
        if len(calls) != 1 or len(calls[0].args) != 1 or calls[0].keywords:
            return
        if isinstance(calls[0].args[0], ast.Call) and _last(calls[0].args[0]) == "flatten":
            return
        given = self._source.range_of(calls[0].args[0])
        spelling = TypeSpelling(self._source, self._classes.tree)
        function = spelling.member("torch", "flatten")
        text = f"{function}({self._source.slice(given)}, 1)"
        yield Rewrite("flatten", title, (TextEdit(given, text), *spelling.imports()))

    def _calls(self) -> Iterator[ast.Call]:
        for method in self._owner.body:
            if isinstance(method, FUNCTIONS) and method.name != "__init__":
                yield from (node for node in ast.walk(method) if isinstance(node, ast.Call))


def _times(name: str, factor: int) -> str:
    """The product of a size and a number, the number as the sides of a square where it is one."""
    side = math.isqrt(factor)
    return f"{name} * {side} * {side}" if side > 1 and side * side == factor else f"{name} * {factor}"


def _layers(owner: ast.ClassDef) -> Iterator[_Layer]:
    """The layers that methods of the class make, in the order of the text."""
    for method in owner.body:
        if not isinstance(method, FUNCTIONS):
            continue
        for node in statements(method.body):
            if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.value, ast.Call):
                name = _attribute_of_self(node.targets[0])
                if name:
                    yield from _parts(_Layer(name, node.value, method))


def _parts(layer: _Layer) -> Iterator[_Layer]:
    yield layer
    items = layer.call.args
    if layer.kind == "ModuleList" and len(items) == 1 and isinstance(items[0], (ast.List, ast.Tuple)):
        items = items[0].elts
    elif layer.kind != "Sequential":
        return
    for number, item in enumerate(items):
        if isinstance(item, ast.Starred):
            return
        if isinstance(item, ast.Call):
            holder = layer.call if layer.kind == "Sequential" else None
            yield from _parts(_Layer(f"{layer.name}.{number}", item, layer.function, holder))


def _attribute_of_self(node: ast.expr) -> str:
    own = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self"
    return node.attr if own and isinstance(node, ast.Attribute) else ""


def _is_name(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) or bool(isinstance(node, ast.Attribute) and _attribute_of_self(node))


def _last(call: ast.Call) -> str:
    """The last name of what is called."""
    return (dotted(call.func) or "").rsplit(".", 1)[-1]


def _number(node: ast.expr) -> int | None:
    """The value of arithmetic over whole numbers; None where a name takes part."""
    if isinstance(node, ast.Constant):
        return node.value if type(node.value) is int else None
    if not isinstance(node, ast.BinOp):
        return None
    left, right = _number(node.left), _number(node.right)
    if left is None or right is None:
        return None
    if isinstance(node.op, ast.Mult) and abs(left * right) < _LARGEST:
        return left * right
    if isinstance(node.op, ast.Add):
        return left + right
    if isinstance(node.op, ast.Sub):
        return left - right
    if isinstance(node.op, ast.FloorDiv) and right:
        return left // right
    if isinstance(node.op, ast.Pow) and 0 <= right <= 8 and abs(left) < 1 << 12:
        return int(left**right)
    return None
