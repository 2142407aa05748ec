"""``**kwargs`` as the parameters that it can hold.

Why: TorchScript compiles no ``**kwargs``. What is only passed on takes what the functions take that it is passed to,
and with their defaults the call means the same. What nothing reads, and no call in the file fills, is taken out.
``get`` with a default is a parameter with one.

Refused: variadic
Input: x=[2, 3]

Before:
    from typing import Optional

    from torch import Tensor, nn


    class Scaled(nn.Module):
        def forward(self, x, by: Optional[Tensor] = None, **kwargs):
            return x if by is None else x * by


    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList([Scaled() for _ in range(2)])

        def forward(self, x, **kwargs):
            for layer in self.layers:
                x = layer(x, **kwargs)
            return x

After:
    from typing import Optional

    from torch import Tensor, nn


    class Scaled(nn.Module):
        def forward(self, x, by: Optional[Tensor] = None):
            return x if by is None else x * by


    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList([Scaled() for _ in range(2)])

        def forward(self, x, by: Optional[Tensor] = None):
            for layer in self.layers:
                x = layer(x, by=by)
            return x

Before:
    from torch import nn


    class Net(nn.Module):
        def forward(self, x, **options):
            scale = options.get("scale", 2.0)
            return x * scale + options.get("shift", 1)

After:
    from torch import nn


    class Net(nn.Module):
        def forward(self, x, scale: float = 2.0, shift: int = 1):
            return x * scale + shift

Called: no

Left alone:
    from torch import nn


    class Net(nn.Module):
        def forward(self, x, **kwargs):
            return x * 2.0

Left alone:
    from torch import nn


    class Layer(nn.Module):
        def forward(self, x, **kwargs):
            return x * 2.0


    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = Layer()

        def forward(self, x):
            return self.layer(x, mask=None)
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from ts_shape_server.analysis.rewrites.building import removal
from ts_shape_server.analysis.rewrites.callees import callees, calls_of
from ts_shape_server.analysis.rewrites.situation import SIGNATURE, Definition, Place, Rewrite, Situation
from ts_shape_server.analysis.rewrites.variadic import dropped, is_entrance, uses_of, with_stars
from ts_shape_server.contract.places import TextEdit

_DEPTH = 4
_PLAIN = {bool: "bool", int: "int", float: "float", str: "str"}


@dataclass(frozen=True)
class _Parameter:
    """A parameter with its type in TorchScript's words, or as `written` in the file, and the text of its default."""

    name: str
    kind: str
    default: str
    written: bool = False


def passed_on(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """The functions with ``**kwargs`` that the refusal leads to, all together: the one calls the other."""
    edits: list[TextEdit] = []
    names: list[str] = []
    for function in _reached(situation, place.function, _DEPTH):
        made = _named(situation, place, function)
        if made is None and function is place.function:
            return
        if made is not None:
            owner = situation.owner(function)
            names.append(f"`{owner.name}.{function.name}`" if owner is not None else f"`{function.name}`")
            edits += made
    if edits:
        listed = " and ".join(names)
        empty = not any(edit.text for edit in edits)
        title = f"Take the `**` that nothing fills out of {listed}" if empty else f"Name what `**` can hold in {listed}"
        yield Rewrite("named-keywords", title, tuple(dict.fromkeys(edits)), SIGNATURE, interface=True)


def _reached(situation: Situation, function: Definition, depth: int) -> list[Definition]:
    """A function with ``**kwargs``, and those that it passes them to."""
    if function.args.kwarg is None or depth == 0:
        return []
    found = [function]
    for call in _spread(situation, function) or ():
        for _, other in callees(situation, call) or ():
            found += [item for item in _reached(situation, other, depth - 1) if item not in found]
    return found


def _named(situation: Situation, place: Place, function: Definition) -> list[TextEdit] | None:
    """The edits of one function; None where it is not known what arrives."""
    star = function.args.kwarg
    kind = situation.arrived(function, star.arg) if star is not None else None
    if star is None or function.args.vararg is not None or (kind is not None and "?" not in kind):
        return None
    calls = _spread(situation, function)
    if not uses_of(function, star.arg):
        entrance = is_entrance(situation, place) and function is place.function
        if not _fills_nothing(situation, function, seen=entrance and not situation.called):
            return None
        return dropped(situation, function, star, "**")
    if calls is None:
        return _asked_for(situation, function, star)
    found = _accepted(situation, function, _DEPTH)
    if found is None:
        return None
    if not found:
        return dropped(situation, function, star, "**")
    bound = {node.id for node in ast.walk(function) if isinstance(node, ast.Name)}
    if not bound.isdisjoint(item.name for item in found):
        return None
    passed = ", ".join(f"{item.name}={item.name}" for item in found)
    edits = _signature(situation, star, found)
    return [*edits, *(TextEdit(with_stars(situation, use, "**"), passed) for use in uses_of(function, star.arg))]


def _signature(situation: Situation, star: ast.arg, parameters: list[_Parameter]) -> list[TextEdit]:
    speller = situation.spelling()
    texts = [
        f"{item.name}: {item.kind if item.written else speller.of(item.kind)} = {item.default}" for item in parameters
    ]
    return [TextEdit(with_stars(situation, star, "**"), ", ".join(texts)), *speller.imports()]


def _spread(situation: Situation, function: Definition) -> list[ast.Call] | None:
    """The calls that ``**kwargs`` is passed on to; None where it is read in another way."""
    star = function.args.kwarg
    calls: list[ast.Call] = []
    for use in uses_of(function, star.arg) if star is not None else ():
        keyword = situation.parents.get(use)
        call = situation.parents.get(keyword) if isinstance(keyword, ast.keyword) and keyword.arg is None else None
        if not isinstance(call, ast.Call):
            return None
        calls.append(call)
    return calls


def _accepted(situation: Situation, function: Definition, depth: int) -> list[_Parameter] | None:
    """What ``**kwargs`` of a function may hold: what every function takes that it is passed to."""
    calls = _spread(situation, function)
    if calls is None or depth == 0:
        return None
    found: list[list[_Parameter]] = []
    for call in calls:
        targets = callees(situation, call)
        if targets is None:
            return None
        for owner, other in targets:
            taken = _free(situation, call, owner, other, depth)
            if taken is None:
                return None
            found.append(taken)
    return found[0] if found and all(item == found[0] for item in found) else [] if not found else None


def _free(
    situation: Situation, call: ast.Call, owner: ast.ClassDef | None, function: Definition, depth: int
) -> list[_Parameter] | None:
    """The parameters of a function that a call does not fill; None where one has no default, or no plain one."""
    arguments = function.args
    if arguments.vararg is not None or any(isinstance(item, ast.Starred) for item in call.args):
        return None
    plain = [*arguments.posonlyargs, *arguments.args]
    defaults: dict[str, ast.expr | None] = {item.arg: None for item in plain}
    defaults |= {item.arg: value for item, value in zip(plain[::-1], arguments.defaults[::-1], strict=False)}
    defaults |= {item.arg: value for item, value in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)}
    filled = [item.arg for item in plain][: len(call.args) + (owner is not None)]
    filled += [item.arg for item in call.keywords if item.arg is not None]
    found: list[_Parameter] = []
    for item in [*plain, *arguments.kwonlyargs]:
        if item.arg in filled:
            continue
        made = _parameter(situation, function, item, defaults[item.arg])
        if made is None:
            return None
        found.append(made)
    if arguments.kwarg is not None and uses_of(function, arguments.kwarg.arg):
        further = _accepted(situation, function, depth - 1)
        if further is None:
            return None
        found += [item for item in further if item.name not in filled]
    return found


