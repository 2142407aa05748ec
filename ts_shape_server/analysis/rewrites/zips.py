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
from ts_shape_server.contract.places import Range, TextEdit

_TAKING_ALL = ("zip", "enumerate", "list", "tuple", "sum")


@dataclass(frozen=True)
class _Enumerated:
    """The head of the loop from its target on, the test that a pair is there, and what gives the values their names.
    `before` keeps what has to be evaluated once.
    """

    head: str
    test: str
    names: tuple[str, ...]
    before: tuple[str, ...] = ()


def zipped(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """``for x, layer in zip(xs, self.layers)``, and a comprehension over such pairs."""
    loop = place.statement
    made = _loop(situation, place, loop) if isinstance(loop, ast.For) else _comprehension(situation, place)
    if made is not None:
        yield Rewrite("zip-as-enumerate", "Enumerate the modules and index the values", tuple(made))


def turned_lists(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """``for item in reversed(items)`` as ``for item in items[::-1]``, wherever all of them are taken at once."""
    edits = []
    for node in ast.walk(place.statement):
        if not isinstance(node, ast.Call) or not _is_turned(node) or _list(situation, node) == "":
            continue
        above = situation.parents.get(node)
        named = isinstance(above, ast.Call) and isinstance(above.func, ast.Name) and above.func.id in _TAKING_ALL
        if named or (isinstance(above, (ast.For, ast.comprehension)) and above.iter is node):
            edits.append(situation.replace(node, _list(situation, node)))
    if edits:
        yield Rewrite("reversed-list-slice", "Turn lists with a slice", tuple(edits))


def _loop(situation: Situation, place: Place, loop: ast.For) -> list[TextEdit] | None:
    made = _enumerated(situation, place, loop.target, loop.iter)
    first = loop.body[0]
    if made is None or loop.orelse or not situation.alone(first) or first.lineno == loop.lineno:
        return None
    if any(map(has_long_strings, loop.body)):
        return None
    start, end = situation.range_of(loop.target), situation.range_of(loop.iter)
    edits = [TextEdit(Range(start.line, start.column, end.end_line, end.end_column), made.head)]
    if made.before:
        edits.append(situation.before(loop, "\n".join(made.before)))
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
    if made is None or made.before:
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
    lists = [_list(situation, item) for item, _ in values]
    if not all(lists):
        return None
    index = situation.free_name("index", place.function)
    names = ", ".join(situation.text_with(name, renamed) for _, name in modules)
    looped = situation.text(modules[0][0])
    if len(modules) > 1:
        looped, names = f"zip({', '.join(situation.text(item) for item, _ in modules)})", f"({names})"
    before: list[str] = []
    for number, (item, name) in enumerate(values):
        if not isinstance(item, (ast.Name, ast.Attribute)):
            # What is evaluated once would be evaluated for each pair.
            kept = situation.free_name(f"{name.id}_list" if isinstance(name, ast.Name) else "items", place.function)
            before.append(f"{kept} = {lists[number]}")
            lists[number] = kept
    if len({line.split(" = ")[0] for line in before}) < len(before):
        return None
    return _Enumerated(
        f"{index}, {names} in enumerate({looped})",
        " and ".join(f"{index} < len({text})" for text in lists),
        tuple(
            f"{situation.text_with(name, renamed)} = {text}[{index}]"
            for (_, name), text in zip(values, lists, strict=True)
        ),
        tuple(before),
    )


def _list(situation: Situation, node: ast.expr) -> str:
    """The text of the list that an argument is, or that is gone through from its end; empty if it is none."""
    inner = node.args[0] if isinstance(node, ast.Call) and _is_turned(node) else node
    text = situation.text(inner)
    if not (situation.type_of(inner) or "").startswith("List[") or "\n" in text:
        return ""
    return f"{text}[::-1]" if inner is not node else text


def _is_turned(node: ast.Call) -> bool:
    return isinstance(node.func, ast.Name) and node.func.id == "reversed" and len(node.args) == 1
