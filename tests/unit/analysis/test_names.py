"""What the cursor is on, told by the text alone: a bar in the text marks the place."""

from __future__ import annotations

import pytest

from ts_shape_server.analysis.modules import find_classes
from ts_shape_server.analysis.names import name_at
from ts_shape_server.analysis.text import SourceText

NET = """import torch
import torch.jit as tj
from torch import nn

class Net(nn.Module):
    class Inner(nn.Module):
        pass

    def __init__(self, dim):
        self.conv = nn.Conv2d(dim, 3, 1)
        size = dim

    def forward(self, x, é=None):
        y = self.conv(x)
        for part in y: z = part
        x = torch.relu(y); k = [w for w in x]
        return x.sum() + helper(z)

    def other(self, x):
        return self.forward(x)

def helper(x):
    model = Net(3)
    return Net.Inner()(model(x))

loaded = tj.load("net.pt", map_location="cpu")
"""


def check(before: str, after: str, kind: str | None, name: str = "", class_name: str | None = None) -> None:
    """The cursor is where `before` ends and `after` begins."""
    source = SourceText(NET)
    line, column = source.position(NET.index(before + after) + len(before))
    subject = name_at(source, find_classes(source)[0], line, column)
    found = None if subject is None else (subject.kind, subject.name, subject.class_name, subject.line)
    assert found == (None if kind is None else (kind, name, class_name, line))
    if subject is not None:
        assert source.slice(subject.range) in (name, f'"{name}"')


@pytest.mark.parametrize(
    ("before", "after", "kind", "name", "class_name"),
    [
        ("from torch import n", "n", "name", "nn", None),
        ("import torch.jit as t", "j", "name", "tj", None),
        ("import torch.j", "it as tj", "name", "torch.jit", None),
        ("class N", "et(", "class", "Net", "Net"),
        ("class ", "Inner", "class", "Inner", "Net.Inner"),
        ("model = ", "Net(3)", "class", "Net", "Net"),
        ("Net.In", "ner()", "class", "Inner", "Net.Inner"),
        ("def for", "ward", "forward", "forward", "Net"),
        ("forward(self, ", "x", "parameter", "x", "Net"),
        ("forward(self, x, ", "é", "parameter", "é", "Net"),
        ("self.conv(", "x)", "parameter", "x", "Net"),
        ("        ", "x = torch.relu", "variable", "x", "Net"),
        ("return ", "x.sum()", "variable", "x", "Net"),
        ("torch.relu(", "y)", "variable", "y", "Net"),
        ("for ", "part in", "variable", "part", "Net"),
        ("k = [w for ", "w in", "variable", "w", "Net"),
        ("other(self, x):\n        return self.forward(", "x)", "variable", "x", "Net"),
        ("self.", "conv =", "layer", "conv", "Net"),
        ("y = self.co", "nv(x)", "layer", "conv", "Net"),
        ("        ", "self.conv =", "name", "self", None),
        ("y = ", "self.conv", "name", "self", None),
        ("x.", "sum()", "name", "sum", None),
        ("= ", "torch.relu", "name", "torch", None),
        ("+ ", "helper(z)", "name", "helper", None),
        ("    ", "model = Net", "name", "model", None),
        ("Conv2d(", "dim,", "name", "dim", None),
        ('tj.load("', "net.pt", "archive_path", "net.pt", None),
    ],
)
def test_the_cursor_is_on(before: str, after: str, kind: str, name: str, class_name: str | None) -> None:
    check(before, after, kind, name, class_name)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("impo", "rt torch\n"),
        ("sum() ", "+ helper"),
        ('map_location="', "cpu"),
        ("self.conv(x)", "\n        for"),
    ],
)
def test_between_names_there_is_nothing(before: str, after: str) -> None:
    check(before, after, None)


@pytest.mark.parametrize(("line", "column"), [(900, 7), (0, 0), (1, 900)])
def test_outside_of_the_text_there_is_nothing(line: int, column: int) -> None:
    source = SourceText(NET)
    assert name_at(source, find_classes(source)[0], line, column) is None


@pytest.mark.parametrize(
    ("call", "kind", "name"),
    [
        ("torch.jit.load(Pa|th('models') / 'net.pt')", "archive_path", "models/net.pt"),
        ("torch.export.load('net|.pt2')", "archive_path", "net.pt2"),
        ("torch.load(f=f'{FOL|DER}/w.pt')", "archive_path", "models/w.pt"),
        ("torch.jit.load(giv|en)", "name", "given"),
        ("torch.save(model, FOL|DER)", "name", "FOLDER"),
    ],
)
def test_the_path_that_a_loader_is_given_is_made_of_what_the_text_tells(call: str, kind: str, name: str) -> None:
    text = f"import torch\nfrom pathlib import Path\nFOLDER = 'models'\nmodel = {call}\n"
    column = len("model = ") + call.index("|")
    source = SourceText(text.replace("|", ""))
    subject = name_at(source, find_classes(source)[0], 4, column)
    assert subject is not None
    assert (subject.kind, subject.name) == (kind, name)
