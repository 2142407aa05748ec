"""Functions that are made inside others: they become methods or functions of their own, and what they take from around
them is passed.

Refused: nested-function
Input: x=[2, 3]

Before:
    from torch import nn


    class Net(nn.Module):
        def forward(self, x):
            def double(y):
                return y * 2.0
            return double(x)

After:
    from torch import nn


    class Net(nn.Module):
        def _forward_double(self, y):
            return y * 2.0

        def forward(self, x):
            return self._forward_double(x)

Refused: attribute-unsupported name=act
Input: x=[2, 3]

Before:
    from torch import nn


    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.act = lambda x: x * 2.0

        def forward(self, x):
            return self.act(x)

After:
    from torch import nn


    class Net(nn.Module):
        def __init__(self):
            super().__init__()

        def act(self, x):
            return x * 2.0

        def forward(self, x):
            return self.act(x)
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TypeGuard

from ts_shape_server.analysis.rewrites.extraction import has_long_strings
from ts_shape_server.analysis.rewrites.situation import Definition, Place, Rewrite, Situation
from ts_shape_server.analysis.scopes import FUNCTIONS
from ts_shape_server.contract.places import Range, TextEdit


def moved_out(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """``def inner(x)`` in a method as a method of its own, in a function as one beside it."""
    inner = place.statement
    above = situation.parents.get(inner)
    outer = situation.function_of(above) if above is not None else None
    if outer is None:
        return
    if not isinstance(inner, ast.FunctionDef) or not _is_plain(situation, inner):
        return
    if not isinstance(situation.parents.get(outer), (ast.Module, ast.ClassDef)) or outer.decorator_list:
        return
    method = situation.owner(outer) is not None
    captured = _captured(inner, outer)
    wanted = f"_{outer.name.strip('_')}_{inner.name.strip('_')}"
    name = situation.free_attribute(wanted) if method else situation.free_name(wanted)
    prefix = "self." if method else ""
    edits = [_definition(situation, inner, outer, name, captured, method), _removed(situation, inner)]
    passed = "".join(f", {item}={item}" for item in captured)
    for use in [node for node in ast.walk(outer) if isinstance(node, ast.Name) and node.id == inner.name]:
        call = situation.parents.get(use)
        if isinstance(call, ast.Call) and call.func is use:
            edits.append(situation.replace(use, prefix + name))
            if passed:
                end = situation.range_of(call)
                where = Range(end.end_line, end.end_column - 1, end.end_line, end.end_column - 1)
                edits.append(TextEdit(where, passed if call.args or call.keywords else passed[2:]))
        elif captured:
            return
        else:
            edits.append(situation.replace(use, prefix + name))
    kind = "method" if method else "function"
    yield Rewrite(
        "nested-function-out", f"Move `{inner.name}` out of `{outer.name}` into a {kind} `{name}`", tuple(edits)
    )


def lambda_attributes(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """``self.act = lambda x: …`` in `__init__` as a method `act`, and so a partial function; one that only gives back
    what it gets is a layer.
    """
    owner = place.owner
    initialiser = situation.method(owner, "__init__") if owner is not None else None
    if owner is None or initialiser is None:
        return
    for node in ast.walk(place.statement):
        if not isinstance(node, ast.Attribute) or not isinstance(node.value, ast.Name) or node.value.id != "self":
            continue
        made = [item for item in ast.walk(owner) if _sets(item, node.attr)]
        edits = _as_layers(situation, made)
        if edits:
            yield Rewrite(
                "identity-module", f"Make `self.{node.attr}` an `nn.Identity` where it changes nothing", tuple(edits)
            )
        elif len(made) == 1 and situation.method(owner, node.attr) is None:
            moved = _as_method(situation, initialiser, made[0], node.attr)
            if moved is not None:
                yield Rewrite("lambda-method", f"Make `self.{node.attr}` a method", tuple(moved))


def _sets(node: ast.AST, name: str) -> TypeGuard[ast.Assign]:
    """Whether a statement is ``self.name = …``."""
    if not isinstance(node, ast.Assign) or len(node.targets) != 1:
        return False
    target = node.targets[0]
    own = isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name) and target.value.id == "self"
    return own and isinstance(target, ast.Attribute) and target.attr == name


def _as_layers(situation: Situation, made: list[ast.Assign]) -> list[TextEdit]:
    """Lambdas that give back their argument, as the layer that does."""
    spelled = next((name for name, path in situation.classes.imports.items() if path == "torch.nn"), "")
    spelled = spelled or ("torch.nn" if situation.classes.imports.get("torch") == "torch" else "")
    edits = []
    for node in [item for statement in made for item in ast.walk(statement.value)]:
        if not isinstance(node, ast.Lambda) or not isinstance(node.body, ast.Name) or not spelled:
            continue
        if [item.arg for item in ast.walk(node.args) if isinstance(item, ast.arg)] == [node.body.id]:
            edits.append(situation.replace(node, f"{spelled}.Identity()"))
    return edits


def _as_method(
    situation: Situation, initialiser: Definition, statement: ast.Assign, name: str
) -> list[TextEdit] | None:
    block = situation.block_of(statement)
    if block is not initialiser.body or len(block) < 2 or not situation.alone(statement):
        return None
    made = _of_lambda(situation, initialiser, statement.value) or _of_partial(situation, initialiser, statement, name)
    if made is None:
        return None
    parameters, text = made
    indent = situation.indent(initialiser)
    step = situation.indent(initialiser.body[0])[len(indent) :] or "    "
    comment = situation.comment_after(statement)
    head = f"{indent}def {name}(self{', ' if parameters else ''}{parameters}):"
    lines = [f"{head}  {comment}" if comment else head, f"{indent}{step}return {text}"]
    after = _next(situation, initialiser)
    where = situation.above(after, lines) if after is not None else situation.above(initialiser, lines)
    span = situation.range_of(statement)
    return [TextEdit(Range(span.line, 0, span.end_line + 1, 0), ""), where]


def _of_lambda(situation: Situation, initialiser: Definition, function: ast.expr) -> tuple[str, str] | None:
    """The parameters of a lambda that needs nothing of `__init__` but `self`, and the text of what it gives."""
    if not isinstance(function, ast.Lambda):
        return None
    arguments = function.args
    if arguments.vararg or arguments.kwarg or arguments.posonlyargs:
        return None
    own = {item.arg for item in arguments.args}
    text = situation.text(function.body)
    if (_names_in(function) - own) & _locals_of(initialiser, function) or "self" in own or "\n" in text:
        return None
    return ast.unparse(arguments), text


def _of_partial(
    situation: Situation, initialiser: Definition, statement: ast.Assign, name: str
) -> tuple[str, str] | None:
    """The same of ``functools.partial(function, option=2)``, with the parameters that its calls in the class need."""
    call, owner = statement.value, situation.parents.get(initialiser)
    if not isinstance(call, ast.Call) or not situation.means(call.func, "functools.partial") or owner is None:
        return None
    bound = [*call.args[1:], *(item.value for item in call.keywords)]
    if not call.args or "\n" in situation.text(call) or any(item.arg is None for item in call.keywords):
        return None
    if _names_in(call) & {*_locals_of(initialiser, call), "self"} or any(
        isinstance(item, ast.Starred) for item in bound
    ):
        return None
    calls = [node for node in ast.walk(owner) if _calls_own(node, name)]
    counts = {len(item.args) for item in calls}
    if len(counts) != 1 or any(item.keywords or any(map(_is_starred, item.args)) for item in calls):
        return None
    count = counts.pop()
    given = ["input"] if count == 1 else [f"input_{number + 1}" for number in range(count)]
    function, *first = map(situation.text, call.args)
    later = [situation.text(item) for item in call.keywords]
    return ", ".join(given), f"{function}({', '.join([*first, *given, *later])})"


def _calls_own(node: ast.AST, name: str) -> TypeGuard[ast.Call]:
    """Whether a node is a call of ``self.name``."""
    function = node.func if isinstance(node, ast.Call) else None
    owner = function.value if isinstance(function, ast.Attribute) and function.attr == name else None
    return isinstance(owner, ast.Name) and owner.id == "self"


def _is_starred(node: ast.expr) -> bool:
    return isinstance(node, ast.Starred)


def _names_in(node: ast.AST) -> set[str]:
    return {item.id for item in ast.walk(node) if isinstance(item, ast.Name)}


def _locals_of(initialiser: Definition, without: ast.AST) -> set[str]:
    """The names that a function binds, `self` and those of a part of it apart."""
    inside = set(ast.walk(without))
    bound = {item.arg for item in ast.walk(initialiser.args) if isinstance(item, ast.arg)} - {"self"}
    return bound | {
        node.id
        for node in ast.walk(initialiser)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node not in inside
    }


def _next(situation: Situation, function: Definition) -> Definition | None:
    """The method after another one."""
    block = situation.block_of(function) or []
    later = block[block.index(function) + 1 :] if function in block else []
    return next((item for item in later if isinstance(item, FUNCTIONS)), None)


def _is_plain(situation: Situation, inner: ast.FunctionDef) -> bool:
    arguments = inner.args
    if inner.decorator_list or arguments.vararg or arguments.kwarg or arguments.posonlyargs:
        return False
    if has_long_strings(inner) or not situation.alone(inner):
        return False
    head = situation.source.line(inner.lineno).rstrip()
    if not head.endswith(":") or any((item.end_lineno or 0) > inner.lineno for item in _signature(inner)):
        return False
    for node in ast.walk(inner):
        if isinstance(node, (ast.Nonlocal, ast.Global, ast.Yield, ast.YieldFrom, ast.Lambda, ast.ClassDef)):
            return False
        if isinstance(node, FUNCTIONS) and node is not inner:
            return False
        if isinstance(node, ast.Name) and node.id == inner.name:
            return False
    return True


def _signature(function: ast.FunctionDef) -> list[ast.expr | ast.arg]:
    arguments = function.args
    defaults = [*arguments.defaults, *(item for item in arguments.kw_defaults if item is not None)]
    return [*arguments.args, *arguments.kwonlyargs, *defaults, *([function.returns] if function.returns else [])]


def _captured(inner: ast.FunctionDef, outer: Definition) -> list[str]:
    """The names of the outer function that the inner one reads, `self` aside, in the order of reading."""
    inside = set(ast.walk(inner))
    own = {item.arg for item in ast.walk(inner.args) if isinstance(item, ast.arg)}
    own |= {node.id for node in inside if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)}
    around = {item.arg for item in ast.walk(outer.args) if isinstance(item, ast.arg)}
    around |= {
        node.id
        for node in ast.walk(outer)
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load) and node not in inside
    }
    read = sorted(
        (node for node in inside if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)),
        key=lambda node: (node.lineno, node.col_offset),
    )
    return [name for name in dict.fromkeys(node.id for node in read) if name in around - own and name != "self"]


def _definition(
    situation: Situation, inner: ast.FunctionDef, outer: Definition, name: str, captured: list[str], method: bool
) -> TextEdit:
    """The moved function, above the one that it stood in."""
    source = situation.source
    indent, old = situation.indent(outer), situation.indent(inner)
    span = situation.range_of(inner)
    plain = ast.arguments(
        posonlyargs=[],
        args=[
            *([ast.arg("self")] if method else []),
            *inner.args.args[: len(inner.args.args) - len(inner.args.defaults)],
            *(ast.arg(item) for item in captured),
            *inner.args.args[len(inner.args.args) - len(inner.args.defaults) :],
        ],
        kwonlyargs=inner.args.kwonlyargs,
        kw_defaults=inner.args.kw_defaults,
        defaults=inner.args.defaults,
    )
    result = f" -> {ast.unparse(inner.returns)}" if inner.returns is not None else ""
    lines = [f"{indent}def {name}({ast.unparse(plain)}){result}:"]
    for number in range(span.line + 1, span.end_line + 1):
        line = source.line(number)
        lines.append(indent + line[len(old) :] if line.startswith(old) else line.strip())
    return situation.above(outer, lines)


def _removed(situation: Situation, inner: ast.FunctionDef) -> TextEdit:
    """The lines of the inner function, with an empty line before them."""
    span = situation.range_of(inner)
    start = span.line - 1 if not situation.source.line(span.line - 1).strip() else span.line
    return TextEdit(Range(start, 0, span.end_line + 1, 0), "")
