'''A Python object that only the constructor reads is left out of the script.

Why: TorchScript compiles the class of every object that a module holds, whether a method reads it or not, and an object
without attributes of its own makes an archive that torch cannot read back. `__jit_ignored_attributes__` is the list
that torch asks for what to leave out (`torch/jit/_recursive.py`); the object stays on the module.

Refused: cannot-be-saved owner=Net attribute=config
Input: x=[2, 3]

Before:
    from torch import nn


    class Config:
        width = 3


    class Net(nn.Module):
        """A layer."""

        def __init__(self, config=Config()):
            super().__init__()
            self.config = config
            self.fc = nn.Linear(config.width, 2)

        def forward(self, x):
            return self.fc(x)

After:
    from torch import nn


    class Config:
        width = 3


    class Net(nn.Module):
        """A layer."""

        __jit_ignored_attributes__ = ["config"]

        def __init__(self, config=Config()):
            super().__init__()
            self.config = config
            self.fc = nn.Linear(config.width, 2)

        def forward(self, x):
            return self.fc(x)

Left alone:
    from torch import nn


    class Config:
        width = 3


    class Net(nn.Module):
        def __init__(self, config=Config()):
            super().__init__()
            self.config = config
            self.fc = nn.Linear(config.width, 2)

        def forward(self, x):
            return self.fc(x) * self.config.width
'''

from __future__ import annotations

import ast
from collections.abc import Iterator

from ts_shape_server.analysis.rewrites.situation import Place, Rewrite, Situation
from ts_shape_server.analysis.scopes import FUNCTIONS
from ts_shape_server.contract.places import Range, TextEdit

_LIST = "__jit_ignored_attributes__"


def left_out(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """The attribute that the refusal names, in the class of the file that sets it and reads it in no other method."""
    attribute, wanted = place.failure.fact("attribute"), place.failure.fact("owner")
    tops = [node for node in situation.tree.body if isinstance(node, ast.ClassDef)]
    owners = [node for node in tops if _sets(node, attribute) and wanted in ("", node.name)]
    if not attribute or len(owners) != 1 or _is_read(situation, owners[0], attribute):
        return
    title = f"Leave `self.{attribute}` of `{owners[0].name}` out of the script"
    edit = _listed(situation, owners[0], attribute)
    if edit is not None:
        yield Rewrite("attribute-left-out", title, (edit,))


def _sets(owner: ast.ClassDef, attribute: str) -> bool:
    functions = [node for node in owner.body if isinstance(node, FUNCTIONS) and node.name == "__init__"]
    return any(_is_own(node, attribute, ast.Store) for function in functions for node in ast.walk(function))


def _is_own(node: ast.AST, attribute: str, context: type[ast.expr_context]) -> bool:
    own = isinstance(node, ast.Attribute) and node.attr == attribute and isinstance(node.ctx, context)
    return own and isinstance(node, ast.Attribute) and ast.unparse(node.value) == "self"


def _is_read(situation: Situation, owner: ast.ClassDef, attribute: str) -> bool:
    """Whether a method that ran, `forward` for one, reads the attribute."""
    methods = [node for node in owner.body if isinstance(node, FUNCTIONS) and node.name != "__init__"]
    ran = {item.function for item in situation.state.annotations if item.owner == situation.qualified(owner)}
    compiled = [item for item in methods if item.name == "forward" or item.name in ran]
    return any(_is_own(node, attribute, ast.Load) for function in compiled for node in ast.walk(function))


def _listed(situation: Situation, owner: ast.ClassDef, attribute: str) -> TextEdit | None:
    """The edit that adds an attribute to the list of the class, which may have none yet."""
    for item in owner.body:
        if isinstance(item, ast.Assign) and ast.unparse(item.targets[0]) == _LIST:
            if not isinstance(item.value, (ast.List, ast.Tuple)) or not item.value.elts:
                return None
            end = situation.range_of(item.value.elts[-1])
            return TextEdit(Range(end.end_line, end.end_column, end.end_line, end.end_column), f', "{attribute}"')
    body = owner.body
    documented = isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant) and len(body) > 1
    first = body[1] if documented else body[0]
    if not situation.alone(first) or first.lineno == owner.lineno:
        return None
    line = min([first.lineno, *(item.lineno for item in getattr(first, "decorator_list", []))])
    newline, indent = situation.source.newline, situation.indent(first)
    gap = newline if isinstance(first, (*FUNCTIONS, ast.ClassDef)) else ""
    return TextEdit(Range(line, 0, line, 0), f'{indent}{_LIST} = ["{attribute}"]{newline}{gap}')
