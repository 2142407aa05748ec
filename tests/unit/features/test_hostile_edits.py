"""No edit that is made of a report adds code: what a stranger's code forges is refused, or stays a comment or a type.

Each text of a report is replaced in turn by one that would leave its line, its string or its comment. What the contract
takes is offered as edits; the file with them has the same code as before.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from sample_reports import CNN, tensor

from ts_shape_server.analysis.modules import find_classes, module_classes
from ts_shape_server.analysis.text import SourceText
from ts_shape_server.contract import schema
from ts_shape_server.contract.places import Range
from ts_shape_server.contract.report import Annotation, Argument, InputSpec, Report, ValueSpec, Variable
from ts_shape_server.contract.schema import ContractError
from ts_shape_server.features.offers import offers

SOURCE = """import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, width=5):
        super().__init__()
        self.fc = nn.Linear(3, width)

    def forward(self, x, y=None, z=None):
        h = self.fc(x)
        h = torch.relu(h)
        return h
"""
CODE = "import evil"
HOSTILE = (
    f"B\n{CODE}",
    f"B\r{CODE}",
    f"B)\n    {CODE}",
    f"B\x0c\n{CODE}",
    f'B"""\n{CODE}\n"""',
    f'Tensor, "B"]\n{CODE}  # ',
    "int = (lambda: __import__('evil'))()  # ",
    "__import__('evil')",
    f"x): {CODE}\n",
    f"x\u2028{CODE}",
    f"int64\n{CODE}",
)
FULL = replace(
    CNN,
    name="Net",
    line=5,
    inputs=(
        InputSpec("x", tensor("B", 3), "solved"),
        InputSpec("y", ValueSpec("Dict[str, Tensor]", keys=("key",), items=(tensor("B", "L", dtype="int64"),)), ""),
        InputSpec("z", ValueSpec("Tuple[Tensor, int]", items=(tensor("B"), ValueSpec("int"))), ""),
    ),
    init=(("width", Argument("5", "call train.py:1")),),
    example={
        "x": {"tensor": [2, 3], "dtype": "float32"},
        "y": {"dict": {"key": {"tensor": [2, 3], "dtype": "int64"}}},
        "z": {"tuple": [{"tensor": [2], "dtype": "int64"}, {"expr": "3"}]},
    },
    second=None,
    variables=(Variable("h", 11, tensor("B", 5)), Variable("h", 12, tensor("B", 5))),
    torchscript=replace(
        CNN.torchscript,
        annotations=(
            Annotation("Net", "forward", "x", "List[Tensor]", True),
            Annotation("Net", "forward", "return", "Dict[str, Tensor]", True),
            Annotation("Net", "", "fc", "Optional[int]", True),
        ),
    ),
)
"""With something in each place that reaches an edit."""


def forged(value: Any, text: str) -> Iterator[Any]:
    """Copies of a report's JSON, each with one text or one key replaced; and one for each input without its dims."""
    for path, key in places(value, ()):
        made = copy.deepcopy(value)
        holder = made
        for step in path:
            holder = holder[step]
        if key is None:
            name = next(iter(holder))
            holder[text] = holder.pop(name)
        else:
            holder[key] = text
        yield made


def places(value: Any, path: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], Any]]:
    if isinstance(value, dict) and value:
        yield path, None
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in pairs:
        if isinstance(item, str):
            yield path, key
        yield from places(item, (*path, key))


def code_of(text: str) -> str:
    """A file's code without annotations, docstrings and what is imported for annotations."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.arg):
            node.annotation = None
        if isinstance(node, ast.ClassDef):
            node.body = [item for item in node.body if not (isinstance(item, ast.AnnAssign) and item.value is None)]
        if isinstance(node, ast.FunctionDef):
            node.returns = None
            if ast.get_docstring(node) is not None:
                del node.body[0]
    kept = [item for item in tree.body if not (isinstance(item, ast.ImportFrom) and item.module in MODULES)]
    tree.body = [item for item in kept if not (isinstance(item, ast.Import) and item.names[0].name in MODULES)]
    return ast.dump(tree)


MODULES = ("jaxtyping", "typing", "torch")


def edited(report: Report) -> Iterator[str]:
    """The file after each edit that is offered anywhere in it."""
    source = SourceText(SOURCE)
    classes, _ = find_classes(source)
    modules = module_classes(classes, lambda reference: False)
    for line in (5, 10, 11):
        for column in range(0, len(source.line(line)), 5):
            for offer in offers(source, classes, modules, {"Net": report}, Range(line, column, line, column)):
                yield source.apply(offer.rewrite.edits)


def check(report: Report) -> int:
    """How many different files come of it. None has other code than before."""
    found = set(edited(report))
    for text in found:
        assert code_of(text) == code_of(SOURCE), text
        for node in ast.walk(ast.parse(text)):
            assert not isinstance(node, ast.alias) or node.name != "evil"
            assert not isinstance(node, ast.Name) or node.id != "__import__", text
    return len(found)


def test_edits_are_offered() -> None:
    """Else nothing would be tested."""
    assert check(FULL) >= 7


@pytest.mark.parametrize("text", HOSTILE)
def test_a_forged_text_never_becomes_code(text: str) -> None:
    taken = 0
    for bare in (False, True):
        report = FULL
        if bare:
            # Where the dims of an input are not known, its example is written.
            report = replace(report, inputs=tuple(replace(item, value=ValueSpec("Any")) for item in report.inputs))
        for made in forged(schema.write(report), text):
            try:
                read = schema.read(Report, made)
            except ContractError:
                continue
            taken += 1
            check(replace(read, path=report.path, name="Net", line=5, status="ok"))
    assert taken
