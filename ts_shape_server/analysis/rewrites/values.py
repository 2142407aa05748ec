"""Values that TorchScript takes for another type than they have: made what they are with `float`, `int` or `list`,
narrowed with an `assert`, or asked for by `is not None`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from ts_shape_server.analysis.rewrites.extraction import has_long_strings
from ts_shape_server.analysis.rewrites.situation import Place, Rewrite, Situation
from ts_shape_server.contract.places import Range, TextEdit

_NUMBERS = ("int", "float", "bool")


def converted_arguments(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """``f(x, 2)`` where a float is wanted: the argument is made one, if a float is what the operator makes of it."""
    call, told = _call(situation, place.node), place.says("expected-types")
    if call is None or told is None:
        return
    edits: dict[ast.expr, TextEdit] = {}
    columns = [told.list(name) for name in ("arguments", "positions", "counts", "first", "expected", "got")]
    for name, position, count, first, wanted, got in zip(*columns, strict=True):
        argument = _argument(call, name, int(position), int(count), first == "1")
        if argument is None or argument in edits:
            continue
        text = _converted(situation, argument, wanted, got)
        if text is not None:
            edits[argument] = situation.replace(argument, text)
    for argument, edit in edits.items():
        yield Rewrite("argument-value", f"Write `{situation.text(argument)}` as `{edit.text}`", (edit,))


def _call(situation: Situation, node: ast.AST) -> ast.Call | None:
    parent = situation.parents.get(node)
    if isinstance(parent, ast.Call) and parent.func is node:
        return parent
    return node if isinstance(node, ast.Call) else None


def _argument(call: ast.Call, name: str, position: int, count: int, after_self: bool) -> ast.expr | None:
    """The argument of a call that a parameter gets, which stands at a `position` of so many (-1 if that is not told).
    `after_self`: the parameters begin with `self`.
    """
    for keyword in call.keywords:
        if keyword.arg == name:
            return keyword.value
    if position < 0 or any(isinstance(item, ast.Starred) for item in call.args):
        return None
    method = isinstance(call.func, ast.Attribute) and after_self
    arguments = [call.func.value, *call.args] if method and isinstance(call.func, ast.Attribute) else call.args
    if method and len(call.args) >= count:
        arguments = call.args
    return arguments[position] if position < len(arguments) else None


def _converted(situation: Situation, argument: ast.expr, wanted: str, got: str) -> str | None:
    """An expression of the wanted type with the same value; None where there is none."""
    text, kind = situation.text(argument), situation.type_of(argument)
    inner = wanted.removeprefix("Optional[").removesuffix("]") if wanted.startswith("Optional[") else wanted
    numbers = re.fullmatch(r"List\[(int|float)\]?", inner)
    if kind == "int" and (inner == "float" or (numbers and numbers.group(1) == "float")):
        return f"{text}.0" if isinstance(argument, ast.Constant) else f"float({text})"
    if kind in _NUMBERS and inner == kind and got != kind:
        return f"{kind}({text})"
    if inner == "bool" and kind == "int":
        return str(bool(argument.value)) if isinstance(argument, ast.Constant) else f"bool({text})"
    if numbers and kind is not None and kind.startswith(("Tuple[", "List[")):
        made = numbers.group(1)
        return f"[{made}(item) for item in {text}]" if kind.startswith("List[") or "," not in kind else None
    return None


def narrowed(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """``assert x is not None`` before a statement that needs the value."""
    if not situation.alone(place.statement) or isinstance(place.statement, (ast.FunctionDef, ast.For, ast.While)):
        return
    names: dict[str, ast.Name] = {}
    nodes = ast.walk(place.node) if not isinstance(place.node, ast.stmt) else _head(place.node)
    call = _call(situation, place.node)
    for node in [*nodes, *(ast.walk(call) if call is not None else ())]:
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and _may_be_none(situation, place, node):
            names.setdefault(node.id, node)
    for node in names.values():
        text = situation.text(node)
        yield Rewrite(
            "assert-not-none",
            f"Say that `{text}` is not None here",
            (situation.before(place.statement, f"assert {text} is not None"),),
        )
    if not names:
        yield from _narrowed_attribute(situation, place)


def _head(statement: ast.stmt) -> Iterator[ast.AST]:
    """The expressions of a statement, without the statements in it."""
    for child in ast.iter_child_nodes(statement):
        if isinstance(child, ast.expr):
            yield from ast.walk(child)


def _may_be_none(situation: Situation, place: Place, node: ast.Name) -> bool:
    here = situation.type_of(node)
    if here is None or here == "None" or here.startswith("Optional["):
        return False
    if situation.arrived(place.function, node.id) is not None:
        arrived = situation.arrived(place.function, node.id) or ""
        return arrived.startswith("Optional[")
    return any(
        isinstance(item, (ast.Assign, ast.AnnAssign))
        and isinstance(item.value, ast.Constant)
        and item.value.value is None
        and node.id in {name.id for name in ast.walk(item) if isinstance(name, ast.Name)}
        for item in ast.walk(place.function)
    )


def _narrowed_attribute(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """An attribute keeps its narrower type only under a local name."""
    said = place.says("optional-types")
    told = said.list("types") if said is not None else ()
    for node in ast.walk(place.statement):
        own = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self"
        if not own or not isinstance(node, ast.Attribute) or not isinstance(node.ctx, ast.Load):
            continue
        if f"Optional[{situation.type_of(node)}]" in told:
            name = situation.free_name(node.attr, place.function)
            text = situation.text(node)
            same = [
                item
                for item in ast.walk(place.statement)
                if isinstance(item, ast.Attribute) and isinstance(item.ctx, ast.Load) and situation.text(item) == text
            ]
            edits = [situation.replace(item, name) for item in same]
            above = situation.before(place.statement, f"{name} = {text}\nassert {name} is not None")
            yield Rewrite("optional-as-local", f"Take `{text}` to a local name that is not None", (above, *edits))
            return


def truth(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """``if self.layer:`` asks for None: TorchScript has a truth value of numbers and tensors only."""
    said = place.says("truth-value")
    if said is None or not isinstance(place.node, ast.expr):
        return
    node = place.node
    # Where nothing ran, torch's type is all that is known: of a module, of None or of a container.
    told = "!" if said.fact("is_object") == "1" else said.fact("type")
    kind = situation.type_of(node) or told
    text = situation.text(node)
    number = re.fullmatch(r"Optional\[(int|float|str)\]", told)
    if number is not None:
        yield from _of_optional_number(situation, node, number.group(1))
    elif kind is not None and kind.startswith(("None", "!", "Optional[")):
        if not (kind.startswith("Optional[") and kind[9:-1] in (*_NUMBERS, "str")):
            yield from _of_optional(situation, place, node, kind)
    elif kind is not None and kind.startswith(("List[", "Dict[", "Tuple[")):
        asked = _wrapped(situation, node, f"len({text}) > 0")
        yield Rewrite("truth-of-list", f"Ask for the length of `{text}`", (situation.replace(node, asked),))
    elif kind == "str":
        asked = _wrapped(situation, node, f'{text} != ""')
        yield Rewrite("truth-of-text", f"Compare `{text}` with the empty text", (situation.replace(node, asked),))


def _wrapped(situation: Situation, node: ast.expr, asked: str) -> str:
    """A comparison in the place of a name, in brackets where it stands in another expression."""
    return f"({asked})" if isinstance(situation.parents.get(node), (ast.UnaryOp, ast.BinOp, ast.Compare)) else asked


def _of_optional_number(situation: Situation, node: ast.expr, kind: str) -> Iterator[Rewrite]:
    """None and zero (or the empty text) are both false."""
    if not isinstance(node, ast.Name):
        return
    parent = situation.parents.get(node)
    nothing = '""' if kind == "str" else "0"
    title = f"Ask whether `{node.id}` is there and is not {nothing}"
    if isinstance(parent, ast.UnaryOp) and isinstance(parent.op, ast.Not):
        asked = f"{node.id} is None or {node.id} == {nothing}"
        asked = asked if isinstance(situation.parents.get(parent), ast.stmt) else f"({asked})"
        yield Rewrite("optional-test", title, (situation.replace(parent, asked),))
    asked = _wrapped(situation, node, f"{node.id} is not None and {node.id} != {nothing}")
    asked = f"({asked})" if isinstance(parent, ast.BoolOp) else asked
    yield Rewrite("optional-test", title, (situation.replace(node, asked),))


def _of_optional(situation: Situation, place: Place, node: ast.expr, kind: str) -> Iterator[Rewrite]:
    """None is false, and so may be what else it is: a Tensor, or a container in which nothing is."""
    parent, text = situation.parents.get(node), situation.text(node)
    if not kind.startswith("!") and not _is_called(situation, place, text):
        if isinstance(node, ast.Attribute):
            yield from _asked_twice(situation, parent, node)
        elif not (isinstance(parent, ast.IfExp) and isinstance(node, ast.Name)):
            asked = f"{text} is not None and bool({text})"
            asked = f"({asked})" if isinstance(parent, (ast.UnaryOp, ast.BoolOp)) else asked
            title = f"Ask whether `{text}` is None before its truth"
            yield Rewrite("truth-of-optional", title, (situation.replace(node, asked),))
        return
    if _has_own_truth(situation, kind):
        return
    asked, title = f"{text} is not None", f"Compare `{text}` with None"
    if _may_be_empty(situation, node, kind):
        title = f"Ask for the length of `{text}`"
        optional = kind == "None" or any(map(_is_none, _given(situation, node)))
        asked = f"{asked} and len({text}) > 0" if optional else f"len({text}) > 0"
        asked = f"({asked})" if optional and isinstance(parent, (ast.UnaryOp, ast.BoolOp)) else asked
    asked = _wrapped(situation, node, asked)
    yield Rewrite("truth-of-optional", title, (situation.replace(node, asked),))


_CONTAINERS = ("Sequential", "ModuleList", "ModuleDict", "ParameterList", "ParameterDict")
"""Modules that are false where nothing is in them."""


def _may_be_empty(situation: Situation, node: ast.expr, kind: str) -> bool:
    """Whether something is a container of modules in which nothing need be: by what the run saw, and by what the file
    sets it to.
    """
    given = [item for item in _given(situation, node) if not _is_none(item)]
    made = [item for item in given if isinstance(item, ast.Call) and _is_container(situation, _called_name(item))]
    own = kind.startswith("!") and _is_container(situation, kind.rpartition(".")[2])
    if own or kind.startswith("!torch.nn.modules.container."):
        return not given or len(made) < len(given) or not all(map(_has_items, made))
    return not all(map(_has_items, made))


def _is_container(situation: Situation, name: str) -> bool:
    """Whether a class is a container of torch's, or one of the file that inherits from it."""
    found = [item for item in situation.tree.body if isinstance(item, ast.ClassDef) and item.name == name]
    above = [ast.unparse(base) for item in found for each in situation.bases(item) for base in each.bases]
    return any(item.rpartition(".")[2] in _CONTAINERS for item in (above if found else [name]))


