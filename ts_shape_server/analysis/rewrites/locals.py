"""Local names whose type TorchScript cannot tell: first None and then a Tensor, empty lists, names that only one branch
sets, names that hold one thing after the other.

Refused: branch-undefined name=scale
Input: x=[2, 3]

Before:
    from torch import nn


    class Net(nn.Module):
        def forward(self, x):
            if x.dim() == 2:
                scale = 2.0
            return x * scale

After:
    from torch import nn


    class Net(nn.Module):
        def forward(self, x):
            if x.dim() == 2:
                scale = 2.0
            else:
                raise ValueError("`scale` has no value")
            return x * scale
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ts_shape_server.analysis.rewrites.situation import Definition, Place, Rewrite, Situation, holdable
from ts_shape_server.contract.places import Range, TextEdit
from ts_shape_server.contract.report import Annotation

EMPTY = {"Tensor": "torch.empty(0)", "int": "0", "float": "0.0", "bool": "False", "str": '""'}
"""A value of each type that stands for none."""


def typed_start(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """``x = None`` and ``x = []`` get the type of what comes later."""
    said = place.says("variable-type-changed", "branch-types")
    names = {said.fact("name")} if said is not None else _names_of(place)
    for node in ast.walk(place.function):
        if not isinstance(node, ast.Assign) or len(node.targets) != 1 or not isinstance(node.targets[0], ast.Name):
            continue
        name = node.targets[0].id
        if name not in names or not _is_empty(node.value):
            continue
        kind = situation.type_of_name(place.function, name)
        if kind is None or not holdable(kind) or kind == "None":
            continue
        none = isinstance(node.value, ast.Constant)
        wanted = f"Optional[{kind}]" if none and not kind.startswith("Optional[") else kind
        speller = situation.spelling()
        span = situation.range_of(node.targets[0])
        edit = TextEdit(
            Range(span.end_line, span.end_column, span.end_line, span.end_column), f": {speller.of(wanted)}"
        )
        yield Rewrite("local-annotation", f"Annotate `{name}` as {wanted}", (edit, *speller.imports()))


def _names_of(place: Place) -> set[str]:
    return {node.id for node in ast.walk(place.statement) if isinstance(node, ast.Name)}


def _is_empty(node: ast.expr) -> bool:
    if isinstance(node, ast.Constant):
        return node.value is None
    if isinstance(node, ast.List):
        return not node.elts
    if isinstance(node, ast.Dict):
        return not node.keys
    return False


def defined_before(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """A name that one branch leaves without a value: the other branch says that this never happens."""
    said = place.says("branch-undefined", "name-undefined")
    if said is None:
        return
    name = said.fact("name")
    stores = [
        node
        for node in ast.walk(place.function)
        if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Store)
    ]
    if not stores:
        return
    first = min(stores, key=lambda node: (node.lineno, node.col_offset))
    outermost = _outermost(situation, place, first)
    if outermost is None or not situation.alone(outermost):
        return
    chain = _last_of_chain(outermost)
    ran = not all(map(situation.idle, stores))
    if isinstance(outermost, ast.If) and chain is not None and ran and _all_set(outermost, name):
        indent = situation.indent(chain)
        end = situation.range_of(chain)
        step = situation.indent(chain.body[0])[len(indent) :]
        newline = situation.source.newline
        text = f'{newline}{indent}else:{newline}{indent}{step}raise ValueError("`{name}` has no value")'
        column = len(situation.source.line(end.end_line))
        edit = TextEdit(Range(end.end_line, column, end.end_line, column), text)
        yield Rewrite("raise-without-value", f"Raise where `{name}` would have no value", (edit,))
        return
    kind = situation.type_of_name(place.function, name) if ran else "Tensor"
    if kind in EMPTY:
        torch, imports = situation.import_of("torch") if kind == "Tensor" else ("torch", [])
        value = EMPTY[kind].replace("torch.", f"{torch}.")
        above = situation.before(outermost, f"{name} = {value}")
        yield Rewrite("value-before", f"Give `{name}` a value before it is set", (above, *imports))
    elif kind is not None and holdable(kind) and kind.startswith(("List[", "Optional[")):
        speller = situation.spelling()
        value = "[]" if kind.startswith("List[") else "None"
        above = situation.before(outermost, f"{name}: {speller.of(kind)} = {value}")
        yield Rewrite("value-before", f"Give `{name}` a value before it is set", (above, *speller.imports()))


def _outermost(situation: Situation, place: Place, node: ast.AST) -> ast.stmt | None:
    """The statement of the function's own block that a node belongs to."""
    current: ast.AST | None = node
    while current is not None and situation.parents.get(current) is not place.function:
        current = situation.parents.get(current)
    return current if isinstance(current, ast.stmt) else None


