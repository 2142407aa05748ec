"""Modules that are paired with values by ``zip``, which TorchScript does not do: the modules are enumerated, the values
indexed. A pair that `zip` would not make, since there are fewer values, is not made here either.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ts_shape_server.analysis.rewrites.comprehensions import as_loop, own_names
from ts_shape_server.analysis.rewrites.extraction import has_long_strings
from ts_shape_server.analysis.rewrites.situation import Place, Rewrite, Situation
from ts_shape_server.model import Range, TextEdit

_REFUSED = "Can not iterate over a module list or tuple"


@dataclass(frozen=True)
class _Enumerated:
    """The head of the loop from its target on, the test that a pair is there, and what gives the values their names."""

    head: str
    test: str
    names: tuple[str, ...]


def zipped(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """``for x, layer in zip(xs, self.layers)``, and a comprehension over such pairs."""
    if _REFUSED not in place.said:
        return
    loop = place.statement
    made = _loop(situation, place, loop) if isinstance(loop, ast.For) else _comprehension(situation, place)
    if made is not None:
        yield Rewrite("Enumerate the modules and index the values", tuple(made))


def _loop(situation: Situation, place: Place, loop: ast.For) -> list[TextEdit] | None:
    made = _enumerated(situation, place, loop.target, loop.iter)
    first = loop.body[0]
    if made is None or loop.orelse or not situation.alone(first) or first.lineno == loop.lineno:
        return None
    if any(map(has_long_strings, loop.body)):
        return None
    start, end = situation.range_of(loop.target), situation.range_of(loop.iter)
    edits = [TextEdit(Range(start.line, start.column, end.end_line, end.end_column), made.head)]
    outer, newline = situation.indent(loop), situation.source.newline
    inner = situation.indent(first)
    step = inner[len(outer) :]
    before = newline.join([f"{inner}if {made.test}:", *(inner + step + line for line in made.names), ""])
    lines = [line for line in range(first.lineno, (loop.end_lineno or 0) + 1) if situation.source.line(line).strip()]
    for number, line in enumerate(lines):
        edits.append(TextEdit(Range(line, 0, line, 0), (before if number == 0 else "") + step))
    return edits


def _comprehension(situation: Situation, place: Place) -> list[TextEdit] | None:
    """The whole comprehension as a loop over the modules."""
    node = next((item for item in ast.walk(place.statement) if _pairs_modules(situation, item)), None)
    if not isinstance(node, ast.ListComp) or len(node.generators) != 1 or node.generators[0].ifs:
        return None
    (generator,) = node.generators
    made = _enumerated(situation, place, generator.target, generator.iter, own_names(situation, place, node))
    if made is None:
        return None
    return as_loop(situation, place, node, made.head, made.test, made.names)


def _pairs_modules(situation: Situation, node: ast.AST) -> bool:
    return isinstance(node, ast.ListComp) and any(
        isinstance(item.iter, ast.Call) and any(_is_modules(situation, argument) for argument in item.iter.args)
        for item in node.generators
    )


def _is_modules(situation: Situation, node: ast.expr) -> bool:
    return (situation.type_of(node) or "").startswith("!torch.nn.")


def _enumerated(
    situation: Situation,
    place: Place,
    target: ast.expr,
    source: ast.expr,
    renamed: Mapping[str, str] = MappingProxyType({}),
) -> _Enumerated | None:
    if not isinstance(source, ast.Call) or not isinstance(target, ast.Tuple):
        return None
    if not isinstance(source.func, ast.Name) or source.func.id != "zip" or len(source.args) != len(target.elts):
        return None
    if source.keywords or any(isinstance(item, ast.Starred) for item in [*source.args, *target.elts]):
        return None
    pairs = list(zip(source.args, target.elts, strict=True))
    modules = [pair for pair in pairs if _is_modules(situation, pair[0])]
    values = [pair for pair in pairs if pair not in modules]
    if not modules or not values:
        return None
    if any(not (situation.type_of(item) or "").startswith("List[") or _called(item) for item, _ in values):
        return None
    index = situation.free_name("index", place.function)
    names = ", ".join(situation.text_with(name, renamed) for _, name in modules)
    looped = situation.text(modules[0][0])
    if len(modules) > 1:
        looped, names = f"zip({', '.join(situation.text(item) for item, _ in modules)})", f"({names})"
    return _Enumerated(
        f"{index}, {names} in enumerate({looped})",
        " and ".join(f"{index} < len({situation.text(item)})" for item, _ in values),
        tuple(f"{situation.text_with(name, renamed)} = {situation.text(item)}[{index}]" for item, name in values),
    )


def _called(node: ast.expr) -> bool:
    """Whether it is more than a name: what is evaluated once would be evaluated for each pair."""
    return not isinstance(node, (ast.Name, ast.Attribute))
