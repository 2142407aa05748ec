"""Which object of settings a class may be given: the one that has all that is read, and no other."""

from __future__ import annotations

import os
import textwrap
from pathlib import Path

import pytest

from ts_shape_server.analysis import settings
from ts_shape_server.analysis.text import SourceText

NET = """
class Net(nn.Module):
    def __init__(self, args{annotation}):
        super().__init__()
        self.cfg = args
        self.fc = nn.Linear(args.width, args.classes)
        if args.deep:
            self.more = nn.Linear(args.rare, 3)

    def forward(self, x):
        return self.fc(x)
"""
BY_KEY = NET.replace("args.width", "args['width']").replace("args.classes", "args['classes']").replace(
    "if args.deep", "if args['deep']"
)  # fmt: skip
PARSER = """
import argparse
from net import Net
parser = argparse.ArgumentParser()
parser.add_argument("-w", "--width", type=int, default=3)
parser.add_argument("--num-classes", dest="classes", default=4)
parser.add_argument("--deep", action="store_true")
args = parser.parse_args()
args.width = args.width * 2
Runner(args)
args.width = 1
"""
RECORD = """
from dataclasses import dataclass

@dataclass
class Config:
    width: int = 3
    classes: int = 4
    deep: bool = False
"""


FOLDER = Path(os.sep, "workspace")


def found(net: str, other: str) -> list[tuple[str, str, str]]:
    """The setup, the expression and the label of each object of settings for `Net` in another file."""
    made: list[tuple[str, str, str]] = []
    for read in settings.read_by(SourceText(net), "Net"):
        for item in settings.made_in(read, SourceText(other), str(FOLDER / "conf" / "made.py"), str(FOLDER)):
            assert item.init is not None
            assert [name for name, _ in item.init.kwargs] == ["args"]
            made.append((item.setup, item.init.kwargs[0][1], item.label))
    return made


def test_what_a_class_reads_whatever_happens() -> None:
    assert settings.read_by(SourceText(NET.format(annotation="")), "Net") == (
        settings.SettingsRead("args", frozenset({"width", "classes", "deep"}), frozenset()),
    )


def test_the_arguments_of_a_command_line_where_they_are_used_as_a_whole() -> None:
    ((setup, text, label),) = found(NET.format(annotation=""), PARSER)
    assert (text, label) == ("args", "arguments made.py:8")
    assert "args.width * 2" in setup
    assert "args.width = 1" not in setup


def test_a_class_of_fields_is_imported() -> None:
    net = NET.format(annotation="")
    assert found(net, RECORD) == [("from conf.made import Config", "Config()", "Config() made.py:5")]


def test_a_dict_of_the_module() -> None:
    ((setup, text, _),) = found(
        BY_KEY.format(annotation=""), "CONFIG = {'width': 3, 'classes': 4, 'deep': False}\nx = 1\n"
    )
    assert (setup.strip(), text) == ("CONFIG = {'width': 3, 'classes': 4, 'deep': False}", "CONFIG")


@pytest.mark.parametrize(
    ("net", "other"),
    [
        pytest.param(NET.format(annotation=""), PARSER.replace('"--deep"', '"--deeper"'), id="that lacks a setting"),
        pytest.param(NET.format(annotation=""), RECORD.replace(" = 4", ""), id="that needs one"),
        pytest.param(NET.format(annotation=""), "CONFIG = dict(width=3, classes=4, deep=1)\n", id="that has keys"),
        pytest.param(BY_KEY.format(annotation=""), PARSER, id="that has attributes"),
        pytest.param(NET.format(annotation=": Config"), PARSER, id="where the annotation names a class"),
        pytest.param(
            NET.format(annotation="").replace("args.classes", "2"), PARSER, id="where only a few are read"
        ),
        pytest.param(NET.format(annotation="=None"), PARSER, id="where it may be left out"),
    ],
)  # fmt: skip
def test_no_object(net: str, other: str) -> None:
    assert found(textwrap.dedent(net), other) == []