def _last_of_chain(statement: ast.stmt) -> ast.If | None:
    """The last ``elif`` of an ``if`` without ``else``."""
    current = statement
    while isinstance(current, ast.If):
        if not current.orelse:
            return current
        if len(current.orelse) != 1 or not isinstance(current.orelse[0], ast.If):
            return None
        current = current.orelse[0]
    return None


def _all_set(statement: ast.If, name: str) -> bool:
    """Whether every branch of a chain sets a name at its own level."""
    current: ast.stmt = statement
    while isinstance(current, ast.If):
        if not any(_sets(item, name) for item in current.body):
            return False
        current = current.orelse[0] if current.orelse else ast.Pass()
    return True


def _sets(statement: ast.stmt, name: str) -> bool:
    if not isinstance(statement, (ast.Assign, ast.AnnAssign)):
        return False
    return any(
        isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Store)
        for node in ast.walk(statement)
    )


def renamed(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """A name that gets a value of another type becomes another name, from there to the end of the function."""
    said, statement = place.says("variable-type-changed"), place.statement
    if said is None or situation.parents.get(statement) is not place.function or not isinstance(statement, ast.Assign):
        return
    name = said.fact("name")
    start = situation.range_of(statement)
    new = situation.free_name(f"{name}_{'list' if said.fact('second').startswith('List[') else 'value'}")
    edits = []
    for node in ast.walk(place.function):
        if not isinstance(node, ast.Name) or node.id != name:
            continue
        inside = any(item is node for item in ast.walk(statement))
        later = situation.range_of(node).line > start.end_line
        if later or (inside and isinstance(node.ctx, ast.Store)):
            edits.append(situation.replace(node, new))
    if edits:
        yield Rewrite("renamed-local", f"Call the new value of `{name}` by another name, `{new}`", tuple(edits))


def may_be_none(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """``mask=None`` that scripts as a Tensor: it is optional."""
    name, kind = place.failure.fact("parameter"), place.failure.fact("type")
    if not kind:
        return
    owner = situation.qualified(place.owner) if place.owner is not None else ""
    written = Annotation(owner, place.function.name, name, kind, True)
    edits = situation.annotated([written])
    if edits:
        yield Rewrite("parameter-annotation", f"Annotate `{written.name}` as {written.type}", edits)


def alternative(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """``mode = given if given else "mean"``: a parameter that only None arrived in has the type of what stands in."""
    owner = situation.qualified(place.owner) if place.owner is not None else ""
    defaults = _none_defaults(place.function)
    for node in ast.walk(place.statement):
        if not isinstance(node, ast.IfExp):
            continue
        for given, other in ((node.body, node.orelse), (node.orelse, node.body)):
            kind = situation.type_of(other)
            if not isinstance(given, ast.Name) or given.id not in defaults or kind in (None, "None", "Tensor"):
                continue
            wanted = kind if (kind or "").startswith("Optional[") else f"Optional[{kind}]"
            edits = situation.annotated([Annotation(owner, place.function.name, given.id, wanted, True)])
            if holdable(kind) and edits:
                yield Rewrite("parameter-annotation", f"Annotate `{given.id}` as {wanted}", edits)


def _none_defaults(function: Definition) -> set[str]:
    """The parameters that are None by default."""
    arguments = function.args
    plain = [*arguments.posonlyargs, *arguments.args]
    pairs = [*zip(plain[len(plain) - len(arguments.defaults) :], arguments.defaults, strict=True)]
    named = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    pairs += [(item, default) for item, default in named if default is not None]
    return {item.arg for item, default in pairs if isinstance(default, ast.Constant) and default.value is None}