def _parameter(situation: Situation, function: Definition, item: ast.arg, value: ast.expr | None) -> _Parameter | None:
    """A parameter with a literal default, as it is passed through another function."""
    if not isinstance(value, ast.Constant):
        return None
    if item.annotation is not None:
        return _Parameter(item.arg, situation.text(item.annotation), situation.text(value), written=True)
    kind = situation.arrived(function, item.arg) or _PLAIN.get(type(value.value), "Optional[Tensor]")
    return _Parameter(item.arg, "Optional[Tensor]" if kind == "None" else kind, situation.text(value))


def _fills_nothing(situation: Situation, function: Definition, seen: bool) -> bool:
    """Whether no call in this file passes a keyword that the function does not name; `seen`: and there is one."""
    names = {item.arg for item in [*function.args.args, *function.args.kwonlyargs]}
    calls = list(calls_of(situation, function))
    for call in calls:
        for keyword in call.keywords:
            if keyword.arg is not None and keyword.arg not in names:
                return False
    return bool(calls) or not seen


def _asked_for(situation: Situation, function: Definition, star: ast.arg) -> list[TextEdit] | None:
    """``kwargs.get("scale", 2.0)`` as the parameter `scale`, where nothing else reads the keywords."""
    found: dict[str, _Parameter] = {}
    edits: list[TextEdit] = []
    stored = [
        node.id for node in ast.walk(function) if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)
    ]
    bound = {node.id for node in ast.walk(function) if isinstance(node, ast.Name)}
    for use in uses_of(function, star.arg):
        method = situation.parents.get(use)
        call = situation.parents.get(method) if isinstance(method, ast.Attribute) else None
        if not isinstance(method, ast.Attribute) or method.attr not in ("get", "pop"):
            return None
        if not isinstance(call, ast.Call) or call.func is not method or len(call.args) != 2 or call.keywords:
            return None
        name, default = call.args
        literal = name.value if isinstance(name, ast.Constant) else None
        kind = _PLAIN.get(type(default.value)) if isinstance(default, ast.Constant) else None
        if not isinstance(literal, str) or kind is None or not literal.isidentifier():
            return None
        statement = situation.parents.get(call)
        names = isinstance(statement, ast.Assign) and [ast.unparse(item) for item in statement.targets] == [literal]
        block = situation.block_of(statement) if isinstance(statement, ast.stmt) else None
        if names and isinstance(statement, ast.stmt) and stored.count(literal) == 1 and block is function.body:
            if len(function.body) == 1 or not situation.alone(statement):
                return None
            edits.append(removal(situation, statement))
        elif literal in bound:
            return None
        else:
            edits.append(situation.replace(call, literal))
        made = _Parameter(literal, kind, situation.text(default))
        if found.setdefault(literal, made) != made:
            return None
    return [*_signature(situation, star, list(found.values())), *edits]
