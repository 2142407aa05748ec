'''A dataclass that only holds values as a NamedTuple.

Why: Python writes the constructor of a dataclass, and TorchScript needs source that it can read. A `NamedTuple` has the
same fields, defaults and construction, and TorchScript has it as a type. What sets a field, replaces one or asks for
the fields would no longer work: then nothing is changed.

Refused: constructor-source-missing name=Scaled
Input: x=[2, 3]

Before:
    from dataclasses import dataclass

    import torch
    from torch import nn


    @dataclass(frozen=True)
    class Scaled:
        """What `scaled` gives."""

        value: torch.Tensor
        factor: float = 2.0


    class Net(nn.Module):
        def forward(self, x):
            made = Scaled(value=x * 2.0)
            return made.value / made.factor

After:
    from typing import NamedTuple

    import torch
    from torch import nn


    class Scaled(NamedTuple):
        """What `scaled` gives."""

        value: torch.Tensor
        factor: float = 2.0


    class Net(nn.Module):
        def forward(self, x):
            made = Scaled(value=x * 2.0)
            return made.value / made.factor

Left alone:
    from dataclasses import dataclass

    import torch
    from torch import nn


    @dataclass
    class Scaled:
        value: torch.Tensor
        count: int = 0


    class Net(nn.Module):
        def forward(self, x):
            made = Scaled(value=x * 2.0)
            made.count += 1
            return made.value

Left alone:
    from dataclasses import asdict, dataclass

    import torch
    from torch import nn


    @dataclass
    class Scaled:
        value: torch.Tensor


    class Net(nn.Module):
        def forward(self, x):
            return asdict(Scaled(value=x * 2.0))
'''

from __future__ import annotations

import ast
from collections.abc import Iterator

from ts_shape_server.analysis.imports import without_import
from ts_shape_server.analysis.rewrites.situation import SIGNATURE, Place, Rewrite, Situation
from ts_shape_server.contract.places import Range, TextEdit

_OPTIONS = ("frozen", "repr", "eq", "slots")
"""Of `dataclass`: those that a NamedTuple grants, or has no need of."""
_OF_FIELDS = ("replace", "asdict", "astuple", "fields", "is_dataclass")


def from_dataclass(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """The dataclass that the refusal names, where nothing in the file needs it to be one."""
    said = place.says("constructor-source-missing")
    name = (said.fact("name") if said is not None else "").rpartition(".")[2]
    made = [node for node in situation.tree.body if isinstance(node, ast.ClassDef) and node.name == name]
    if len(made) != 1 or not _only_holds(situation, made[0]) or _is_used_as_dataclass(situation, made[0]):
        return
    (decorator,) = made[0].decorator_list
    head = situation.source.line(made[0].lineno)
    end = head.index(name, made[0].col_offset + len("class")) + len(name)
    brackets = 2 if head[end:].startswith("()") else 0
    speller = situation.spelling()
    base = f"({speller.member('typing', 'NamedTuple')})"
    edits = [
        TextEdit(Range(decorator.lineno, 0, (decorator.end_lineno or decorator.lineno) + 1, 0), ""),
        TextEdit(Range(made[0].lineno, end, made[0].lineno, end + brackets), base),
        *speller.imports(),
        *without_import(situation.source, situation.tree, _unused(situation, decorator)),
    ]
    yield Rewrite("dataclass-as-named-tuple", f"Make `{name}` a NamedTuple", tuple(edits), SIGNATURE)


def _only_holds(situation: Situation, made: ast.ClassDef) -> bool:
    """Whether a class is a plain dataclass: fields with plain defaults, and methods that set nothing."""
    if made.bases or made.keywords or len(made.decorator_list) != 1:
        return False
    decorator = made.decorator_list[0]
    options = decorator.keywords if isinstance(decorator, ast.Call) else []
    if not situation.means(decorator.func if isinstance(decorator, ast.Call) else decorator, "dataclasses.dataclass"):
        return False
    if any(item.arg not in _OPTIONS for item in options) or (isinstance(decorator, ast.Call) and decorator.args):
        return False
    return all(_is_plain(item) for item in made.body)


def _is_plain(item: ast.stmt) -> bool:
    """A docstring, a field whose name and default a NamedTuple takes, or a method that is no part of the protocol."""
    if isinstance(item, ast.AnnAssign):
        makes = isinstance(item.value, ast.Call)
        of_class = "ClassVar" in ast.unparse(item.annotation) or "InitVar" in ast.unparse(item.annotation)
        return isinstance(item.target, ast.Name) and not item.target.id.startswith("_") and not makes and not of_class
    if isinstance(item, ast.FunctionDef):
        return not item.name.startswith("_")
    return isinstance(item, ast.Pass) or (isinstance(item, ast.Expr) and isinstance(item.value, ast.Constant))


def _is_used_as_dataclass(situation: Situation, made: ast.ClassDef) -> bool:
    """Whether something in the file sets a field, inherits from the class, or treats it as a dataclass."""
    fields = {ast.unparse(item.target) for item in made.body if isinstance(item, ast.AnnAssign)}
    for node in ast.walk(situation.tree):
        if isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load) and node.attr in fields:
            if _is_of_another(situation, node.value, made):
                continue
            return True
        if isinstance(node, ast.ClassDef) and any(ast.unparse(base) == made.name for base in node.bases):
            return True
        if isinstance(node, ast.Call) and situation.means(node.func, *(f"dataclasses.{name}" for name in _OF_FIELDS)):
            return True
        if isinstance(node, ast.Attribute) and node.attr in ("__dict__", "__dataclass_fields__"):
            return True
    return False


def _is_of_another(situation: Situation, node: ast.expr, made: ast.ClassDef) -> bool:
    """Whether a name is the `self` of another class, or always an instance of another class of the file."""
    function = situation.function_of(node)
    if not isinstance(node, ast.Name) or function is None:
        return False
    if node.id == "self":
        return situation.owner(function) not in (None, made)
    others = {item.name for item in situation.tree.body if isinstance(item, ast.ClassDef)} - {made.name}
    given = [item for item in ast.walk(function.args) if isinstance(item, ast.arg) and item.arg == node.id]
    stores = [item for item in ast.walk(function) if isinstance(item, ast.Name) and item.id == node.id]
    values = [situation.parents.get(item) for item in stores if isinstance(item.ctx, ast.Store)]
    return bool(values) and not given and all(_makes(item, others) for item in values)


def _makes(statement: ast.AST | None, names: set[str]) -> bool:
    value = statement.value if isinstance(statement, (ast.Assign, ast.AnnAssign)) else None
    return isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id in names


def _unused(situation: Situation, decorator: ast.expr) -> set[str]:
    """The names from `dataclasses` that stand nowhere but in the decorator."""
    inside = set(ast.walk(decorator))
    used = {node.id for node in ast.walk(situation.tree) if isinstance(node, ast.Name) and node not in inside}
    known = situation.classes.imports.items()
    return {name for name, path in known if path.split(".")[0] == "dataclasses" and name not in used}