def _given(situation: Situation, node: ast.expr) -> list[ast.expr]:
    """What the file sets an attribute of this name to, both sides of a choice."""
    found: list[ast.expr] = []
    for statement in ast.walk(situation.tree) if isinstance(node, ast.Attribute) else ():
        if isinstance(statement, ast.Assign) and situation.text(node) in map(situation.text, statement.targets):
            value = statement.value
            found += [value.body, value.orelse] if isinstance(value, ast.IfExp) else [value]
    return found


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _called_name(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _has_items(call: ast.Call) -> bool:
    """Whether a container of torch's is made with something in it, in plain sight."""
    if _called_name(call) not in _CONTAINERS:
        return False
    first = call.args[0] if call.args else None
    if _called_name(call) == "Sequential":
        return first is not None and not isinstance(first, ast.Starred)
    return isinstance(first, (ast.List, ast.Tuple)) and any(not isinstance(item, ast.Starred) for item in first.elts)


def _has_own_truth(situation: Situation, kind: str) -> bool:
    """Whether a class of the file says itself when it is true."""
    name = kind.rpartition(".")[2]
    found = [item for item in situation.tree.body if isinstance(item, ast.ClassDef) and item.name == name]
    return any(
        situation.method(base, special) for item in found for base in situation.bases(item) for special in _TRUTH
    )


_TRUTH = ("__len__", "__bool__")


def _asked_twice(situation: Situation, statement: ast.AST | None, node: ast.Attribute) -> Iterator[Rewrite]:
    """``if self.most:`` as two: with the one for None around it, nothing of a None is compiled."""
    if not isinstance(statement, ast.If) or statement.test is not node or statement.orelse:
        return
    first, last = situation.range_of(statement.body[0]), situation.range_of(statement.body[-1])
    if has_long_strings(statement) or not situation.alone(statement.body[0]) or first.line == statement.lineno:
        return
    text, outer = situation.text(node), situation.indent(statement)
    step = situation.indent(statement.body[0])[len(outer) :]
    edits = [situation.replace(node, f"{text} is not None")]
    for number in range(first.line, last.end_line + 1):
        head = f"{outer}{step}if {text}:{situation.source.newline}" if number == first.line else ""
        if situation.source.line(number).strip():
            edits.append(TextEdit(Range(number, 0, number, 0), head + step))
    yield Rewrite("truth-of-optional", f"Ask whether `{text}` is None before its truth", tuple(edits))


def _is_called(situation: Situation, place: Place, text: str) -> bool:
    """Whether something is called in a function: then it is a module or a function, which is true."""
    return any(isinstance(node, ast.Call) and situation.text(node.func) == text for node in ast.walk(place.function))
