"""Signatures that TorchScript cannot compile: ``*args``, ``**kwargs`` and keyword-only parameters with defaults are
named as the calls that were seen pass them.

Refused: variadic
Input: x=[2, 3]

Before:
    from torch import nn


    class Net(nn.Module):
        def forward(self, x, *args):
            return x * 2.0

After:
    from torch import nn


    class Net(nn.Module):
        def forward(self, x):
            return x * 2.0
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from ts_shape_server.analysis.rewrites.situation import SIGNATURE, Definition, Place, Rewrite, Situation, holdable
from ts_shape_server.analysis.syntax import expression
from ts_shape_server.contract.places import Range, TextEdit


def named(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """The signature with what arrived in the place of the stars, and the calls in the body without them."""
    function = place.function
    arguments = function.args
    if (arguments.vararg or arguments.kwarg) and is_entrance(situation, place) and not situation.called:
        # What others pass to the class is not known, and a signature without stars would refuse some of it.
        return
    edits: list[TextEdit] = []
    if arguments.vararg is not None:
        made = _positions(situation, function, arguments.vararg)
        if made is None:
            return
        edits += made
    if arguments.kwarg is not None:
        made = _keywords(situation, function, arguments.kwarg)
        if made is None:
            return
        edits += made
    if arguments.vararg is None and arguments.kwonlyargs:
        star = _bare_star(situation, function)
        edits += [TextEdit(star, "")] if star is not None else []
    if edits:
        yield Rewrite(
            "named-parameters", f"Name the parameters of `{function.name}`", tuple(edits), SIGNATURE, interface=True
        )


def is_entrance(situation: Situation, place: Place) -> bool:
    """Whether the function is the `forward` that users of the examined class call."""
    name = situation.class_name.rsplit(".", 1)[-1]
    return place.function.name == "forward" and place.owner is not None and place.owner.name == name


def list_defaults(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """``sizes=[1, 2]`` as None, for which the body makes the list."""
    function = place.function
    arguments = function.args
    plain = arguments.args[len(arguments.args) - len(arguments.defaults) :]
    pairs = [
        *zip(plain, arguments.defaults, strict=True),
        *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True),
    ]
    step = situation.indent(function.body[0])[len(situation.indent(function)) :] or "    "
    edits: list[TextEdit] = []
    above: list[str] = []
    speller = situation.spelling()
    for parameter, default in pairs:
        if not isinstance(default, (ast.List, ast.Dict)):
            continue
        kind = situation.arrived(function, parameter.arg) or situation.type_of_name(function, parameter.arg)
        if parameter.annotation is not None:
            kind = situation.text(parameter.annotation)
        if not holdable(kind) or "\n" in situation.text(default):
            return
        name, value = situation.range_of(parameter), situation.range_of(default)
        span = Range(name.line, name.column + len(parameter.arg), value.end_line, value.end_column)
        edits.append(TextEdit(span, f": {speller.of(f'Optional[{kind}]')} = None"))
        above += [f"if {parameter.arg} is None:", f"{step}{parameter.arg} = {situation.text(default)}"]
    first = _first(function)
    if edits and situation.alone(first):
        before = situation.before(first, "\n".join(above))
        yield Rewrite("default-in-body", "Make the default of a list in the body", (*edits, before, *speller.imports()))


def _positions(situation: Situation, function: Definition, star: ast.arg) -> list[TextEdit] | None:
    """``*args`` as the parameters that arrived, and a tuple of them where the body reads it."""
    kind = situation.arrived(function, star.arg) or situation.type_of_name(function, star.arg) or "Tuple[()]"
    node = expression(kind)
    if not isinstance(node, ast.Subscript) or not holdable(kind):
        return None
    inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    if not inner:
        return dropped(situation, function, star, "*")
    speller = situation.spelling()
    single = star.arg.rstrip("s") or star.arg
    names = [situation.free_name(f"{single}_{number + 1}", function) for number in range(len(inner))]
    parameters = [f"{name}: {speller.of(ast.unparse(item))}" for name, item in zip(names, inner, strict=True)]
    span = with_stars(situation, star, "*")
    uses = uses_of(function, star.arg)
    edits = [TextEdit(span, ", ".join(parameters)), *speller.imports()]
    starred = [situation.parents[item] for item in uses if isinstance(situation.parents.get(item), ast.Starred)]
    edits += [situation.replace(item, ", ".join(names)) for item in starred]
    if len(starred) < len(uses):
        edits.append(situation.before(_first(function), f"{star.arg} = ({', '.join(names)}{',' * (len(names) == 1)})"))
    return edits


def _keywords(situation: Situation, function: Definition, star: ast.arg) -> list[TextEdit] | None:
    """``**kwargs`` that nothing arrives in is taken out, here and where it is passed on."""
    kind = situation.arrived(function, star.arg) or situation.type_of_name(function, star.arg) or ""
    if holdable(kind) and kind:
        return None
    return dropped(situation, function, star, "**")


def dropped(situation: Situation, function: Definition, star: ast.arg, mark: str) -> list[TextEdit] | None:
    """A parameter that is always empty goes, and with it the places that spread it."""
    edits = [TextEdit(with_comma(situation, with_stars(situation, star, mark)), "")]
    for use in uses_of(function, star.arg):
        parent = situation.parents.get(use)
        if isinstance(parent, ast.Starred):
            edits.append(TextEdit(with_comma(situation, situation.range_of(parent)), ""))
        elif isinstance(parent, ast.keyword) and parent.arg is None:
            edits.append(TextEdit(with_comma(situation, with_stars(situation, use, "**")), ""))
        else:
            return None
    return edits


def uses_of(function: Definition, name: str) -> list[ast.Name]:
    return [node for node in ast.walk(function) if isinstance(node, ast.Name) and node.id == name]


def _first(function: Definition) -> ast.stmt:
    first = function.body[0]
    documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and len(function.body) > 1
    return function.body[1] if documented else first


def with_stars(situation: Situation, node: ast.AST, mark: str) -> Range:
    span = situation.range_of(node)
    before = situation.source.line(span.line)[: span.column]
    stripped = before.rstrip()
    column = len(stripped) - len(mark) if stripped.endswith(mark) else span.column
    return Range(span.line, column, span.end_line, span.end_column)


def with_comma(situation: Situation, span: Range) -> Range:
    """An argument with the comma before it; the one after it where it is the first."""
    source = situation.source
    start, end = source.offset(span.line, span.column), source.offset(span.end_line, span.end_column)
    before = re.search(r",\s*$", source.text[:start])
    if before is not None:
        start = before.start()
    else:
        after = re.match(r"\s*,[ \t]*", source.text[end:])
        end += after.end() if after is not None else 0
    return Range(*source.position(start), *source.position(end))


def _bare_star(situation: Situation, function: Definition) -> Range | None:
    """The ``*, `` of a signature, from the star to the first parameter that only takes a keyword."""
    source = situation.source
    first = situation.range_of(function.args.kwonlyargs[0])
    end = source.offset(first.line, first.column)
    found = re.search(r"\*\s*,\s*$", source.text[:end])
    return None if found is None else Range(*source.position(found.start()), *source.position(end))
