"""Parts of module lists, and lists from the end: TorchScript loops over all modules in their order, so the loop asks
for the place of each.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from ts_shape_server.analysis.rewrites.extraction import has_long_strings
from ts_shape_server.analysis.rewrites.indexing import new_method
from ts_shape_server.analysis.rewrites.situation import Place, Rewrite, Situation
from ts_shape_server.contract.places import Range, TextEdit


@dataclass(frozen=True)
class _Part:
    """The modules that a loop goes through: `start` and `end` are texts of numbers, empty where the list ends."""

    container: ast.expr
    start: str = ""
    end: str = ""
    backwards: bool = False


def part_of_modules(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """``for layer in self.layers[1:]`` and ``for layer in reversed(self.layers)`` as loops over all."""
    refused = _about_parts(place)
    if not refused and place.failure.kind != "differs-from-eager":
        return
    for loop in ast.walk(place.function):
        # A part that scripts goes through the wrong modules, and torch marks another place.
        if isinstance(loop, ast.For) and (not refused or place.statement in ast.walk(loop)):
            edits = _whole_loop(situation, place, loop)
            if edits is not None:
                yield Rewrite(
                    "loop-over-all-modules", f"Loop over all modules for `{situation.text(loop.iter)}`", tuple(edits)
                )


def _about_parts(place: Place) -> bool:
    """Whether torch takes a part of a list of modules for a tuple, which it neither calls nor slices."""
    method, called = place.says("method-unknown"), place.says("not-callable")
    if method is not None and method.fact("attribute") == "__call__":
        return True
    if called is not None and called.fact("modules") == "1":
        return True
    return place.says("reversed-overload", "tuple-slice") is not None


def _whole_loop(situation: Situation, place: Place, loop: ast.For) -> list[TextEdit] | None:
    iterated, index = loop.iter, ""
    target: ast.expr = loop.target
    if isinstance(iterated, ast.Call) and ast.unparse(iterated.func) == "enumerate" and len(iterated.args) == 1:
        if not isinstance(target, ast.Tuple) or len(target.elts) != 2 or not isinstance(target.elts[0], ast.Name):
            return None
        iterated, index, target = iterated.args[0], target.elts[0].id, target.elts[1]
    part = _part(situation, iterated)
    first = loop.body[0]
    if part is None or loop.orelse or not isinstance(target, ast.Name) or not situation.alone(first):
        return None
    if first.lineno == loop.lineno or any(map(has_long_strings, loop.body)) or _leaves(loop):
        return None
    container = situation.text(part.container)
    position = situation.free_name("position", place.function)
    outer = situation.indent(loop)
    step = situation.indent(first)[len(outer) :]
    named = [node for node in ast.walk(place.function) if isinstance(node, ast.Name) and node.id == target.id]
    inside = {node for statement in loop.body for node in ast.walk(statement)}
    used = [node for node in named if node in inside]
    if part.backwards and any(not isinstance(node.ctx, ast.Load) for node in used):
        return None
    # A name that held a module before cannot hold another one in a loop whose length is not known.
    again = part.backwards and len(used) + 1 < len(named)
    module = situation.free_name(f"{target.id}_{loop.lineno}", place.function) if again else target.id
    heads = [f"for {position}, {module} in enumerate({container}):"]
    if part.backwards:
        counted = situation.free_name("wanted", place.function)
        heads = [f"for {counted} in range(len({container}) - 1, -1, -1):", step + heads[0]]
        heads.append(f"{2 * step}if {position} == {counted}:")
        number = f"len({container}) - 1 - {counted}"
    else:
        heads.append(f"{step}if {_test(part, position)}:")
        number = f"{position} - {part.start}" if part.start not in ("", "0") else position
    deep = step * len(heads)
    newline = situation.source.newline
    if index:
        heads.append(f"{deep}{index} = {number}")
    span, last = situation.range_of(loop), situation.range_of(loop.iter)
    colon = re.match(r"\s*:", situation.source.line(last.end_line)[last.end_column :])
    if colon is None:
        return None
    head = Range(span.line, span.column, last.end_line, last.end_column + colon.end())
    edits = [TextEdit(head, (newline + outer).join(heads))]
    edits += [situation.replace(node, module) for node in used] if module != target.id else []
    for line in range(last.end_line + 1, span.end_line + 1):
        if situation.source.line(line).strip():
            edits.append(TextEdit(Range(line, 0, line, 0), deep[len(step) :]))
    return edits


def _part(situation: Situation, node: ast.expr) -> _Part | None:
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "reversed" and len(node.args) == 1:
        inner = node.args[0]
        if isinstance(inner, ast.Call) and ast.unparse(inner.func) == "list" and len(inner.args) == 1:
            inner = inner.args[0]
        return _Part(inner, backwards=True) if _is_modules(situation, inner) else None
    if not isinstance(node, ast.Subscript) or not isinstance(node.slice, ast.Slice):
        return None
    if not _is_modules(situation, node.value):
        return None
    cut = node.slice
    if cut.step is not None:
        whole = cut.lower is None and cut.upper is None and ast.unparse(cut.step) == "-1"
        return _Part(node.value, backwards=True) if whole else None
    container = situation.text(node.value)
    start, end = _number(cut.lower, container), _number(cut.upper, container)
    return None if start is None or end is None else _Part(node.value, start, end)


def _is_modules(situation: Situation, node: ast.expr) -> bool:
    own = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self"
    return own and (situation.type_of(node) or "!torch.nn.").startswith("!torch.nn.")


def _number(node: ast.expr | None, container: str) -> str | None:
    """A bound of a slice as a place in the list; None where it may count from the end without showing it."""
    if node is None:
        return ""
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError):
        text = ast.unparse(node)
        return text if re.fullmatch(rf"len\({re.escape(container)}\)( - \d+)?", text) else None
    if not isinstance(value, int):
        return None
    return str(value) if value >= 0 else f"len({container}) - {-value}"


def _test(part: _Part, position: str) -> str:
    start, end = part.start if part.start != "0" else "", part.end
    if start and end:
        return f"{start} <= {position} and {position} < {end}"
    return f"{position} < {end}" if end else f"{position} >= {start or 0}"


def _leaves(loop: ast.For) -> bool:
    """Whether a loop is left before its end, which the loop inside another one cannot do for it."""
    return any(isinstance(node, (ast.Break, ast.Continue, ast.Return)) for item in loop.body for node in ast.walk(item))


def part_called(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """``self.net[:3](x)`` as a call of a method that goes through these modules."""
    if not _about_parts(place) or place.owner is None or place.function.decorator_list:
        return
    for call in ast.walk(place.statement):
        if not isinstance(call, ast.Call) or len(call.args) != 1 or call.keywords:
            continue
        part = _part(situation, call.func)
        plain = {situation.type_of(call.args[0]), situation.type_of(call)} == {"Tensor"}
        if part is None or part.backwards or not plain or not isinstance(part.container, ast.Attribute):
            continue
        container = situation.text(part.container)
        name = f"_part_of_{part.container.attr.strip('_')}"
        there = situation.method(place.owner, name)
        name = name if there is not None else situation.free_attribute(name)
        outer = situation.indent(place.function)
        step = situation.indent(place.function.body[0])[len(outer) :] or "    "
        speller = situation.spelling()
        tensor = speller.of("Tensor")
        lines = [
            f"def {name}(self, input: {tensor}, start: int, end: int) -> {tensor}:",
            f"{step}for position, module in enumerate({container}):",
            f"{step}{step}if start <= position and position < end:",
            f"{step}{step}{step}input = module(input)",
            f"{step}return input",
        ]
        passed = f"{situation.text(call.args[0])}, {part.start or 0}, {part.end or f'len({container})'}"
        written = situation.text(there).splitlines() if there is not None else []
        same = [line.strip() for line in written] == [line.strip() for line in lines]
        if there is not None and not same:
            return
        above = [] if same else [new_method(situation, place, lines), *speller.imports()]
        edits = (*above, situation.replace(call, f"self.{name}({passed})"))
        yield Rewrite("part-of-modules", f"Go through a part of `{container}` in a method `{name}`", edits)
        return
