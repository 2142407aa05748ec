"""A file that is being typed keeps all of its classes and methods but the broken statement."""

from __future__ import annotations

import ast
import warnings

import pytest

from ts_shape_server.analysis.modules import find_classes
from ts_shape_server.analysis.syntax import expression, parse, parses
from ts_shape_server.analysis.text import SourceText

HEAD = """from torch import nn
class A(nn.Module):
    def __init__(self):
        self.x = 1

    def forward(self, x):
        y = x
"""
TAIL = """        return y

    def more(self):
        pass

class B(nn.Module):
    pass
"""


@pytest.mark.parametrize(
    ("typed", "broken"),
    [
        ("        y = self.\n", "y = self."),
        ("        y = f(\n", "("),
        ("        y = f(a b)\n", "a b"),
        ("        y = f(\n            a b,\n            c,\n        )\n", "a b"),
        ("        y = {\n            'a': 1,\n            'b' 2,\n        }\n        z = 3\n", ":'"),
        ("        if y\n            z\n", "if y"),
        ("        if y:\n", ""),
        ("        for\n", "for"),
        ("        x = [1,\n", "[1,"),
        ("        'abc\n", "'abc"),
        ('        """\n', '"""'),
        ("    )\n", ")"),
        ("  odd\n", "odd"),
        ("\t\tx = 1\n", "\t\tx = 1"),
        ("            z = 1\n", "z = 1"),
        ("x = )\n", ")"),
        ("@\n", "@"),
        ("        def\n", "def"),
        ("    def g(self, x:\n        return 1\n\n    def h(self):\n        y = 1\n", "(self, x:"),
    ],
)
def test_only_the_broken_statement_is_lost(typed: str, broken: str) -> None:
    source = SourceText(HEAD + typed + TAIL)
    classes, problems = find_classes(source)
    assert [item.name for item in classes.classes] == ["A", "B"]
    methods = [item.name for item in classes.classes[0].methods]
    assert [name for name in methods if name in ("__init__", "forward", "more")] == ["__init__", "forward", "more"]
    assert [item.line for item in classes.classes[0].methods if item.name == "__init__"] == [3]
    assert classes.syntax_error is not None
    place, message = classes.syntax_error
    assert f"line {place.line}, column {place.column + 1}: {message}" in problems
    assert 8 <= place.line <= 9 + typed.count("\n")
    if broken.strip("':"):
        assert source.slice(place) in (broken, source.line(place.line)[place.column :])


def test_a_line_between_a_header_and_its_block_costs_only_itself() -> None:
    classes, _ = find_classes(SourceText("class A(B):\nelse:\n    def forward(self, x):\n        return x\n"))
    assert [[item.name for item in found.methods] for found in classes.classes] == [["forward"]]


@pytest.mark.parametrize("header", ["class B(", "class B(nn.Module", "class (nn.Module):", "class B(nn.Module)"])
def test_a_broken_class_costs_only_itself(header: str) -> None:
    source = SourceText(f"{HEAD}\n{header}\n    def forward(self, x):\n        return x\n\nclass C(nn.Module): pass\n")
    assert {"A", "C"} <= {item.name for item in find_classes(source)[0].classes} <= {"A", "B", "C"}


@pytest.mark.parametrize(
    "text",
    [
        "\0",
        "x = '\ud800'",
        "(" * 400 + ")" * 400,
        "((((((",
        "\x0cx",
        "if x:\n" * 150,
        "'" * 3,
        "\\",
        "\ufeff(",
        "class",
    ],
)
def test_nothing_makes_it_fail(text: str) -> None:
    classes, problems = find_classes(SourceText(text))
    assert classes.classes == ()
    assert (classes.syntax_error is None) == (not problems)


def test_a_byte_order_mark_shifts_nothing() -> None:
    source = SourceText("\ufeffclass A(é.B): pass\nclass C: pass\n")
    classes, problems = find_classes(source)
    assert problems == ()
    assert [source.slice(item.name_range) for item in classes.classes] == ["A", "C"]
    assert source.slice(classes.classes[0].bases[0].range) == "é.B"


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_lines_are_the_protocols_whatever_ends_them(newline: str) -> None:
    text = "x = 'a\x0cb'\n\x0c\nclass A(B):\n    y = 1  # \x85 \u2028 \n\nclass C(B): pass\n".replace("\n", newline)
    assert [item.line for item in find_classes(SourceText(text))[0].classes] == [3, 6]


def test_doubtful_code_gives_no_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(parse(SourceText(r"x = '\d'; assert (1, 'a'); x is 1")).tree.body) == 3
        assert parses(r"'\d'")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("f(a, b)", "f(a, b)"),
        ("a  # why", "a"),
        (" a ", "a"),
        ("a =", None),
        ("a = 1", None),
        ("", None),
        ("a)(", None),
    ],
)
def test_expressions(text: str, found: str | None) -> None:
    node = expression(text)
    assert (None if node is None else ast.unparse(node)) == found
