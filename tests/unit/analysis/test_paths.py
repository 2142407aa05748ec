"""A path is read from constants and what joins them; what the text does not tell is no path."""

from __future__ import annotations

import ast

import pytest

from ts_shape_server.analysis.modules import find_classes
from ts_shape_server.analysis.paths import path_text
from ts_shape_server.analysis.text import SourceText

HEADER = """import os
import os.path as osp
import pathlib
from pathlib import Path
import torch

HERE = Path(__file__).parent
FOLDER = "models"
NAME: str = f"{FOLDER}/net.pt"
twice = "a"
twice = "b"
first, second = "a", "b"
loop = loop_two = "c"

def use(given):
    pass

"""


def check(expression: str, expected: str | None) -> None:
    source = SourceText(HEADER + f"torch.jit.load({expression})\n")
    classes = find_classes(source)[0]
    call = classes.tree.body[-1]
    assert isinstance(call, ast.Expr) and isinstance(call.value, ast.Call)
    assert path_text(call.value.args[0], classes.tree, classes.imports) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("'net.pt'", "net.pt"),
        ("Path('models') / 'net.pt'", "models/net.pt"),
        ("pathlib.Path('models', 'net.pt')", "models/net.pt"),
        ("str(Path('models').joinpath('net.pt'))", "models/net.pt"),
        ("os.path.join('models', 'net.pt')", "models/net.pt"),
        ("osp.join(FOLDER, 'net.pt')", "models/net.pt"),
        ("f'{FOLDER}/net_{3}.pt'", "models/net_3.pt"),
        ("FOLDER + '/net.pt'", "models/net.pt"),
        ("NAME", "models/net.pt"),
        ("HERE / 'net.pt'", "./net.pt"),
        ("Path(__file__).resolve().parent.parent / 'net.pt'", "../net.pt"),
        ("os.path.join(os.path.dirname(__file__), FOLDER, 'net.pt')", "./models/net.pt"),
        ("Path(__file__).parent.parent.parent / 'net.pt'", "../../net.pt"),
        ("Path('/models/old').parent / 'net.pt'", "/models/net.pt"),
    ],
)
def test_the_text_tells(expression: str, expected: str) -> None:
    check(expression, expected)


@pytest.mark.parametrize(
    "expression",
    [
        "given",
        "twice",
        "first",
        "loop",
        "unknown",
        "use('net.pt')",
        "os.environ['NET'] + '.pt'",
        "f'{FOLDER:>9}/net.pt'",
        "f'{given}/net.pt'",
        "Path(FOLDER) / use('net.pt')",
        "b'net.pt'",
        "['net.pt']",
    ],
)
def test_the_text_does_not_tell(expression: str) -> None:
    check(expression, None)


def test_names_that_go_in_circles_are_no_path() -> None:
    source = SourceText("a = b\nb = a\n")
    classes = find_classes(source)[0]
    assert path_text(ast.Name("a", ast.Load()), classes.tree, {}) is None
