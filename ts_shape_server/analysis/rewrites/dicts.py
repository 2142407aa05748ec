"""Dicts with texts as keys get the type of all that they hold, and what is read of a mixed one its own.

Why: TorchScript takes a parameter without an annotation for a Tensor, and the first values of a dict for the type of
all. A state or cache that a call gives back is what the next call gets: its parameter has the type of the dict that the
function makes, None and numbers included, though the run passed None.

Refused: variable-type-changed name=state
Input: x=[2, 3]

Before:
    from typing import Dict, Optional

    import torch
    from torch import nn


    class Net(nn.Module):
        def forward(self, x, state: Optional[torch.Tensor] = None):
            if state is not None:
                x = torch.cat([state["k"], x], dim=1)
            return x, {"k": x, "mask": None}

After:
    from typing import Dict, Optional

    import torch
    from torch import nn


    class Net(nn.Module):
        def forward(self, x, state: Optional[Dict[str, Optional[torch.Tensor]]] = None):
            if state is not None:
                state_k = state["k"]
                assert state_k is not None
                x = torch.cat([state_k, x], dim=1)
            return x, {"k": x, "mask": None}

Before:
    from typing import Dict, Union

    import torch
    from torch import nn


    class Net(nn.Module):
        def forward(self, x):
            out: Dict[str, Union[int, torch.Tensor]] = {"stride": 4, "features": x * 2.0}
            out["pooled"] = out["features"].mean(dim=1)
            return out

After:
    from typing import Dict, Union

    import torch
    from torch import nn


    class Net(nn.Module):
        def forward(self, x):
            features = x * 2.0
            out: Dict[str, Union[int, torch.Tensor]] = {"stride": 4, "features": features}
            out["pooled"] = features.mean(dim=1)
            return out

Left alone:
    from typing import Dict, Union

    import torch
    from torch import nn


    class Net(nn.Module):
        def forward(self, x):
            out: Dict[str, Union[int, torch.Tensor]] = {"stride": 4, "features": x * 2.0}
            if x.dim() > 2:
                out.update({"features": torch.zeros_like(x)})
            out["pooled"] = out["features"].mean(dim=1)
            return out

Left alone:
    from typing import Dict, Union

    import torch
    from torch import nn


    class Net(nn.Module):
        def forward(self, x):
            out: Dict[str, Union[int, torch.Tensor]] = {"stride": 4, "features": x * 2.0}
            if x.dim() > 2:
                out = {"stride": 8, "features": torch.zeros_like(x)}
            out["pooled"] = out["features"].mean(dim=1)
            return out

Left alone:
    from torch import nn


    class Net(nn.Module):
        def forward(self, x, state=None):
            if state is not None:
                x = x + state[0]
            return x, {"k": x, "mask": None}

Left alone:
    from torch import nn


    class Net(nn.Module):
        def forward(self, x, state: "State"):
            return x + state["k"]
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from ts_shape_server.analysis.rewrites.results import union_of
from ts_shape_server.analysis.rewrites.situation import Definition, Place, Rewrite, Situation, holdable
from ts_shape_server.analysis.scopes import FUNCTIONS
from ts_shape_server.contract.places import Range, TextEdit
from ts_shape_server.contract.report import Annotation

_UNTYPED = ("", "dict", "Dict", "Tensor", "torch.Tensor", "typing.Dict")
_CLASSES = ("Tensor", "int", "float", "str", "bool")


@dataclass(frozen=True)
class _Held:
    """What a dict holds: the type of its values, and those of some keys."""

    all: str
    keys: dict[str, str]


def parameter(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """``past["k"]`` of a parameter: it is a dict, of what the dicts hold that the function makes with these keys."""
    function = place.function
    for item in [*function.args.args, *function.args.kwonlyargs]:
        reads = [node for node in ast.walk(function) if _key(node, item.arg) and isinstance(node.ctx, ast.Load)]  # type: ignore[attr-defined]  # it is a subscript
        arrived = situation.arrived(function, item.arg) or ""
        if not reads or _bare(item.annotation) not in _UNTYPED or "Dict[" in arrived:
            continue
        held = _held(situation, function, item.arg, {str(_key(node, item.arg)) for node in reads})
        locals_ = None if held is None else _narrowed(situation, function, item.arg, held)
        if held is None or locals_ is None:
            continue
        kind = f"Dict[str, {held.all}]"
        kind = f"Optional[{kind}]" if _is_none_by_default(function, item) else kind
        owner = situation.qualified(place.owner) if place.owner is not None else ""
        edits = situation.annotated([Annotation(owner, function.name, item.arg, kind, True)])
        if edits:
            yield Rewrite("dict-parameter", f"Annotate `{item.arg}` as {kind}", (*edits, *locals_))


def has_text_keys(situation: Situation, item: Annotation) -> bool:
    """Whether the function indexes a parameter with a text: then it is a dict, whatever arrived in it."""
    for function in situation.functions:
        owner = situation.owner(function)
        if (function.name, situation.qualified(owner) if owner is not None else "") == (item.function, item.owner):
            return "Dict[" not in item.type and any(_key(node, item.name) for node in ast.walk(function))
    return False


def values(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """``out = {"y": y}`` and later ``out["size"] = 3``: annotated with the types of all that is put in."""
    target = place.statement.targets[0] if isinstance(place.statement, ast.Assign) else None
    name = target.value.id if isinstance(target, ast.Subscript) and isinstance(target.value, ast.Name) else ""
    if not name or not _key(target, name):
        return
    function = place.function
    made = [
        node
        for node in ast.walk(function)
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and ast.unparse(node.targets[0]) == name
    ]
    if len(made) != 1 or not isinstance(made[0].value, ast.Dict):
        return
    put = [
        node.value
        for node in ast.walk(function)
        if isinstance(node, ast.Assign) and any(_key(item, name) for item in node.targets)
    ]
    kinds = [situation.type_of(node) for node in (*made[0].value.values, *put)]
    wanted = union_of([kind for kind in kinds if kind is not None]) if all(map(holdable, kinds)) else None
    if wanted is None:
        return
    speller = situation.spelling()
    span = situation.range_of(made[0].targets[0])
    end = Range(span.end_line, span.end_column, span.end_line, span.end_column)
    edits = (TextEdit(end, f": {speller.of(f'Dict[str, {wanted}]')}"), *speller.imports())
    yield Rewrite("local-annotation", f"Annotate `{name}` as Dict[str, {wanted}]", edits)


def read_back(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """``out["y"].mean()`` of a dict of mixed values: what was put in has a name of its own, and its own type."""
    function = place.function
    for made in ast.walk(function):
        if not isinstance(made, (ast.Assign, ast.AnnAssign)) or not isinstance(made.value, ast.Dict):
            continue
        target = made.target if isinstance(made, ast.AnnAssign) else made.targets[0]
        if not isinstance(target, ast.Name) or not _is_mixed(situation, made):
            continue
        name = target.id
        wanted = dict.fromkeys(
            key
            for node in ast.walk(place.statement)
            if (key := _key(node, name)) and isinstance(node.ctx, ast.Load)  # type: ignore[attr-defined]  # a subscript
        )
        for key in wanted:
            edits = _named_value(situation, function, made, name, key)
            if edits is not None:
                yield Rewrite("named-value", f'Read what is put into `{name}["{key}"]` by a name of its own', edits)


def _is_mixed(situation: Situation, made: ast.Assign | ast.AnnAssign) -> bool:
    """Whether a dict that is written out holds values of several types."""
    if isinstance(made, ast.AnnAssign):
        text = ast.unparse(made.annotation)
        return "Union[" in text or "|" in text
    kinds = {situation.type_of(value) for value in made.value.values} if isinstance(made.value, ast.Dict) else set()
    return len(kinds - {None}) > 1


def _named_value(
    situation: Situation, function: Definition, made: ast.Assign | ast.AnnAssign, name: str, key: str
) -> tuple[TextEdit, ...] | None:
    """The value of a key that is put in once, where nothing but names is evaluated before it."""
    reads = [node for node in ast.walk(function) if isinstance(node, ast.Subscript) and _key(node, name) == key]
    stores = [node for node in reads if not isinstance(node.ctx, ast.Load)]
    display = made.value
    assert isinstance(display, ast.Dict)
    placed: tuple[ast.stmt, ast.expr] | None = None
    plain = len({item.value for item in display.keys if isinstance(item, ast.Constant)}) == len(display.keys)
    for item, value in zip(display.keys, display.values, strict=True):
        if isinstance(item, ast.Constant) and item.value == key and not stores and plain:
            placed = made, value
        if placed is not None or not isinstance(value, (ast.Name, ast.Constant, ast.Attribute)):
            break
    above = situation.parents.get(stores[0]) if len(stores) == 1 else None
    if isinstance(above, ast.Assign) and above.targets == stores and key not in _display(display):
        placed = above, above.value
    if placed is None or not key.isidentifier():
        return None
    statement, value = placed
    block = situation.block_of(statement)
    if block is not function.body or not situation.alone(statement) or "\n" in situation.text(value):
        return None
    used = [node for node in reads if isinstance(node.ctx, ast.Load)]
    if any(node.lineno <= (statement.end_lineno or 0) for node in used):
        return None
    if not _is_only_indexed(situation, function, made, name, used):
        return None
    local = situation.free_name(key, function)
    edits = [situation.before(statement, f"{local} = {situation.text(value)}"), situation.replace(value, local)]
    return (*edits, *(situation.replace(node, local) for node in used))


def _is_only_indexed(
    situation: Situation,
    function: Definition,
    made: ast.Assign | ast.AnnAssign,
    name: str,
    used: list[ast.Subscript],
) -> bool:
    """Whether a dict is made once, and indexed with literal texts only up to the statement that reads it last: what is
    done with the whole dict (``out.update(…)``) may change any key.
    """
    if any(situation.function_of(node) is not function for node in used):
        return False
    last = max(number for number, top in enumerate(function.body) for node in ast.walk(top) if node in used)
    for number, top in enumerate(function.body):
        for node in ast.walk(top):
            if not isinstance(node, ast.Name) or node.id != name:
                continue
            if node in (made.target if isinstance(made, ast.AnnAssign) else made.targets[0],):
                continue
            indexed = _key(situation.parents.get(node), name)
            if not isinstance(node.ctx, ast.Load) or not (indexed or number > last):
                return False
    return True


def _key(node: ast.AST | None, name: str) -> str:
    """The literal text that a name is indexed with; empty for any other node."""
    if not isinstance(node, ast.Subscript) or not isinstance(node.value, ast.Name) or node.value.id != name:
        return ""
    return node.slice.value if isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str) else ""


def _bare(annotation: ast.expr | None) -> str:
    """An annotation without its `Optional`."""
    text = "" if annotation is None else ast.unparse(annotation).replace("typing.", "")
    for start, end in (("Optional[", "]"), ("None | ", ""), ("", " | None")):
        if start + end and text.startswith(start) and text.endswith(end):
            text = text[len(start) : len(text) - len(end)]
    return text


def _held(situation: Situation, function: Definition, name: str, keys: set[str]) -> _Held | None:
    """What a dict with these keys holds: by the dicts that the function makes with one of them, else tensors."""
    kinds: dict[str, str] = {}
    for node in ast.walk(function):
        found = _display(node)
        if keys.isdisjoint(found):
            continue
        for key, value in found.items():
            kind = situation.type_of(value) or "Tensor"
            if not holdable(kind):
                return None
            kinds[key] = union_of([kinds[key], kind]) or "" if key in kinds else kind
    tests = [node.left for node in ast.walk(function) if isinstance(node, ast.Compare) and _is_none_test(node)]
    asked = {_key(node, name) for node in tests}
    for key in keys:
        kind = kinds.get(key, "Tensor")
        absent = key in asked or kind == "None"
        kinds[key] = union_of([kind if kind != "None" else "Tensor", "None"] if absent else [kind]) or ""
    wanted = union_of(kinds.values()) if all(kinds.values()) else None
    if wanted is None:
        return None
    return _Held(wanted, {key: kind if kind != "None" else "Tensor" for key, kind in kinds.items()})


def _display(node: ast.AST) -> dict[str, ast.expr]:
    """The values of a dict that is written out, by their keys."""
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "dict" and not node.args:
        return {item.arg: item.value for item in node.keywords if item.arg}
    pairs = zip(node.keys, node.values, strict=True) if isinstance(node, ast.Dict) else ()
    return {key.value: value for key, value in pairs if isinstance(key, ast.Constant) and isinstance(key.value, str)}


def _is_none_test(node: ast.AST) -> bool:
    if not isinstance(node, ast.Compare) or len(node.ops) != 1 or not isinstance(node.ops[0], (ast.Is, ast.IsNot)):
        return False
    return isinstance(node.comparators[0], ast.Constant) and node.comparators[0].value is None


def _is_none_by_default(function: Definition, parameter: ast.arg) -> bool:
    arguments = function.args
    plain = arguments.args[len(arguments.args) - len(arguments.defaults) :]
    pairs = [
        *zip(plain, arguments.defaults, strict=True),
        *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True),
    ]
    default = next((default for item, default in pairs if item is parameter), None)
    return isinstance(default, ast.Constant) and default.value is None


def _narrowed(situation: Situation, function: Definition, name: str, held: _Held) -> list[TextEdit] | None:
    """What is read of a mixed dict as local names that have the types of their keys; None if that cannot be."""
    reads: dict[str, list[ast.Subscript]] = {}
    for node in ast.walk(function):
        key = _key(node, name)
        if key and isinstance(node, ast.Subscript):
            reads.setdefault(key, []).append(node)
    lines: dict[ast.stmt, list[str]] = {}
    checks: dict[ast.stmt, list[str]] = {}
    edits: list[TextEdit] = []
    for key, nodes in reads.items():
        if held.keys[key] == held.all and not held.all.startswith(("Optional[", "Union[")):
            continue
        statement = _common(situation, nodes)
        test = _check(situation, held, key)
        stored = any(not isinstance(node.ctx, ast.Load) for node in nodes)
        if statement is None or test is None or stored or not key.isidentifier():
            return None
        local = situation.free_name(f"{name}_{key}", function)
        lines.setdefault(statement, []).append(f"{local} = {situation.text(nodes[0])}")
        checks.setdefault(statement, []).extend([test.format(local)] if test else [])
        edits += [situation.replace(node, local) for node in nodes]
    for statement, first in lines.items():
        asserted = [f"assert {' and '.join(checks[statement])}"] if checks[statement] else []
        edits.append(situation.before(statement, "\n".join([*first, *asserted])))
    return edits


def _check(situation: Situation, held: _Held, key: str) -> str | None:
    """What has to be asserted of a value, `{}` standing for it; empty where the function asks itself."""
    kind = held.keys[key]
    if kind.startswith("Optional["):
        return "" if held.all == kind else None
    if held.all == f"Optional[{kind}]":
        return "{} is not None"
    if kind not in _CLASSES:
        return None
    return f"isinstance({{}}, {situation.spelling().of(kind)})"


def _common(situation: Situation, nodes: list[ast.Subscript]) -> ast.stmt | None:
    """The first statement of the block that all of these nodes are in, if something can stand before it."""
    chains = [list(_above(situation, node)) for node in nodes]
    for statement in chains[0]:
        block = situation.block_of(statement) or []
        places = [next((block.index(item) for item in chain if item in block), -1) for chain in chains]
        if -1 in places or isinstance(statement, FUNCTIONS):
            continue
        first = block[min(places)]
        line = situation.source.line(first.lineno)[first.col_offset :]
        if isinstance(first, ast.While) or line.startswith("elif") or not situation.alone(first):
            return None
        return first
    return None


def _above(situation: Situation, node: ast.AST) -> Iterator[ast.stmt]:
    """The statements around a node, the inner ones first."""
    current: ast.AST | None = node
    while current is not None and not isinstance(current, FUNCTIONS):
        if isinstance(current, ast.stmt):
            yield current
        current = situation.parents.get(current)
